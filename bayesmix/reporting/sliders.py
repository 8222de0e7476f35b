"""Sliders over covariates as HTML: curves that a script moves."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence

import numpy as np

from bayesmix.reporting.blocks import Sliders

# The frame of the curves, in the picture's own units.
LEFT, WIDTH, TOP, HEIGHT = 40, 592, 10, 256
PARTS = (0, 0.25, 0.5, 0.75, 1)


def sliders_html(block: Sliders) -> str:
    """Sliders, a picture that widgets.js fills, and the numbers at one time."""
    axes = [values for _, values in block.axes] + [tuple(f"{t:.3g}" for t in block.times)]
    inputs = map(_slider, [*(name for name, _ in block.axes), block.label], axes)
    looks = [(name, f"--of:{shade or 'currentColor'}") for name, shade in block.lines]
    curves = "".join(f'<g style="{look}"><polygon/><polyline/></g>' for _, look in looks)
    told = "".join(
        f'<li style="{look}">{html.escape(name)} <output></output></li>' for name, look in looks
    )
    caption = html.escape(block.caption)
    return (
        f'<figure class="sliders"><p>{"".join(inputs)}</p>'
        "<noscript>The sliders need scripts.</noscript>"
        f'<svg viewBox="0 0 660 306" role="img" aria-label="{caption}">{_scales(block)}{curves}'
        f'<line class="at" y1="{TOP}" y2="{TOP + HEIGHT}"/></svg>'
        f"<ul>{told}</ul><figcaption>{caption}</figcaption>"
        f'<script type="application/json">{_numbers(block, axes)}</script></figure>'
    )


def _numbers(block: Sliders, axes: Sequence[Sequence[str]]) -> str:
    """What the script reads: in thousandths, by combination, line, and estimate or limit."""
    found = np.moveaxis(np.rint(1000 * block.values), -1, -2)
    whole = np.nan_to_num(found).astype(int).astype(object)
    whole[np.isnan(found)] = None
    frame = (LEFT, WIDTH, TOP, HEIGHT)
    numbers = {"axes": axes, "values": whole.tolist(), "frame": frame}
    return json.dumps(numbers, separators=(",", ":")).replace("<", "\\u003c")


def _scales(block: Sliders) -> str:
    """Numbers along both axes, and the name of the time."""
    out = []
    for part in PARTS:
        y, x = TOP + HEIGHT * (1 - part), LEFT + WIDTH * part
        ends = f'x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:g}" y2="{y:g}"'
        out.append(f'<line class="grid" {ends}/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:g}" class="left">{part:g}</text>')
        time = f"{block.times[-1] * part:.3g}"
        out.append(f'<text x="{x:g}" y="284" class="middle">{time}</text>')
    label = html.escape(block.label)
    return "".join(out) + f'<text x="{LEFT + WIDTH / 2:g}" y="302" class="middle">{label}</text>'


def _slider(name: str, values: Sequence[str]) -> str:
    most = len(values) - 1
    return (
        f'<label>{html.escape(name)} <input type="range" min="0" max="{most}" value="{most // 2}">'
        " <output></output></label> "
    )
