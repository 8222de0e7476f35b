"""Draw the pictures of the README into docs/images: python docs/make_images.py."""

from pathlib import Path

import bayesmix as bmx
from bayesmix.cli.demo import patents

IMAGES = Path(__file__).parent / "images"
WANTED = ("patents-means", "patents-memberships", "mgus2-states")
SEED = 1


def gammopathy():
    """The states of the competing events in the README."""
    fit = bmx.CompetingRisks(
        {"pcm": "surv(years, status) ~ 1", "death": "surv(years, status) ~ age"},
        bmx.load_data("mgus2"),
        event="event",
        family={"pcm": "weibull", "death": "gompertz"},
        concomitant="~ age + sex",
    ).fit("em", seed=SEED)
    return bmx.plot.states(fit).figure


def draw(folder: Path) -> list[Path]:
    """Save the pictures as PNG of less than 100 kB each."""
    folder.mkdir(parents=True, exist_ok=True)
    text: list[str] = []
    figures = patents(SEED, text.append) | {"mgus2-states": gammopathy()}
    files = []
    for name in WANTED:
        files.append(folder / f"{name}.png")
        # Without the version of matplotlib in it, the file changes only when the picture does.
        figures[name].savefig(files[-1], dpi=100, metadata={"Software": None})
    return files


if __name__ == "__main__":
    for file in draw(IMAGES):
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")
