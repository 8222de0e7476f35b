"""What users of other packages type, and what it is called here: one table, one line each."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from bayesmix.errors import UnknownNameError

# Attributes and methods of models and results.  "point", "posterior" and "model" say of which;
# "any" is for all.  The name here is written as one would call it.
NAMES: dict[str, dict[str, str]] = {
    # statsmodels
    "bse": {"any": "summary()['se']", "posterior": "summary()['sd']"},
    "llf": {"point": "loglik"},
    "tvalues": {"point": "summary()['z']"},
    "zvalues": {"point": "summary()['z']"},
    "pvalues": {"point": "summary()['p_value']"},
    "conf_int": {"any": "summary(ci=0.95)[['lower', 'upper']]"},
    "cov_params": {"point": "covariance()"},
    "resid": {"point": "residuals()"},
    "resid_pearson": {"point": "residuals('pearson')"},
    "fittedvalues": {"point": "fitted()", "posterior": "predict()"},
    "nobs": {"any": "n_obs"},
    "df_model": {"any": "df"},
    "mle_retvals": {"point": "starts"},
    "get_prediction": {"any": "predict(newdata)"},
    "get_margeff": {"any": "predict(newdata)"},
    # scikit-learn
    "predict_proba": {"any": "membership(newdata)"},
    "predict_log_proba": {"any": "membership(newdata)"},
    "fit_predict": {"model": "fit().clusters()"},
    "labels_": {"any": "clusters()"},
    "weights_": {"point": "mixing", "posterior": "point().mixing"},
    "means_": {"point": "coefficients()", "posterior": "summary()"},
    "coef_": {"point": "coefficients()", "posterior": "summary()"},
    "intercept_": {"point": "coefficients()", "posterior": "summary()"},
    "covariances_": {"point": "dispersion()", "posterior": "summary()"},
    "n_components": {"any": "k"},
    "n_iter_": {"point": "iterations"},
    "converged_": {"point": "converged"},
    "lower_bound_": {"point": "loglik"},
    "score": {"point": "loglik"},
    "get_params": {"any": "spec"},
    # R: flexmix, mixtools, flexsurv, stats
    "logLik": {"point": "loglik"},
    "BIC": {"point": "bic"},
    "AIC": {"point": "aic"},
    "ICL": {"point": "icl"},
    "coef": {"point": "coefficients()", "posterior": "summary()"},
    "vcov": {"point": "covariance()"},
    "confint": {"any": "summary(ci=0.95)[['lower', 'upper']]"},
    "refit": {"point": "summary(), which has the standard errors"},
    "parameters": {"point": "coefficients()", "posterior": "summary()"},
    "cluster": {"any": "clusters()"},
    "prior": {"point": "mixing"},
    "nobs_": {"any": "n_obs"},
    "lambda_": {"point": "mixing"},
    "posterior": {"point": "membership()", "posterior": "data['posterior']"},
    "ajfit_flexsurvmix": {"any": "aalen_johansen()"},
    "probs_flexsurvmix": {"any": "event_probabilities()"},
    # PyMC, ArviZ, Bambi
    "idata": {"posterior": "data", "point": "spec.fit('nuts').data"},
    "draws": {"posterior": "data['posterior']"},
    "samples": {"posterior": "data['posterior']"},
    "hdi": {"posterior": "summary(), or arviz.hdi(posterior.data)"},
    "n_divergent": {"posterior": "diagnostics()"},
    "divergences": {"posterior": "diagnostics()"},
    "coefs": {"point": "coefficients()", "posterior": "summary()"},
    "inference_data": {"posterior": "data"},
    "trace": {"posterior": "data['posterior']"},
    "posterior_predictive": {"posterior": "to_datatree(predictive=200)"},
    "log_likelihood": {"posterior": "data['log_likelihood']", "point": "loglik"},
    "sample_stats": {"posterior": "data['sample_stats']"},
    "plot_trace": {"posterior": "diagnostics(), or bmx.plot.diagnostics(posterior)"},
    "plot_priors": {"model": "priors(), or bmx.plot.prior_predictive(spec)"},
    "rhat": {"posterior": "summary()['r_hat']"},
    "ess": {"posterior": "summary()['ess_bulk']"},
    "build": {"model": "to_pymc()"},
    "compile": {"model": "to_pymc()"},
    "model": {"model": "to_pymc()"},
    "graph": {"model": "to_pymc()"},
    "sample": {"model": "fit('nuts')"},
    "find_MAP": {"model": "fit('map')"},
    "prior_predictive": {"model": "sample_prior()"},
    "backend": {"model": "to_pymc()"},
    # lifelines
    "print_summary": {"any": "summary()"},
    "params_": {"point": "params", "posterior": "data['posterior']"},
    "log_likelihood_": {"point": "loglik"},
    "AIC_": {"point": "aic"},
    "AIC_partial_": {"point": "aic"},
    "median_survival_time_": {"any": "quantile_time(0.5)"},
    "predict_median": {"any": "quantile_time(0.5, newdata)"},
    "predict_expectation": {"any": "mean_time(newdata)"},
    "predict_survival_function": {"any": "survival(times, newdata)"},
    "predict_cumulative_hazard": {"any": "survival(times, newdata): take minus its log"},
    "predict_hazard": {"any": "hazard(times, newdata)"},
    "standard_errors_": {"any": "summary()['se']", "posterior": "summary()['sd']"},
    "variance_matrix_": {"point": "covariance()"},
}

NAMES |= {
    name.split("(")[0]: {"model": f"fit().{name}"}
    for name in (
        "summary()", "predict()", "fitted()", "residuals()", "membership()", "clusters()",
        "coefficients()", "params", "mixing", "loglik", "aic", "bic", "status",
    )
}  # fmt: skip
NAMES |= {
    method: {"model": f"fit({method!r})", "any": f"spec.fit({method!r})"}
    for method in ("em", "ml", "map", "laplace", "nuts")
}

# Keywords of functions: the name here, or a sentence.
OPTIONS: dict[str, str] = {
    "n_components": "k",
    "n_clusters": "k",
    "n_classes": "k",
    "nclasses": "k",
    "classes": "k",
    "components": "k",
    "ng": "k",
    "nclass": "k",
    "num_components": "k",
    "ncomp": "k",
    "G": "k",
    "K": "k",
    "n_init": "starts",
    "nrep": "starts",
    "n_starts": "starts",
    "random_state": "seed",
    "random_seed": "seed",
    "rng": "seed",
    "rng_seed": "seed",
    "maxiter": "max_iter",
    "max_iters": "max_iter",
    "n_iter": "max_iter",
    "maxit": "max_iter",
    "epsilon": "tol",
    "ftol": "tol",
    "minprior": "min_weight",
    "init_params": "init",
    "start_params": "init",
    "start": "init",
    "initvals": "init",
    "inits": "init",
    "warmup": "tune",
    "num_warmup": "tune",
    "n_warmup": "tune",
    "burn": "tune",
    "burnin": "tune",
    "iter_warmup": "tune",
    "samples": "draws",
    "num_samples": "draws",
    "n_samples": "draws",
    "iter_sampling": "draws",
    "iter": "draws",
    "num_chains": "chains",
    "n_chains": "chains",
    "cores": "not needed: chains run in parallel",
    "n_jobs": "not needed: chains run in parallel",
    "njobs": "not needed: chains run in parallel",
    "nuts_sampler": "sampler",
    "inference_method": "method",
    "solver": "method",
    "progressbar": "progress",
    "verbose": "progress",
    "disp": "progress",
    "dist": "family",
    "distribution": "family",
    "anc": "ancillary",
    "groups": "group",
    "id": "group",
    "subject": "group",
    "concom": "concomitant",
    "class_": "labels",
    "sample_weight": "weights",
    "freq_weights": "weights",
    "missing": "na_action",
    "dropna": "na_action",
    "alpha": "ci, such as ci=0.95 for alpha=0.05",
    "level": "ci",
    "conf_level": "ci",
    "hdi_prob": "ci",
    "ci_prob": "ci",
    "prob": "ci",
    "X": "newdata",
    "exog": "newdata",
    "new_data": "newdata",
    "type": "what",
    "nboot": "n",
    "n_boot": "n",
    "reps": "n",
    "figsize_inches": "figsize",
    "criterion": "by",
    "ic": "by",
    # What has no option of its own.
    "entry": "a part of the response: 'surv(entry, time, status, kind=\"counting\")'",
    "random": "a part of the formula: 'y ~ time + (1 + time | id)'",
    "subset": "done before: data[data['x'] > 0]",
    "cluster": "an option of fit.covariance(kind='robust', cluster=...)",
    "offset": "a term of the formula: 'y ~ x + offset(log(n))'",
    "link": "a part of the family: family=bmx.family('gamma', link='inverse')",
    "intercept": "a part of the formula: 'y ~ 0 + x' has none",
    "fit_intercept": "a part of the formula: 'y ~ 0 + x' has none",
    "target_accept": "chosen by fit(); post.diagnostics() says whether the chains are sound",
    "covariance_type": "a part of the family",
    "standardize": "not needed: units of measurement mean nothing here",
}

# Options of fits, which a specification does not take.
FIT_OPTIONS = frozenset(
    {
        "method",
        "starts",
        "seed",
        "init",
        "fixed_params",
        "tol",
        "max_iter",
        "min_weight",
        "algorithm",
    }
    | {"progress", "draws", "tune", "chains", "sampler", "checkpoint"}
)

# Other names of families; case, blanks and hyphens do not matter either.
FAMILY_NAMES: dict[str, str] = {
    "normal": "gaussian",
    "norm": "gaussian",
    "gauss": "gaussian",
    "bernoulli": "binomial",
    "binom": "binomial",
    "logistic": "binomial",
    "pois": "poisson",
    "nbinom": "negative_binomial",
    "negbin": "negative_binomial",
    "negativebinomial": "negative_binomial",
    "neg_binomial": "negative_binomial",
    "nb": "negative_binomial",
    "t": "student_t",
    "student": "student_t",
    "studentt": "student_t",
    "gamma_reg": "gamma",
    "exp": "exponential",
    "expon": "exponential",
    "weibullph": "weibull_ph",
    "weibull_aft": "weibull",
    "lnorm": "lognormal",
    "log_normal": "lognormal",
    "llogis": "loglogistic",
    "log_logistic": "loglogistic",
    "gen_gamma": "gengamma",
    "generalized_gamma": "gengamma",
    "gen_f": "genf",
    "generalized_f": "genf",
    "royston_parmar": "spline",
    "cure": "cured",
    "non_mixture_cure": "promotion_time",
    "nonmixture_cure": "promotion_time",
    "non_mixture": "promotion_time",
    "nonmixture": "promotion_time",
    "promotion": "promotion_time",
    "degenerate": "zero",
}


def family_name(name: str) -> str:
    """The name of a family as it is written here, if it is one of the usual other names."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    return FAMILY_NAMES.get(plain, plain)


def name_hint(name: str, kind: str) -> str:
    """What a name of another package is here; empty where the table has none.

    Parameters
    ----------
    name : str
        As typed.
    kind : str
        "point", "posterior" or "model".
    """
    row = NAMES.get(name, {})
    return row.get(kind) or row.get("any", "")


def option_hint(name: str, known: Sequence[str]) -> str:
    """What an option is called here, if it has a place among the known ones."""
    ours = OPTIONS.get(name, "")
    first = ours.split(",")[0]
    if first in known:
        return f"here it is {first}={ours.removeprefix(first)}"
    if ours and " " in ours:
        return f"here it is {ours}"
    ours = name if name in FIT_OPTIONS else ours
    if ours in FIT_OPTIONS and not FIT_OPTIONS.intersection(known):
        return f"it is for fit(): spec.fit(..., {ours}=)"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"did you mean {near[0]}=?" if near else ""


def unknown_name(owner: object, name: str, kind: str) -> UnknownNameError:
    """The error for an attribute that an object has not, with a hint where there is one."""
    title = type(owner).__name__
    hint, words = name_hint(name, kind), ""
    known = [each for each in dir(type(owner)) if not each.startswith("_")]
    if hint and re.split(r"\W", hint)[0] not in known:
        hint = f"fit().{hint}" if kind == "model" else ""
    if hint:
        words = f"; here it is .{hint}"
    elif not name.startswith("_") and (near := difflib.get_close_matches(name, known, n=1)):
        words = f"; did you mean .{near[0]}?"
    return UnknownNameError(f"{title} has no {name!r}{words}")
