"""One response or several that share the components: whose are the options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bayesmix as bmx
from bayesmix.cli.options import Named
from bayesmix.errors import SpecError

__all__ = ["made_family", "regressions"]

OWN = ("fixed", "nested", "dispersion")


def regressions(formulas: Sequence[str], options: dict[str, Any]) -> list[bmx.Regression]:
    """The part of each response in the model.

    Parameters
    ----------
    formulas : sequence of str
        One for each response.
    options : dict
        Those of the model as they were given; what belongs to a single response is taken
        out.

    Raises
    ------
    SpecError
        If the numbers of formulas and families differ, or an option names no response.
    """
    names = [_squeezed(formula.partition("~")[0]) for formula in formulas]
    parts: list[dict[str, Any]] = [
        {} if family is None else {"family": family}
        for family in _families(len(names), options.pop("family", []))
    ]
    for option in OWN:
        for given in options.pop(option, []):
            response, value = _PARSED[option](given)
            part = parts[_place(f"--{option}", response, names, formulas)]
            if option == "nested":
                part.setdefault(option, []).append(value)
            elif option in part:
                msg = f"--{option} is given twice for {response or names[0]}; give it once"
                raise SpecError(msg)
            else:
                part[option] = value
    return [bmx.Regression(formula, **part) for formula, part in zip(formulas, parts, strict=True)]


def made_family(given: Named) -> Any:
    """The name of a family, or the family with its options."""
    return bmx.family(given.name, **given.options) if given.options else given.name


def _families(n_formulas: int, given: list[list[Named]]) -> list[Any]:
    """The family of each response, or its list by component; None where none was given."""
    if not given:
        return [None] * n_formulas
    if len(given) not in (1, n_formulas):
        formulas = "1 formula" if n_formulas == 1 else f"{n_formulas} formulas"
        msg = (
            f"--family is given {len(given)} times for {formulas}; give it once for each formula, "
            "in their order, or once for all; one for each component has commas: "
            "gaussian,student_t"
        )
        raise SpecError(msg)
    made = [[made_family(one) for one in families] for families in given]
    every = [families[0] if len(families) == 1 else families for families in made]
    return every * n_formulas if len(every) == 1 else every


def _place(option: str, response: str, names: list[str], formulas: Sequence[str]) -> int:
    """Which of the responses an option is for."""
    if not response and len(names) == 1:
        return 0
    if response in names:
        return names.index(response)
    written = [formula.partition("~")[0].strip() for formula in formulas]
    example = f"{written[0]}=fixed" if option == "--dispersion" else f"'{written[0]} ~ x'"
    what = f"{response!r} is not among the responses" if response else "there are several responses"
    msg = f"{option}: {what} {', '.join(written)}; name the one it is for, {option} {example}"
    raise SpecError(msg)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _fixed(given: str) -> tuple[str, str]:
    response, tilde, right = given.partition("~")
    return (_squeezed(response), f"~{right}") if tilde else ("", given)


def _nested(given: list[str]) -> tuple[str, tuple[str, int]]:
    text, size = given
    if not size.isdecimal():
        msg = f"--nested: {size!r} is no number of components; write --nested '~ x' 2"
        raise SpecError(msg)
    response, formula = _fixed(text)
    return response, (formula, int(size))


def _dispersion(given: tuple[str, str | list[int]]) -> tuple[str, str | list[int]]:
    response, how = given
    return _squeezed(response), how


_PARSED: dict[str, Any] = {"fixed": _fixed, "nested": _nested, "dispersion": _dispersion}
