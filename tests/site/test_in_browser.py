"""The site in Chromium, from its folder and without a network. `make site-browser` runs these."""

import pytest

from tests.site.built import PAGES, SITE, name
from tools.site.browser import DESKTOP, PHONE, THEMES, offline_browser, offline_page, show, told, violations

LESSON = SITE / "notebooks" / "05_loss.html"
TERM = "a.glossary-term[href$='#iou']"
TOOLTIP = ".glossary-tooltip"


@pytest.fixture(scope="module")
def browser():
    with offline_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def desktop(browser):
    return offline_page(browser, DESKTOP)


@pytest.fixture(scope="module")
def phone(browser):
    return offline_page(browser, PHONE)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", PAGES, ids=name)
def test_nothing_keeps_people_from_reading(desktop, path, theme):
    show(desktop, path, theme)
    assert told(violations(desktop)) == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_page_is_no_wider_than_a_telephone(phone, path):
    show(phone, path, "light")
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_site_asks_for_nothing_but_its_own_files(desktop):
    asked = []
    desktop.on("request", lambda request: asked.append(request.url))
    for page in ("index.html", "notebooks/05_loss.html", "search.html"):
        show(desktop, SITE / page, "light")
    desktop.wait_for_timeout(500)
    assert len(asked) > 10
    assert [address for address in asked if not address.startswith((SITE.as_uri(), "data:"))] == []


def test_the_search_finds_a_term(desktop):
    desktop.goto((SITE / "search.html").as_uri() + "?q=sigmoid")
    desktop.locator("#search-results li a").first.wait_for(timeout=30_000)
    found = desktop.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    assert any("05_loss.html" in link for link in found)


def test_a_term_shows_its_sentences_to_the_keyboard_and_to_the_pointer(desktop):
    show(desktop, LESSON, "light")
    term = desktop.locator(TERM).first
    tooltip = desktop.locator(TOOLTIP)
    assert tooltip.is_hidden()
    term.focus()
    assert "divided by" in tooltip.inner_text()
    assert term.get_attribute("aria-description") == tooltip.inner_text()
    desktop.keyboard.press("Escape")
    assert tooltip.is_hidden()
    term.hover()
    assert tooltip.is_visible()
    tooltip.hover()  # the pointer may go onto it
    desktop.wait_for_timeout(400)
    assert tooltip.is_visible()
    desktop.mouse.move(1, 1)
    tooltip.wait_for(state="hidden")


def test_a_term_leads_to_its_entry(desktop):
    show(desktop, LESSON, "light")
    desktop.locator(TERM).first.click()
    desktop.wait_for_url("**/GLOSSARY.html#iou")
    assert desktop.locator("#iou").first.is_visible()


def test_an_answer_is_folded_until_it_is_asked_for(desktop):
    desktop.goto(LESSON.as_uri())
    answer = desktop.locator("details", has_text="Nine times").first
    assert not answer.evaluate("details => details.open")
    answer.locator("summary").click()
    assert answer.evaluate("details => details.open")


def test_the_theme_can_be_changed(desktop):
    desktop.goto((SITE / "index.html").as_uri())
    desktop.evaluate("localStorage.clear()")
    desktop.locator("button.theme-switch-button").first.click()
    desktop.get_by_text("Dark", exact=True).first.click()
    assert desktop.evaluate("document.documentElement.dataset.theme") == "dark"
