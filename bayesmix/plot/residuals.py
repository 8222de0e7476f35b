"""Normal scores of the responses against the normal distribution, with an envelope."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.comparison.scores import is_posterior
from bayesmix.errors import FitError
from bayesmix.plot.bands import draw_band
from bayesmix.plot.picture import picture
from bayesmix.plot.style import Axes, colour, one_axes


@picture
def residuals(
    fit: PointFit | Posterior,
    *,
    response: str | None = None,
    ci: float = 0.95,
    seed: Any = 0,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the quantile residuals in order against normal quantiles.

    If the model is right, the residuals are independent standard normal, and on the scale of
    probabilities the i-th smallest of n has a beta(i, n - i + 1) distribution.  The band is
    pointwise: a few of many points may lie outside it.

    Parameters
    ----------
    fit : PointFit or Posterior
        A posterior uses its `point`.
    response : str, optional
        Which response, if the model has several; by default the first.
    ci : float
        Coverage of the band at each point.
    seed : int or numpy.random.Generator, optional
        Seed of the random part of residuals of counts and censored times.
    ax : Axes, optional
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional
    backend : str, optional
        Only "matplotlib": there is no interactive form.

    Returns
    -------
    Axes

    Raises
    ------
    FitError
        If the response is unknown, or has no quantile residuals.

    References
    ----------
    Dunn and Smyth (1996), Journal of Computational and Graphical Statistics 5, 236-244.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    >>> ax = bmx.plot.residuals(spec.fit("em", seed=1))
    >>> ax.get_xlabel(), len(ax.lines[0].get_xdata())
    ('normal quantiles', 32)
    """
    found: Any = (fit.point() if is_posterior(fit) else fit).residuals("quantile", seed=seed)
    if found.ndim == 2:
        name = found.columns[0] if response is None else response
        if name not in found:
            msg = f"response={name!r} is unknown; use one of {', '.join(map(repr, found))}"
            raise FitError(msg)
        found = found[name]
    elif response not in (None, found.name):
        raise FitError(f"response={response!r} is unknown; the model has {found.name!r}")
    scores = np.sort(found.dropna().to_numpy())
    place = np.arange(1, len(scores) + 1)
    normal = special.ndtri((place - 0.5) / len(scores))
    tails = (0.5 - ci / 2, 0.5 + ci / 2)
    low, high = (
        special.ndtri(special.betaincinv(place, len(scores) - place + 1, tail)) for tail in tails
    )
    ax = one_axes(ax)
    ax.plot(normal, scores, linestyle="none", marker="o", markersize=3, color=colour(0))
    ax.plot(normal[[0, -1]], normal[[0, -1]], color="black", linewidth=0.8)
    draw_band(ax, normal, (low, high), "black")
    ax.set_xlabel("normal quantiles")
    ax.set_ylabel(f"quantile residuals of {found.name}")
    return ax
