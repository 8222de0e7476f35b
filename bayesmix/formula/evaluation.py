"""The value of a written expression, worked out node by node of its syntax tree.

Nothing is compiled.  A node is a number, a text, a list, a variable, an operator or the call of a
named function.  No other syntax has a meaning, so an expression cannot reach an attribute or an
element of a value, and cannot make a value much larger than the data.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from bayesmix.errors import FormulaError
from bayesmix.formula.frames import numeric_values

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
}
DEEPEST = 100
MOST_NODES = 10_000
# Whole numbers beyond this many bits are beyond floating point as well.
MOST_BITS = 1024

UNREACHABLE = (
    "a formula cannot reach an attribute or an element of a value. Make it a column of the "
    "data, or call a function by a name of its own"
)
_REFUSED: dict[type[ast.AST], str] = {
    ast.Attribute: UNREACHABLE,
    ast.Subscript: UNREACHABLE,
    ast.Starred: "'*' cannot unpack arguments here. Write them out",
}
_LEAVES = (ast.Name, ast.Constant, ast.Load)


@lru_cache(maxsize=1024)
def syntax_tree(source: str) -> ast.expr:
    """The checked syntax tree of an expression whose variables are v0, v1 ..., functions f0 ....

    Raises
    ------
    FormulaError
        For syntax that is not on the list; the message is only the reason.
    """
    try:
        tree = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        raise FormulaError(
            f"it is not a valid expression ({error.msg}). Inside a function's brackets the rules "
            "are Python's"
        ) from None
    except (MemoryError, RecursionError, ValueError) as error:
        raise FormulaError(f"it cannot be read ({error}). Write it shorter") from None
    for number, (node, depth) in enumerate(_nodes(tree)):
        if number > MOST_NODES or depth > DEEPEST:
            raise FormulaError("it is too long. Make it a column of the data")
        if (reason := _reason(node)) is not None:
            raise FormulaError(reason)
    return tree


def _nodes(tree: ast.expr) -> Iterator[tuple[ast.AST, int]]:
    """All nodes with their depth; a long sum or product, ``a + b + c``, is one level."""
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        first = node.left if isinstance(node, ast.BinOp) else None
        waiting += [(n, depth + (n is not first)) for n in ast.iter_child_nodes(node)]


def _reason(node: ast.AST) -> str | None:
    """Why a node is refused, or None."""
    if isinstance(node, ast.Call):
        if not (isinstance(node.func, ast.Name) and node.func.id.startswith("f")):
            return "only a function's own name can be called, as in log(x)"
        named = [word.arg for word in node.keywords]
        return None if len(set(named)) == len(named) else "an argument's name is repeated"
    if isinstance(node, ast.keyword):
        return None if node.arg else _REFUSED[ast.Starred]
    if isinstance(node, ast.Compare):
        one = len(node.ops) == 1
        return None if one else "one comparison at a time. Write (0 < x) & (x < 3)"
    if isinstance(node, ast.Constant) and isinstance(node.value, bytes | complex):
        return f"{node.value!r} is neither a number nor a text"
    known = (*_LEAVES, ast.BinOp, ast.UnaryOp, ast.List, ast.Tuple)
    if isinstance(node, known) or type(node) in OPERATORS:
        return None
    return _REFUSED.get(
        type(node), f"Python's syntax {type(node).__name__!r} has no meaning in a formula"
    )


def value_of(
    node: ast.expr, variables: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
) -> Any:
    """The value of a node.

    Parameters
    ----------
    node : ast.expr
        From `syntax_tree`.
    variables : mapping
        Values by numbered name, "v0".
    functions : mapping
        Functions by numbered name, "f0".
    """

    def value(node: ast.expr) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return variables[node.id]
            case ast.List() | ast.Tuple():
                return [value(item) for item in node.elts]
            case ast.Call(func=ast.Name(id=name)):
                given = {word.arg: value(word.value) for word in node.keywords if word.arg}
                return _call(functions[name], [value(item) for item in node.args], given)
            case ast.UnaryOp():
                return OPERATORS[type(node.op)](_number(value(node.operand)))
            case ast.Compare():
                left, right = value(node.left), value(node.comparators[0])
                return OPERATORS[type(node.ops[0])](left, right)
        total, rest = node, []
        while isinstance(total, ast.BinOp):  # a long sum is no deep recursion
            rest.append((OPERATORS[type(total.op)], total.right))
            total = total.left
        result = value(total)
        for operation, right in reversed(rest):
            result = _operate(operation, result, value(right))
        return result

    return value(node)


def _call(function: Callable[..., Any], given: list[Any], named: dict[str, Any]) -> Any:
    """Call a function; one of NumPy's gets its operands alone, for ``out=`` would change data."""
    if isinstance(function, np.ufunc) and (named or len(given) != function.nin):
        number = "one argument" if function.nin == 1 else f"{function.nin} arguments"
        raise TypeError(f"{function.__name__} takes {number}")
    return function(*given, **named)


def _operate(operation: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    joins = operation is operator.add and _is_text(left) and _is_text(right)
    if not joins:
        left, right = _number(left), _number(right)
    whole = isinstance(left, int) and isinstance(right, int)
    if operation is operator.pow and whole and left.bit_length() * right > MOST_BITS:
        raise OverflowError("the power is too large")
    return operation(left, right)


def _is_text(value: Any) -> bool:
    """Whether it is a column of texts: two of them can be joined."""
    dtype = getattr(value, "dtype", None)
    return dtype is not None and (str(dtype) in ("str", "string", "object"))


def _number(value: Any) -> Any:
    """An operand; a text would be repeated or formatted, and objects as numbers know no bound."""
    if isinstance(value, str | bytes | list | tuple | None):
        raise TypeError(f"{value!r:.50} is not a number")
    if not _is_text(value):
        return value
    numbers = numeric_values(value)
    if numbers is None:
        raise TypeError("a text is not a number")
    return numbers
