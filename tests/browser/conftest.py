"""The project in a copy, JupyterLab over it and a browser before it, once for all tests; a picture of each failure."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.jupyterlab import Lab, OpenNotebook, chromium, jupyterlab
from tools.notebooks.environment import NOTEBOOKS, copy_project

FAILURES = Path(__file__).parent / "failures"  # ignored by git
STEMS = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
NAMES = [Path(name).stem for name in os.environ.get("SEGLIB_BROWSER_NOTEBOOKS", "").split()]
ASKED = [stem for stem in STEMS if any(map(stem.startswith, NAMES))]  # 07 is enough for 07_training_loop
page_in_use = pytest.StashKey[Lab]()


@pytest.fixture(autouse=True, scope="session")
def two_threads() -> None:
    """In place of the fixture of all tests: nothing here computes, so torch need not be imported."""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Lab]:
    tree = Path(os.environ.get("SEGLIB_BROWSER_TREE") or tmp_path_factory.mktemp("project"))
    if "SEGLIB_BROWSER_TREE" not in os.environ:  # tools/proofs/browser.py names a copy with a fault in it
        copy_project(tree)
    with jupyterlab(tree, tmp_path_factory.mktemp("jupyter")) as address, sync_playwright() as playwright:
        browser = chromium(playwright)
        lab = Lab(browser.new_page(viewport={"width": 1400, "height": 1000}), address, tree)
        pytestconfig.stash[page_in_use] = lab
        yield lab
        browser.close()


@pytest.fixture(scope="module", params=ASKED or STEMS)
def stem(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def notebook(lab: Lab, stem: str) -> Iterator[OpenNotebook]:
    """A notebook, opened as a reader finds it."""
    file = lab.tree / "notebooks" / f"{stem}.ipynb"
    before = file.read_bytes()
    lab.theme("light")
    yield lab.open(stem)
    file.write_bytes(before)
    lab.ask("() => jupyterapp.serviceManager.sessions.shutdownAll()")
    lab.close_all()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep a screenshot of the page on which a test failed."""
    report = yield
    if report.when == "call" and report.failed and page_in_use in item.config.stash:
        FAILURES.mkdir(exist_ok=True)
        picture = FAILURES / f"{item.name.replace('/', '-')}.png"
        item.config.stash[page_in_use].page.screenshot(path=picture)
        report.sections.append(("screenshot", str(picture)))
    return report
