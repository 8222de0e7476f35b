"""The credible ball of a partition: how far the posterior reaches around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesmix._arguments.printing import Described, Printed
from bayesmix.errors import FitError
from bayesmix.posterior.partition.losses import canonical, distances


@dataclass(frozen=True, repr=False)
class Ball(Described):
    """The smallest ball around a partition that holds a share of the posterior.

    Parameters
    ----------
    level : float
        The requested share.
    share : float
        Share of the draws in the ball.
    radius : float
        Largest distance from the centre: the variation of information in bits, or the share of
        pairs that disagree.
    centre, upper, lower, horizontal : ndarray of int, shape (U,)
        Clusters of the units: in the centre, and in the partitions of the ball with the fewest
        clusters, with the most clusters, and farthest away.  Ties go to the most distant one.
    distance : tuple of float
        Distances of the last three from the centre.
    """

    level: float
    share: float
    radius: float
    centre: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    horizontal: np.ndarray
    distance: tuple[float, float, float]

    def summary(self) -> pd.DataFrame:
        """One row for each bound: partition, clusters, distance, sizes."""
        names = ("centre", "fewest clusters", "most clusters", "farthest")
        labels = (self.centre, self.upper, self.lower, self.horizontal)
        sizes = [np.sort(np.bincount(each))[::-1] for each in labels]
        return Printed(
            {
                "partition": names,
                "clusters": list(map(len, sizes)),
                "distance": (0.0, *self.distance),
                "sizes": [", ".join(map(str, each)) for each in sizes],
            }
        )

    def _title(self) -> str:
        return f"Credible ball of {100 * self.level:g} percent, radius {self.radius:.3f}"

    def _table(self) -> pd.DataFrame:
        return self.summary()


def credible_ball(
    labels: np.ndarray, allocations: np.ndarray, loss: str = "vi", level: float = 0.95
) -> Ball:
    r"""The smallest ball around a partition with a share of the posterior.

    .. math:: \epsilon^* = \min \{\epsilon : P(d(\hat c, c) \le \epsilon \mid y) \ge \text{level}\}

    Parameters
    ----------
    labels : ndarray of int, shape (U,)
        The centre.
    allocations : ndarray of int, shape (T, U)
        Drawn components of the units.
    loss : str
        The distance: "vi" or "binder".
    level : float

    Raises
    ------
    FitError
        If the level is not between 0 and 1.

    References
    ----------
    Wade and Ghahramani (2018), Bayesian Analysis 13, 559-626, section 4.
    """
    if not 0 < level < 1:
        raise FitError(f"ball(level={level!r}): the level is a share between 0 and 1, such as 0.95")
    far = distances(loss, labels, allocations)
    radius = np.sort(far)[int(np.ceil(level * len(far))) - 1]
    inside = np.flatnonzero(far <= radius * (1 + 1e-12))
    counts = np.array([len(np.unique(allocations[t])) for t in inside])
    picks = [inside[np.lexsort((-far[inside], key))[0]] for key in (counts, -counts, -far[inside])]
    upper, lower, horizontal = (canonical(allocations[t]) for t in picks)
    return Ball(
        level,
        len(inside) / len(far),
        float(radius),
        canonical(labels),
        upper,
        lower,
        horizontal,
        (float(far[picks[0]]), float(far[picks[1]]), float(far[picks[2]])),
    )
