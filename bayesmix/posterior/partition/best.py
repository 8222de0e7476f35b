"""The consensus partition: least expected loss over the posterior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesmix._arguments import check_known
from bayesmix._arguments.printing import Described, Lines
from bayesmix.posterior.partition.ball import Ball, credible_ball
from bayesmix.posterior.partition.losses import (
    criterion,
    own_and_size,
    similarity,
    unit_losses,
)
from bayesmix.posterior.partition.search import best_cut, best_draw, refine

LOSSES = ("vi", "binder")
# Up to so many units every candidate is refined, above it the best one.
REFINED = 2_000


@dataclass(frozen=True, repr=False)
class Consensus(Described):
    """One partition of the units that summarises those of all draws.

    Parameters
    ----------
    labels : ndarray of int, shape (U,)
        Clusters numbered 0, 1, ... by their first unit.
    loss : str
        "vi" or "binder".
    expected_loss : float
        What was minimised.  "binder": the expected share of pairs that disagree.  "vi": Wade
        and Ghahramani's bound on the expected variation of information, in bits.
    uncertainty : ndarray, shape (U,)
        For every unit i, the expected share of other units j that are wrongly put together
        with it, or wrongly separated from it: ``mean_j |1{c_i = c_j} - P_ij|``.
    similarity : ndarray, shape (U, U)
        P_ij, the posterior probability that units i and j are in one cluster.
    drawn : ndarray of int, shape (T, U)
        Components of the units in each draw, which `ball` uses.
    """

    labels: np.ndarray
    loss: str
    expected_loss: float
    uncertainty: np.ndarray
    similarity: np.ndarray
    drawn: np.ndarray

    @property
    def k(self) -> int:
        """Number of clusters."""
        return int(self.labels.max()) + 1

    @property
    def criterion(self) -> float:
        """Another name of `expected_loss`."""
        return self.expected_loss

    def ball(self, level: float = 0.95) -> Ball:
        """The smallest ball around the partition that holds a share of the posterior.

        Parameters
        ----------
        level : float

        Returns
        -------
        Ball
            `radius`, and the partitions in the ball with the fewest clusters, the most clusters
            and the largest distance: they show how uncertain the partition is.

        Raises
        ------
        FitError
            If the level is not between 0 and 1.

        References
        ----------
        Wade and Ghahramani (2018), Bayesian Analysis 13, 559-626, section 4.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> posterior.clusters().ball().summary()["partition"].tolist()
        ['centre', 'fewest clusters', 'most clusters', 'farthest']
        """
        return credible_ball(self.labels, self.drawn, self.loss, level)

    def _title(self) -> str:
        sizes = ", ".join(str(n) for n in np.bincount(self.labels))
        one = "cluster" if self.k == 1 else "clusters"
        return f"Partition of {len(self.labels)} units into {self.k} {one}, of sizes {sizes}"

    def _lines(self) -> Lines:
        return [
            ("expected loss", f"{self.expected_loss:.3f} ({self.loss})"),
            ("mean uncertainty", f"{self.uncertainty.mean():.3f} of the other units"),
        ]


def consensus(memberships: np.ndarray, loss: str = "vi", max_k: int | None = None) -> Consensus:
    """The partition of least expected loss among those that a search finds.

    Candidates are the draws' own partitions and all cuts of hierarchical clusterings
    (average and complete linkage) of 1 - P, one cluster, and as many as there may be;
    units then move one by one while that helps
    (Wade and Ghahramani 2018, Bayesian Analysis 13, 559-626).

    Parameters
    ----------
    memberships : ndarray, shape (T, U, S)
        A draw's partition is that of the most probable components.
    loss : str
        "vi" (variation of information) or "binder", which tends to more and smaller
        clusters.
    max_k : int, optional
        Most clusters; without it, any number.

    Returns
    -------
    Consensus

    Raises
    ------
    FitError
        If the loss is unknown, `max_k` is no positive integer, or there are too many
        units for a similarity matrix.
    """
    check_known(f"consensus(loss={loss!r})", loss, LOSSES)
    p = similarity(memberships)
    n = len(p)
    most = n if max_k is None else min(max_k, n)
    own_draw = best_draw(loss, p, memberships.argmax(2), most)
    candidates = [best_cut(loss, p, "average", most), best_cut(loss, p, "complete", most)]
    candidates += [np.zeros(n, int), np.arange(n) % most]
    candidates += [] if own_draw is None else [own_draw]
    candidates.sort(key=lambda labels: criterion(loss, labels, p))
    if n > REFINED:
        candidates = candidates[:1]
    refined = [refine(loss, p, labels, most) for labels in candidates]
    labels = min(refined, key=lambda labels: criterion(loss, labels, p))
    uncertainty = unit_losses("binder", *own_and_size(labels, p), p.sum(1), n)
    least = criterion(loss, labels, p)
    return Consensus(labels, loss, least, uncertainty, p, _drawn(memberships))


def _drawn(memberships: np.ndarray) -> np.ndarray:
    """Components (T, U) drawn by memberships (T, U, S); the same each time."""
    v = np.random.default_rng(0).random((*memberships.shape[:2], 1))
    below = (memberships.cumsum(2) < v).sum(2)
    return np.minimum(below, memberships.shape[2] - 1)
