"""What the tests of the built site share: its pages, and what stands in them."""

import os
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

SITE = Path(os.environ["SEGLIB_SITE"]).resolve()
PAGES = sorted(path for path in SITE.rglob("*.html") if "_static" not in path.relative_to(SITE).parts)
LOADED = {("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src"), ("link", "href")}
NOT_LOADED = {"next", "prev", "index", "search", "author", "copyright", "canonical", "license"}  # kinds of <link>


class Contents(HTMLParser):
    """Of one page: the anchors, the links, what it loads, and its pictures."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors.update(value for name, value in attrs if name in ("id", "name") and value)
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
        if tag == "img":
            self.pictures.append(values)
        if values.get("rel") not in NOT_LOADED:
            self.loaded += [value for name, value in attrs if (tag, name) in LOADED and value]


@cache
def contents(path: Path) -> Contents:
    return Contents(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(SITE).as_posix()
