"""The formula language: from text to expressions that data can be put into."""
