"""The frozen specification of a mixture, and how one is assembled."""

from bayesmix.inputs import Regression, prepare
from bayesmix.newdata import BlockRows, Rows
from bayesmix.spec.assembly import assemble
from bayesmix.spec.mixture import MixtureSpec

__all__ = ["BlockRows", "MixtureSpec", "Regression", "Rows", "assemble", "prepare"]
