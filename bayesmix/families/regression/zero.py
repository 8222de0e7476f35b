"""A point mass at zero, for responses with more zeros than another component gives."""

from __future__ import annotations

from bayesmix.families.regression.point import mass

FAMILY = mass("zero", 0.0, r"f(0) = 1", "Lambert (1992), Technometrics 34, 1-14 (zero inflation)")
