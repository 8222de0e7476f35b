"""NUTS by nutpie in the coordinates of the modes, and what every sampler's run is."""

from __future__ import annotations

from bayesmix.sampling.chains import (
    ACCEPT,
    Chains,
    Saved,
    Settings,
    beginnings,
    first_draw,
    modes_apart,
    share_chains,
)
from bayesmix.sampling.density import gradient_seconds
from bayesmix.sampling.nutpie import run_nutpie
