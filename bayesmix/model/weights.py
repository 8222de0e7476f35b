r"""The multinomial logit of the weights, and constant weights as its simplest case.

log pi_s(w) = w' alpha_s - log sum_t exp(w' alpha_t), with alpha_1 = 0
(Dayton and Macready 1988, JASA 83, 173-178).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayesmix.arrays.sums import log_sum_exp


@dataclass(frozen=True)
class WeightModel:
    """How the weights depend on concomitant covariates.

    Parameters
    ----------
    index : ndarray of int, shape (S, Q)
        Entries of theta for alpha; -1 in the baseline's row.
    held : ndarray, shape (S,), or None
        Probabilities of components with a fixed weight, NaN elsewhere; only for
        constant weights.  The others share the remaining probability.
    """

    index: np.ndarray
    held: np.ndarray | None = None

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the free logits in the flattened (S, Q) and their entries of theta."""
        has = np.flatnonzero(self.index.ravel() >= 0)
        return has, self.index.ravel()[has]

    def logits(self, theta: np.ndarray) -> np.ndarray:
        """Alpha of shape (..., S, Q) from theta (..., D)."""
        return np.where(self.index >= 0, theta[..., self.index], 0.0)

    def log_weights(self, theta: np.ndarray, design: np.ndarray | None) -> np.ndarray:
        """Log weights of shape (..., S, U), or (..., S, 1) where they are constant.

        Parameters
        ----------
        theta : ndarray, shape (..., D)
        design : ndarray, shape (U, Q), or None
        """
        alpha = self.logits(theta)
        eta = alpha if design is None else alpha @ design.T
        if self.held is not None:
            return self._with_held(eta)
        return eta - log_sum_exp(eta, -2, keepdims=True)

    def _with_held(self, eta: np.ndarray) -> np.ndarray:
        assert self.held is not None
        known = np.isfinite(self.held)[:, None]
        rest = np.log1p(-np.nansum(self.held)) if not known.all() else 0.0
        free = np.where(known, -np.inf, eta)
        with np.errstate(divide="ignore", invalid="ignore"):
            free = free - log_sum_exp(free, -2, keepdims=True) + rest
            return np.where(known, np.log(self.held)[:, None], free)

    def score_information(
        self,
        resp: np.ndarray,
        log_weights: np.ndarray,
        design: np.ndarray | None,
        unit_weight: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score and complete-data information in alpha, for components by terms.

        Parameters
        ----------
        resp : ndarray, shape (R, S, U)
            Responsibilities.
        log_weights : ndarray, shape (R, S, U) or (R, S, 1)
        design : ndarray, shape (U, Q), or None
        unit_weight : ndarray, shape (U,), or None

        Returns
        -------
        score : ndarray, shape (R, S, Q)
            sum_u w_u (r_us - pi_us) z_u.
        information : ndarray, shape (R, S, Q, S, Q)
            sum_u w_u (diag(pi) - pi pi') (x) z z'.
        """
        score = self.score(resp, log_weights, design, unit_weight)
        if design is None:
            n, pi = self._sums(resp, log_weights, unit_weight)[1:]
            k = pi.shape[-1]
            constant = n[..., None] * (pi[..., None] * np.eye(k) - pi[..., None] * pi[:, None])
            return score, constant[:, :, None, :, None]
        pi = np.exp(log_weights)
        w = 1.0 if unit_weight is None else unit_weight
        n_starts, k, _ = pi.shape
        q = design.shape[1]
        information = np.empty((n_starts, k, q, k, q))
        for s in range(k):
            for t in range(s, k):
                c = -pi[:, s] * pi[:, t] + (pi[:, s] if s == t else 0.0)
                block = np.swapaxes((c * w)[:, :, None] * design, 1, 2) @ design
                information[:, s, :, t] = block
                information[:, t, :, s] = np.swapaxes(block, 1, 2)
        return score, information

    def score(
        self,
        resp: np.ndarray,
        log_weights: np.ndarray,
        design: np.ndarray | None,
        unit_weight: np.ndarray | None,
    ) -> np.ndarray:
        """The score of `score_information` alone, (R, S, Q)."""
        if design is None:
            sums, n, pi = self._sums(resp, log_weights, unit_weight)
            return (sums - n * pi)[..., None]
        w = 1.0 if unit_weight is None else unit_weight
        return ((resp - np.exp(log_weights)) * w) @ design

    def _sums(
        self, resp: np.ndarray, log_weights: np.ndarray, unit_weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Constant weights: sums of responsibilities (R, S), their total (R, 1), the weights."""
        sums = resp.sum(-1) if unit_weight is None else resp @ unit_weight
        pi = np.exp(log_weights[..., 0])
        if self.held is not None:
            sums = np.where(np.isnan(self.held), sums, 0.0)
            pi = self._among_free(pi[..., None])[..., 0]
        return sums, sums.sum(-1, keepdims=True), pi

    def _among_free(self, pi: np.ndarray) -> np.ndarray:
        """Probabilities (..., S, U) of the components without a fixed weight among themselves."""
        assert self.held is not None
        pi = np.where(np.isnan(self.held)[:, None], pi, 0.0)
        total = pi.sum(-2, keepdims=True)
        return np.divide(pi, total, out=np.zeros_like(pi), where=total > 0)

    def component_scores(
        self, s: int, theta: np.ndarray, design: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of log pi_s in alpha, up to a term that all components share.

        Parameters
        ----------
        s : int
            Position of the component.
        theta : ndarray, shape (R, D)
        design : ndarray, shape (U, Q), or None

        Returns
        -------
        at : ndarray of int, shape (m,)
            Entries of theta.
        scores : ndarray, shape (m, U), (m, 1) or (R, m, 1)
            The shared term drops out of covariances over components.  With held
            weights it is no longer shared, and stays.
        """
        if self.held is None:
            at = self.index[s][self.index[s] >= 0]
            return at, np.ones((len(at), 1)) if design is None else design.T[: len(at)]
        has = (self.index[:, 0] >= 0) & np.isnan(self.held)
        at = self.index[has, 0]
        if np.isfinite(self.held[s]):
            return at, np.zeros((len(at), 1))
        share = self._among_free(np.exp(self.log_weights(theta, None)))[..., 0]
        return at, ((np.arange(len(has)) == s)[has] - share[:, has])[..., None]

    def unit_scores(
        self, resp: np.ndarray, log_weights: np.ndarray, design: np.ndarray | None
    ) -> np.ndarray:
        """Scores of the units in alpha, (R, S, Q, U)."""
        pi = np.broadcast_to(np.exp(log_weights), resp.shape)
        if self.held is not None:
            resp = np.where(np.isnan(self.held)[:, None], resp, 0.0)
            pi = self._among_free(pi) * resp.sum(1, keepdims=True)
        difference = (resp - pi)[:, :, None]
        return difference if design is None else difference * design.T
