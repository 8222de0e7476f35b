"""Look at a built site in headless Chromium: python docs/look.py docs/_build/html [folder].

Takes a picture of every page on a wide and on a narrow screen (into docs/_build/screens, or the
folder given), and fails where the console shows an error, the page asks another machine for
something, or the narrow page is wider than its screen.  Needs the package playwright, and Chromium:
`playwright install chromium`, or one that is installed (on PATH, or named by CHROMIUM).
"""

import os
import shutil
import sys
from pathlib import Path

SCREENS = {"wide": (1440, 900), "narrow": (390, 844)}
LEFT_OUT = {"genindex.html", "search.html", "py-modindex.html", "webpack-macros.html"}


def look(page, path, root, folder):
    """Problems of one page, with a picture for each screen."""
    wrong = []
    page.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda e: wrong.append(f"error: {e}"))
    outside = ("http:", "https:", "ws:")
    page.on(
        "request",
        lambda r: wrong.append(f"asks for {r.url}") if r.url.startswith(outside) else None,
    )
    for name, (width, height) in SCREENS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.goto(path.as_uri())
        page.wait_for_function("!window.MathJax || !MathJax.startup || MathJax.startup.document")
        page.wait_for_timeout(150)
        excess = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if excess > 1:
            wrong.append(f"{name}: {excess} pixels wider than the screen")
        place = "-".join(path.relative_to(root).with_suffix("").parts)
        page.screenshot(path=folder / f"{place}-{name}.png", full_page=True)
    return wrong


def main(root, folder):
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or None
    found = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium)
        for path in sorted(root.rglob("*.html")):
            if path.name in LEFT_OUT:
                continue
            page = browser.new_page()
            found += [f"{path.relative_to(root)}: {w}" for w in look(page, path, root, folder)]
            page.close()
        browser.close()
    print("\n".join(found) or f"nothing is wrong; pictures are in {folder}")
    return bool(found)


if __name__ == "__main__":
    site = Path(sys.argv[1]).resolve()
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else site.parent / "screens"
    sys.exit(main(site, pictures.resolve()))
