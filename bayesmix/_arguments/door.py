"""The public door: every argument of a public function is checked before the function begins.

Types come from the annotations of the signature, values from one table by the argument's
name.  What is written once in a signature is checked everywhere, for new functions too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NamedTuple

import numpy as np

from bayesmix._arguments.files import refusal
from bayesmix._arguments.habits import option_hint
from bayesmix._arguments.kinds import Kind, kind_of
from bayesmix._arguments.memory import check_memory
from bayesmix._arguments.shown import shown, type_name
from bayesmix._arguments.values import ERRORS, NONE_BY_DEFAULT, VALUES, WORDS
from bayesmix.errors import BayesmixError, SpecError, UnknownOptionError

Check = Callable[[str, Any, type[ValueError]], Any]
SPECIAL = ("__init__", "__getitem__", "__call__")
SEVERAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def door(
    thing: Any = None,
    *,
    error: type[ValueError] = SpecError,
    title: str | None = None,
    only: tuple[str, ...] = (),
    **checks: Check,
) -> Any:
    """Check the arguments of a public function, or of every public method of a class.

    Parameters
    ----------
    thing : function or class
    error : type
        Raised where an argument is wrong.
    title : str, optional
        What messages call it; its own name by default, nothing where it is empty.
    only : tuple of str
        The methods of a class, where not all public ones.
    **checks : callable
        Of arguments whose values mean something else than elsewhere, by name.

    Raises
    ------
    SpecError, or the given class
        From the decorated function: what was given and what it takes.

    Examples
    --------
    >>> @door
    ... def doubled(draws: int) -> int:
    ...     return 2 * draws
    >>> doubled("3")
    Traceback (most recent call last):
    ...
    bayesmix.errors.SpecError: draws='3': the number of draws must be an integer of at least 1
    """
    if thing is None:
        return lambda later: door(later, error=error, title=title, only=only, **checks)
    if inspect.isclass(thing):
        return _class_door(thing, error, title, only, checks)
    return _function_door(thing, error, title, checks)


def _class_door(
    owner: Any,
    error: type[ValueError],
    title: str | None,
    only: tuple[str, ...],
    checks: Mapping[str, Check],
) -> Any:
    """Put a door before every public method that the class itself defines."""
    for name, member in list(vars(owner).items()):
        if name not in (only or SPECIAL) and (only or name.startswith("_")):
            continue
        inner = member.__func__ if isinstance(member, classmethod) else member
        if not inspect.isfunction(inner) or hasattr(inner, "__wrapped__"):
            continue
        checked = _function_door(inner, error, title, checks)
        setattr(owner, name, classmethod(checked) if isinstance(member, classmethod) else checked)
    return owner


def _function_door(
    function: Callable[..., Any],
    error: type[ValueError],
    title: str | None,
    checks: Mapping[str, Check],
) -> Callable[..., Any]:
    signature = inspect.signature(function)
    parameters = signature.parameters
    rules = {
        name: _Rule.of(parameter, checks.get(name, VALUES.get(name)))
        for name, parameter in parameters.items()
    }
    title = _title(function) if title is None else title
    several = {p.kind: p.name for p in parameters.values() if p.kind in SEVERAL}
    rest, options = (several.get(kind, "") for kind in SEVERAL)
    of_options = rules.get(options)
    single = [p for p in parameters.values() if p.kind not in SEVERAL]
    ordered = [p.name for p in single if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    known = {p.name for p in single}
    required = {p.name for p in single if p.default is inspect.Parameter.empty}

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        given = dict(zip(ordered, args, strict=False))
        fits = given.keys().isdisjoint(kwargs) and (rest or len(args) <= len(ordered))
        given |= kwargs
        if not (fits and required <= given.keys() and (options or given.keys() <= known)):
            try:  # some words for what is wrong, in twenty times as long
                signature.bind(*args, **kwargs)
            except TypeError as cause:
                raise _misfit(title, signature, kwargs, cause) from None
        for name, value in (*given.items(), *[(rest, v) for v in args[len(ordered) :]]):
            rule = rules.get(name, of_options)
            if rule is not None and value is not rule.default:
                check_value(title, name, value, rule.kind, rule.check_of(name, value), error)
        # Numbers overflow on the way to a bound; what comes out is checked for what is finite.
        with np.errstate(all="ignore"):
            try:
                return function(*args, **kwargs)
            except (BayesmixError, ConnectionError, TimeoutError):  # such as a pipe that closed
                raise
            except OSError as cause:
                raise refusal(title, cause) from cause

    return checked


def _title(function: Callable[..., Any]) -> str:
    """What a user calls: the class for `__init__`, else the function's own name."""
    owner, _, name = function.__qualname__.rpartition(".")
    return f"{owner if name == '__init__' else function.__name__}()"


class _Rule(NamedTuple):
    """How the values of a parameter are checked; `many` says that each has a name of its own."""

    kind: Kind
    check: Check | None
    default: Any
    many: bool

    @classmethod
    def of(cls, parameter: inspect.Parameter, check: Check | None) -> _Rule | None:
        """That of a parameter; None for the object that a method belongs to."""
        if parameter.name in ("self", "cls"):
            return None
        annotation, empty = parameter.annotation, parameter.empty
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        many = parameter.kind is parameter.VAR_KEYWORD
        return cls(kind_of("Any" if annotation is empty else text), check, parameter.default, many)

    def check_of(self, name: str, value: Any) -> Check | None:
        """The check of a value, None where it has none."""
        if self.many:
            return None if value is None and name in NONE_BY_DEFAULT else VALUES.get(name)
        return None if value is None and self.default is not inspect.Parameter.empty else self.check


def check_value(
    title: str,
    name: str,
    value: Any,
    kind: Kind,
    check: Check | None,
    error: type[ValueError],
) -> None:
    """Check one argument: its value, where the table has a check for it, and its type.

    Raises
    ------
    ValueError
        Of the class `error`, or of the argument's own.
    """
    error = ERRORS.get(name, error)
    if isinstance(value, range):  # it has a length before it has numbers, of 40 bytes each
        size = (value.stop - value.start) // value.step
        check_memory(40.0 * size, f"{name}={value}", "give fewer numbers")
    if check is not None:
        check(name, value, error)
    if not kind.test(value):
        words = WORDS.get(name, kind.words).replace("NAME", name)
        raise error(f"{name}={shown(value)} is {type_name(value)}; {title or 'it'} takes {words}")


def _misfit(
    title: str,
    signature: inspect.Signature,
    kwargs: Mapping[str, Any],
    cause: TypeError,
) -> Exception:
    known = [name for name in signature.parameters if name not in ("self", "cls")]
    for name in kwargs:
        if name not in known:
            return unknown_option(title, name, known)
    return UnknownOptionError(f"{title}: {cause}; it takes {', '.join(known) or 'nothing'}")


def unknown_option(title: str, name: str, known: list[str]) -> Exception:
    """The error for a keyword that a function does not have, with a hint where there is one."""
    hint = option_hint(name, known)
    return UnknownOptionError(
        f"{title or 'this call'} has no option {name}=; {hint or f'it takes {_listed(known)}'}"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"
