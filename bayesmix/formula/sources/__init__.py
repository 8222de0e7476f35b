"""Rows that come in blocks: files, Arrow tables, and what a first pass finds in them."""

from bayesmix.formula.sources.opening import Data, Scan, opened, read, scan
from bayesmix.formula.sources.stored import pack_stream, unpack_stream
from bayesmix.formula.sources.stream import Stream
from bayesmix.formula.sources.survey import surveyed
from bayesmix.formula.sources.writing import BlockByBlock, written
