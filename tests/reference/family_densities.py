"""Writes family_densities.json: log densities and derivatives to 800 digits, by mpmath.

    python tests/reference/family_densities.py

Not part of the tests; mpmath is needed only here.
"""

import json
from itertools import product
from pathlib import Path

from mpmath import exp, log, loggamma, mp, mpf, pi

mp.dps = 800
STEP = mpf(10) ** -100


def gaussian(y, trials, mu, tau):
    return -(((y - mu) / exp(tau)) ** 2) / 2 - tau - log(2 * pi) / 2


def poisson(y, trials, eta):
    return y * eta - exp(eta) - loggamma(y + 1)


def binomial(y, trials, eta):
    choose = loggamma(trials + 1) - loggamma(y + 1) - loggamma(trials - y + 1)
    return choose + y * eta - trials * log(1 + exp(eta))


def gamma(y, trials, eta, rho):
    mu, a = exp(eta), exp(rho)
    return a * log(a / mu) - loggamma(a) + (a - 1) * log(y) - a * y / mu


def negative_binomial(y, trials, eta, rho):
    mu, a = exp(eta), exp(rho)
    gammas = loggamma(y + a) - loggamma(a) - loggamma(y + 1)
    return gammas + a * log(a / (a + mu)) + y * log(mu / (a + mu))


def student_t(y, trials, mu, tau, kappa):
    nu = exp(kappa)
    z = (y - mu) / exp(tau)
    gammas = loggamma((nu + 1) / 2) - loggamma(nu / 2)
    return gammas - log(nu * pi) / 2 - tau - (nu + 1) / 2 * log(1 + z * z / nu)


def beta(y, trials, eta, rho):
    mu, phi = 1 / (1 + exp(-eta)), exp(rho)
    gammas = loggamma(phi) - loggamma(mu * phi) - loggamma((1 - mu) * phi)
    return gammas + (mu * phi - 1) * log(y) + ((1 - mu) * phi - 1) * log(1 - y)


def inverse_gaussian(y, trials, eta, rho):
    mu, shape = exp(eta), exp(rho)
    return log(shape / (2 * pi * y**3)) / 2 - shape * (y - mu) ** 2 / (2 * mu**2 * y)


def _inflated(y, f, none, psi):
    share = 1 / (1 + exp(-psi))
    return log((share if y == 0 else 0) + (1 - share) * exp(f))


def _hurdle(y, f, none, psi):
    share = 1 / (1 + exp(-psi))
    return log(share) if y == 0 else log(1 - share) + f - log(1 - none)


def zero_inflated_poisson(y, trials, eta, psi):
    return _inflated(y, poisson(y, trials, eta), None, psi)


def zero_inflated_negative_binomial(y, trials, eta, rho, psi):
    return _inflated(y, negative_binomial(y, trials, eta, rho), None, psi)


def zero_inflated_binomial(y, trials, eta, psi):
    return _inflated(y, binomial(y, trials, eta), None, psi)


def hurdle_poisson(y, trials, eta, psi):
    return _hurdle(y, poisson(y, trials, eta), exp(poisson(mpf(0), trials, eta)), psi)


def hurdle_negative_binomial(y, trials, eta, rho, psi):
    none = exp(negative_binomial(mpf(0), trials, eta, rho))
    return _hurdle(y, negative_binomial(y, trials, eta, rho), none, psi)


def hurdle_gamma(y, trials, eta, rho, psi):
    return _hurdle(y, gamma(y if y else mpf(1), trials, eta, rho), 0, psi)


def hurdle_lognormal(y, trials, mu, tau, psi):
    positive = y if y else mpf(1)
    return _hurdle(y, gaussian(log(positive), trials, mu, tau) - log(positive), 0, psi)


# (y, trials, linear predictors); the logarithms of 1e5, 1e10, 1e16 are near 11.5, 23 and 36.8.
POINTS = {
    gaussian: [
        (0.7, None, (0.7, 0.0)), (450.0, None, (0.0, 0.0)), (-3.0, None, (1e6, 13.0)),
        (1e10, None, (1e10 - 0.5, -2.0)), (2e-150, None, (0.0, -345.0)), (1.5, None, (0.2, 300.0)),
    ],
    poisson: [
        (0.0, None, (-700.0,)), (3.0, None, (-200.0,)), (0.0, None, (11.5,)), (1e5, None, (11.5,)),
        (2e4, None, (5.0,)), (1.0, None, (0.25,)), (7.0, None, (12.0,)),
    ],
    binomial: [
        (0.0, 1.0, (-40.0,)), (1.0, 1.0, (-800.0,)), (1.0, 1.0, (36.0,)), (0.0, 1.0, (700.0,)),
        (3e5, 1e6, (-0.85,)), (999999.0, 1e6, (14.0,)), (5.0, 1e8, (-17.0,)), (20.0, 50.0, (9.0,)),
        (0.0, 0.0, (1.0,)),
    ],
    gamma: [
        (2.5, None, (0.9, 1.1)), (1e-200, None, (0.0, -3.0)), (1e5, None, (-1.0, -1.0)),
        (3.0, None, (1.0, 11.5)), (2.718281, None, (1.0, 23.0)), (7.0, None, (700.0, -20.0)),
        (1e-6, None, (-13.8, 6.0)), (40.0, None, (3.0, -8.0)), (1e9, None, (20.0, 2.3)),
    ],
    negative_binomial: [
        (float(y), None, point)
        for y, point in [
            *product((0, 1, 30), ((3.0, -8.0), (3.0, 1.0), (3.0, 11.5), (3.0, 23.0), (3.0, 36.8))),
            *product((0, 4), ((-30.0, 2.0), (-30.0, -30.0), (60.0, 2.0), (60.0, 80.0), (9.0, 0.0))),
            (100000, (11.5, 2.0)), (100000, (11.5, 23.0)), (5000, (2.0, -1.0)), (20000, (2.0, 9.0)),
            (12, (2.0, 150.0)),
        ]
    ],
    student_t: [
        (0.7, None, (0.7, 0.0, 1.5)), (1e5, None, (0.0, 0.0, -2.0)),
        (450.0, None, (0.0, 0.0, 23.0)),
        (1.3, None, (0.2, -0.4, 11.5)), (1.3, None, (0.2, -0.4, 23.0)),
        (4.0, None, (0.2, 0.3, 36.8)),
        (4.0, None, (0.2, 0.3, 100.0)), (-2.0, None, (5.0, 1.0, -8.0)),
        (1e8, None, (0.0, -5.0, 0.5)),
        (1e-9, None, (0.0, 0.0, 5.3)), (3.0, None, (0.0, 0.0, 2.31)),
    ],
    beta: [
        (0.3, None, (-0.8, 1.8)), (1e-12, None, (-3.0, 1.0)), (0.999999, None, (2.0, 0.5)),
        (0.31, None, (-0.8, 23.0)), (0.5, None, (0.0, -8.0)), (1e-6, None, (-12.0, 2.0)),
        (0.7, None, (6.0, 5.0)), (0.2, None, (-1.386, 36.0)),
    ],
    inverse_gaussian: [
        (2.5, None, (0.9, 1.1)), (1e-8, None, (0.0, -9.0)), (1e5, None, (9.0, 3.0)),
        (3.0, None, (1.0, 11.5)), (40.0, None, (3.0, -8.0)), (7.0, None, (300.0, -2.0)),
    ],
    zero_inflated_poisson: [
        (0.0, None, (1.2, -0.8)), (0.0, None, (8.0, -30.0)), (4.0, None, (1.2, -0.8)),
        (0.0, None, (-30.0, 2.0)), (2e4, None, (5.0, 9.0)),
    ],
    zero_inflated_negative_binomial: [
        (0.0, None, (1.2, 0.5, -0.8)), (3.0, None, (1.2, 0.5, -0.8)), (0.0, None, (3.0, 9.0, -4.0)),
    ],
    zero_inflated_binomial: [
        (0.0, 12.0, (-0.8, 0.5)), (12.0, 12.0, (3.0, -2.0)), (0.0, 1.0, (30.0, -20.0)),
    ],
    hurdle_poisson: [
        (0.0, None, (1.2, -0.8)), (4.0, None, (1.2, -0.8)), (1.0, None, (-12.0, 0.3)),
        (60.0, None, (4.0, 7.0)),
    ],
    hurdle_negative_binomial: [
        (0.0, None, (1.2, 0.5, -0.8)), (3.0, None, (1.2, 0.5, -0.8)), (2.0, None, (-5.0, 1.0, 0.0)),
    ],
    hurdle_gamma: [
        (0.0, None, (1.0, 0.5, -0.8)), (2.5, None, (0.9, 1.1, 0.4)),
        (1e-200, None, (0.0, -3.0, 1.0)),
    ],
    hurdle_lognormal: [
        (0.0, None, (1.0, 0.5, -0.8)), (2.5, None, (0.9, -1.1, 0.4)),
        (1e-80, None, (0.0, 3.0, 1.0)),
    ],
}  # fmt: skip


def shifted(f, y, trials, etas, steps):
    moved = list(etas)
    for j, h in steps:
        moved[j] = moved[j] + h * STEP
    return f(y, trials, *moved)


def derivatives(f, y, trials, etas):
    p = len(etas)
    at = lambda *steps: shifted(f, y, trials, etas, steps)  # noqa: E731
    first = [(at((j, 1)) - at((j, -1))) / (2 * STEP) for j in range(p)]
    second = [
        [
            (at((j, 1), (k, 1)) - at((j, 1), (k, -1)) - at((j, -1), (k, 1)) + at((j, -1), (k, -1)))
            / (4 * STEP**2)
            for k in range(p)
        ]
        for j in range(p)
    ]
    return first, second


def row(f, y, trials, etas):
    exact = [mpf(e) for e in etas]
    first, second = derivatives(f, mpf(y), None if trials is None else mpf(trials), exact)
    return {
        "family": f.__name__,
        "y": y,
        "trials": trials,
        "etas": list(etas),
        "logf": float(f(mpf(y), None if trials is None else mpf(trials), *exact)),
        "first": [float(x) for x in first],
        "second": [[float(x) for x in r] for r in second],
    }


if __name__ == "__main__":
    rows = [row(f, *point) for f, points in POINTS.items() for point in points]
    text = ",\n".join(json.dumps(r) for r in rows)
    Path(__file__).with_suffix(".json").write_text(f"[\n{text}\n]\n")
