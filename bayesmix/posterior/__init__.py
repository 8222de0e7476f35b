"""Draws from a posterior and what can be read off them."""
