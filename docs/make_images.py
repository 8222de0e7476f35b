"""Draw the pictures of the README into docs/images: python docs/make_images.py."""

from pathlib import Path

from bayesmix.demo import patents

IMAGES = Path(__file__).parent / "images"
WANTED = ("patents-means", "patents-memberships")
SEED = 1


def draw(folder: Path) -> list[Path]:
    """Save the pictures as PNG of less than 100 kB each."""
    folder.mkdir(parents=True, exist_ok=True)
    text: list[str] = []
    figures = patents(SEED, text.append)
    files = []
    for name in WANTED:
        files.append(folder / f"{name}.png")
        # Without the version of matplotlib in it, the file changes only when the picture does.
        figures[name].savefig(files[-1], dpi=100, metadata={"Software": None})
    return files


if __name__ == "__main__":
    for file in draw(IMAGES):
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")
