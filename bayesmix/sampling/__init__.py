"""NUTS by nutpie in the coordinates of the modes, and what every sampler's run is."""

from __future__ import annotations

from bayesmix.nuts.chains import (
    ACCEPT,
    LEAST_SHARE,
    Chains,
    Settings,
    beginnings,
    first_draw,
    modes_apart,
    share_chains,
)
from bayesmix.nuts.density import gradient_seconds
from bayesmix.nuts.run import run_nutpie

__all__ = [
    "ACCEPT",
    "LEAST_SHARE",
    "Chains",
    "Settings",
    "beginnings",
    "first_draw",
    "gradient_seconds",
    "modes_apart",
    "run_nutpie",
    "share_chains",
]
