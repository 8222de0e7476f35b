"""The table of features beside other packages, from features.toml.

What bayesmix does is said only with tests that show it, and their code is on a page of its own.
What others do is said with the page of their documentation that says so.
"""

import ast
import tomllib
from pathlib import Path

DOCS = Path(__file__).parents[1]
TESTS = DOCS.parent / "tests"
TARGET = DOCS / "generated"
SIGNS = {"yes": "✓", "part": "partly", "no": "–"}


def read(path=DOCS / "features.toml"):
    return tomllib.loads(path.read_text("utf-8"))


def problems(table, tests=TESTS):
    """What is wrong with the table, in words: unknown sources, and tests that are not there."""
    known = set(table["sources"])
    wrong = []
    for feature in table["feature"]:
        name = feature["name"]
        ours = feature["bayesmix"]
        if ours["has"] not in SIGNS:
            wrong.append(f"{name}: has = {ours['has']!r} is none of {list(SIGNS)}")
        if ours["has"] != "no" and not ours.get("tests"):
            wrong.append(f"{name}: no test shows it")
        wrong += [f"{name}: no {t}" for t in ours.get("tests", []) if not lines_of(t, tests)]
        for package in table["packages"]:
            cell = feature.get(package, {})
            if cell.get("has") not in (None, *SIGNS):
                wrong.append(f"{name}, {package}: has = {cell['has']!r}")
            if cell and cell.get("source") not in known:
                wrong.append(f"{name}, {package}: source {cell.get('source')!r} is not listed")
    return wrong


def lines_of(test, tests=TESTS):
    """First and last line of a test, named file::function or file::Class::function."""
    file, *path = test.split("::")
    if not (tests / file).exists():
        return None
    body = ast.parse((tests / file).read_text("utf-8")).body
    node = None
    for name in path:
        found = [n for n in body if getattr(n, "name", None) == name]
        if not found:
            return None
        node = found[0]
        body = getattr(node, "body", [])
    if node is None:
        return None
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return first, node.end_lineno


def anchor(test):
    test = test.rpartition("/")[2]
    return "shown-" + test.replace("::", "-").replace(".py", "").replace("_", "-").lower()


def cell_text(words):
    """Words in a cell of a table: a bar would end it."""
    return " ".join(words).replace("|", "\\|")


def said(cell):
    """The sign of a cell with its note."""
    sign, note = SIGNS[cell["has"]], cell.get("note")
    between = ":" if note and cell["has"] == "part" else ""
    return [sign + between, note] if note else [sign]


def ours(cell):
    words = said(cell)
    words += [f"[[test]](#{anchor(test)})" for test in cell.get("tests", [])]
    return cell_text(words)


def theirs(cell, numbers):
    if not cell:
        return "?"
    return cell_text([*said(cell), f"[[{numbers[cell['source']]}]](#sources)"])


def table_text(table):
    """The table and its sources in MyST text."""
    numbers = {key: i for i, key in enumerate(table["sources"], 1)}
    head = ["", "bayesmix", *table["packages"].values()]
    rows = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for feature in table["feature"]:
        cells = [feature["name"], ours(feature["bayesmix"])]
        cells += [theirs(feature.get(p), numbers) for p in table["packages"]]
        rows.append(f"| {' | '.join(cells)} |")
    sources = [f"{i}. {table['sources'][key]}" for key, i in numbers.items()]
    return "\n".join([*rows, "", "(sources)=", "## Sources", "", *sources, ""])


def tests_text(table):
    """Every test of the table with its code, in MyST text."""
    named = {}
    for feature in table["feature"]:
        for test in feature["bayesmix"].get("tests", []):
            named.setdefault(test, []).append(feature["name"])
    parts = []
    for test in sorted(named):
        first, last = lines_of(test)
        parts += [
            f"({anchor(test)})=",
            f"## {test.split('::')[-1]}",
            "",
            f"In `tests/{test.split('::')[0]}`, for: {'; '.join(named[test])}.",
            "",
            f"```{{literalinclude}} /../tests/{test.split('::')[0]}",
            f":lines: {first}-{last}",
            ":language: python",
            "```",
            "",
        ]
    return "\n".join(parts)


def write(app):
    table = read()
    TARGET.mkdir(exist_ok=True)
    (TARGET / "features.txt").write_text(table_text(table), "utf-8")
    (TARGET / "feature-tests.txt").write_text(tests_text(table), "utf-8")


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
