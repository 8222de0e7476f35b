"""The frozen specification of a mixture, and how one is assembled."""

from bayesmix.model.assemble import assemble
from bayesmix.model.parts import Regression
from bayesmix.model.prepare import prepare
from bayesmix.model.rows import BlockRows, Rows
from bayesmix.model.sampled import read_block, unavailable, without_rows
from bayesmix.model.spec import MixtureSpec
