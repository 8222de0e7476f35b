"""Results as a heading with pairs of a name and words, for terminals and notebooks."""

from __future__ import annotations

import html

__all__ = ["as_html", "as_text", "plural"]


def plural(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def as_text(title: str, lines: list[tuple[str, str]]) -> str:
    """Words for a terminal."""
    width = max(len(head) for head, _ in lines)
    return "\n".join([title, *(f"  {head:<{width}}  {words}" for head, words in lines)])


def as_html(title: str, lines: list[tuple[str, str]]) -> str:
    """Words for a notebook."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(head)}</th>"
        f"<td style='text-align:left'>{html.escape(words)}</td></tr>"
        for head, words in lines
    )
    return f"<div><strong>{html.escape(title)}</strong><table>{rows}</table></div>"
