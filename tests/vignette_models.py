"""The models behind the reference results in tests/reference, written as a user would.

`bmx` is the package, handed in so that a caller may choose what `Mixture` and `CompetingRisks` are.
"""

from pathlib import Path

import pandas as pd

TESTS = Path(__file__).parent
FOLDERS = (TESTS / "data", TESTS.parent / "bayesmix" / "datasets")


def flexmix_models(bmx):
    """The 23 entries of reference/flexmix_examples.json, by id."""
    d = bmx.load_data
    M = bmx.Mixture
    mehta = d("Mehta")
    sub = mehta[mehta["Site"].astype(str) != "15"].copy()
    sub["Site"] = sub["Site"].astype(str)
    tri = d("tribolium")
    wang = {
        "family": "binomial",
        "k": 2,
        "fixed": "~ I(Species == 'Confusum')",
        "concomitant": "~ I(Replicate == '3')",
    }
    tri_s = tri.assign(Species=tri["Species"].astype(str), Replicate=tri["Replicate"].astype(str))
    sz = "offset(log(Hours))"
    return {
        "betablocker_glm": M(
            "p(Deaths, Total) ~ Treatment", d("betablocker"), family="binomial", k=1
        ),
        "nregfix_varying": M("y ~ x2 + x1", d("NregFix"), k=3, concomitant="~ w"),
        "nregfix_nested": M(
            "y ~ 1",
            d("NregFix"),
            k=3,
            fixed="~ x2",
            nested=[("~ 0", 1), ("~ x1", 2)],
            dispersion="fixed",
            concomitant="~ w",
        ),
        **{
            f"betablocker_fix_k{k}": M(
                "p(Deaths, Total) ~ 1",
                d("betablocker"),
                family="binomial",
                k=k,
                fixed="~ Treatment",
                group="Center",
            )
            for k in (2, 3, 4)
        },
        "betablocker_varying_k3": M(
            "p(Deaths, Total) ~ Treatment | Center", d("betablocker"), family="binomial", k=3
        ),
        "mehta_fix_k3": M(
            "p(Response, Total) ~ 1 | Site", mehta, family="binomial", k=3, fixed="~ Drug"
        ),
        "mehta_varying_k3": M("p(Response, Total) ~ Drug | Site", mehta, family="binomial", k=3),
        "mehta_sub15_fix_k2": M(
            "p(Response, Total) ~ 1 | Site", sub, family="binomial", k=2, fixed="~ Drug"
        ),
        "tribolium_k2": M(
            "p(Remaining, Total) ~ 1",
            tri,
            family="binomial",
            k=2,
            fixed="~ Species",
            concomitant="~ Replicate",
        ),
        "tribolium_k3": M(
            "p(Remaining, Total) ~ 1",
            tri,
            family="binomial",
            k=3,
            fixed="~ Species",
            concomitant="~ Replicate",
        ),
        "tribolium_wang_k2": M("p(Remaining, Total) ~ 1", tri_s, **wang),
        "tribolium_wang_sub_k2": M("p(Remaining, Total) ~ 1", tri_s.drop(tri_s.index[6]), **wang),
        "trypanosome_k2": M(
            "Dead ~ 1", d("trypanosome"), family="binomial", k=2, fixed="~ log(Dose)"
        ),
        "fabricfault_fix_k2": M(
            "Faults ~ 1", d("fabricfault"), family="poisson", k=2, fixed="~ log(Length)"
        ),
        "fabricfault_nested_k2": M(
            "Faults ~ 0",
            d("fabricfault"),
            family="poisson",
            k=2,
            fixed="~ 0 + log(Length)",
            nested=[("~ 0", 1), ("~ 1", 1)],
        ),
        "patent_varying_k3": M(
            "Patents ~ lgRD", d("patent"), family="poisson", k=3, concomitant="~ RDS"
        ),
        "patent_fixed_k3": M(
            "Patents ~ 1",
            d("patent"),
            family="poisson",
            k=3,
            fixed="~ lgRD",
            concomitant="~ RDS",
        ),
        "seizure_1": M(
            f"Seizures ~ Treatment * log(Day) + {sz}", d("seizure"), family="poisson", k=2
        ),
        "seizure_2": M(
            f"Seizures ~ Treatment * log(Day/27) + {sz}", d("seizure"), family="poisson", k=2
        ),
        "seizure_3": M(
            f"Seizures ~ log(Day/27)/Treatment + {sz}", d("seizure"), family="poisson", k=2
        ),
        "salmonella_k2": M(
            "y ~ 1", d("salmonellaTA98"), family="poisson", k=2, fixed="~ x + log(x + 10)"
        ),
    }


def raw(name):
    """The file of that name as pandas reads it, with plain strings and no factors."""
    return pd.read_csv(next(path for each in FOLDERS if (path := each / f"{name}.csv").exists()))


def csv(name, levels):
    """The same with `event` a Categorical of these levels; the first is the baseline."""
    d = raw(name)
    d["event"] = pd.Categorical(d["event"].astype("object"), categories=levels)
    return d


def survival_models(bmx):
    """Twelve entries of reference/flexsurvmix_examples.json, by id."""
    C = bmx.CompetingRisks
    E, T = ["pcm", "death"], ["transplant", "death"]
    m = csv("mgus2", E)
    p = csv("pbc", T)
    k3 = csv("sim_k3", ["alpha", "beta", "gamma"])
    pa = raw("sim_partial")
    h = csv("sim_hospital", ["discharge", "death"])
    i = csv("sim_interval", ["a", "b"])
    yt = "surv(years, status)"
    gwl = {"alpha": "gamma", "beta": "weibull", "gamma": "lognormal"}

    def f(a, b, events):
        return dict(zip(events, (a, b), strict=True))

    return {
        "mgus2_exp_exp": C(
            f"{yt} ~ 1", m, event="event", family=f("exponential", "exponential", E)
        ),
        "mgus2_weibull_gompertz": C(
            f"{yt} ~ 1", m, event="event", family=f("weibull", "gompertz", E)
        ),
        "mgus2_weibull_gamma_sex_page": C(
            f"{yt} ~ sex",
            m,
            event="event",
            family=f("weibull", "gamma", E),
            concomitant="~ age10",
        ),
        "mgus2_weibullPH_gompertz_int": C(
            f"{yt} ~ age10",
            m,
            event="event",
            family=f("weibull_ph", "gompertz", E),
            concomitant="~ age10*sex",
        ),
        "pbc_llogis_gengamma": C(
            f"{yt} ~ 1", p, event="event", family=f("loglogistic", "gengamma", T)
        ),
        "pbc_gamma_weibull_cov": C(
            f"{yt} ~ log_bili",
            p,
            event="event",
            family=f("gamma", "weibull", T),
            concomitant="~ log_bili + age10 + sex",
        ),
        "pbc_anc": C(
            {"transplant": f"{yt} ~ 1", "death": f"{yt} ~ log_bili"},
            p,
            event="event",
            family=f("weibull", "gamma", T),
            ancillary={"transplant": {"shape": "~ sex"}, "death": {"shape": "~ age10"}},
        ),
        "simk3_gwl": C("surv(time, status) ~ 1", k3, event="event", family=gwl),
        "simk3_cov": C(
            "surv(time, status) ~ x", k3, event="event", family=gwl, concomitant="~ x + g"
        ),
        "simint_lnorm_llogis": C(
            "surv(t1, t2, kind='interval') ~ 1",
            i,
            event="event",
            family={"a": "lognormal", "b": "loglogistic"},
        ),
        "simhosp_schemes": C(
            {
                "discharge": "surv(t1di, t2di, kind='interval') ~ 1",
                "death": "surv(t1de, status_de) ~ 1",
            },
            h,
            event="event",
            family={"discharge": "lognormal", "death": "weibull"},
        ),
        "simpartial_k3": C(
            "surv(time, status) ~ 1",
            pa,
            event="event",
            family={"disease1": "gamma", "disease2": "weibull", "disease3": "exponential"},
            partial_events={
                "disease1or3": ["disease1", "disease3"],
                "disease2or3": ["disease2", "disease3"],
            },
        ),
    }
