"""Check the links of a built site: python docs/check_links.py docs/_build/html.

Every link to a page, a file or an anchor of this site must lead somewhere, and nothing that a
browser loads by itself (scripts, styles, pictures, fonts) may come from another machine.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
HINTS = {"canonical", "next", "prev", "search", "index", "author", "copyright"}


class Page(HTMLParser):
    """Anchors of a page, its links, and what a browser loads with it."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in LOADED and given.get(LOADED[tag]) and given.get("rel") not in HINTS:
            self.loads.append(given[LOADED[tag]])


def broken(root):
    """What is wrong with the links of the site in a folder, one line each."""
    root = Path(root).resolve()
    files = [p for p in sorted(root.rglob("*.html")) if "_static" not in p.relative_to(root).parts]
    pages = {path: Page(path.read_text("utf-8")) for path in files}
    wrong = []
    for path, page in pages.items():
        where = path.relative_to(root)
        foreign = [link for link in page.loads if urlsplit(link).netloc]
        wrong += [f"{where}: loads {link} from another machine" for link in foreign]
        for link in [*page.links, *page.loads]:
            wrong += [f"{where}: {words}" for words in _dead(link, path, pages)]
    return wrong


def _dead(link, path, pages):
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return
    target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
    anchor = unquote(parts.fragment)
    if target.is_dir():
        target = target / "index.html"
    if not target.exists():
        yield f"{link} leads to no file"
    elif anchor and target in pages and anchor not in pages[target].anchors:
        yield f"{link} leads to no anchor"


if __name__ == "__main__":
    found = broken(sys.argv[1])
    print("\n".join(found) or f"all links of {sys.argv[1]} lead somewhere")
    sys.exit(bool(found))
