"""Sliders over covariates as HTML: curves that a script moves."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence

import numpy as np

from bayesmix.reporting.blocks import Sliders

# The frame of the curves, in the picture's own units.
LEFT, WIDTH, TOP, HEIGHT = 52, 580, 10, 256
FEW = 9  # places that all have a label
PARTS = (0, 0.25, 0.5, 0.75, 1)  # of the axis, that have one otherwise


def sliders_html(block: Sliders) -> str:
    """Sliders, a picture that widgets.js fills, and the numbers at one place."""
    axes = (*block.axes, (block.label, block.places))
    inputs = "".join(_slider(name, values) for name, values in axes)
    looks = [(name, f"--of:{shade or 'currentColor'}") for name, shade in block.lines]
    curve = '<path class="band"/><path class="line"/>'
    curves = "".join(f'<g style="{look}">{curve}</g>' for _, look in looks)
    items = "".join(
        f'<li style="{look}">{html.escape(name)} <output></output></li>' for name, look in looks
    )
    caption = html.escape(block.caption)
    return (
        f'<figure class="sliders"><p>{inputs}</p>'
        "<noscript>The sliders need scripts.</noscript>"
        f'<svg viewBox="0 0 660 306" role="img" aria-label="{caption}">{_scales(block)}{curves}'
        f'<line class="at" y1="{TOP}" y2="{TOP + HEIGHT}"/></svg>'
        f"<ul>{items}</ul><figcaption>{caption}</figcaption>"
        f'<script type="application/json">{_numbers(block, axes)}</script></figure>'
    )


def _numbers(block: Sliders, axes: Sequence[tuple[str, Sequence[str]]]) -> str:
    """What the script reads: thousandths of the vertical axis, by combination, line, and limit."""
    low, high = block.ticks[0], block.ticks[-1]
    found = np.moveaxis(np.rint(1000 * (block.values - low) / (high - low)), -1, -2)
    known = np.isfinite(found)
    whole = np.where(known, found, 0).astype(int).astype(object)
    whole[~known] = None
    numbers = {
        "axes": [values for _, values in axes],
        "values": whole.tolist(),
        "frame": (LEFT, WIDTH, TOP, HEIGHT),
        "ends": (low, high),
        "digits": max(0, 3 - math.floor(math.log10(high - low))),
    }
    return json.dumps(numbers, separators=(",", ":")).replace("<", "\\u003c")


def _scales(block: Sliders) -> str:
    """Numbers along both axes, and the name of the horizontal one."""
    out = []
    low, high = block.ticks[0], block.ticks[-1]
    for tick in block.ticks:
        y = TOP + HEIGHT * (high - tick) / (high - low)
        ends = f'x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:g}" y2="{y:g}"'
        out.append(f'<line class="grid" {ends}/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:g}" class="left">{tick:g}</text>')
    last = len(block.places) - 1
    labelled = range(last + 1) if last < FEW else [round(part * last) for part in PARTS]
    for at in labelled:
        x, text = LEFT + WIDTH * at / max(last, 1), html.escape(block.places[at])
        out.append(f'<text x="{x:g}" y="284" class="middle">{text}</text>')
    label = html.escape(block.label)
    return "".join(out) + f'<text x="{LEFT + WIDTH / 2:g}" y="302" class="middle">{label}</text>'


def _slider(name: str, values: Sequence[str]) -> str:
    most = len(values) - 1
    return (
        f'<label>{html.escape(name)} <input type="range" min="0" max="{most}" value="{most // 2}">'
        " <output></output></label> "
    )
