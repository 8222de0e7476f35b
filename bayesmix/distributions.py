"""Priors: what can be said of a parameter before the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from bayesmix import arrays as xp
from bayesmix._arguments import door, numeric, probabilities
from bayesmix.errors import SpecError

__all__ = ["Prior"]

LOG_2PI = float(np.log(2 * np.pi))


def _normal(x: Any, mu: float, sigma: float) -> Any:
    return -0.5 * ((x - mu) / sigma) ** 2 - np.log(sigma) - 0.5 * LOG_2PI


def _student_t(x: Any, nu: float, mu: float, sigma: float) -> Any:
    constant = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2)
    constant -= 0.5 * np.log(nu * np.pi) + np.log(sigma)
    return constant - (nu + 1) / 2 * xp.log1p(((x - mu) / sigma) ** 2 / nu)


def _lognormal(x: Any, mu: float, sigma: float) -> Any:
    log = xp.log(x)
    return -0.5 * ((log - mu) / sigma) ** 2 - log - np.log(sigma) - 0.5 * LOG_2PI


def _inverse_gamma(x: Any, alpha: float, beta: float) -> Any:
    constant = alpha * np.log(beta) - special.gammaln(alpha)
    return constant - (alpha + 1) * xp.log(x) - beta / x


def _gamma(x: Any, alpha: float, beta: float) -> Any:
    constant = alpha * np.log(beta) - special.gammaln(alpha)
    return constant + (alpha - 1) * xp.log(x) - beta * x


def _beta(x: Any, alpha: float, beta: float) -> Any:
    return (alpha - 1) * xp.log(x) + (beta - 1) * xp.log1p(-x) - special.betaln(alpha, beta)


@dataclass(frozen=True)
class _Kind:
    """A distribution: its parameters, those that are positive, and where it lives."""

    parameters: tuple[str, ...]
    positive: tuple[str, ...]
    support: str  # "real", "positive", "unit", "simplex"
    logpdf: Any = None
    quantile: Any = None


KINDS: dict[str, _Kind] = {
    "normal": _Kind(
        ("mu", "sigma"),
        ("sigma",),
        "real",
        _normal,
        lambda q, mu, sigma: mu + sigma * special.ndtri(q),
    ),
    "student_t": _Kind(
        ("nu", "mu", "sigma"),
        ("nu", "sigma"),
        "real",
        _student_t,
        lambda q, nu, mu, sigma: mu + sigma * special.stdtrit(nu, q),
    ),
    "lognormal": _Kind(
        ("mu", "sigma"),
        ("sigma",),
        "positive",
        _lognormal,
        lambda q, mu, sigma: np.exp(mu + sigma * special.ndtri(q)),
    ),
    "inverse_gamma": _Kind(
        ("alpha", "beta"),
        ("alpha", "beta"),
        "positive",
        _inverse_gamma,
        lambda q, alpha, beta: beta / special.gammainccinv(alpha, q),
    ),
    "gamma": _Kind(
        ("alpha", "beta"),
        ("alpha", "beta"),
        "positive",
        _gamma,
        lambda q, alpha, beta: special.gammaincinv(alpha, q) / beta,
    ),
    "beta": _Kind(
        ("alpha", "beta"),
        ("alpha", "beta"),
        "unit",
        _beta,
        lambda q, alpha, beta: special.betaincinv(alpha, beta, q),
    ),
    "dirichlet": _Kind(("concentration",), ("concentration",), "simplex"),
}


# Where priors live, and a place inside.
RANGES = {"real": (-np.inf, np.inf), "positive": (0.0, np.inf), "unit": (0.0, 1.0)}
INSIDE = {"real": 0.0, "positive": 1.0, "unit": 0.5}


@door
@dataclass(frozen=True, init=False)
class Prior:
    """The prior of a parameter, or of every parameter of a name.

    Parameters
    ----------
    kind : str
        "normal" (mu, sigma), "student_t" (nu, mu, sigma), "lognormal" (mu and sigma
        of the logarithm), "gamma" (shape alpha and rate beta, mean alpha / beta),
        "inverse_gamma" (alpha, beta; the reciprocal of a gamma variable, mean
        beta / (alpha - 1)), "beta" (alpha, beta), "dirichlet" (concentration, the
        same for every component).
    **parameters : float

    Raises
    ------
    SpecError
        If the kind or a parameter is unknown, missing or out of range.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> bmx.Prior("normal", mu=0, sigma=2.5)
    Prior('normal', mu=0, sigma=2.5)
    >>> round(float(bmx.Prior("normal", mu=0, sigma=1).logpdf(0.0)), 4)
    -0.9189
    """

    kind: str
    parameters: Mapping[str, float]

    def __init__(self, kind: str, **parameters: float) -> None:
        if not isinstance(kind, str) or kind not in KINDS:
            msg = f"a prior of kind {kind!r} is unknown; use one of {', '.join(KINDS)}"
            raise SpecError(msg)
        wanted = KINDS[kind]
        if set(parameters) != set(wanted.parameters):
            msg = f"the {kind} prior takes {', '.join(wanted.parameters)}; given {parameters}"
            raise SpecError(msg)
        for name, value in parameters.items():
            number = isinstance(value, (int, float, np.number)) and np.isfinite(value)
            if not number or (name in wanted.positive and value <= 0):
                bound = "a positive number" if name in wanted.positive else "a number"
                msg = f"the {kind} prior has {name}={value!r}; it must be {bound}"
                raise SpecError(msg)
        object.__setattr__(self, "kind", kind)
        order = {name: parameters[name] for name in wanted.parameters}
        object.__setattr__(self, "parameters", order)

    @classmethod
    def sparse(cls, concentration: float = 0.01) -> Prior:
        """A Dirichlet prior of the weights that leaves components empty which are not needed.

        For ``priors={"weight": bmx.Prior.sparse()}`` with more components than there can
        be clusters; `Posterior.filled_components` then tells how many have units.  The
        prior has no mode: it is for ``fit("nuts")``.

        Parameters
        ----------
        concentration : float
            Below one.  The prior mean of the number of components that n units fill
            is

                k (1 - prod_{i < n} ((k - 1) a + i) / (k a + i)),

            about 1 + (k - 1) a log n for small a.  The default of 0.01 expects 1.2 of
            5 for 100 units: more have to come from the data.  In theory less than half
            the number of a component's parameters is enough to empty components
            (Rousseau and Mengersen 2011); in samples of a few hundred much less is
            needed (Malsiner-Walli, Fruehwirth-Schnatter and Gruen 2016).

        Returns
        -------
        Prior

        Raises
        ------
        SpecError
            If the concentration is not between zero and one.

        References
        ----------
        Malsiner-Walli, Fruehwirth-Schnatter and Gruen (2016), Statistics and Computing
        26, 303-324.  Rousseau and Mengersen (2011), Journal of the Royal Statistical
        Society B 73, 689-710.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> bmx.Prior.sparse()
        Prior('dirichlet', concentration=0.01)
        """
        prior = cls("dirichlet", concentration=concentration)
        if concentration >= 1:
            msg = (
                f"Prior.sparse(concentration={concentration!r}) would fill all components; it is "
                "below 1, such as 0.01. Prior('dirichlet', concentration=) takes any"
            )
            raise SpecError(msg)
        return prior

    @property
    def support(self) -> str:
        """Where it lives: "real", "positive", "unit" or "simplex"."""
        return KINDS[self.kind].support

    @door(x=numeric)
    def logpdf(self, x: Any) -> Any:
        """Log density.

        Parameters
        ----------
        x : array, Jet or PyTensor variable
            Numbers outside the support have the log density of minus infinity.

        Returns
        -------
        array, Jet or PyTensor variable, of the shape of `x`

        Raises
        ------
        SpecError
            For a Dirichlet prior, whose density is joint.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> round(float(bmx.Prior("gamma", alpha=1, beta=2).logpdf(0.5)), 4)
        -0.3069
        """
        density = KINDS[self.kind].logpdf
        if density is None:
            msg = f"the {self.kind} prior has a joint density only"
            raise SpecError(msg)
        if not isinstance(x, (int, float, np.ndarray, np.number, list, tuple)):
            return density(x, **self.parameters)
        inside = self._holds(x)
        found = density(np.where(inside, x, INSIDE[self.support]), **self.parameters)
        return np.where(inside, found, -np.inf)[()]

    def _holds(self, x: Any) -> Any:
        """Which values lie in the support."""
        low, high = RANGES[self.support]
        return (np.asarray(x) > low) & (np.asarray(x) < high)

    @door(q=probabilities)
    def quantile(self, q: Any) -> Any:
        """Quantiles.

        Parameters
        ----------
        q : array_like
            Probabilities.

        Returns
        -------
        ndarray, of the shape of `q`

        Raises
        ------
        SpecError
            For a Dirichlet prior, which has none.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> bmx.Prior("normal", mu=0, sigma=1).quantile([0.025, 0.975]).round(2)
        array([-1.96,  1.96])
        """
        quantile = KINDS[self.kind].quantile
        if quantile is None:
            msg = f"the {self.kind} prior has no quantiles: it is joint, for all components"
            raise SpecError(msg)
        return quantile(np.asarray(q, float), **self.parameters)

    def sample(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Random draws.

        Parameters
        ----------
        draws : int
        rng : numpy.random.Generator

        Returns
        -------
        ndarray, shape (draws,)

        Raises
        ------
        SpecError
            For a Dirichlet prior, whose draws are joint.

        Examples
        --------
        >>> import numpy as np
        >>> import bayesmix as bmx
        >>> bmx.Prior("beta", alpha=2, beta=2).sample(3, np.random.default_rng(1)).shape
        (3,)
        """
        p = self.parameters
        if self.kind == "normal":
            return rng.normal(p["mu"], p["sigma"], draws)
        if self.kind == "student_t":
            return p["mu"] + p["sigma"] * rng.standard_t(p["nu"], draws)
        if self.kind == "lognormal":
            return rng.lognormal(p["mu"], p["sigma"], draws)
        if self.kind == "gamma":
            return rng.gamma(p["alpha"], 1 / p["beta"], draws)
        if self.kind == "inverse_gamma":
            return p["beta"] / rng.gamma(p["alpha"], 1.0, draws)
        if self.kind == "beta":
            return rng.beta(p["alpha"], p["beta"], draws)
        msg = f"the {self.kind} prior is drawn jointly, for all components"
        raise SpecError(msg)

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.parameters.items())))

    def __repr__(self) -> str:
        given = ", ".join(f"{n}={v:g}" for n, v in self.parameters.items())
        return f"Prior({self.kind!r}, {given})"
