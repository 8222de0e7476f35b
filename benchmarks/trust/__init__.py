"""Simulations that show how far the answers of bayesmix can be trusted; see docs/trust.md."""
