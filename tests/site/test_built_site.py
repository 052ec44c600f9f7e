"""The built site: whole, without a dead link, and without anything from the network. `make site` runs these."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.site.built import PAGES, SITE, contents, name
from tools.notebooks.environment import NOTEBOOKS, ROOT

EXTERNAL = re.compile(r"^(?:[a-z]+:)?//", re.IGNORECASE)
CSS_ADDRESS = re.compile(r"(?:url\(\s*|@import\s+)[\"']?([^\"')]+)")
every_page = pytest.mark.parametrize("path", PAGES, ids=name)


def leads_nowhere(link: str, page: Path) -> str | None:
    """Why a link within the site is dead; None if it is not."""
    target, _, anchor = unquote(link).partition("#")
    file = (page.parent / target.partition("?")[0]).resolve() if target else page
    if not file.is_relative_to(SITE):
        return "leaves the site's folder"
    if not file.is_file():
        return "no such file"
    if anchor and file.suffix == ".html" and anchor not in contents(file).anchors:
        return "no such anchor"
    return None


@every_page
def test_no_link_is_dead(path):
    links = {link for link in contents(path).links if not re.match(r"[a-z]+:|//", link)}
    reasons = {link: leads_nowhere(link, path) for link in links}
    assert {link: reason for link, reason in reasons.items() if reason} == {}


@every_page
def test_nothing_is_loaded_from_elsewhere(path):
    loaded = contents(path).loaded
    assert [address for address in loaded if EXTERNAL.match(address)] == []
    reasons = {address: leads_nowhere(address, path) for address in loaded if not address.startswith("data:")}
    assert {address: reason for address, reason in reasons.items() if reason} == {}


def test_no_style_sheet_loads_from_elsewhere():
    sheets = list(SITE.rglob("*.css"))
    assert sheets
    found = {(name(sheet), at) for sheet in sheets for at in CSS_ADDRESS.findall(sheet.read_text(encoding="utf-8"))}
    assert {(sheet, address) for sheet, address in found if EXTERNAL.match(address)} == set()


@every_page
def test_every_picture_has_an_alternative_text_of_its_own(path):
    # A logo beside its own name is decoration, and its text is empty.
    pictures = [picture for picture in contents(path).pictures if "logo__image" not in (picture.get("class") or "")]
    texts = [picture.get("alt") or "" for picture in pictures]
    assert [picture.get("src") for picture in pictures if len((picture.get("alt") or "").split()) < 3] == []
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("stem", [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))])
def test_every_notebook_has_a_page_with_its_badges_and_neighbours(stem):
    page = contents(SITE / "notebooks" / f"{stem}.html")
    assert any(link.startswith("https://colab.research.google.com/") and stem in link for link in page.links)
    assert any("kaggle.com" in link and stem in link for link in page.links)
    text = (SITE / "notebooks" / f"{stem}.html").read_text(encoding="utf-8")
    assert 'class="left-prev"' in text
    assert 'class="right-next"' in text
    assert 'name="description"' in text


def test_every_figure_of_every_notebook_is_there():
    for path in NOTEBOOKS.glob("[0-9]*.ipynb"):
        stored = path.read_text(encoding="utf-8").count('"output_type": "display_data"')
        shown = contents(SITE / "notebooks" / f"{path.stem}.html").pictures
        figures = [picture for picture in shown if "figure-output" in (picture.get("class") or "")]
        assert len(figures) == stored, path.name


def test_formulas_are_drawn_by_the_browser_itself():
    text = (SITE / "notebooks" / "05_loss.html").read_text(encoding="utf-8")
    assert text.count("<math") > 30
    assert not re.search("<script[^>]*mathjax", text, re.IGNORECASE)


def test_links_to_terms_carry_their_sentences():
    text = (SITE / "notebooks" / "05_loss.html").read_text(encoding="utf-8")
    assert re.search(r'<a class="[^"]*glossary-term[^"]*"[^>]*title="[^"]{40,}"', text)


def test_the_package_is_documented():
    modules = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "seglib" / "training").glob("[a-z]*.py")]
    assert len(modules) > 5
    for module in modules:
        assert (SITE / "api" / module / "index.html").is_file(), module


def test_the_search_knows_the_lessons():
    index = (SITE / "searchindex.js").read_text(encoding="utf-8")
    assert "notebooks/05_loss" in index
