"""Times to competing events: their data, estimates without a model, and what a model says."""
