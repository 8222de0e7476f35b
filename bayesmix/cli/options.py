"""The options of the commands, all in one table.

An option that is not given stays None, so that the defaults of `Mixture` and `fit` hold.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bayesmix.formula.tokens import parted
from bayesmix.methods import ALGORITHMS, METHODS

MOST_FITS = 1000


@dataclass(frozen=True)
class Option:
    """One option of the command line.

    Parameters
    ----------
    flag : str
        Such as ``--max-iter``; its name in Python is ``max_iter``.
    part : str
        "read", "model", "events", "point", "draws", "fit", "predict" or "out": who takes it.
    commands : str
        Those that have it, with spaces between.
    help : str
    more : dict
        Further arguments of `argparse.ArgumentParser.add_argument`.
    """

    flag: str
    part: str
    commands: str
    help: str
    more: dict[str, Any]

    @property
    def name(self) -> str:
        """The keyword in Python."""
        return str(self.more.get("dest", self.flag.removeprefix("--").replace("-", "_")))


def formula(text: str) -> str:
    """A formula with a response."""
    if not parted(text)[1]:
        raise argparse.ArgumentTypeError(f"{text!r} has no ~; write it in quotes, 'y ~ x'")
    return text


def checked(text: str) -> str:
    """A formula, or the response of survival times alone."""
    alone = not parted(text)[1] and text.replace(" ", "").startswith("surv(")
    return f"{text} ~ 1" if alone else formula(text)


def whole(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number; use one such as 1")
    return int(text)


def number(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def numbers(text: str) -> list[float]:
    """Several numbers: 1,5,10."""
    return [number(part) for part in text.split(",")]


def numbers_of_components(text: str) -> list[int]:
    """One number, a range with both ends, or several: 3, 1:5 or 1,3,5."""
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if found and int(found[1]) <= int(found[2]):
        ends = int(found[1]), int(found[2]) + 1
        if ends[1] - ends[0] > MOST_FITS:
            raise argparse.ArgumentTypeError(f"{text!r}: give at most {MOST_FITS:,} numbers")
        return list(range(*ends))
    if re.fullmatch(r"\d+(,\d+)*", text):
        return [int(n) for n in text.split(",")]
    raise argparse.ArgumentTypeError(f"{text!r}: give 3, 1:5 or 1,3,5")


class Named(NamedTuple):
    """A family: of which event, if of one, its name and its options."""

    event: str
    name: str
    options: dict[str, Any]


def families(text: str) -> list[Named]:
    """Families with their options, each of an event or not: pcm=weibull, gamma:inverse."""
    return [_family(part.strip()) for part in text.split(",")]


def _family(text: str) -> Named:
    head, *settings = text.split(":")
    event, equals, name = head.rpartition("=")
    if not name or (equals and not event):
        raise argparse.ArgumentTypeError(f"{text!r}: write gamma, gamma:inverse or pcm=weibull")
    options: dict[str, Any] = {}
    for setting in settings:
        key, given, value = setting.partition("=")
        options |= {key: _setting(key, value)} if given else {"link": key}
    return Named(event, name, options)


def _setting(key: str, value: str) -> Any:
    """A family's option: a word, a whole number, or knots with slashes between."""
    if key == "knots":
        return tuple(number(part) for part in value.split("/"))
    return int(value) if value.isdecimal() else value


def squeezed(text: str) -> str:
    """A response without blanks, as it is compared with others."""
    return "".join(text.split())


def effects(text: str) -> tuple[str, str]:
    """A response, if it is named, and a formula of effects: ~ x or y2 ~ x."""
    response, tilde, right = parted(text)
    return (squeezed(response), f"~{right}") if tilde else ("", text)


def dispersion(text: str) -> tuple[str, str | list[int]]:
    """A response, if it is named, and a word or sizes of blocks: fixed, 1,2 or y=1,2."""
    response, _, how = text.rpartition("=")
    sizes = re.fullmatch(r"\d+(,\d+)*", how)
    return squeezed(response), [int(n) for n in how.split(",")] if sizes else how


def prior(text: str) -> tuple[str, str, list[float]]:
    """A parameter and its prior: coef[x]=normal(0, 2.5)."""
    found = re.fullmatch(r"(.+?)\s*=\s*(\w+)\(([^()]*)\)\s*", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: write it as 'coef[x]=normal(0, 2.5)'")
    values = found[3].split(",") if found[3].strip() else []  # smooth() has none
    return found[1], found[2], [number(part) for part in values]


def levels(text: str) -> tuple[str, list[str]]:
    """A column and its levels in order: arm=placebo,drug."""
    column, equals, values = text.partition("=")
    if not (column and equals and values):
        raise argparse.ArgumentTypeError(f"{text!r}: write it as 'arm=placebo,drug'")
    return column, [value.strip() for value in values.split(",")]


def separator(text: str) -> str:
    """One character, or "tab"."""
    if text in ("tab", r"\t"):
        return "\t"
    if len(text) != 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give one character, or the word tab")
    return text


FITS = "fit select"
# Commands that take an option of a part, unless it says otherwise.
COMMANDS = {
    "read": "fit select check predict",
    "model": "fit select check",
    "events": "fit check",
    "fit": FITS,
    "point": FITS,
    "draws": "fit",
    "out": "fit",
    "predict": "predict",
}
# What predictions there are: what gives them for competing events, the options that each takes,
# and the one that it needs.
WHAT: dict[str, tuple[str, tuple[str, ...], str]] = {
    "mean": ("", ("by", "ci"), ""),
    "link": ("", ("by",), ""),
    "weight": ("", (), ""),
    "membership": ("membership", (), ""),
    "event": ("event_probabilities", ("ci",), ""),
    "state": ("state_probabilities", ("times", "ci"), "times"),
    "mean-time": ("mean_time", ("ci",), ""),
    "quantile-time": ("quantile_time", ("q", "ci"), "q"),
    "restricted-mean-time": ("restricted_mean_time", ("tau", "ci"), "tau"),
}
POINTS = tuple(method.name for method in METHODS.values() if method.gives == "point")


def _option(
    flag: str,
    part: str,
    words: str,
    kind: Callable[[str], Any] = str,
    commands: str = "",
    **more: Any,
) -> Option:
    return Option(flag, part, commands or COMMANDS[part], words, {"type": kind, **more})


def _switch(flag: str, part: str, words: str, commands: str = "") -> Option:
    return Option(flag, part, commands or COMMANDS[part], words, {"action": "store_true"})


FORMULA = "response and varying effects, 'y ~ x'; one for each of several responses"
# What stands without a flag.
ARGUMENTS = (
    _option("data", "", "the data; - for standard input", str, "fit select", metavar="DATA.csv"),
    _option("data", "", "the data; - for standard input; or a stored fit", str, "check",
            metavar="DATA.csv"),
    _option("formula", "", FORMULA, formula, "fit select", nargs="+", metavar="FORMULA"),
    _option("formula", "", FORMULA, checked, "check", nargs="*", metavar="FORMULA"),
    _option("fits", "", "stored fits or their folders, with or without names: NAME=FILE", str,
            "report", nargs="+", metavar="[NAME=]FIT.nc"),
    _option("fit", "", "a stored fit or its folder", str, "predict", metavar="FIT.nc"),
    _option("data", "", "the rows to predict; - for standard input", str, "predict", nargs="?",
            metavar="DATA.csv"),
    _option("name", "", "a dataset; leave out for the list", str, "data", nargs="?",
            metavar="NAME"),
    _option("shell", "", "the shell", str, "completion", choices=("bash", "zsh", "fish")),
)  # fmt: skip
OPTIONS = (
    _option("--sep", "read", "separator of the columns: one character, or tab "
            "(default: a comma)", separator, metavar="CHAR"),
    _option("--decimal", "read", "decimal mark of numbers: a point (default) or a comma",
            choices=(".", ","), metavar="CHAR"),
    _option("--levels", "read", "order of the levels of a text column, the reference first: "
            "arm=placebo,drug; may be repeated (default: sorted)", levels, action="append",
            metavar="COLUMN=A,B"),
    _option("--family", "model", "family of the response, with its link if it is not the usual "
            "one, gamma:inverse; or one for each component, gaussian,student_t "
            "(default: gaussian); or one for each event, pcm=weibull,death=spline:df=3 (or "
            "spline:knots=1/3/9); with several FORMULAs once for each, in their order, or once for "
            "all", families, action="append", metavar="NAME"),
    _option("--k", "model", "number of components, such as 3 (default: 2); or several, such as "
            "1:5 or 1,3,5, from which --by chooses", numbers_of_components, "fit check",
            metavar="K"),
    _option("--k", "model", "numbers of components (default: 1:5)", numbers_of_components,
            commands="select", metavar="K"),
    _option("--fixed", "model", "effects with one coefficient for all components, '~ x'; with "
            "several FORMULAs '~' follows the response: 'y2 ~ x'", effects, action="append",
            metavar="FORMULA"),
    _option("--nested", "model", "effects of a block of N components: once for each block, "
            "--nested '~ 0' 1 --nested '~ x' 2; with several FORMULAs 'y2 ~ x'", nargs=2,
            action="append", metavar=("FORMULA", "N")),
    _option("--dispersion", "model", "how dispersions differ: varying (default), fixed, or sizes "
            "of the blocks that share one, 1,2; with several FORMULAs y2=fixed", dispersion,
            action="append", metavar="HOW"),
    _option("--random-covariance", "model", "how the covariance of random effects (1 + x | id) "
            "differs: varying (default), fixed or proportional; with several FORMULAs y2=fixed",
            dispersion, action="append", metavar="HOW"),
    _option("--concomitant", "model", "covariates of the components' weights, '~ w'",
            metavar="FORMULA"),
    _option("--group", "model", "column whose rows share one component", metavar="COLUMN"),
    _option("--weights", "model", "column of frequency weights", metavar="COLUMN"),
    _option("--labels", "model", "column with the known component of a unit, empty where "
            "unknown", metavar="COLUMN"),
    _option("--prior", "model", "prior of a parameter, for the methods map, laplace and nuts: "
            "'coef[x]=normal(0, 2.5)', 'bs(x, df=10)=smooth()'; may be repeated (default: scaled "
            "to the data)", prior,
            action="append", metavar="NAME=PRIOR"),
    _switch("--flat-priors", "model", "no priors at all, for the method map"),
    _option("--na-action", "model", "rows with missing values: in the columns in use they are an "
            "error (default), or dropped and counted; fiml keeps rows that lack a response",
            choices=("error", "drop", "fiml")),
    _option("--event", "events", "column that names the event of a subject, empty where unknown; "
            "the response is surv(time, status)", metavar="COLUMN"),
    _option("--event-formula", "events", "times and covariates of one event, in place of "
            "FORMULA; may be repeated", nargs=2, action="append",
            metavar=("EVENT", "FORMULA")),
    _option("--ancillary", "events", "covariates of another parameter of an event's family: "
            "--ancillary pcm shape '~ sex'; may be repeated", nargs=3,
            action="append", metavar=("EVENT", "PARAMETER", "FORMULA")),
    _option("--partial-events", "events", "a code that stands for several events: a_or_b=a,b; "
            "may be repeated", levels, action="append", metavar="CODE=A,B"),
    _option("--truncation", "events", "probabilities of events with delayed entry: from time "
            "zero (mixture, default), or given that entry is reached (component)",
            choices=("mixture", "component")),
    _option("--method", "fit", "how it is fitted: em, ml: maximum likelihood; map: posterior mode; "
            "laplace, nuts: draws from the posterior (default: em)", commands="fit",
            choices=tuple(METHODS)),
    _option("--method", "fit", "how it is fitted: em, ml: maximum likelihood; map: posterior mode "
            "(default: em)",
            commands="select", choices=POINTS),
    _option("--seed", "fit", "seed: the same seed gives the same result", whole, metavar="N"),
    _option("--init", "fit", "a stored fit to start from", commands="fit",
            metavar="FIT.nc"),
    _option("--hold", "fit", "hold a parameter at a value, natural scale; may be repeated: "
            "--hold 2 Intercept 0.5", nargs=3, action="append", dest="fixed_params",
            metavar=("COMPONENT", "PARAMETER", "VALUE")),
    _option("--n-threads", "fit", "threads that share the rows, and run chains (default: all "
            "processors, one for small data)", whole, metavar="N"),
    _option("--starts", "point", "random starts (default: 10)", whole, metavar="N"),
    _option("--tol", "point", "relative change of the log-likelihood at convergence",
            number, metavar="X"),
    _option("--max-iter", "point", "most iterations of a start", whole, metavar="N"),
    _option("--min-weight", "point", "components with a smaller weight are removed", number,
            metavar="X"),
    _option("--algorithm", "point", "steps of a start: em (default), cem: classification, or "
            "sem: stochastic",
            choices=tuple(ALGORITHMS)),
    _option("--draws", "draws", "draws of laplace (4000), or of each chain of nuts (1000)",
            whole, "fit", metavar="N"),
    _option("--tune", "draws", "warm-up steps of nuts (1000)", whole, "fit", metavar="N"),
    _option("--chains", "draws", "chains of nuts (4)", whole, "fit", metavar="N"),
    _option("--thin", "draws", "nuts keeps one draw in this many (default: what the chains "
            "need)", whole, "fit", metavar="N"),
    _option("--sampler", "draws", "sampler for nuts (default: nutpie)", commands="fit",
            choices=("nutpie", "pymc", "numpyro")),
    _option("--checkpoint", "draws", "file that keeps what nuts has drawn so far; the same command "
            "goes on from it", Path, "fit", metavar="FILE"),
    _option("--what", "predict", "mean (default), link, weight or membership (which needs the "
            "response); of competing events event (default), state, mean-time, quantile-time, "
            "restricted-mean-time or membership", choices=tuple(WHAT), metavar="WHAT"),
    _option("--by", "predict", "component (default), marginal: over the components, or "
            "membership: over the unit's own, which needs the response",
            choices=("component", "marginal", "membership")),
    _option("--ci", "predict", "probability of the intervals, such as 0.95", number, metavar="P"),
    _option("--times", "predict", "times of the states, 1,5,10", numbers, metavar="TIMES"),
    _option("--q", "predict", "quantiles of the times, 0.25,0.5", numbers, metavar="Q"),
    _option("--tau", "predict", "end of the restricted mean", number, metavar="TIME"),
    _option("--by", "out", "criterion that chooses among several numbers of components "
            "(default: bic)", commands=FITS, choices=("bic", "bic_units", "aic", "icl")),
    _option("--out", "out", "folder for the results, created if needed: summary.csv, "
            "membership.csv, predictions.csv (of competing events event_probabilities.csv and "
            "states.csv), fit.nc, report.html", Path,
            metavar="DIR"),
    _option("--out", "out", "folder for selection.csv, created if needed", Path,
            "select", metavar="DIR"),
    _option("--out", "out", "the page (default: report.html)", Path, "report", metavar="FILE",
            default=Path("report.html")),
    _option("--tables", "out", "folder for the tables as CSV and LaTeX, created if needed",
            Path, "report", metavar="DIR"),
    _option("--title", "out", "heading of the page", commands="report", metavar="TEXT"),
    _option("--out", "out", "folder for the pictures, created if needed (default: "
            "%(default)s)", Path, "demo", metavar="DIR", default=Path("demo-output")),
    _option("--seed", "fit", "seed of the random starts (default: %(default)s)", whole, "demo",
            metavar="N", default=1),
    _option("--out", "out", "CSV or Parquet file for the predictions (default: CSV on standard "
            "output)", Path, "predict", metavar="FILE"),
    _switch("--force", "out", "replace existing files", "fit select report predict demo"),
    _switch("--json", "out", "write the results to standard output as one JSON object",
            "fit select report data check predict"),
    _switch("--csv", "out", "write the dataset to standard output as CSV", "data"),
    Option("--progress", "out", FITS, "show progress (default: on a terminal only; the bars of "
           "nuts need one)",
           {"action": argparse.BooleanOptionalAction}),
)  # fmt: skip
