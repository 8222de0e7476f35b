"""The page of the families, made of their files when the site is built.

Everything on it is read from the objects in bayesmix/families, so a new family appears by itself:
its parameters and links, equation, mean and variance, source, and densities drawn with its own
density function.
"""

import ast
import inspect
import re
import shutil
from pathlib import Path

import matplotlib
import numpy as np

from bayesmix import families
from bayesmix.formula.response import Response

TARGET = Path(__file__).parents[1] / "generated" / "families"
STEP = 0.7  # of a parameter on the scale of its link: half and twice, under a log link
TRIALS = 20
STYLES = ("-", "--", ":")
COLOURS = ("#0072B2", "#D55E00", "#009E73")


def of_times(fam):
    """Whether it is a distribution of times, for a response surv(...)."""
    return getattr(fam, "is_survival", False)


def listed():
    """Heading, name for `family=`, and family, for regressions and then for times."""
    every = [(name, name, families.family(name)) for name in families.FAMILIES]
    twins = [(name, family) for _, name, family in every if getattr(family, "timed", None)]
    for name, family in twins:  # a distribution of times of the same name
        every.append((f"{name}, of times", name, families.resolve(family, survival=True)))
    return every


def body_of(fam, keyword):
    """What a family's file says of `mean` or `variance`: the lambda's body, or a docstring."""
    function = getattr(fam, keyword)
    if function is None:
        return None
    function = getattr(function, "func", function)  # of a partial
    if function.__name__ != "<lambda>":
        words = inspect.getdoc(function).splitlines()[0]
        name = words.partition(" ")[0].lower()
        return name + words[len(name) :] if name in fam.params else words
    tree = ast.parse(Path(inspect.getsourcefile(function)).read_text("utf-8"))
    found = [
        node.value.body
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and node.arg == keyword
        and isinstance(node.value, ast.Lambda)
        and node.value.lineno == function.__code__.co_firstlineno
    ]
    return f"`{ast.unparse(found[0])}`"


def cases(fam):
    """Names of the parameters with three sets of values each: the example, below and above."""
    for parameter in fam.parameters:
        eta = float(parameter.link.forward(np.float64(fam.example[parameter.name])))
        sets = []
        for shift in (0.0, -STEP, STEP):
            value = float(parameter.link.inverse(np.float64(eta + shift)))
            sets.append({**fam.example, parameter.name: value})
        yield parameter.name, sets


def drawn(fam, values, rng, n=4000):
    """Random responses at given parameters."""
    arrays = {name: np.full(n, float(value)) for name, value in values.items()}
    if fam.binomial:
        arrays["trials"] = np.full(n, float(TRIALS))
    return np.asarray(fam.simulate(rng, **arrays), dtype=float)


def grid(fam, sets):
    """Where the densities are drawn, and whether responses are whole numbers."""
    rng = np.random.default_rng(1)
    sample = np.concatenate([drawn(fam, values, rng) for values in sets])
    sample = sample[np.isfinite(sample)]
    low, high = np.quantile(sample, [0.005, 0.95 if of_times(fam) else 0.985])
    if np.array_equal(sample, np.round(sample)):
        return np.arange(low, high + 1), True
    positive = sample.min() > 0
    return np.linspace(1e-3 * high if positive else low, high, 400), False


def response(fam, y):
    """The values y as a response that the family reads: with trials, or as exact times."""
    if of_times(fam):
        from bayesmix.formula.times import Times

        return Response("y", "survival", y, None, ("y",), Times(y, y, np.zeros_like(y)))
    if fam.binomial:
        return Response("y", "binomial", y, np.full_like(y, float(TRIALS)), ("y",))
    return Response("y", "numeric", y, None, ("y",))


def density(fam, y, values):
    """Density of every y at given parameters."""
    obs = fam.observe(response(fam, y))
    etas = tuple(p.link.forward(np.full(len(y), values[p.name])) for p in fam.parameters)
    return np.exp(fam.log_density(obs, etas))


def draw(fam, path):
    """Save the densities at the example, with one parameter after the other moved."""
    matplotlib.use("Agg", force=False)
    import matplotlib.pyplot as plt

    panels = list(cases(fam))
    size = (3.4 * len(panels), 2.6)
    figure, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False, layout="constrained")
    for ax, (name, sets) in zip(axes[0], panels, strict=True):
        y, whole = grid(fam, sets)
        for values, style, colour in zip(sets, STYLES, COLOURS, strict=True):
            label = f"{name} = {values[name]:.2g}"
            marks = {"marker": "o", "markersize": 3} if whole else {}
            ax.plot(y, density(fam, y, values), style, color=colour, label=label, **marks)
        unit = f"y, of {TRIALS} trials" if fam.binomial else "time" if of_times(fam) else "y"
        ax.set(xlabel=unit, ylabel="probability" if whole else "density")
        ax.set_ylim(0, 1.35 * ax.get_ylim()[1])  # room for the legend
        ax.legend(frameon=False, fontsize=8, loc="upper right")
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def summary_of(fam):
    """The first line of the file that the family is in."""
    functions = (fam.density, fam.mean, fam.simulate, getattr(fam, "settle", None), fam.start)
    first = next(f for f in functions if f is not None)
    module = inspect.getmodule(getattr(first, "func", first))  # of a partial too
    return inspect.getdoc(module).splitlines()[0]


def lines_of(equation):
    """An equation with what stands below it: a line for each function, two definitions a line."""
    parts = equation.split(",\\ ")
    if len(parts) == 1:
        return equation
    functions = [part for part in parts if re.match(r"\w\(", part)]
    rest = [part for part in parts if part not in functions]
    pairs = [",\\quad ".join(rest[i : i + 2]) for i in range(0, len(rest), 2)]
    return "\n".join(
        ("\\begin{gathered}", " \\\\[1ex]\n".join(functions + pairs), "\\end{gathered}")
    )


def section(title, name, fam):
    """One family in MyST text; its picture is saved beside."""
    place = title.replace(", ", "-").replace(" ", "-")
    lines = [f"(family-{place})=", f"### {title}", "", f'`family="{name}"`. {summary_of(fam)}', ""]
    if fam.equation:
        lines += ["$$", lines_of(fam.equation), "$$", ""]
    if fam.parameters:
        lines += ["| parameter | link | role |", "| --- | --- | --- |"]
        for parameter in fam.parameters:
            role = "location: what the formula describes"
            other = "for `ancillary=`" if of_times(fam) else "dispersion"
            role = role if parameter.name == fam.location else other
            lines.append(f"| `{parameter.name}` | {parameter.link.name} | {role} |")
        lines.append("")
    support = "whole numbers from 0 to the trials" if fam.binomial else fam.support
    facts = [("Responses", support)]
    for keyword, title in (("mean", "Mean"), ("variance", "Variance")):
        words = body_of(fam, keyword)
        if words is not None:
            facts.append((title, words + (" (of one trial)" if fam.binomial else "")))
    facts.append(("Source", fam.source))
    lines += [f"* {title}: {words}" for title, words in facts if words] + [""]
    if fam.example and fam.simulate is not None:
        draw(fam, TARGET / f"{place}.png")
        values = ", ".join(f"{n} = {v:g}" for n, v in fam.example.items())
        lines += [
            f"```{{image}} /generated/families/{place}.png",
            f":alt: Densities of the family {name} around {values}",
            "```",
            "",
        ]
    return "\n".join(lines)


def write_page(app):
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    every = listed()
    parts = ["## Responses of regressions", ""]
    parts += [section(*each) for each in every if not of_times(each[2])]
    timed = [section(*each) for each in every if of_times(each[2])]
    if timed:
        parts += ["## Times", "", "For a response `surv(...)`.", "", *timed]
    (TARGET / "all.txt").write_text("\n".join(parts), "utf-8")


def setup(app):
    app.connect("builder-inited", write_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
