"""The models of reference/flexsurvmix_examples.json in our interface, and their parameters.

`par_t` there has: log(p_k / p_1), covariate effects on these by event; then for every
event its distribution's parameters in their order on transformed scales, covariate
effects on the location, then on the other parameters.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

import bayesmix as bmx
from bayesmix import arrays as xp
from bayesmix.model.params import to_dataset

HERE = Path(__file__).parent
REFERENCE = {
    m["id"]: m
    for m in json.loads((HERE / "reference" / "flexsurvmix_examples.json").read_text())["models"]
}
NAMES = {
    "exp": "exponential",
    "weibullPH": "weibull_ph",
    "lnorm": "lognormal",
    "llogis": "loglogistic",
    "gengamma.orig": "gengamma_orig",
    "genf.orig": "genf_orig",
}
# Their order of the parameters; ours has the location first.
ORDER = {
    "exp": ("rate",),
    "weibull": ("shape", "scale"),
    "weibullPH": ("shape", "scale"),
    "gamma": ("shape", "rate"),
    "lnorm": ("meanlog", "sdlog"),
    "llogis": ("shape", "scale"),
    "gompertz": ("shape", "rate"),
    "gengamma": ("mu", "sigma", "Q"),
    "gengamma.orig": ("shape", "scale", "k"),
    "genf": ("mu", "sigma", "Q", "P"),
    "genf.orig": ("mu", "sigma", "s1", "s2"),
    "rayl": ("sigma",),
}
LOCATION = {"gamma": "rate", "gompertz": "rate", "exp": "rate", "lnorm": "meanlog", "rayl": "sigma"}
LOCATION |= dict.fromkeys(("gengamma", "genf", "genf.orig"), "mu")

YEARS, TIME = "surv(years, status)", "surv(time, status)"
INTERVAL = "surv(t1, t2, kind='interval')"
PARTIAL = {"disease1or3": ["disease1", "disease3"], "disease2or3": ["disease2", "disease3"]}
HOSPITAL = {
    "discharge": "surv(t1di, t2di, kind='interval')",
    "death": "surv(t1de, status_de)",
}
# What each model has beside its data, events and distributions.
SPECS = {
    "mgus2_weibull_gamma_sex_page": {"formula": f"{YEARS} ~ sex", "concomitant": "~ age10"},
    "mgus2_weibullPH_gompertz_int": {"formula": f"{YEARS} ~ age10", "concomitant": "~ age10*sex"},
    "mgus2_list_formula": {
        "formula": {"pcm": f"{YEARS} ~ mspike", "death": f"{YEARS} ~ age10 + sex"},
        "concomitant": "~ mspike",
        "na_action": "drop",
    },
    "mgus2_named_dists_reordered": {"ancillary": {"death": {"shape": "~ sex"}}},
    "jasa_exp_mscore": {"formula": f"{YEARS} ~ mscore", "concomitant": "~ mscore"},
    "jasa_weibull_mscore": {"formula": f"{YEARS} ~ mscore", "concomitant": "~ mscore"},
    "jasa69_unknown_cause": {"concomitant": "~ age10"},
    "pbc_gamma_weibull_cov": {
        "formula": f"{YEARS} ~ log_bili",
        "concomitant": "~ log_bili + age10 + sex",
    },
    "pbc_factor_stage": {
        "formula": f"{YEARS} ~ I(albumin - 3.5)",
        "concomitant": "~ I(edema > 0)",
    },
    "pbc_anc": {
        "ancillary": {
            "transplant": {"shape": "~ sex"},
            "death": {"rate": "~ log_bili", "shape": "~ age10"},
        }
    },
    "simk3_cov": {"formula": f"{TIME} ~ x", "concomitant": "~ x + g"},
    "simk3_full": {
        "formula": {"alpha": f"{TIME} ~ x", "beta": f"{TIME} ~ x", "gamma": f"{TIME} ~ z"},
        "concomitant": "~ x*z",
        "ancillary": {"alpha": {"shape": "~ z"}},
    },
    "simk3_fixedpars": {"concomitant": "~ 1"},
    "simflex_gengamma_genf": {"formula": {"a": f"{TIME} ~ x", "b": f"{TIME} ~ 1"}},
    "simflex_orig_eval": {"formula": f"{TIME} ~ x"},
    "simuncens_exp_gompertz": {"formula": f"{TIME} ~ x", "concomitant": "~ x"},
    "simint_weibull_gamma": {"formula": f"{INTERVAL} ~ x", "concomitant": "~ x"},
    "simint_lnorm_llogis": {"formula": f"{INTERVAL} ~ 1"},
    "simhosp_schemes": {"formula": {e: f"{y} ~ 1" for e, y in HOSPITAL.items()}},
    "simhosp_schemes_cov": {
        "formula": {e: f"{y} ~ x" for e, y in HOSPITAL.items()},
        "concomitant": "~ x",
    },
    "simpartial_k3": {"partial_events": PARTIAL},
    "simpartial_k3_cov": {"partial_events": PARTIAL, "concomitant": "~ x"},
    "simtrunc_weibull_gamma": {
        "formula": "surv(start, stop, status, kind='counting') ~ x",
        "truncation": "component",
    },
    "simcustom_rayleigh": {"formula": f"{TIME} ~ x"},
    "illdeath_healthy": {"formula": f"{TIME} ~ sex", "concomitant": "~ sex"},
    "illdeath_ill": {"formula": f"{TIME} ~ sex", "concomitant": "~ sex"},
    "illdeath_K1": {"formula": f"{TIME} ~ sex"},
}
FIXED = {
    # There log(p_3 / p_1) is held, not a probability: with a formula it is a coefficient.
    "simk3_fixedpars": {
        ("alpha", "shape"): 2.0,
        ("gamma", "alpha[Intercept]"): float(np.log(1.5)),
        ("beta", "scale"): 3.0,
    },
    "simflex_gengamma_genf": {("b", "P"): 0.8},
}
SHIPPED = {"mgus2": "mgus2", "pbc": "pbc", "jasa_larson_dinse": "jasa_larson_dinse"}
SHIPPED["jasa_transplanted"] = "jasa_transplanted"


def rayleigh():
    """A distribution of the user's: f(t) = t / sigma^2 exp(-t^2 / (2 sigma^2))."""
    return bmx.Family(
        "rayleigh",
        params={"sigma": "log"},
        location="sigma",
        logpdf=lambda y, sigma: np.log(y) - 2 * xp.log(sigma) - 0.5 * (y / sigma) ** 2,
        logsf=lambda y, sigma: -0.5 * (y / sigma) ** 2,
    )


def events_of(name):
    """Names of the events, in their order."""
    given = REFERENCE[name]["events"]
    return [given] if isinstance(given, str) else list(given)


def dists_of(name):
    """The distributions' names in flexsurv, event by event."""
    given = REFERENCE[name]["dists"]
    return [given] if isinstance(given, str) else list(given)


def data_of(name):
    """The data, prepared as `prep` says."""
    file = Path(REFERENCE[name]["data_file"]).stem
    if file in SHIPPED:
        data = bmx.load_data(SHIPPED[file])
    else:
        data = pd.read_csv(HERE / "data" / f"{file}.csv")
    data = data.copy()
    if name.startswith("illdeath"):
        data = data[data["from"] == ("healthy" if name == "illdeath_healthy" else "ill")]
        if name == "illdeath_K1":
            data = data[data["event"].isna() | (data["event"] == "dead")]
    if name == "simcustom_rayleigh":
        late = data["time"] > 3
        data["event"] = data["event"].where(~late)
        data["status"] = data["status"].where(~late, 0)
        data["time"] = data["time"].where(~late, 3.0)
    codes = [*events_of(name), *SPECS.get(name, {}).get("partial_events", {})]
    data["event"] = pd.Categorical(data["event"], categories=codes)
    return data.reset_index(drop=True)


def arguments(name):
    """What `CompetingRisks` is given for the model: by position, and by name."""
    given = dict(SPECS.get(name, {}))
    data = data_of(name)
    default = f"{YEARS if 'years' in data else TIME} ~ 1"
    families = [rayleigh() if d == "rayl" else NAMES.get(d, d) for d in dists_of(name)]
    family = dict(zip(events_of(name), families, strict=True))
    return (given.pop("formula", default), data, "event", family), given


def model(name):
    """The model in our interface."""
    positional, named = arguments(name)
    return bmx.CompetingRisks(*positional, **named)


def params(spec, name, par_t):
    """Their vector of parameters as our Dataset."""
    left = iter(np.asarray(par_t, dtype=float))
    layout = spec.spec.layout
    out = to_dataset(spec.spec, np.zeros(layout.size))
    k = layout.k
    if k > 1:
        logits = np.zeros(
            (k, 1 if layout.concomitant_terms is None else out.sizes["concomitant_term"])
        )
        logits[1:, 0] = [next(left) for _ in range(k - 1)]
        for s in range(1, k):
            logits[s, 1:] = [next(left) for _ in range(logits.shape[1] - 1)]
        if layout.concomitant_terms is None:
            weight = np.exp(logits[:, 0] - np.logaddexp.reduce(logits[:, 0]))
            out["weight"] = out["weight"].copy(data=weight)
        else:
            out["alpha"] = out["alpha"].copy(data=logits)
    for event, dist in zip(events_of(name), dists_of(name), strict=True):
        names = ORDER[dist]
        location = LOCATION.get(dist, "scale")
        for p in names:
            out[p].loc[{"component": event, "term": "Intercept"}] = next(left)
        for p in (location, *(p for p in names if p != location)):
            row = out[p].sel(component=event)
            for term in row["term"].values[np.isfinite(row.values)]:
                if term != "Intercept":
                    out[p].loc[{"component": event, "term": term}] = next(left)
    assert next(left, None) is None
    return out


def vector(spec, name, theta):
    """Our theta in their order: par_t, and the place of each of its entries in theta."""
    places = np.arange(float(len(theta)))
    layout = spec.layout
    at = []
    k = layout.k
    if k > 1:
        at += list(layout.alpha[1:, 0])
        at += [j for row in layout.alpha[1:, 1:] for j in row]
    block = layout.blocks[0]
    predictors = {p.variable: p for p in block.predictors}
    for s, dist in enumerate(dists_of(name)):
        names = ORDER[dist]
        location = LOCATION.get(dist, "scale")
        terms = block.predictors[0].terms
        zero = terms.index("Intercept")
        at += [predictors[p].index[s, zero] for p in names]
        for p in (location, *(p for p in names if p != location)):
            at += [j for c, j in enumerate(predictors[p].index[s]) if j >= 0 and c != zero]
    assert sorted(at) == list(places)
    return theta[np.array(at)], np.array(at)
