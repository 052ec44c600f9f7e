"""Opens the built site in Chromium, without a network, and asks axe-core what keeps people from reading it.

python -m tools.site.browser [FOLDER]        count the violations of each rule, in light and dark
"""

import collections
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tools.site.build import HTML

THEMES = ("light", "dark")
WCAG_21_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
LEAST_RATIO = 3.0  # of large text; small text between this and 4.5 is no open question for axe
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}


def browser_path() -> str | None:
    """The Chromium to use: SEGLIB_BROWSER, or one on the path; None for the one that `playwright install` has put."""
    return os.environ.get("SEGLIB_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def offline_browser() -> Iterator[Browser]:
    """Chromium. Playwright allows one at a time, so everybody takes pages from it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def offline_page(browser: Browser, size: dict[str, int]) -> Page:
    """A page of the given size, without a network, and without what other pages keep."""
    return browser.new_context(viewport=size, offline=True, reduced_motion="reduce").new_page()


def show(page: Page, path: Path, theme: str) -> None:
    """Load a page of the site in a theme, with everything that is folded unfolded."""
    page.goto(path.as_uri())
    page.evaluate(
        """theme => {
            document.documentElement.dataset.mode = theme;
            document.documentElement.dataset.theme = theme;
            document.querySelectorAll("details").forEach(details => { details.open = true; });
        }""",
        theme,
    )


def violations(page: Page, tags: list[str] = WCAG_21_AA) -> list[dict[str, Any]]:
    """What axe-core finds on the page as it stands: one entry for each rule, with its nodes."""
    # preload: axe would ask for the style sheets once more, which a page of a folder may not.
    options = {
        "runOnly": {"type": "tag", "values": tags},
        "resultTypes": ["violations", "incomplete"],
        "preload": False,
    }
    response = Axe().run(page, options=options).response
    return response["violations"] + [rule for rule in map(_unreadable, response["incomplete"]) if rule["nodes"]]


def _unreadable(rule: dict[str, Any]) -> dict[str, Any]:
    """Of a rule that axe left undecided, what is no question for us: a text of nearly the colour of its ground.

    It may be meant to be hidden. Nothing of ours is.
    """
    nodes = [node for node in rule["nodes"] if (node["any"] or [{}])[0].get("data", {}) and _ratio(node) < LEAST_RATIO]
    return rule | {"nodes": nodes if rule["id"] == "color-contrast" else []}


def _ratio(node: dict[str, Any]) -> float:
    return node["any"][0]["data"].get("contrastRatio") or LEAST_RATIO  # none where a picture lies below the text


def told(found: list[dict[str, Any]]) -> list[str]:
    """The violations in words, one line for each place."""
    return [
        f"{rule['id']}: {node['html'][:160]} -- {' '.join(node['failureSummary'].split())[:300]}"
        for rule in found
        for node in rule["nodes"]
    ]


def pages_of(folder: Path) -> list[Path]:
    """The pages of a built site; not the templates that a theme leaves among its files."""
    return sorted(path for path in folder.rglob("*.html") if "_static" not in path.relative_to(folder).parts)


def main() -> int:
    folder = Path(sys.argv[1]).resolve() if sys.argv[1:] else HTML
    paths = pages_of(folder)
    places: dict[tuple[str, str], int] = collections.Counter()
    pages: dict[tuple[str, str], int] = collections.Counter()
    begin = time.perf_counter()
    with offline_browser() as browser:
        page = offline_page(browser, DESKTOP)
        for path in paths:
            for theme in THEMES:
                show(page, path, theme)
                found = {name_of(rule): len(rule["nodes"]) for rule in violations(page, [*WCAG_21_AA, "best-practice"])}
                print(f"{path.relative_to(folder)}, {theme}: {found or 'nothing'}", flush=True)
                places.update({(theme, rule): count for rule, count in found.items()})
                pages.update({(theme, rule) for rule in found})
    print(f"{len(paths)} pages, {time.perf_counter() - begin:.0f} s")
    for (theme, rule), count in sorted(places.items()):
        print(f"{theme:5}  {rule:50} {count:5} places on {pages[theme, rule]:3} pages")
    return 0


def name_of(rule: dict[str, Any]) -> str:
    """The rule's name; with a note, if WCAG 2.1 AA does not ask for it."""
    return rule["id"] if set(WCAG_21_AA) & set(rule["tags"]) else f"{rule['id']} (best practice)"


if __name__ == "__main__":
    sys.exit(main())
