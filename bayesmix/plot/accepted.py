"""Which fits a picture takes."""

from __future__ import annotations

from typing import Any

from bayesmix.errors import FitError
from bayesmix.ranking.scores import is_posterior

__all__ = ["point_only"]


def point_only(fit: Any, picture: str, values: str) -> None:
    """Refuse a posterior where a picture draws one value of the parameters.

    Parameters
    ----------
    fit : PointFit or Posterior
    picture : str
        Name of the function.
    values : str
        The call that gives the same with credible intervals.

    Raises
    ------
    FitError
        If `fit` is a posterior.
    """
    if is_posterior(fit):
        raise FitError(
            f"{picture}() draws a point fit, and this is a posterior by {fit.method}: "
            f"give it post.point(), the posterior mode, or take the numbers with "
            f"credible intervals from {values}"
        )
