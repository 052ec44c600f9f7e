"""Each notebook as a reader opens it: unchanged, without news, and every link of every kind leads where it says."""

import json
from dataclasses import dataclass

from playwright.sync_api import Locator

from tests.browser.jupyterlab import NOTEBOOK, Lab, OpenNotebook, wait_until
from tests.support.notebook_rules import FENCE, LINK
from tools.notebooks.glossary import terms


@dataclass(frozen=True)
class Link:
    """A link of a notebook: the cell that holds it, its place among the links of that cell, where it leads."""

    cell: int
    number: int
    target: str

    @property
    def kind(self) -> str:
        if self.target.startswith("https://"):
            return "elsewhere"
        if self.target.startswith("GLOSSARY.md#"):
            return "term"
        return "notebook" if ".ipynb" in self.target else "file"


def links_of(notebook: OpenNotebook) -> list[Link]:
    """Each target of a notebook's links, once."""
    found: dict[str, Link] = {}
    for place, cell in enumerate(notebook.cells):
        if cell["cell_type"] == "markdown":
            source = FENCE.sub("", "".join(cell["source"]))
            targets = [link.group(3) for link in LINK.finditer(source) if not link.group(1)]
            for number, target in enumerate(targets):
                found.setdefault(target, Link(place, number, target))
    return list(found.values())


def on_the_page(notebook: OpenNotebook, link: Link) -> Locator:
    """The link, scrolled into sight, with folded answers opened."""
    notebook.lab.command("docmanager:open", path=f"notebooks/{notebook.name}.ipynb")
    notebook.scroll_to(link.cell)
    cell = notebook.lab.page.locator(f"{NOTEBOOK} .jp-Cell[data-windowed-list-index='{link.cell}']")
    cell.evaluate("cell => cell.querySelectorAll('details').forEach(details => { details.open = true; })")
    return cell.locator(".jp-RenderedMarkdown a[href]:not(.jp-InternalAnchorLink)").nth(link.number)


def follow(notebook: OpenNotebook, link: Link) -> None:
    """Click a link and see that it leads where it says; what leads out of the project must open a page of its own."""
    on_page = on_the_page(notebook, link)
    if link.kind == "elsewhere":
        assert on_page.get_attribute("href") == link.target
        assert on_page.get_attribute("target") == "_blank"
        return
    title = on_page.get_attribute("title")
    on_page.click()
    name = link.target.partition("#")[0]
    lab = notebook.lab
    wait_until(lambda: lab.path_in_front().endswith(f"/{name}"), f"{link.target} opens {name}")
    if link.kind == "term":
        glossary = (lab.tree / "notebooks" / "GLOSSARY.md").read_text(encoding="utf-8")
        term = terms(glossary)[link.target.partition("#")[2]]
        wait_until(lambda: term.name in lab.headings_in_front(), f"{link.target} lands at {term.name!r}")
        assert title == term.sentence


def test_opening_leaves_the_notebook_unchanged(notebook: OpenNotebook):
    before = notebook.file.read_bytes()
    assert not notebook.dirty()
    assert notebook.file.read_bytes() == before
    notebook.save()
    saved = json.loads(notebook.file.read_bytes())
    widgets = saved["metadata"].pop("widgets")  # our settings save the state of widgets: of none here
    assert widgets["application/vnd.jupyter.widget-state+json"]["state"] == {}
    assert saved == json.loads(before)


def test_no_news_cover_the_page(lab: Lab, notebook: OpenNotebook):
    assert lab.page.locator(".Toastify__toast").all_inner_texts() == []


def test_every_term_is_found_and_one_link_of_each_other_kind_in_light(notebook: OpenNotebook):
    links = links_of(notebook)
    one_of_each = {link.kind: link for link in reversed(links)}
    for link in [each for each in links if each.kind == "term"] + list(one_of_each.values()):
        follow(notebook, link)


def test_one_link_of_each_kind_can_be_read_and_followed_in_dark(lab: Lab, notebook: OpenNotebook):
    lab.theme("dark")
    for link in {link.kind: link for link in links_of(notebook)}.values():
        on_page = on_the_page(notebook, link)
        assert lab.unreadable(on_page.locator("xpath=..")) == []
        follow(notebook, link)
