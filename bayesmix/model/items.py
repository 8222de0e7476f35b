"""The responses of a latent class analysis: a regression for each item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bayesmix._arguments import door, shown
from bayesmix.errors import SpecError
from bayesmix.families import Family
from bayesmix.formula.tokens import parted
from bayesmix.model.parts import Regression


@door
def items(
    names: Sequence[str],
    family: str | Family | Mapping[str, str | Family] = "categorical",
    formula: str = "~ 1",
    *,
    fixed: str | None = None,
    dispersion: str | Sequence[int] = "varying",
) -> list[Regression]:
    """One `Regression` for each item of a latent class or latent profile analysis.

    Items are independent within a class: the density of a unit is the product over the items.

    Parameters
    ----------
    names : list of str
        Columns, or responses as in a formula: ``"p(right, asked)"``.
    family : str, Family, or dict by item
        One family for all items, or one for each.
    formula : str
        The right-hand side for every item: what affects it besides the class.
    fixed : str, optional
        Effects that are the same in all classes.
    dispersion : str or list of int
        As for `Regression`.

    Returns
    -------
    list of Regression
        The first argument of `Mixture`.

    Raises
    ------
    SpecError
        If an item is listed twice, or the dict has no family for it.

    References
    ----------
    Lazarsfeld and Henry (1968), Latent Structure Analysis.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import bayesmix as bmx
    >>> rng = np.random.default_rng(1)
    >>> able = rng.random(200) < 0.4
    >>> right = rng.random((200, 4)) < np.where(able, 0.9, 0.3)[:, None]
    >>> data = pd.DataFrame(right.astype(int), columns=["A", "B", "C", "D"])
    >>> fit = bmx.Mixture(bmx.items(list("ABCD"), family="binomial"), data, k=2).fit("em", seed=1)
    >>> fit.df
    9
    """
    names = list(names)
    _check_names(names)
    given: Any = family if isinstance(family, Mapping) else dict.fromkeys(names, family)
    missing = [name for name in names if name not in given]
    unknown = [name for name in given if name not in names]
    if missing or unknown:
        wrong = f"names {unknown}, no items" if unknown else f"has no family for {missing}"
        raise SpecError(f"family= {wrong}; as a dict it has one family for each of {names}")
    right = _right_side(formula)
    return [
        Regression(f"{_response(name)} ~ {right}", given[name], fixed, None, dispersion)
        for name in names
    ]


def _check_names(names: list[str]) -> None:
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        msg = f"items={shown(names)}: list the columns of the items, such as ['A', 'B', 'C']"
        raise SpecError(msg)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpecError(f"the items {twice} are listed more than once; each is one response")


def _right_side(formula: str) -> str:
    left, tilde, right = parted(formula)
    if not tilde or left.strip() or not right.strip():
        raise SpecError(
            f"formula={formula!r:.200} describes every item: write its right-hand side alone, "
            "such as '~ 1' or '~ age'"
        )
    return right.strip()


def _response(name: str) -> str:
    """The item as a formula writes it: a column whose name is no word stands in backticks."""
    plain = name.isidentifier() or "(" in name or name.startswith("`")
    return name if plain else f"`{name}`"
