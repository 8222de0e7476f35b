"""Expectation-maximisation: starts, steps, acceleration and the one loop."""
