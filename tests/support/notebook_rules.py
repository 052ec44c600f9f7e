"""The rules of a lesson as functions: each takes a notebook and gives back what breaks it, a line for each place.

A notebook is `Notebook(path, cells)`, read from JSON as it lies on disk. Standard library only.
"""

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tools.notebooks.environment import colab_link, setup_cell

MAX_CODE_CELLS, MAX_CELL_LINES, MAX_SETUP_LINES, MIN_ALT = 30, 15, 8, 20
MAX_IGNORED = 6  # at most one output cell in so many may be ignored
TAGS = {"from-the-notes", "nbval-ignore-output", "exercise"}
LIBRARIES = {"seglib", "torch", "torchvision", "PIL", "numpy", "matplotlib", "ipywidgets", "tqdm"}
LEAKS = {
    "an absolute path": r"(?<![\w.:/])/(?:home|root|work|tmp|usr|opt|var|private|mnt|Users|content)/\w|\b[A-Z]:\\\w",
    "a warning": r"\b\w*Warning\b",
    "a traceback": r"Traceback \(most recent call last\)",
    "a progress bar": r"\d+%\|| \d+(?:\.\d+)?(?:it/s|s/it)\b",
    "an object's address": r"\bat 0x[0-9a-fA-F]{4,}",
    "a date": r"\b20\d\d-\d\d-\d\d\b",
    "a time of day": r"\b[0-2]?\d:[0-5]\d:[0-5]\d\b",
    "a version": r"(?<![\d.])\d+\.\d+\.\d+(?![\d.])",
    "a device's name": r"\b(?:NVIDIA|GeForce|Radeon|Quadro|Tesla [A-Z]|Xeon|EPYC|Ryzen|Apple M\d)\b|Intel\(R\)|cuda:\d",
}
NBVAL_COMMENT = re.compile(r"^\s*#\s*(?:NBVAL|PYTEST_VALIDATE)_\w+", re.MULTILINE)
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2b55\ufe0f]")
FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(\s*<?([^)\s>]+)>?[^)]*\)")
HTML_LINK = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=\"([^\"]+)\"", re.IGNORECASE)
SOLUTION = re.compile(r"<details>.*?```python\n(.*?)^```.*?</details>", re.MULTILINE | re.DOTALL)
COLAB = "https://colab.research.google.com/"


@dataclass
class Cell:
    """One cell: its place in the notebook from 1, and, for code, its number among the code cells from 1."""

    place: int
    number: int
    kind: str
    source: str
    tags: list[str]
    outputs: list[dict]
    execution_count: int | None

    def __str__(self) -> str:
        return f"code cell {self.number}" if self.kind == "code" else f"cell {self.place}"

    @property
    def from_the_notes(self) -> bool:
        return "from-the-notes" in self.tags

    @property
    def ignored(self) -> bool:
        return "nbval-ignore-output" in self.tags

    @cached_property
    def tree(self) -> ast.Module | None:
        """The syntax tree; None where the cell is no plain Python."""
        try:
            return ast.parse(self.source)
        except SyntaxError:
            return None


class Notebook:
    """A notebook as a document: its cells in order, and the folder against which its links are resolved."""

    def __init__(self, path: Path, data: dict | None = None):
        """Read `path`, or take `data`, the parsed JSON, as if it lay there."""
        self.path = path
        data = json.loads(path.read_text(encoding="utf-8")) if data is None else data
        self.metadata = data["metadata"]
        self.cells: list[Cell] = []
        number = 0
        for place, raw in enumerate(data["cells"], 1):
            source = "".join(raw["source"])
            number += raw["cell_type"] == "code"
            self.cells.append(
                Cell(
                    place,
                    number,
                    raw["cell_type"],
                    source,
                    raw["metadata"].get("tags", []),
                    raw.get("outputs", []),
                    raw.get("execution_count"),
                )
            )

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "code"]

    @property
    def markdown(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "markdown"]

    @property
    def exercises(self) -> list[Cell]:
        return [cell for cell in self.code if "exercise" in cell.tags]

    def next_of(self, kind: str, cell: Cell) -> Cell | None:
        """The first cell of this kind after `cell`."""
        return next((other for other in self.cells[cell.place :] if other.kind == kind), None)

    def solution(self, exercise: Cell) -> str | None:
        """The code folded under the exercise; None where there is none."""
        following = self.next_of("markdown", exercise)
        found = SOLUTION.search(following.source) if following else None
        return found.group(1) if found else None


def texts_of(output: dict) -> str:
    """All the words of an output: streams, plain text, HTML, SVG."""
    parts = [output.get("text", "")]
    parts += [part for mime, part in output.get("data", {}).items() if mime.startswith("text/") or "svg" in mime]
    return "\n".join("".join(part) for part in parts)


def prose_of(markdown: str) -> str:
    """What is said in our own voice: without code, quotations, comments, addresses and tags."""
    text = FENCE.sub("", markdown)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"`+[^`]*`+", "", text)
    text = re.sub(r"^\s*>.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\"[^\"\n]*\"|“[^”]*”", "", text)
    text = LINK.sub(lambda match: match.group(2), text)
    return re.sub(r"<[^>]+>", "", text)


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    text = LINK.sub(lambda match: match.group(2), heading).replace("`", "").replace("*", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors_of(markdown: str) -> set[str]:
    """Every anchor of a page: its headings, and what is named with id or name."""
    text = FENCE.sub("", markdown)
    headings = re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, flags=re.MULTILINE)
    return {slug(heading) for heading in headings} | set(re.findall(r"\b(?:id|name)=\"([^\"]+)\"", text))


def check_call(cell: Cell) -> ast.Call | None:
    """The `check_...(...)` that ends an exercise; None where its last statement is something else."""
    last = cell.tree.body[-1] if cell.tree and cell.tree.body else None
    call = last.value if isinstance(last, ast.Expr) else None
    is_check = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id.startswith("check_")
    return call if is_check else None


def names_bound(tree: ast.Module | None) -> set[str]:
    """The functions and variables that a cell defines at its outermost level."""
    names = set()
    for node in tree.body if tree else []:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            names |= {
                each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            }
    return names


# The rules. What each allows stands in DESIGN.md; a line of `found` says where and what to do.

Rule = Callable[[Notebook], Iterator[str]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    """Put a rule on the list: tests/notebooks/test_rules.py asks it of every notebook."""
    RULES.append(function)
    return function


@rule
def stored_executed_in_order(notebook: Notebook) -> Iterator[str]:
    counts = [cell.execution_count for cell in notebook.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}, not 1 to {len(counts)}: run `make notebooks`"


@rule
def no_empty_code_cell(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        if not cell.source.strip():
            yield f"{cell} is empty: remove it"


@rule
def at_most_thirty_code_cells(notebook: Notebook) -> Iterator[str]:
    if len(notebook.code) > MAX_CODE_CELLS:
        yield f"{len(notebook.code)} code cells, at most {MAX_CODE_CELLS}"


@rule
def short_cells(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        lines = len(cell.source.splitlines())
        if lines > MAX_CELL_LINES and not cell.from_the_notes:
            yield f"{cell} has {lines} lines, at most {MAX_CELL_LINES}: longer code belongs in seglib"


@rule
def nothing_stored_that_may_not_be(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        for output in cell.outputs:
            for name, pattern in LEAKS.items():
                found = re.search(pattern, texts_of(output))
                if found:
                    yield f"{cell} stores {name}: {found.group(0)!r}"


@rule
def no_error_and_nothing_on_stderr(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        for output in cell.outputs:
            if output["output_type"] == "error":
                yield f"{cell} stores an error: print it, with `except SegError as error: print(error)`"
            if output.get("name") == "stderr":
                yield f"{cell} stores what went to stderr: {texts_of(output).strip()[:60]!r}"


@rule
def no_widget_ids(notebook: Notebook) -> Iterator[str]:
    if "widgets" in notebook.metadata:
        yield "the state of widgets is stored: run `make notebooks`"
    for cell in notebook.code:
        for output in cell.outputs:
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                yield f"{cell} stores a widget's id, which no other kernel knows: run `make notebooks`"


@rule
def known_tags_only(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.cells:
        for tag in set(cell.tags) - TAGS:
            yield f"{cell} has the tag {tag!r}; known are {sorted(TAGS)}"
        if cell.kind == "code" and NBVAL_COMMENT.search(cell.source):
            yield f"{cell} speaks to nbval in a comment: use the tag nbval-ignore-output, which is counted"


@rule
def at_most_one_in_six_ignored(notebook: Notebook) -> Iterator[str]:
    showing = [cell for cell in notebook.code if cell.outputs and not cell.from_the_notes]
    ignored = [cell for cell in showing if cell.ignored]
    if len(ignored) * MAX_IGNORED > len(showing):
        yield f"{len(ignored)} of {len(showing)} output cells are not compared, at most one in {MAX_IGNORED}"


@rule
def ignored_cells_are_asserted(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        if not (cell.ignored or cell.from_the_notes):
            continue
        following = notebook.next_of("code", cell)
        nodes = ast.walk(following.tree) if following and following.tree else []
        if not any(isinstance(node, ast.Assert) for node in nodes):
            yield f"{cell} is not compared, and the code cell after it asserts nothing"


@rule
def notes_run_verbatim_uncompared_after_their_quotation(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        if not cell.from_the_notes:
            continue
        if not cell.ignored:
            yield f"{cell} is from the notes and lacks the tag nbval-ignore-output: nbval knows no other"
        before = notebook.cells[cell.place - 2]
        if before.kind != "markdown" or not re.search(r"^\s*>", before.source, re.MULTILINE):
            yield f"{cell} is from the notes; the cell before it does not quote them (lines that begin with >)"


@rule
def same_set_up_cell(notebook: Notebook) -> Iterator[str]:
    first = notebook.code[0].source.strip() if notebook.code else ""
    if first != setup_cell():
        yield "the first code cell is not the set-up cell of tools/notebooks/environment.py: run `make address`"
    elif (count := len([line for line in first.splitlines() if line])) > MAX_SETUP_LINES:
        yield f"the set-up cell has {count} lines, at most {MAX_SETUP_LINES}"


@rule
def imports_what_colab_has(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        if cell.tree is None:
            yield f"{cell} is not plain Python (a magic command, or a mistake)"
            continue
        for node in ast.walk(cell.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if name.split(".")[0] not in LIBRARIES | sys.stdlib_module_names:
                    yield f"{cell} imports {name}; a notebook may import {sorted(LIBRARIES)} and Python's own"


@rule
def links_resolve(notebook: Notebook) -> Iterator[str]:
    pages = "\n\n".join(cell.source for cell in notebook.markdown)
    for cell in notebook.markdown:
        text = re.sub(r"`+[^`\n]+`+", lambda match: "`" * len(match.group(0)), FENCE.sub("", cell.source))
        targets = [match.group(3) for match in LINK.finditer(text)] + HTML_LINK.findall(text)
        for target in targets:
            reason = broken(target, notebook.path, pages)
            if reason:
                yield f"{cell} links to {target}: {reason}"


def broken(target: str, page: Path, own_text: str) -> str | None:
    """Why a link leads nowhere; None where it leads somewhere, or out into the web."""
    if target.startswith(("http://", "https://", "mailto:")):
        ours = re.search(r"/notebooks/([\w.-]+\.ipynb)", target)
        return f"there is no notebook {ours.group(1)}" if ours and not (page.parent / ours.group(1)).is_file() else None
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    if name and not file.exists():
        return "no such file"
    if not anchor or (name and file.suffix != ".md"):
        return None
    text = file.read_text(encoding="utf-8") if name else own_text
    # JupyterLab keeps the capitals of a heading in its anchor, GitHub does not: either is right.
    return None if slug(anchor) in map(slug, anchors_of(text)) else "no such heading"


@rule
def first_cell_is_title_table_and_badge(notebook: Notebook) -> Iterator[str]:
    first = notebook.cells[0]
    if first.kind != "markdown" or not first.source.startswith("# "):
        yield "the first cell is not a title"
        return
    if not re.search(r"^\|.*\|\s*$", first.source, re.MULTILINE):
        yield "the first cell has no table (what you will be able to do, minutes on a CPU, what comes before)"
    badges = [match.group(3) for match in LINK.finditer(first.source) if match.group(3).startswith(COLAB)]
    if badges != [colab_link(notebook.path.stem)]:
        yield f"the first cell needs one link to Colab, {colab_link(notebook.path.stem)}, and has {badges}"


@rule
def ends_with_a_recap(notebook: Notebook) -> Iterator[str]:
    headings = [line for cell in notebook.markdown for line in cell.source.splitlines() if line.startswith("#")]
    if not any("recap" in line.lower() for line in headings[-2:]):
        yield f"the last heading is {headings[-1] if headings else 'missing'}, not a recap"


@rule
def figures_have_alt_text(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        for output in cell.outputs:
            for mime in output.get("data", {}):
                if mime.startswith("image/"):
                    alt = output.get("metadata", {}).get(mime, {}).get("alt", "")
                    if len(alt) < MIN_ALT:
                        yield f"{cell} shows a figure with the alt text {alt!r}: say in words what it shows"
            for tag in re.findall(r"<img\b[^>]*>", texts_of(output)):
                if not re.search(rf"\balt=\"[^\"]{{{MIN_ALT},}}\"", tag):
                    yield f"{cell} shows an <img> without alt text: say in words what it shows"
    for cell in notebook.markdown:
        for match in LINK.finditer(FENCE.sub("", cell.source)):
            if match.group(1) and len(match.group(2)) < MIN_ALT:
                yield f"{cell} shows {match.group(3)} with the alt text {match.group(2)!r}"


@rule
def no_output_that_nbval_cannot_compare(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        found = re.search(r"\bclear_output\b|@interact\b|\binteract(?:ive)?\(|\binteractive_output\(", cell.source)
        if found and not cell.ignored:
            yield f"{cell} uses {found.group(0)!r}: change a widget's value instead"


@rule
def voice(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.markdown:
        prose = prose_of(cell.source)
        if "!" in prose:
            around = prose[max(0, prose.index("!") - 30) : prose.index("!") + 1]
            yield f"{cell} has an exclamation mark: {around!r}"
        if EMOJI.search(prose):
            yield f"{cell} has an emoji: {EMOJI.search(prose).group(0)!r}"


@rule
def two_to_four_exercises(notebook: Notebook) -> Iterator[str]:
    if not 2 <= len(notebook.exercises) <= 4:
        yield f"{len(notebook.exercises)} cells tagged exercise, two to four are wanted"


@rule
def exercises_have_stub_check_and_solution(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.exercises:
        if check_call(cell) is None:
            yield f"{cell} is an exercise and does not end with `check_...(...)`"
        if "# your code" not in cell.source.lower():
            yield f"{cell} is an exercise and has no stub: a line marked `# your code`"
        if notebook.solution(cell) is None:
            yield f"{cell} is an exercise; the markdown after it has no <details> with a ```python solution"


@rule
def no_cell_needs_an_answer(notebook: Notebook) -> Iterator[str]:
    for exercise in notebook.exercises:
        answers = names_bound(exercise.tree)
        for cell in notebook.code[exercise.number :]:
            if "exercise" in cell.tags:
                continue
            used = {node.id for node in ast.walk(cell.tree or ast.Module([], [])) if isinstance(node, ast.Name)}
            for name in sorted(answers & used):
                yield f"{cell} uses {name}, the answer of {exercise}"
