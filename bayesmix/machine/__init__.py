"""Disks and memory: files written whole or not at all, and memory asked for before it is taken."""

from __future__ import annotations

from bayesmix.machine.files import NoFileError, target_file, write_whole
from bayesmix.machine.memory import available_bytes, check_memory

__all__ = ["NoFileError", "available_bytes", "check_memory", "target_file", "write_whole"]
