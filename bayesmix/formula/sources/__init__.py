"""Rows that come in blocks: files, Arrow tables, and what a first pass finds in them."""

from bayesmix.sources.opening import Data, Scan, in_memory, is_data, opened, read, scan
from bayesmix.sources.stream import Source, Stream
from bayesmix.sources.survey import surveyed
from bayesmix.sources.writing import BlockByBlock, written

__all__ = [
    "BlockByBlock",
    "Data",
    "Scan",
    "Source",
    "Stream",
    "in_memory",
    "is_data",
    "opened",
    "read",
    "scan",
    "surveyed",
    "written",
]
