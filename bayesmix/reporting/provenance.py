"""Where the numbers come from: code, seeds, versions."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version

from bayesmix.reporting.blocks import Block, Code, Pairs, Words
from bayesmix.reporting.code import fit_code, model_code
from bayesmix.reporting.subject import Subject

NEEDED = ("bayesmix", "numpy", "scipy", "pandas", "matplotlib")
SAMPLING = ("pymc", "pytensor", "arviz", "nutpie")


def provenance(subject: Subject) -> Iterator[Block]:
    """Code that makes the fits again, seeds, and versions."""
    seeds = {name: fit.numbers.asked.get("seed") for name, fit in subject.fits.items()}
    if subject.code:
        yield Code(subject.code, "How the data were read, or the command that was run")
    code = _python(subject)
    yield Code(code, "Python code that makes the fits again")
    if "your_" in code:
        words = "Names that begin with your_ stand for objects that cannot be written as text."
        yield Words(words, "note")
    unseeded = [name for name, seed in seeds.items() if seed is None]
    if unseeded:
        words = f"No seed was given for {', '.join(unseeded)}: another run draws other numbers."
        yield Words(words, "note")
    yield Pairs((*_seed_rows(seeds), *_versions(bool(subject.posteriors))))


def _python(subject: Subject) -> str:
    lines = ["import bayesmix as bmx"]
    for name in subject.models:
        first = subject.fits[name]
        requested = getattr(first, "k_requested", first.k)
        spec, prepared = subject.specs[name], subject.specs[name].prepared
        columns, rows = ", ".join(prepared.columns), spec.rows.n + prepared.n_dropped
        lines += ["", f"# data: a pandas DataFrame of {rows} rows with the columns {columns}"]
        lines.append(model_code(spec, first.spec._priors, requested))
        for other, fit in subject.fits.items():
            if subject.like(other) == name:
                lines.append(f"fits[{other!r}] = {fit_code(fit.method, fit.numbers.asked)}")
    return "\n".join([lines[0], "", "fits = {}", *lines[1:]])


def _seed_rows(seeds: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    for name, seed in seeds.items():
        words = {None: "none given", "your_seed": "a random generator"}.get(seed, str(seed))
        yield f"Seed of {name}" if len(seeds) > 1 else "Seed", words


def _versions(sampled: bool) -> Iterator[tuple[str, str]]:
    yield "Written", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    yield "Python", platform.python_version()
    for package in (*NEEDED, *(SAMPLING if sampled else ())):
        yield package, version(package)
