"""The algebra of a right-hand side: sums, products and nestings of written terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

from bayesmix.errors import FormulaError
from bayesmix.formula.expressions import Expression, read_expression
from bayesmix.formula.tokens import Token, match_brackets, split_at, top_level

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
    text : str
        The summands other than offsets, as written.
    """

    atoms: tuple[Expression, ...]
    terms: tuple[Term, ...]
    intercept: bool | None
    offsets: tuple[Expression, ...]
    text: str


def read_right_side(tokens: list[Token], text: str, label: str) -> RightSide:
    """Read the tokens of a right-hand side.

    Parameters
    ----------
    tokens : list of Token
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
    reader = _Reader(tokens, text, label, match_brackets(tokens, label))
    terms = reader.sum(len(tokens), outer=True)
    written = " ".join(reader.written)
    return RightSide(
        tuple(reader.atoms.values()),
        tuple(terms.values()),
        reader.intercept,
        tuple(reader.offsets),
        written.removeprefix("+ "),
    )


@dataclass
class _Reader:
    """Recursive descent over the tokens."""

    tokens: list[Token]
    text: str
    label: str
    closers: dict[int, int]
    at: int = 0
    atoms: dict[tuple[str, ...], Expression] = field(default_factory=dict)
    intercept: bool | None = None
    offsets: list[Expression] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def fail(self, what: str) -> FormulaError:
        return FormulaError(f"{self.label}: {what}.")

    def next_is(self, *operators: str, ahead: int = 0) -> bool:
        if self.at + ahead >= len(self.tokens):
            return False
        token = self.tokens[self.at + ahead]
        return token.kind == "op" and token.text in operators

    def sum(self, end: int, *, outer: bool) -> Terms:
        """Summands up to position `end`; only an outer sum has intercepts, offsets, minus."""
        terms: Terms = {}
        while True:
            plus = self.sign()
            if self.at >= end:
                raise self.fail(self.missing())
            start = self.at
            kept = self.summand(terms, plus=plus, outer=outer)
            if outer and kept:
                sign = ("+ " if plus else "- ") if self.written or plus else "-"
                first, last = self.tokens[start], self.tokens[self.at - 1]
                self.written.append(sign + self.text[first.start : last.end])
            if self.at >= end:
                return terms
            if not self.next_is("+", "-"):
                raise self.unexpected()

    def sign(self) -> bool:
        plus = True
        while self.next_is("+", "-"):
            plus ^= self.tokens[self.at].text == "-"
            self.at += 1
        return plus

    def summand(self, terms: Terms, *, plus: bool, outer: bool) -> bool:
        """Read one summand into `terms`; false where its text is not to be kept."""
        token = self.tokens[self.at]
        if token.text in ("0", "1") and self.alone(self.at):
            self.set_intercept(plus == (token.text == "1"), outer=outer)
            self.at += 1
            return True
        if token.text == "offset" and self.next_is("(", ahead=1):
            self.offset(plus=plus, outer=outer)
            return False
        if outer and plus and self.next_is("(") and self.alone(self.closers[self.at]):
            self.add(terms, self.brackets(outer=True))
            return False
        found = self.product()
        if plus:
            self.add(terms, found)
        else:
            self.remove(terms, found)
        return True

    def add(self, terms: Terms, found: Terms) -> None:
        for key, term in found.items():
            terms.setdefault(key, term)

    def alone(self, last: int) -> bool:
        """Whether a summand ends at position `last`."""
        following = self.tokens[last + 1] if last + 1 < len(self.tokens) else None
        return following is None or (following.kind == "op" and following.text in "+-)")

    def set_intercept(self, value: bool, *, outer: bool) -> None:
        if not outer:
            raise self.fail("0 and 1 (the intercept) stand outside brackets. Move it out")
        if self.intercept is not None and self.intercept != value:
            raise self.fail("the intercept is both written and removed. Keep one of the two")
        self.intercept = value

    def offset(self, *, plus: bool, outer: bool) -> None:
        opening = self.at + 1
        closer = self.closers[opening]
        if not (outer and plus and self.alone(closer)):
            raise self.fail(
                "offset(...) is added on its own: '+ offset(z)', not removed, multiplied or in "
                "brackets with other terms"
            )
        inner = self.tokens[opening + 1 : closer]
        if not inner or len(split_at(inner, ",")) > 1:
            raise self.fail("offset(...) takes one expression, such as offset(log(z))")
        self.offsets.append(self.expression(inner))
        self.at = closer + 1

    def remove(self, terms: Terms, found: Terms) -> None:
        for key, term in found.items():
            if key not in terms:
                name = ":".join(list(self.atoms.values())[i].text for i in term)
                raise self.fail(f"the term {name!r} is removed but was not there before the minus")
            del terms[key]

    def product(self) -> Terms:
        left = self.interaction()
        while self.next_is("*", "/"):
            nested = self.tokens[self.at].text == "/"
            self.at += 1
            right = self.interaction()
            if nested:  # (a + b)/c is a + b + a:b:c
                joint = tuple(dict.fromkeys(i for term in left.values() for i in term))
                left = left | _cross({frozenset(joint): joint}, right)
            else:
                left = left | right | _cross(left, right)
        return left

    def interaction(self) -> Terms:
        left = self.power()
        while self.next_is(":"):
            self.at += 1
            left = _cross(left, self.power())
        return left

    def power(self) -> Terms:
        base = self.primary()
        if not self.next_is("**"):
            return base
        self.at += 1
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        if len(base) < 2 or token is None or not token.text.isdecimal() or int(token.text) < 1:
            raise self.fail(
                "'**' makes the interactions of a sum, as in (a + b)**2. Write I(x**2) for a power"
            )
        self.at += 1
        terms = base
        for _ in range(min(int(token.text), len(base)) - 1):
            terms = terms | _cross(terms, base)
        return terms

    def primary(self) -> Terms:
        if self.at >= len(self.tokens):
            raise self.fail(self.missing())
        token = self.tokens[self.at]
        if token.kind in ("name", "quoted") or token.text == "{":
            return self.atom()
        if token.text != "(":
            raise self.unexpected()
        return self.brackets(outer=False)

    def brackets(self, *, outer: bool) -> Terms:
        closer = self.closers[self.at]
        self.at += 1
        if any(t.text in ("|", "||") for t in top_level(self.tokens[self.at : closer])):
            raise self.fail(
                "'||' asks for random effects without correlations, which is not available. "
                "Write (terms | id) as a term of the main formula"
            )
        terms = self.sum(closer, outer=outer)
        self.at = closer + 1
        return terms

    def atom(self) -> Terms:
        start, token = self.at, self.tokens[self.at]
        if token.text in ("True", "False", "None"):
            raise self.fail(f"{token.text} is a constant, not a column. Write 1 for an intercept")
        if token.text == "{":
            self.at = self.closers[self.at] + 1
        else:
            self.at += 1
            if token.kind == "name" and self.next_is("("):
                if token.text == "offset":
                    raise self.fail("offset(...) is added on its own: '+ offset(z)'")
                self.at = self.closers[self.at] + 1
        atom = self.expression(self.tokens[start : self.at])
        key = (atom.source, *atom.variables, "", *atom.functions)
        self.atoms.setdefault(key, atom)
        i = list(self.atoms).index(key)
        return {frozenset((i,)): (i,)}

    def expression(self, tokens: list[Token]) -> Expression:
        written = self.text[tokens[0].start : tokens[-1].end]
        if len(tokens) == 1 and tokens[0].kind == "quoted":
            written = written[1:-1]
        return read_expression(tokens, " ".join(written.split("\n")), self.label)

    def missing(self) -> str:
        if not self.tokens:
            return "it is empty. Write 1 for an intercept alone, 0 for nothing"
        return f"a term is missing beside {self.tokens[min(self.at, len(self.tokens)) - 1].text!r}"

    def unexpected(self) -> FormulaError:
        token = self.tokens[self.at]
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
