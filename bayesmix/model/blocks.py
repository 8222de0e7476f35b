"""Families that differ by component, with a rule by which the number of components grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayesmix._arguments import shown
from bayesmix.errors import SpecError
from bayesmix.families import Family, named

REST = "k"


@dataclass(frozen=True)
class FamilyBlocks:
    """Consecutive components of one family each.

    Parameters
    ----------
    families : tuple of str or Family
    sizes : tuple of int or "k"
        Numbers of components; "k" stands for all that the others leave, once.
    """

    families: tuple[str | Family, ...]
    sizes: tuple[int | str, ...]

    @property
    def total(self) -> int | None:
        """The number of components, where no block takes the rest."""
        return None if REST in self.sizes else sum(int(n) for n in self.sizes)

    def listed(self, k: int) -> list[str | Family]:
        """The family of each of k components.

        Raises
        ------
        SpecError
            If the blocks do not make k components.
        """
        fixed = sum(n for n in self.sizes if isinstance(n, int))
        rest = k - fixed
        if self.total is None and rest < 1:
            least = fixed + 1
            raise SpecError(
                f"family={self} has {fixed} components beside 'k', which stands for at least one "
                f"more, but k={k}; use k of at least {least}, as in select(..., k=range({least}, "
                f"{least + 4}))"
            )
        if self.total is not None and rest:
            raise SpecError(
                f"family={self} has {fixed} components, but k={k}; write 'k' for the number of the "
                "family that is to grow"
            )
        sizes = [n if isinstance(n, int) else rest for n in self.sizes]
        return [f for f, n in zip(self.families, sizes, strict=True) for _ in range(n)]

    def __str__(self) -> str:
        names = (f if isinstance(f, str) else f.name for f in self.families)
        return str(dict(zip(names, self.sizes, strict=True)))


def family_blocks(given: Any) -> Any:
    """Blocks from a dict of families to numbers of components; anything else as it is.

    Raises
    ------
    SpecError
        If a number is not positive, or two families are to take the rest.
    """
    if not isinstance(given, Mapping) or not given:
        return given
    counted = [
        n == REST or (isinstance(n, int) and not isinstance(n, bool)) for n in given.values()
    ]
    if not any(counted):
        return given
    sizes = tuple(given.values())
    if (
        not all(counted)
        or any(isinstance(n, int) and n < 1 for n in sizes)
        or sizes.count(REST) > 1
    ):
        raise SpecError(
            f"family={shown(dict(given))} is not understood; map families to their numbers of "
            "components, positive whole numbers, and one of them to 'k' for all the others, such "
            "as {'zero': 1, 'poisson': 'k'}"
        )
    return FamilyBlocks(tuple(given), sizes)


def reads(given: Any, kind: str) -> bool:
    """Whether a family of a response, however it is given, reads a kind of `Response`."""
    if isinstance(given, FamilyBlocks):
        return any(reads(each, kind) for each in given.families)
    if isinstance(given, Mapping):
        return any(reads(each, kind) for each in given.values())
    if isinstance(given, list | tuple):
        return any(reads(each, kind) for each in given)
    return isinstance(given, str | Family) and named(given).reads == kind
