"""How factors enter a design so that no column repeats what others say.

Every term stands for a space of columns; a product of factors contains those of its
parts.  A term gets what the terms before it do not have.  (formulae does the same for
two factors, but loses columns of ``a:b:c`` without its margins.)

References
----------
Chambers and Hastie (1992), Statistical Models in S, section 2.4.1.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

Block = tuple[tuple[int, str], ...]  # atoms of a term, each "value", "full" or "reduced"
Coding = dict[int, str]


@lru_cache(maxsize=256)
def coding_plan(
    terms: tuple[tuple[int, ...], ...], kinds: tuple[str, ...], *, spans_constant: bool
) -> tuple[Block, ...]:
    """Decide how every term enters the design, main effects first.

    Parameters
    ----------
    terms : tuple of tuple of int
        Products of atoms.
    kinds : tuple of str
        "numeric" or "factor" for every atom.
    spans_constant : bool
        Whether the design has an intercept.

    Returns
    -------
    tuple of tuple of (int, str)
        For every block of columns its atoms, each as its "value" (numeric), with "full"
        (all levels) or "reduced" coding; the intercept is the empty block.

    Examples
    --------
    >>> coding_plan(((0,), (0, 1)), ("numeric", "factor"), spans_constant=True)
    ((), ((0, 'value'),), ((0, 'value'), (1, 'reduced')))
    """
    ordered = sorted(terms, key=len)
    blocks: list[Block] = []
    spanned: dict[frozenset[int], set[frozenset[int]]] = {}
    for term in [(), *ordered] if spans_constant else ordered:
        factors = tuple(i for i in term if kinds[i] == "factor")
        before = spanned.setdefault(frozenset(term) - frozenset(factors), set())
        new = [
            frozenset(part)
            for size in range(len(factors) + 1)
            for part in combinations(factors, size)
            if frozenset(part) not in before
        ]
        before.update(new)
        blocks += [_block(term, coding, factors) for coding in _join(new, factors)]
    return tuple(blocks)


def _block(term: tuple[int, ...], coding: Coding, factors: tuple[int, ...]) -> Block:
    return tuple((i, coding.get(i, "value")) for i in term if i in coding or i not in factors)


def _join(parts: list[frozenset[int]], factors: tuple[int, ...]) -> list[Coding]:
    """Join reduced products to as few as possible: b and a:b are b with all levels of a."""
    codings: dict[frozenset[int], Coding] = {part: dict.fromkeys(part, "reduced") for part in parts}
    left = 0
    while left != len(codings):
        left = len(codings)
        for part in parts:
            if part in codings:
                _absorb(part, codings, factors)
    return list(codings.values())


def _absorb(
    part: frozenset[int], codings: dict[frozenset[int], Coding], factors: tuple[int, ...]
) -> None:
    """Put a product into one with a factor more, all of whose levels enter then."""
    for extra in factors:
        larger = codings.get(part | {extra}, {})
        fits = all(larger.get(i) == how for i, how in codings[part].items())
        if extra not in part and fits and larger.get(extra) == "reduced":
            larger[extra] = "full"
            del codings[part]
            return
