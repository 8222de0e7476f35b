"""Memberships and predictions of rows that come in blocks: frames one after another, or a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.formula.sources import BlockByBlock, opened, read, written
from bayesmix.formula.sources.stream import Block
from bayesmix.likelihood.engine import processors, threads
from bayesmix.model import Rows, read_block, without_rows
from bayesmix.results.covariance import covariance
from bayesmix.results.fitted import Fitted

# From a fit and rows, None for the fit's own, to their table.
Maker = Callable[[Any, Any], pd.DataFrame | pd.Series]


def delivered(
    fitted: Any,
    newdata: Any,
    make: Maker,
    words: str,
    to: str | os.PathLike[str] | None,
    *,
    wants_errors: bool = False,
) -> pd.DataFrame | pd.Series | BlockByBlock | Path:
    """A table of rows: as one frame, as an iterator of frames, or as a Parquet file.

    Parameters
    ----------
    fitted : Fitted or Drawn
    newdata : DataFrame, Arrow table, str, path or Scan, optional
    make : callable
    words : str
        What the table has.
    to : str or path, optional
        The file, whose path is returned.
    wants_errors : bool
        Whether the covariance of the estimates is needed.
    """
    source: Any = fitted.spec.rows.stream if newdata is None else opened(newdata)
    if hasattr(source, "chosen"):
        prepared = fitted.spec.prepared
        known = (*prepared.columns, prepared.labels_column)
        columns = tuple(dict.fromkeys(c for c in known if c is not None and c in source.names))
        if source.count() <= source.small:
            source = read(source, columns)
        else:
            group = prepared.group if prepared.group in columns else None
            source = source.chosen(columns, group)
    if source is None or isinstance(source, pd.DataFrame):
        frame = make(fitted, source)
        return frame if to is None else written([frame], to)
    light = without_data(fitted)
    if wants_errors:  # computed once, not for every block
        _share_covariance(fitted, light)
    frames = source.map(partial(_made, light, make, newdata is None), threads(fitted.problem))
    return BlockByBlock(frames, words) if to is None else written(frames, to)


def without_data(fitted: Any) -> Any:
    """A fit or draws without rows, and without what was computed of them."""
    if not isinstance(fitted, Fitted):
        fitted = replace(fitted, point=None)  # of draws
    if fitted.spec.rows.stream is None:
        return replace(fitted)
    return replace(fitted, spec=without_rows(fitted.spec))


def on_sample(fitted: Any) -> Any:
    """A fit or draws with the sample in place of rows that come in blocks, for pictures.

    Estimates, their covariance and criteria stay those of all rows.
    """
    spec = fitted.spec
    prepared = replace(spec.prepared, stream=None)
    made = replace(fitted, spec=replace(spec, rows=spec.rows.sample, prepared=prepared))
    if isinstance(fitted, Fitted):
        _share_covariance(fitted, made)
        return made
    return replace(made, point=on_sample(fitted.point))


def _share_covariance(fitted: Fitted, other: Fitted) -> None:
    covariance(fitted)
    other.__dict__["covariances"] = fitted.covariances


def _made(fitted: Any, make: Maker, own: bool, block: Block) -> pd.DataFrame | pd.Series:
    """The table of a block: of the model's own rows, or of others."""
    if not own:
        return make(fitted, block.frame)
    make = make.numbered(block.number) if isinstance(make, Seeded) else make
    return _of_part(fitted, lambda part: make(part, None), block)


@dataclass(frozen=True)
class Seeded:
    """A table with random numbers; each block has its own, whichever thread makes it."""

    function: Callable[[Any, Any], pd.DataFrame | pd.Series]
    rng: Any  # a generator, or the seed of rows that come in blocks

    @classmethod
    def of(cls, fitted: Fitted, function: Callable[..., Any], rng: np.random.Generator) -> Seeded:
        """The maker of a fit's tables."""
        blocks = fitted.spec.rows.stream is not None
        return cls(function, int(rng.integers(2**62)) if blocks else rng)

    def numbered(self, block: int) -> Seeded:
        """The maker of one block's table."""
        return replace(self, rng=np.random.default_rng([self.rng, block]))

    def __call__(self, fitted: Any, _newdata: None) -> pd.DataFrame | pd.Series:
        """The table of a fit, or of a block of its rows."""
        return self.function(fitted, self.rng)


def by_part[T](source: Any, task: Callable[[Any], T]) -> list[T]:
    """The values of a task for all rows, or for those of every block.

    Parameters
    ----------
    source : Fitted, Drawn or Source
        What has a specification.
    task : callable
        Of the same with the rows of a block.  A function of a module, for processes elsewhere.
    """
    stream = source.spec.rows.stream
    if stream is None:
        return [task(source)]
    light = replace(source, spec=without_rows(source.spec))
    return list(stream.map(partial(_of_part, light, task), processors()))


def _of_part(source: Any, task: Callable[[Any], Any], block: Block) -> Any:
    """The value of a task for a block."""
    return task(of_block(source, read_block(source.spec, block), block))


def of_block(fitted: Any, rows: Rows, block: Block) -> Any:
    """A fit or draws whose rows are those of a block.

    Parameters
    ----------
    fitted : Fitted, Drawn or Source
    rows : Rows
        What the block has.
    block : Block
    """
    spec = fitted.spec
    pairs = zip(spec.prepared.parts, rows.blocks, strict=True)
    parts = tuple(part.seen(own.responses, own.allowed) for part, own in pairs)
    prepared = replace(spec.prepared, parts=parts, units=rows.units, table=block.frame)
    made = replace(fitted, spec=replace(spec, rows=rows, prepared=prepared))
    if "covariances" in fitted.__dict__:
        made.__dict__["covariances"] = fitted.covariances
    return made
