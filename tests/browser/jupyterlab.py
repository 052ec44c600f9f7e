"""Owns a JupyterLab with a browser before it: the server, the page, and what a reader does there, in a few words.

What a reader's hand does is done by mouse and keys of the browser: links, knobs, buttons. What a menu would do (open,
save, run a cell, restart) is asked of JupyterLab's own commands, which is quicker and does the same.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Playwright

from tests.browser.cells_needed import cells_needed
from tools.notebooks.environment import RUN_ENV

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = float(os.environ.get("SEGLIB_BROWSER_SECONDS", "120"))  # for one thing to happen; a busy machine needs more
WIDGET = re.compile(r"^\w+(?:Slider|Widget|Monitor)\(")  # how a notebook stores a widget: by its plain text
NOTEBOOK = ".jp-NotebookPanel:not(.lm-mod-hidden)"
GLOSSARY = ".jp-MarkdownViewer:not(.lm-mod-hidden)"
CONTEXT = "jupyterapp.shell.currentWidget.context"
CONTENT = "jupyterapp.shell.currentWidget.content"


@contextmanager
def jupyterlab(tree: Path, scratch: Path) -> Iterator[str]:
    """JupyterLab over a copy of the project, with the settings of that copy and none of the user's; its address.

    Args:
        tree: the copy; its notebooks import its own seglib.
        scratch: an empty folder for settings and the server's words.
    """
    settings = scratch / "settings"
    settings.mkdir()
    shutil.copy(tree / "tools/notebooks/overrides.json", settings)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    address = f"http://localhost:{port}"
    options = [f"--ServerApp.port={port}", "--no-browser", "--ServerApp.root_dir=.", "--IdentityProvider.token="]
    options += ["--LabApp.expose_app_in_browser=True", "--allow-root", f"--LabApp.app_settings_dir={settings}"]
    options += [f"--LabApp.user_settings_dir={scratch / 'user'}", f"--LabApp.workspaces_dir={scratch / 'workspaces'}"]
    plain = {name: value for name, value in os.environ.items() if name not in RUN_ENV}  # a reader has bars, for one
    own = {"SEGLIB_DEVICE": "cpu", "PYTHONPATH": str(tree), "PYTHONUNBUFFERED": "1"}
    own |= {f"JUPYTER_{name}_DIR": str(scratch / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    with (scratch / "server.log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, cwd=tree, env=plain | own, stdout=log, stderr=log)
        try:
            wait_until(lambda: answers(f"{address}/api/status"), "JupyterLab answers")
            yield address
        finally:
            server.terminate()
            server.wait(60)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=10):
            return True
    except OSError:
        return False


def wait_until(happened: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Ask again and again until something is true, and give that back; AssertionError after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        found = happened()
        if found:
            return found
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain until {what}"
        time.sleep(0.2)


def chromium(playwright: Playwright) -> Browser:
    """The system's Chromium, if there is one, else the one that playwright has installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    return playwright.chromium.launch(executable_path=path, args=FLAGS)


class Lab:
    """One page of JupyterLab; what is shown in front is the notebook, or the glossary, that was opened last."""

    def __init__(self, page: Page, address: str, tree: Path):
        self.page = page
        self.tree = tree
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"{address}/lab")
        page.wait_for_function("() => window.jupyterapp")
        self.ask("() => jupyterapp.restored.then(() => true)")

    def ask(self, script: str, argument: object = None) -> Any:
        """What a piece of JavaScript gives back; a promise is waited for."""
        return self.page.evaluate(script, argument)

    def command(self, name: str, **arguments: object) -> None:
        """Run one of JupyterLab's commands, and wait until it has run."""
        self.ask("async ([name, given]) => { await jupyterapp.commands.execute(name, given); }", [name, arguments])

    def theme(self, name: str) -> None:
        """Make the pages "light" or "dark"."""
        self.command("apputils:change-theme", theme=f"JupyterLab {name.title()}")
        light = str(name == "light").lower()
        # The body may have no height, and counts as hidden then.
        self.page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")

    def open(self, name: str) -> "OpenNotebook":
        """Open a notebook by its name without folder and suffix; its kernel is there when this ends."""
        self.command("docmanager:open", path=f"notebooks/{name}.ipynb", factory="Notebook")
        self.page.wait_for_selector(f"{NOTEBOOK} .jp-Cell")
        notebook = OpenNotebook(self, name)
        wait_until(lambda: self.path_in_front() == f"notebooks/{name}.ipynb", f"{name} stands in front")
        self.ask(f"() => {CONTEXT}.ready")
        self.ask(f"() => {CONTEXT}.sessionContext.ready")
        # The page has heard from the kernel: what it says of itself may change the notebook's metadata.
        self.ask(f"() => {CONTEXT}.sessionContext.session.kernel.info")
        self.page.wait_for_timeout(1000)
        return notebook

    def close_all(self) -> None:
        """Close all documents, without a question about what is not saved."""
        self.ask("""() => {
            for (const widget of [...jupyterapp.shell.widgets("main")]) {
                if (widget.context) widget.context.model.dirty = false;
                widget.close();
            }
        }""")
        wait_until(lambda: not self.path_in_front(), "all documents are closed")

    def path_in_front(self) -> str:
        """Of the document in front, from the root of the project; empty if there is none."""
        return self.ask("() => jupyterapp.shell.currentWidget?.context?.path ?? ''")

    def headings_in_front(self) -> list[str]:
        """Where the glossary, which stands in front, has landed: its first heading in sight; at its end, all."""
        script = f"""() => {{
            const page = document.querySelector("{GLOSSARY}");
            if (!page) return [];
            const top = page.getBoundingClientRect().top;
            const below = [...page.querySelectorAll("h2")].filter(h => h.getBoundingClientRect().bottom > top);
            const atEnd = [...page.querySelectorAll("*")].some(
                e => e.scrollTop > 0 && e.scrollTop + e.clientHeight >= e.scrollHeight - 2);
            const words = h => h.textContent.replace("¶", "").trim();
            return below.slice(0, atEnd ? below.length : 1).map(words);
        }}"""
        return self.ask(script)

    def unreadable(self, place: Locator) -> list[str]:
        """Words inside `place` that differ too little from their background: below 4.5 to 1, as WCAG AA counts."""
        script = """root => {
            const numbers = text => (text.match(/[\\d.]+/g) || []).map(Number);
            const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
                .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
            const behind = e => {
                for (; e; e = e.parentElement) {
                    const colour = numbers(getComputedStyle(e).backgroundColor);
                    if (colour.length == 3 || colour[3] > 0.9) return colour;
                }
                return [255, 255, 255];
            };
            const found = [];
            for (const e of root.querySelectorAll("div, td, th, b, p, label, a, code")) {
                const own = [...e.childNodes].filter(n => n.nodeType == 3).map(n => n.textContent.trim()).join("");
                if (!own || !e.offsetParent) continue;
                const [a, b] = [numbers(getComputedStyle(e).color), behind(e)].map(light).sort((x, y) => y - x);
                if ((a + 0.05) / (b + 0.05) < 4.5) found.push(own.slice(0, 60));
            }
            return found;
        }"""
        return place.evaluate(script)


class OpenNotebook:
    """A notebook that stands in front of a `Lab`."""

    def __init__(self, lab: Lab, name: str):
        self.lab = lab
        self.name = name
        self.file = lab.tree / "notebooks" / f"{name}.ipynb"

    @property
    def cells(self) -> list[dict[str, Any]]:
        """As they lie on disk."""
        return json.loads(self.file.read_text(encoding="utf-8"))["cells"]

    @property
    def widget_cells(self) -> list[int]:
        """The places of the cells that show a widget."""
        found = []
        for place, cell in enumerate(self.cells):
            texts = ["".join(output.get("data", {}).get("text/plain", "")) for output in cell.get("outputs", [])]
            if any(map(WIDGET.match, texts)):
                found.append(place)
        return found

    def dirty(self) -> bool:
        """Whether JupyterLab would ask to save it."""
        return self.lab.ask(f"() => {CONTEXT}.model.dirty")

    def save(self) -> None:
        self.lab.command("docmanager:save")
        wait_until(lambda: not self.dirty(), f"{self.name} is saved")

    def save_as_if_all_had_run(self) -> None:
        """Save; the cells count as run here, which is what JupyterLab asks before it shows a stored widget again."""
        self.lab.ask(f"() => {{ for (const cell of {CONTEXT}.model.cells) cell.trusted = true; }}")
        self.save()

    def close(self) -> None:
        """Close the notebook; its kernel goes on. What is not saved is lost, without a question."""
        self.lab.ask(f"() => {{ {CONTEXT}.model.dirty = false; jupyterapp.shell.currentWidget.close(); }}")
        wait_until(lambda: self.lab.path_in_front() != f"notebooks/{self.name}.ipynb", f"{self.name} is closed")

    def shut_down(self) -> None:
        """Close the notebook and end its kernel."""
        self.lab.ask(f"() => {CONTEXT}.sessionContext.shutdown()")
        self.close()

    def restart_kernel(self) -> None:
        self.lab.ask(f"() => {CONTEXT}.sessionContext.session.kernel.restart()")
        idle = f"() => {CONTEXT}.sessionContext.session.kernel.status == 'idle'"
        wait_until(lambda: self.lab.ask(idle), "the kernel has started again")

    def interrupt_kernel(self) -> None:
        """Press the kernel's stop button."""
        self.lab.command("notebook:interrupt-kernel")

    def run(self, place: int) -> None:
        """Run one cell to its end; AssertionError if it raises."""
        self.lab.ask(f"place => {{ {CONTENT}.activeCellIndex = place; {CONTENT}.deselectAll(); }}", place)
        self.lab.command("notebook:run-cell")
        outputs = self.lab.ask(f"place => {CONTENT}.widgets[place].model.outputs.toJSON()", place)
        errors = [f"{each['ename']}: {each['evalue']}" for each in outputs if each["output_type"] == "error"]
        assert not errors, f"cell {place + 1} of {self.name} raises {errors[0]}"

    def run_widget(self, place: int) -> "Widget":
        """Run the cell of a widget, after those that it needs."""
        for needed in cells_needed(self.cells, place):
            self.run(needed)
        return self.widget(place)

    def scroll_to(self, place: int) -> None:
        """Scroll until a cell is in sight; JupyterLab renders none before."""
        self.lab.ask(f"async place => {{ await {CONTENT}.scrollToItem(place, 'start'); }}", place)

    def widget(self, place: int) -> "Widget":
        """The widget below a cell, scrolled into sight."""
        self.scroll_to(place)
        node = self.lab.page.locator(f"{NOTEBOOK} .jp-Cell[data-windowed-list-index='{place}'] .lesson-widget")
        node.first.wait_for()
        node.first.scroll_into_view_if_needed()
        return Widget(self.lab, node.first)


class Widget:
    """A widget of a lesson on the page: its knobs, its picture, its words."""

    def __init__(self, lab: Lab, node: Locator):
        self.lab = lab
        self.node = node

    @property
    def image(self) -> Locator:
        """The picture: a file, or an SVG among the words."""
        return self.node.locator(".jupyter-widget-image, svg").first

    def pixels(self) -> bytes:
        """What the picture shows now, as a screenshot."""
        return self.image.screenshot()

    def asks_to_be_run(self) -> bool:
        """Whether the words are seen that the cell must be run again."""
        return self.node.get_by_text("Run this cell again").is_visible()

    def moves(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Every way to move every knob: (in words, what moves it). Sliders first: a transform of strength 0 is none."""
        for number, slider in enumerate(self.node.locator(".noUi-handle").all()):
            yield f"slider {number} by mouse", lambda slider=slider: self._drag(slider)
            yield f"slider {number} by key", lambda slider=slider: slider.press("ArrowRight")
        for number, choice in enumerate(self.node.locator("select").all()):
            yield f"choice {number} by key", lambda choice=choice: choice.press("ArrowUp")
            yield f"choice {number} by mouse", lambda choice=choice: self._choose_one_up(choice)
        for number, box in enumerate(self.node.locator("input[type=checkbox]").all()):
            yield f"box {number} by key", lambda box=box: box.press("Space")
            yield f"box {number} by mouse", lambda box=box: box.click()
        for number, group in enumerate(self.node.locator(".jupyter-widget-toggle-buttons").all()):
            buttons = group.locator("button")
            yield f"buttons {number} by key", lambda buttons=buttons: buttons.nth(1).press("Enter")
            yield f"buttons {number} by mouse", lambda buttons=buttons: buttons.nth(0).click()

    def _drag(self, handle: Locator) -> None:
        """Drag a slider's handle by a fifth of its way to the right, as a hand does: in several steps."""
        handle.scroll_into_view_if_needed()
        box = handle.bounding_box()
        track = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-target')]").bounding_box()
        x = box["x"] + box["width"] / 2
        y = box["y"] + box["height"] / 2
        self.lab.page.mouse.move(x, y)
        self.lab.page.mouse.down()
        self.lab.page.mouse.move(x + 0.2 * track["width"], y, steps=4)
        self.lab.page.mouse.up()

    def _choose_one_up(self, choice: Locator) -> None:
        """Choose the entry above; a browser without a screen opens no list, so this stands for the click on it."""
        choice.click()
        self.lab.page.keyboard.press("Escape")
        choice.select_option(index=choice.evaluate("select => select.selectedIndex") - 1)
