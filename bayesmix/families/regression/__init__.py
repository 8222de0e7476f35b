"""Families of numbers: one file each."""
