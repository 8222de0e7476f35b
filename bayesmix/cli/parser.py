"""The parser of the command line, made of the table of options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from bayesmix.cli.options import OPTIONS, checked, formula

USAGE = 2
PARTS = {
    "read": "reading the file",
    "model": "the model",
    "events": "competing events",
    "fit": "the fit",
    "point": "the fit",
    "draws": "the fit",
    "predict": "the predictions",
    "out": "the results",
}
ABOUT = """\
Find hidden groups in regression and survival data, with maximum likelihood or Bayes, from one
formula."""
EXAMPLES = """\
examples:
  bayesmix demo                    fit two published examples, with pictures
  bayesmix data                    list the datasets that come with bayesmix
  bayesmix data patent --csv > patent.csv
  bayesmix select patent.csv "Patents ~ lgRD" --family poisson --k 1:5
  bayesmix fit patent.csv "Patents ~ lgRD" --family poisson --k 3 --out results
  bayesmix predict results new.csv > predictions.csv
  bayesmix warm                    compile once, fit faster from then on
  bayesmix COMMAND --help          more about a command

The same in Python:
  import bayesmix as bmx
  fit = bmx.Mixture("y ~ x", data, family="poisson", k=2).fit("em", seed=1)
"""
READING = """\
The first line of a CSV file names the columns. A column of numbers is read as numbers, one of
True and False as these, anything else as text, whose levels are sorted (see --levels). Empty
cells, NA and NaN are missing. A file called - is standard input. Files whose names end in .parquet
or .feather are read as such. A name that is not one word stands in backquotes, and the formula in
single quotes: '`my column` ~ x'."""
SEVERAL = """\
Several formulas are several responses that share the components, each with its own family:
--fixed, --nested and --dispersion then name the response they are for."""
ABOUT_EVENTS = """\
With --event the components are competing events, each with its own distribution of times; these
options are those of bmx.CompetingRisks. Without it, surv(time, status) ~ x is a mixture of --k
latent classes, and --family weibull,cured one with subjects who never have the event.
--out writes probabilities of events and states over time; quantiles, restricted means and values
for other covariates are read off the stored fit in Python:
bmx.load("results/fit.nc").quantile_time(0.5)."""
FIT = f"""\
Fit a model to a CSV or Parquet file. Given several numbers of components, fit each by maximum
likelihood (or to the posterior mode, --method map) and keep the one that --by chooses; the methods
laplace and nuts then draw from its posterior.

{SEVERAL}

{READING}"""
FIT_EXAMPLES = """\
examples:
  bayesmix fit data.csv "y ~ x" --k 2 --seed 1
  bayesmix fit data.csv "y ~ x" --family poisson --k 1:5 --concomitant "~ w" --out results
  bayesmix fit trial.csv "p(deaths, total) ~ 1" --family binomial --k 3 --group center \\
      --fixed "~ arm" --levels arm=placebo,drug --method nuts --seed 1 --out results
  bayesmix fit data.csv "score ~ x" "visits ~ 1" --family gaussian --family poisson --k 2
  bayesmix fit mgus.csv "surv(years, status) ~ age" --event event \\
      --family pcm=weibull,death=gompertz --concomitant "~ sex" --out results
  bayesmix fit data.csv "y ~ x" --k 3 --json | python -m json.tool

exit codes: 0 done; 1 an error in the data, the model or the fit; 2 a wrong command;
130 interrupted. A fit that did not converge is done: its status and a warning say so."""
SELECT = f"""\
Fit a model with several numbers of components and show their criteria.

{SEVERAL}

{READING}"""
SELECT_EXAMPLES = """\
examples:
  bayesmix select data.csv "y ~ x" --family poisson --k 1:5 --seed 1
  bayesmix select data.csv "y ~ x" --k 2,3,4 --by icl --json"""
REPORT = """\
Write fits that `bayesmix fit --out` or fit.save() has stored as one HTML page that needs no
network and no Python. Give the folder of --out or the file. Several fits stand side by side."""
REPORT_EXAMPLES = """\
examples:
  bayesmix report results --out report.html
  bayesmix report ML=em/fit.nc Bayes=nuts/fit.nc --out report.html --tables tables"""
PREDICT = f"""\
Predict from a stored fit: the rows of a file, or without one those of the fit's own data. Give the
folder of `bayesmix fit --out` or the file that fit.save() has written. The file needs the
covariates; it needs the response only for memberships.

{READING}"""
PREDICT_EXAMPLES = """\
examples:
  bayesmix predict results new.csv
  bayesmix predict results new.csv --by marginal --ci 0.95 --out predictions.csv
  bayesmix predict results patients.csv --what state --times 1,5,10"""
CHECK = f"""\
Check before anything is fitted: how the columns are read, how every kind of row of survival times
is read, what the model estimates, and everything that a fit would refuse or flag. Given a stored
fit in place of data and a formula, check that: how it ended and whether its chains agree.

{READING}"""
CHECK_EXAMPLES = """\
examples:
  bayesmix check patent.csv "Patents ~ lgRD" --family poisson --k 3
  bayesmix check mgus.csv "surv(years, status)" --event event
  bayesmix check mgus.csv "surv(years, status) ~ age" --event event --family weibull
  bayesmix check results

exit codes: 0 nothing is wrong; 1 something is; 2 a wrong command."""
COMPLETION = """\
Print a script that completes commands, options, their values and files in a shell.

  bash: bayesmix completion bash > ~/.local/share/bash-completion/completions/bayesmix
        (needs the package bash-completion), or in ~/.bashrc:
        source <(bayesmix completion bash)
  zsh:  in ~/.zshrc, after compinit: source <(bayesmix completion zsh)
        or as a file called _bayesmix in a folder of $fpath
  fish: bayesmix completion fish > ~/.config/fish/completions/bayesmix.fish"""
DATA = """\
List the datasets that come with bayesmix, or describe one and show its
first rows."""
DEMO = """\
Fit two published examples, explain them and save their pictures.
Takes ten seconds to a minute, most of it to sample a posterior."""
WARM = """\
Compile the kernels once for this machine and user: small data are then
fitted by compiled code, several times faster. Takes a minute or two."""
MODELLING = ("fit", "select", "check")
SHELLS = ("bash", "zsh", "fish")
ABOUTS = {"events": ABOUT_EVENTS}
# Of each command its help, its description and its examples.
SETTINGS: dict[str, tuple[str, str, str | None]] = {
    "fit": ("fit a model to a CSV or Parquet file", FIT, FIT_EXAMPLES),
    "select": ("choose the number of components", SELECT, SELECT_EXAMPLES),
    "predict": ("predict rows of a file from a stored fit", PREDICT, PREDICT_EXAMPLES),
    "check": ("check data and a model before fitting, or a stored fit", CHECK, CHECK_EXAMPLES),
    "report": ("write stored fits as an HTML page", REPORT, REPORT_EXAMPLES),
    "data": ("list the datasets, or show one", DATA, None),
    "demo": ("fit two published examples, with pictures", DEMO, None),
    "warm": ("compile the kernels once for this machine", WARM, None),
    "completion": ("print completions for a shell", COMPLETION, None),
}


class _Parser(argparse.ArgumentParser):
    """A parser that tells a usage error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """Print the version; it is looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        import bayesmix

        print(f"bayesmix {bayesmix.__version__}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    form: Any = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="bayesmix",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=form,
        allow_abbrev=False,
    )
    parser.set_defaults(parser=parser)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (words, about, examples) in SETTINGS.items():
        texts: Any = {"help": words, "description": about, "epilog": examples}
        made = commands.add_parser(name, formatter_class=form, allow_abbrev=False, **texts)
        made.set_defaults(parser=made)
        _add_positionals(made, name)
        _add_options(made, name)
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; formulas may stand between options, which argparse does not expect.

    Raises
    ------
    SystemExit
        Once --help, --version or an error has been answered.
    """
    given, more = make_parser().parse_known_args(argv)
    modelling = given.command in MODELLING
    if more and (not modelling or any(word.startswith("-") for word in more)):
        given.parser.error(f"unrecognized arguments: {' '.join(more)}")
    try:
        given.formula = [*given.formula, *map(formula, more)] if modelling else None
    except argparse.ArgumentTypeError as error:
        given.parser.error(f"argument FORMULA: {error}")
    return given


def _add_positionals(parser: argparse.ArgumentParser, command: str) -> None:
    if command in MODELLING:
        checking = command == "check"
        about = "the data; - for standard input"
        parser.add_argument(
            "data", metavar="DATA.csv", help=f"{about}; or a stored fit" if checking else about
        )
        parser.add_argument(
            "formula",
            nargs="*" if checking else "+",
            type=checked if checking else formula,
            metavar="FORMULA",
            help="response and varying effects, 'y ~ x'; one for each of several responses",
        )
    elif command == "report":
        parser.add_argument(
            "fits",
            nargs="+",
            metavar="[NAME=]FIT.nc",
            help="stored fits or their folders, with or without names: NAME=FILE",
        )
    elif command == "predict":
        parser.add_argument("fit", metavar="FIT.nc", help="a stored fit or its folder")
        parser.add_argument(
            "data", nargs="?", metavar="DATA.csv", help="the rows to predict; - for standard input"
        )
    elif command == "data":
        parser.add_argument(
            "name", nargs="?", metavar="NAME", help="a dataset; leave out for the list"
        )
    elif command == "completion":
        parser.add_argument("shell", choices=SHELLS, help="the shell")


def _add_options(parser: argparse.ArgumentParser, command: str) -> None:
    groups: dict[str, Any] = {}
    for option in OPTIONS:
        if command not in option.commands.split():
            continue
        title = PARTS[option.part]
        if title not in groups:
            groups[title] = parser.add_argument_group(title, ABOUTS.get(option.part))
        groups[title].add_argument(option.flag, help=option.help, **option.more)
