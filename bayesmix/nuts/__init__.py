"""NUTS by nutpie in the coordinates of the modes, and what every sampler's run is."""

from __future__ import annotations

from bayesmix.nuts.chains import Chains, Settings, first_draw, share_chains
from bayesmix.nuts.run import run_nutpie

__all__ = ["Chains", "Settings", "first_draw", "run_nutpie", "share_chains"]
