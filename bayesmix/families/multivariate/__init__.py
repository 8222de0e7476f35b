"""Families of several columns at once: one file each, and what they share."""
