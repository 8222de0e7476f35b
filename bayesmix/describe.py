"""Models and fits in words: what a notebook or a terminal shows."""

from __future__ import annotations

import html

import numpy as np
import pandas as pd

from bayesmix.result.fitted import Fitted
from bayesmix.result.tables import sizes, summary
from bayesmix.spec import MixtureSpec

__all__ = ["fit_html", "fit_text", "selection_html", "spec_html", "spec_text"]


def spec_lines(spec: MixtureSpec) -> list[tuple[str, str]]:
    """What a model is, as pairs of a heading and words."""
    lines = [("components", f"{spec.k} ({', '.join(map(str, spec.components))})")]
    for part, block in zip(spec.prepared.parts, spec.layout.blocks, strict=True):
        regression = part.regression
        lines.append(("formula", part.formula.text))
        names = [
            f.name + (f" ({f.parameters[0].link.name})" if f.parameters else "")
            for f in block.families
        ]
        lines.append(("family", names[0] if len(set(names)) == 1 else ", ".join(names)))
        if regression.fixed is not None:
            lines.append(("fixed", regression.fixed))
        for text, size in regression.nested or ():
            lines.append(("nested", f"{text} for {size} component{'s' if size > 1 else ''}"))
        if len(block.predictors) > 1:
            lines.append(("dispersion", str(regression.dispersion)))
    terms = spec.layout.concomitant_terms
    lines.append(("weights", "constant" if terms is None else f"logit in {', '.join(terms)}"))
    units = f"{spec.rows.n} rows"
    if spec.prepared.group is not None:
        units += f" in {spec.rows.n_units} groups by {spec.prepared.group}"
    if spec.prepared.n_dropped:
        units += f" ({spec.prepared.n_dropped} rows with missing values dropped)"
    lines.append(("data", units))
    if spec.prepared.weights_column:
        lines.append(("case weights", f"{spec.prepared.weights_column} (sum {spec.n_obs:g})"))
    if spec.prepared.labels is not None:
        known = int((spec.prepared.labels.codes >= 0).sum())
        lines.append(("labels", f"{spec.prepared.labels_column}: {known} units known"))
    if spec.held:
        lines.append(("held", f"{len(spec.held)} parameters at given values"))
    return lines


def fit_lines(fitted: Fitted) -> list[tuple[str, str]]:
    """How a fit ended, as pairs of a heading and words."""
    agreeing = fitted.ends.agreeing
    requested = fitted.k_requested
    criteria = f"AIC {fitted.aic:.2f}, BIC {fitted.bic:.2f}, ICL {fitted.icl:.2f}"
    lines = [
        ("status", fitted.status),
        ("log-likelihood", f"{fitted.loglik:.4f} (df {fitted.spec.df})"),
        ("criteria", f"{criteria} (N = {fitted.spec.n_obs:g})"),
        ("starts", f"{agreeing} of {len(fitted.ends.loglik)} reached the best"),
    ]
    if fitted.spec.k != requested:
        lines.append(("components", f"{fitted.spec.k} of {requested} requested"))
    return lines + [("note", reason) for reason in fitted.reasons]


def as_text(title: str, lines: list[tuple[str, str]]) -> str:
    width = max(len(head) for head, _ in lines)
    return "\n".join([title, *(f"  {head:<{width}}  {words}" for head, words in lines)])


def as_html(title: str, lines: list[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(head)}</th>"
        f"<td style='text-align:left'>{html.escape(words)}</td></tr>"
        for head, words in lines
    )
    return f"<div><strong>{html.escape(title)}</strong><table>{rows}</table></div>"


def _title(spec: MixtureSpec) -> str:
    if spec.k == 1:
        return "Regression (one component)"
    return f"Mixture of {spec.k} components"


def spec_text(spec: MixtureSpec) -> str:
    """A model as text."""
    return as_text(_title(spec), spec_lines(spec))


def spec_html(spec: MixtureSpec) -> str:
    """A model as HTML."""
    return as_html(_title(spec), spec_lines(spec))


def _short_summary(fitted: Fitted) -> pd.DataFrame:
    frame = summary(fitted)
    frame["p_value"] = [_p_value(p) for p in frame["p_value"]]
    # The scale of se and interval is told where it is not the estimate's own.
    frame["scale"] = frame["scale"].where(frame["scale"] != "identity", "")
    if (frame["scale"] == "").all():
        frame = frame.drop(columns="scale")
    return frame.drop(columns="z").set_index(["component", "term", "effect"])


def _p_value(p: float) -> str:
    if np.isnan(p):
        return ""
    return "<1e-16" if p < 1e-16 else f"{p:.3g}"


def fit_text(fitted: Fitted) -> str:
    """A fit as text."""
    head = as_text(f"{_title(fitted.spec)}, fitted by {fitted.method}", fit_lines(fitted))
    table = _short_summary(fitted).to_string(float_format=lambda x: f"{x:.4g}", na_rep="")
    note = "\n\nse is on the scale named in the last column; intervals are transformed back."
    note = note if "scale" in table else ""
    return f"{head}\n\n{sizes(fitted).round(4).to_string()}\n\n{table}{note}"


def fit_html(fitted: Fitted) -> str:
    """A fit as HTML."""
    head = as_html(f"{_title(fitted.spec)}, fitted by {fitted.method}", fit_lines(fitted))
    frames = (sizes(fitted), _short_summary(fitted))
    return head + "".join(
        f.to_html(float_format=lambda x: f"{x:.4g}", na_rep="", border=0) for f in frames
    )


def selection_html(table: pd.DataFrame) -> str:
    """A selection table as HTML, the best of every criterion in bold."""
    styled = table.copy()
    for criterion in ("aic", "bic", "icl"):
        low = table[criterion].idxmin()
        styled[criterion] = [
            f"<b>{v:.2f}</b>" if i == low else f"{v:.2f}" for i, v in table[criterion].items()
        ]
    return styled.to_html(index=False, escape=False, border=0, float_format=lambda x: f"{x:.4f}")
