"""The algebra of a right-hand side: sums, products and nestings of written terms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import product

from bayesmix.errors import FormulaError
from bayesmix.formula.expressions import Expression, read_expression
from bayesmix.formula.tokens import Token, parts, split_at

Term = tuple[int, ...]  # positions of the multiplied atoms, as written
Terms = dict[frozenset[int], Term]  # a:b and b:a are one term

MOST_TERMS = 10_000
MOST_FACTORS = 12
_COMPARISONS = ("==", "!=", "<", ">", "<=", ">=")
_UNEXPECTED = {
    ".": "'.' is refused: it stands neither for all other columns, which a mixture names, nor for "
    "an attribute of a value. Write the columns out",
    "^": "'^' belongs to R. Write (a + b)**2 for interactions, I(x**2) for a square",
    "%in%": "'%in%' belongs to R. Write a:b or b/a",
    "=": "'=' assigns nothing here. A comparison is '==' inside I()",
    "~": "there is more than one '~'. Write one",
    "[": "square brackets cannot select a level. Write I(x == 'level')",
    ",": "a comma may only stand between the arguments of a function",
    "//": "'//' is not an operator of formulas. Write I(a // b)",
}


@dataclass(frozen=True)
class RightSide:
    """A right-hand side, read.

    Parameters
    ----------
    atoms : tuple of Expression
        The distinct written variables and calls, in order of appearance.
    terms : tuple of tuple of int
        Products of atoms by position, without intercept and offsets.
    intercept : bool or None
        True: written; False: removed; None: not mentioned.
    offsets : tuple of Expression
        What stands inside ``offset(...)``.
    """

    atoms: tuple[Expression, ...]
    terms: tuple[Term, ...]
    intercept: bool | None
    offsets: tuple[Expression, ...]


def read_right_side(tokens: Sequence[Token], text: str, label: str) -> RightSide:
    """Read the tokens of a right-hand side.

    Parameters
    ----------
    tokens : sequence of Token
    text : str
        The whole formula, into which the tokens point.
    label : str
        What messages call it.

    Returns
    -------
    RightSide

    Raises
    ------
    FormulaError
        For anything that is not a sum of terms; nothing is passed over.
    """
    reader = _Reader(text, label)
    if not tokens:
        raise reader.fail("it is empty. Write 1 for an intercept alone, 0 for nothing")
    terms = tuple(reader.sum(tokens, outer=True).values())
    atoms, offsets = tuple(reader.atoms.values()), tuple(reader.offsets)
    return RightSide(atoms, terms, reader.intercept, offsets)


@dataclass
class _Reader:
    """Sums of products of interactions of powers, each a run of tokens that is cut at operators."""

    text: str
    label: str
    atoms: dict[tuple[str, ...], Expression] = field(default_factory=dict)
    intercept: bool | None = None
    offsets: list[Expression] = field(default_factory=list)

    def fail(self, what: str) -> FormulaError:
        return FormulaError(f"{self.label}: {what}.")

    def missing(self, beside: Token) -> FormulaError:
        return self.fail(f"a term is missing beside {beside.text!r}")

    def sum(self, tokens: Sequence[Token], *, outer: bool) -> Terms:
        """Summands; only an outer sum has intercepts, offsets, minus."""
        terms: Terms = {}
        plus = True
        for run in split_at(tokens, "+", "-"):
            if run and run[0].is_op("+", "-"):
                plus ^= run.pop(0).text == "-"
            if not run:  # the next one has a sign too
                continue
            self.summand(run, terms, plus=plus, outer=outer)
            plus = True
        if not run:
            raise self.missing(tokens[-1])
        return terms

    def summand(self, run: list[Token], terms: Terms, *, plus: bool, outer: bool) -> None:
        """Read one summand into `terms`."""
        first, alone = run[0], len(run) == 1
        if first.text in ("0", "1") and alone:
            self.set_intercept(plus == (first.text == "1"), outer=outer)
            return
        if first.text == "offset" and not alone and run[1].is_op("("):
            self.offset(run, plus=plus, outer=outer)
            return
        whole = outer and plus and alone and first.is_op("(")
        found = self.brackets(first, outer=True) if whole else self.product(run)
        if not plus:
            self.remove(terms, found)
        else:
            for key, term in found.items():
                terms.setdefault(key, term)

    def set_intercept(self, value: bool, *, outer: bool) -> None:
        if not outer:
            raise self.fail("0 and 1 (the intercept) stand outside brackets. Move it out")
        if self.intercept is not None and self.intercept != value:
            raise self.fail("the intercept is both written and removed. Keep one of the two")
        self.intercept = value

    def offset(self, run: list[Token], *, plus: bool, outer: bool) -> None:
        if not (outer and plus and len(run) == 2):
            raise self.fail(
                "offset(...) is added on its own: '+ offset(z)', not removed, multiplied or in "
                "brackets with other terms"
            )
        inner = run[1].inside
        if not inner or len(split_at(inner, ",")) > 1:
            raise self.fail("offset(...) takes one expression, such as offset(log(z))")
        self.offsets.append(self.expression(inner))

    def remove(self, terms: Terms, found: Terms) -> None:
        for key, term in found.items():
            if key not in terms:
                name = ":".join(list(self.atoms.values())[i].text for i in term)
                raise self.fail(f"the term {name!r} is removed but was not there before the minus")
            del terms[key]

    def operands(self, run: list[Token], *operators: str) -> Iterator[tuple[str, list[Token]]]:
        """What operators join, each with the operator before it."""
        first, *others = split_at(run, *operators)
        yield "", first or run[:1]
        for operator, *operand in others:
            if not operand:
                raise self.missing(operator)
            yield operator.text, operand

    def product(self, run: list[Token]) -> Terms:
        left: Terms = {}
        for operator, operand in self.operands(run, "*", "/"):
            right = self.interaction(operand)
            if operator == "/":  # (a + b)/c is a + b + a:b:c
                joint = tuple(dict.fromkeys(i for term in left.values() for i in term))
                left = left | _cross({frozenset(joint): joint}, right)
            else:
                left = left | right | _cross(left, right)
        return left

    def interaction(self, run: list[Token]) -> Terms:
        return reduce(_cross, [self.power(operand) for _, operand in self.operands(run, ":")])

    def power(self, run: list[Token]) -> Terms:
        base, *exponents = parts(run, "**")
        terms = several = self.primary(base or run)
        if not exponents:
            return terms
        (number, *more), *further = [exponent or run for exponent in exponents]
        whole = number.text.isdecimal() and int(number.text) >= 1
        if len(several) < 2 or not whole or more or further:
            raise self.fail(
                "'**' makes the interactions of a sum, as in (a + b)**2. Write I(x**2) for a power"
            )
        for _ in range(min(int(number.text), len(several)) - 1):
            terms = terms | _cross(terms, several)
        return terms

    def primary(self, run: list[Token]) -> Terms:
        first = run[0]
        size = 1 + (first.kind == "name" and len(run) > 1 and run[1].is_op("("))
        if first.kind in ("name", "quoted") or first.is_op("{"):
            found = self.atom(run[:size])
        elif first.is_op("("):
            found = self.brackets(first, outer=False)
        else:
            raise self.unexpected(first)
        if len(run) > size:
            raise self.unexpected(run[size])
        return found

    def brackets(self, token: Token, *, outer: bool) -> Terms:
        if not token.inside:
            raise self.missing(token)
        if any(t.is_op("|", "||") for t in token.inside):
            raise self.fail(
                "'||' asks for random effects without correlations, which is not available. "
                "Write (terms | id) as a term of the main formula"
            )
        return self.sum(token.inside, outer=outer)

    def atom(self, tokens: list[Token]) -> Terms:
        first = tokens[0]
        if first.text in ("True", "False", "None"):
            raise self.fail(f"{first.text} is a constant, not a column. Write 1 for an intercept")
        if first.text == "offset" and len(tokens) > 1:
            raise self.fail("offset(...) is added on its own: '+ offset(z)'")
        atom = self.expression(tokens)
        key = (atom.source, *atom.variables, "", *atom.functions)
        self.atoms.setdefault(key, atom)
        i = list(self.atoms).index(key)
        return {frozenset((i,)): (i,)}

    def expression(self, tokens: Sequence[Token]) -> Expression:
        written = self.text[tokens[0].start : tokens[-1].end]
        if len(tokens) == 1 and tokens[0].kind == "quoted":
            written = written[1:-1]
        return read_expression(tokens, " ".join(written.split("\n")), self.label)

    def unexpected(self, token: Token) -> FormulaError:
        if token.text in _COMPARISONS:
            return self.fail(
                f"the comparison {token.text!r} stands outside a function. Write it inside I(), as "
                f"in I(x {token.text} 3)"
            )
        if token.kind == "op" and token.text in _UNEXPECTED:
            return self.fail(_UNEXPECTED[token.text])
        if token.kind == "number":
            return self.fail(
                f"the number {token.text} is not a term: only 0 and 1 stand alone. Write I(2 * x) "
                "for arithmetic"
            )
        return self.fail(f"{token.text!r} is not expected here. Put + * / : or ** between terms")


def _cross(left: Terms, right: Terms) -> Terms:
    """Every term of one side times every term of the other."""
    crossed: Terms = {}
    if len(left) * len(right) > MOST_TERMS:
        raise FormulaError(
            f"A product makes more than {MOST_TERMS} terms. Write only those you need."
        )
    for a, b in product(left.values(), right.values()):
        term = tuple(dict.fromkeys((*a, *b)))
        if len(term) > MOST_FACTORS:
            raise FormulaError(f"A product has more than {MOST_FACTORS} factors. Write fewer.")
        crossed.setdefault(frozenset(term), term)
    return crossed
