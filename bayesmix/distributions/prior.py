"""The prior of a parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmix._arguments import door, numeric, one_of, probabilities
from bayesmix.distributions.kinds import DRAWS, ENDS, KINDS, RANGES
from bayesmix.errors import SpecError


@door
@dataclass(frozen=True, init=False)
class Prior:
    """The prior of a parameter, or of all parameters with one name.

    Parameters
    ----------
    kind : str
        "normal" (mu, sigma), "student_t" (nu, mu, sigma), "laplace" (mu, b: the double
        exponential, whose mode is the lasso), "half_normal" (sigma),
        "half_student_t" (nu, sigma), "half_cauchy" (beta), "exponential" (rate lam, mean
        1 / lam), "lognormal" (mu and sigma of the logarithm), "gamma" (shape alpha and rate
        beta, mean alpha / beta), "inverse_gamma" (alpha, beta; the reciprocal of a gamma
        variable, mean beta / (alpha - 1)), "beta" (alpha, beta), "uniform" (lower, upper),
        "dirichlet" (a or concentration, the same for every component),
        "truncated_normal" and "truncated_student_t" (with lower, upper), and "smooth" (see
        `Prior.smooth`).
    **parameters : float
        Named as in PyMC, on the natural scale of the parameter and in your units.

    Raises
    ------
    SpecError
        If the kind or a parameter is unknown, missing or out of range.

    Notes
    -----
    A prior that reaches beyond the parameter's support is truncated there: "normal",
    "student_t" and "uniform" priors of a positive parameter or of a probability.
    `Mixture.priors` says so.  Instead of a `Prior` you can give a PreliZ distribution with its
    parameters.

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
            raise SpecError(f"a prior of kind {kind!r} is unknown; use one of {', '.join(KINDS)}")
        wanted = KINDS[kind]
        if kind == "dirichlet" and "a" in parameters:
            parameters = {("concentration" if n == "a" else n): v for n, v in parameters.items()}
        if set(parameters) != set(wanted.parameters):
            msg = f"the {kind} prior takes {', '.join(wanted.parameters)}; given {parameters}"
            raise SpecError(msg)
        for name, value in parameters.items():
            number = isinstance(value, (int, float, np.number)) and np.isfinite(value)
            if not number or (name in wanted.positive and value <= 0):
                bound = "a positive number" if name in wanted.positive else "a number"
                raise SpecError(f"the {kind} prior has {name}={value!r}; it must be {bound}")
        if "lower" in parameters and not parameters["lower"] < parameters["upper"]:
            msg = f"the {kind} prior has lower={parameters['lower']!r}; it must be below upper="
            raise SpecError(msg)
        object.__setattr__(self, "kind", kind)
        order = {name: parameters[name] for name in wanted.parameters}
        object.__setattr__(self, "parameters", order)

    @classmethod
    def sparse(cls, concentration: float = 0.01) -> Prior:
        """A Dirichlet prior of the weights that empties components that are not needed.

        Use it as ``priors={"weight": bmx.Prior.sparse()}`` with more components than you
        expect clusters; `Posterior.filled_components` then says how many have units.  The
        prior has no mode, so it needs ``fit("nuts")``.

        Parameters
        ----------
        concentration : float
            Below one.  The prior mean of the number of components that n units fill
            is

                k (1 - prod_{i < n} ((k - 1) a + i) / (k a + i)),

            about 1 + (k - 1) a log n for small a.  The default of 0.01 expects 1.2 of
            5 components for 100 units: evidence for more must come from the data.  In theory
            any value below half the number of a component's parameters empties components
            (Rousseau and Mengersen 2011); samples of a few hundred need much smaller values
            (Malsiner-Walli, Fruehwirth-Schnatter and Gruen 2016).

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
            raise SpecError(
                f"Prior.sparse(concentration={concentration!r}) would fill all components; it is "
                "below 1, such as 0.01. Prior('dirichlet', concentration=) takes any"
            )
        return prior

    @classmethod
    def smooth(cls) -> Prior:
        r"""A prior that makes a spline a smooth curve, as smooth as the data ask for.

        For the term of a spline by its name, ``priors={"bs(x, df=10)": bmx.Prior.smooth()}``, with
        more columns than the curve needs.  Given a standard deviation tau, of which each component
        has its own, the coefficients b of the curve f have the density

        .. math:: p(b \mid \tau) \propto \tau^{-r} \exp\left(-\frac{c}{2 \tau^2}
                  \int f''(x)^2 \, dx\right) ,

        where r is the number of columns that are not straight lines, and c is such that tau is the
        size (the root mean square over the rows, under the prior) of the curve's departures from a
        straight line, on the scale of the link.  The slope of that line has a weak normal prior.

        The priors of tau are half Student t with three degrees of freedom, 2.5 times the
        response's standard deviation wide for the identity link, and 2.5 for others; another one
        is given as "tau", or as "tau[bs(x, df=10)]" for one term.

        Methods "nuts" and "laplace" draw tau together with the other parameters.  The joint
        density has no mode, for it grows without bound as tau goes to zero.  So "map" first
        integrates out the coefficients by Laplace's approximation (Wood and Fasiolo 2017) and
        takes the tau and the dispersions where the resulting density is highest; then it takes
        the mode of all other parameters given these.  For a normal response, one component and
        wide priors this is REML.  `PointFit.smooths` has tau and the effective degrees of freedom,
        which `df` counts.  Maximum likelihood ("em", "ml") ignores priors and leaves the curve as
        wiggly as its columns allow.

        Returns
        -------
        Prior

        References
        ----------
        Eilers and Marx (1996), Statistical Science 11, 89-121.  Wood (2017), Generalized Additive
        Models, 2nd edition, chapter 5.  Wood and Fasiolo (2017), Biometrics 73, 1071-1081.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> bmx.Prior.smooth()
        Prior('smooth')
        """
        return cls("smooth")

    @property
    def support(self) -> str:
        """The support: "real", "positive", "unit" or "simplex"."""
        return KINDS[self.kind].support

    @door(support=one_of(*RANGES))
    def within(self, support: str) -> Prior:
        """The same, cut off where a parameter ends.

        Parameters
        ----------
        support : str
            Of the parameter: "real", "positive" or "unit".

        Raises
        ------
        SpecError
            If none of it is inside, or it is of another kind.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> bmx.Prior("normal", mu=0, sigma=2).within("positive")
        Prior('truncated_normal', mu=0, sigma=2, lower=0, upper=inf)
        """
        if self.support == support:
            return self
        low, high = RANGES[support]
        base = self.kind.removeprefix("truncated_")
        if base in ("normal", "student_t", "uniform"):
            low = max(low, self.parameters.get("lower", -np.inf))
            high = min(high, self.parameters.get("upper", np.inf))
            given = {**self.parameters, "lower": low, "upper": high}
            whole = base == "uniform" or np.isinf([low, high]).all()
            if low < high:
                return self if whole and given == self.parameters else cut(base, given)
        raise SpecError(f"{self!r} does not have the support of the parameter, which is {support}")

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
            For a Dirichlet or smooth prior, whose density is joint.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> round(float(bmx.Prior("gamma", alpha=1, beta=2).logpdf(0.5)), 4)
        -0.3069
        """
        density = self._of_one("logpdf")
        if not isinstance(x, (int, float, np.ndarray, np.number, list, tuple)):
            return density(x, **self.parameters)
        inside = self._holds(x)
        found = density(np.where(inside, x, self.quantile(0.5)), **self.parameters)
        return np.where(inside, found, -np.inf)[()]

    def _of_one(self, what: str) -> Any:
        """The function "logpdf" or "quantile" of this kind."""
        found = getattr(KINDS[self.kind], what)
        if found is None:
            raise SpecError(
                f"the {self.kind} prior is joint, for several parameters: it has no density, "
                "no quantiles and no draws of a single one"
            )
        return found

    def _holds(self, x: Any) -> Any:
        """Which values lie in the support."""
        low, high = RANGES.get(self.support) or (self.parameters[n] for n in ENDS)
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
            For a Dirichlet or smooth prior, which has none.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> bmx.Prior("normal", mu=0, sigma=1).quantile([0.025, 0.975]).round(2)
        array([-1.96,  1.96])
        """
        return self._of_one("quantile")(np.asarray(q, float), **self.parameters)

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
            For a Dirichlet or smooth prior, whose draws are joint.

        Examples
        --------
        >>> import numpy as np
        >>> import bayesmix as bmx
        >>> bmx.Prior("beta", alpha=2, beta=2).sample(3, np.random.default_rng(1)).shape
        (3,)
        """
        draw = DRAWS.get(self.kind)
        if draw is not None:
            return draw(rng, draws, **self.parameters)
        return self._of_one("quantile")(rng.random(draws), **self.parameters)

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.parameters.items())))

    def __repr__(self) -> str:
        given = [f"{n}={v + 0:g}" for n, v in self.parameters.items()]
        return f"Prior({', '.join([repr(self.kind), *given])})"


def cut(kind: str, parameters: Mapping[str, float]) -> Prior:
    """Cut off at ends of which one may be infinite, which a user's numbers may not be."""
    made = object.__new__(Prior)
    kind = kind if kind == "uniform" else f"truncated_{kind}"
    ordered = {name: float(parameters[name]) for name in KINDS[kind].parameters}
    object.__setattr__(made, "kind", kind)
    object.__setattr__(made, "parameters", ordered)
    return made
