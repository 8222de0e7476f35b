"""Blocks as one self-contained HTML page."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from functools import singledispatch
from importlib.resources import files

from bayesmix.reporting.blocks import (
    Choice,
    Code,
    Details,
    Equation,
    Pairs,
    Picture,
    Section,
    Sliders,
    Table,
    Words,
)
from bayesmix.reporting.files import is_numeric, number
from bayesmix.reporting.sliders import sliders_html

LABELS = {"warning": "Warning: ", "note": "Note: ", "good": ""}
EQUATION_SIZE = 13
LONG = 24  # letters of a cell that has room for several words in a line
SMALLEST = 0.6  # of its size, on a narrow screen: below that words cannot be read
PIXELS = 1.5  # of a picture for one of the page


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """A whole page.

    Parameters
    ----------
    title, lead : str
        The heading, and the line below it.
    sections : sequence of Section
    """
    style = resource("style.css") + resource("widgets.css")
    script = resource("widgets.js")
    links = "".join(f'<li><a href="#{s.key}">{_text(s.title)}</a></li>' for s in sections)
    body = "".join(map(_section, sections))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{_text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{_text(title)}</h1><p>{_text(lead)}</p></header>\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main>\n{body}</main>\n'
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def resource(name: str) -> str:
    """The text of a file of this room."""
    return (files("bayesmix.reporting") / name).read_text("utf-8")


def _section(section: Section) -> str:
    lead = (Words(section.lead),) if section.lead else ()
    inner = "\n".join(map(write_block, (*lead, *section.blocks)))
    head = f'<h2 id="{section.key}-title">{_text(section.title)}</h2>'
    return (
        f'<section id="{section.key}" aria-labelledby="{section.key}-title">\n{head}\n{inner}\n'
        "</section>\n"
    )


def _text(words: object) -> str:
    return html.escape(str(words))


@singledispatch
def write_block(block: object) -> str:
    """A block as HTML."""
    raise TypeError(type(block).__name__)


@write_block.register
def _(block: Words) -> str:
    if block.kind == "heading":
        return f"<h3>{_text(block.text)}</h3>"
    if block.kind == "plain":
        return f"<p>{_text(block.text)}</p>"
    label = LABELS[block.kind]
    strong = f"<strong>{label}</strong>" if label else ""
    return f'<p class="{block.kind}">{strong}{_text(block.text)}</p>'


@write_block.register
def _(block: Pairs) -> str:
    rows = "".join(f"<div><dt>{_text(a)}</dt><dd>{_text(b)}</dd></div>" for a, b in block.rows)
    return f"<dl>{rows}</dl>"


@write_block.register
def _(block: Table) -> str:
    frame = block.frame if block.shown is None else block.shown
    # The first column names the rows.
    numeric = [j > 0 and is_numeric(frame.iloc[:, j]) for j in range(frame.shape[1])]
    head = "".join(
        f'<th scope="col"{_number_class(n)}>{_text(c)}</th>'
        for c, n in zip(frame.columns, numeric, strict=True)
    )
    lines = "".join(
        "<tr>" + "".join(map(_cell, range(len(numeric)), row, numeric)) + "</tr>"
        for row in frame.itertuples(index=False, name=None)
    )
    caption = _text(block.caption)
    places = ",".join(str(list(frame.columns).index(name)) for name in block.bars)
    bars = f' data-bars="{places}"' if places else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}"><table{bars}>'
        f"<caption><span>{caption}</span></caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody>"
        "</table></div>"
    )


def _cell(place: int, value: object, numeric: bool) -> str:
    words = _text(number(value))
    long = ' class="long"' if len(words) > LONG else ""
    if place == 0:
        return f'<th scope="row"{long}>{words}</th>'
    return f"<td{_number_class(numeric) or long}>{words}</td>"


def _number_class(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


@write_block.register
def _(block: Picture) -> str:
    data = base64.b64encode(block.png).decode()
    width = round(int.from_bytes(block.png[16:20]) / PIXELS)  # the header of a PNG
    caption = _text(block.caption)
    return (
        f'<figure><div class="scroll" role="region" tabindex="0" aria-label="{caption}">'
        f'<img src="data:image/png;base64,{data}" width="{width}" '
        f'style="min-width:{round(SMALLEST * width)}px" alt="{_text(block.alt)}"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


@write_block.register
def _(block: Choice) -> str:
    label = _text(block.label)
    items = "\n".join(
        f'<div data-item="{_text(name)}">{"".join(map(write_block, inner))}</div>'
        for name, inner in block.options
    )
    most = len(block.options) - 1
    slider = f'<input type="range" min="0" max="{most}" value="0" aria-label="{label}">'
    return f'<div class="choice"><p hidden>{label}: {slider} <output></output></p>{items}</div>'


write_block.register(Sliders)(sliders_html)


@write_block.register
def _(block: Equation) -> str:
    images = "".join(
        f'<img src="data:image/svg+xml;base64,{base64.b64encode(equation_svg(row)).decode()}" '
        f'alt="{_text(row)}">'
        for row in block.rows
    )
    words = f"<p>{_text(block.words)}</p>" if block.words else ""
    if not block.rows:
        return words
    source = _text(" \\\\\n".join(block.rows))
    latex = f"<details><summary>LaTeX</summary><pre><code>{source}</code></pre></details>"
    return f'<div class="equation">{words}{images}{latex}</div>'


@write_block.register
def _(block: Code) -> str:
    return f"<p>{_text(block.caption)}</p><pre><code>{_text(block.text)}</code></pre>"


@write_block.register
def _(block: Details) -> str:
    inner = "\n".join(map(write_block, block.blocks))
    state = " open" if block.opened else ""
    return f"<details{state}><summary>{_text(block.summary)}</summary>{inner}</details>"


def equation_svg(latex: str) -> bytes:
    """LaTeX drawn by matplotlib.

    Parameters
    ----------
    latex : str
        Without dollar signs, in the commands that matplotlib knows.
    """
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    text = f"${latex}$"
    font = FontProperties(size=EQUATION_SIZE, math_fontfamily="stix")
    width, height, depth, *_ = MathTextParser("path").parse(text, dpi=72, prop=font)
    figure = Figure(figsize=(width / 72, height / 72))
    figure.text(0, depth / height, text, fontproperties=font)
    file = io.BytesIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return file.getvalue()
