"""The rules of a lesson as functions: each takes a notebook and gives back what breaks it, a line for each place.

A notebook is `Notebook(path, cells)`, read from JSON as it lies on disk. No Jupyter is needed to read it.
"""

import ast
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from tools.notebooks.environment import ROOT, colab_link, head_links, setup_cell
from tools.notebooks.nbval_tolerance import PICTURE_IN_HTML, Number, numbers_in, tolerance_of

MIN_ALT = 20  # characters of a figure's description
MAX_IGNORED = 6  # at most one output cell in so many may be ignored
MAX_VERDICTS = 50  # at most one printed line in so many may be a verdict, over the whole series
MAX_IMPORTED = 8  # names in one cell
MAX_MINUTES = 60
MINUTES_OFF = 5  # by so much the table may be wrong
WORDS_A_MINUTE = 150
SECONDS_A_LINE = 8
SECONDS_A_FIGURE = 20
MINUTES_AN_EXERCISE = 4
MAX_LISTED = 20  # a longer list of numbers in a record is a curve

# Known beside these is within-X, a tolerance: see tools/notebooks/nbval_tolerance.py.
TAGS = {"from-the-notes", "nbval-ignore-output", "exercise", "guard"}
GUARD = "seglib.lesson.common.guard"
RECORDS = ROOT / "benchmarks" / "results"
VERDICT = re.compile(r"(?<![=\w])(?:True|False)\b|: (?:yes|no)$")
# Methods and functions that change something. Inside a comprehension a reader overlooks that.
CHANGES = {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update"}
CHANGES |= {"backward", "load_state_dict", "manual_seed", "step", "zero_grad"}
CHANGES |= {"mkdir", "save", "savefig", "unlink", "write", "write_bytes", "write_text"}
CHANGES |= {"exec", "print", "setattr"}

# Decimal numbers of the prose that are neither printed nor recorded nor written in code, each with the reason why not.
PROSE_NUMBERS: dict[str, dict[str, str]] = {}
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
# A link: a picture or not, its words, its target; a title between quotation marks may hold brackets.
LINK = re.compile(r'(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(\s*<?([^)\s>]+)>?(?:\s+"(?:[^"\\]|\\.)*"\s*|[^)]*)\)')
PICTURE = re.compile(r"!\[([^\[\]]*)\]\(\s*<?([^)\s>]+)>?[^)]*\)")  # its alt text, its file; may stand in a link
HTML_LINK = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=\"([^\"]+)\"", re.IGNORECASE)
SOLUTION = re.compile(r"<details>.*?```python\n(.*?)^```.*?</details>", re.MULTILINE | re.DOTALL)
COLAB = "https://colab.research.google.com/"
VERSION = re.compile(
    r"\b(?:Python|torch|torchvision|NumPy|Pillow|Matplotlib|CUDA|JupyterLab) \d+\.\d+\b", re.IGNORECASE
)


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
    metadata: dict

    def __str__(self) -> str:
        return f"code cell {self.number}" if self.kind == "code" else f"cell {self.place}"

    @property
    def from_the_notes(self) -> bool:
        return "from-the-notes" in self.tags

    @property
    def ignored(self) -> bool:
        return "nbval-ignore-output" in self.tags

    @property
    def guard(self) -> bool:
        return "guard" in self.tags

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
                    raw["metadata"],
                )
            )

    @property
    def name(self) -> str:
        """The name without the number, which is also that of its folder in seglib/lesson."""
        return self.path.stem.partition("_")[2]

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
    """All the words of an output: streams, plain text, HTML, SVG. The bytes of a picture inside HTML are none."""
    parts = [output.get("text", "")]
    parts += [part for mime, part in output.get("data", {}).items() if mime.startswith("text/") or "svg" in mime]
    return re.sub(PICTURE_IN_HTML, "", "\n".join("".join(part) for part in parts))


def without_tags(output: dict) -> str:
    """What a reader sees of an output's words."""
    return re.sub(r"<[^>]+>", " ", texts_of(output))


def without_pictures(markdown: str) -> str:
    """With the alt text of each picture in its place; a badge is then a link like others."""
    return PICTURE.sub(lambda match: match.group(1), markdown)


def targets_in(markdown: str) -> list[str]:
    """What the pictures and the links lead to."""
    pictures = [match.group(2) for match in PICTURE.finditer(markdown)]
    links = [match.group(3) for match in LINK.finditer(without_pictures(markdown))]
    return pictures + links + HTML_LINK.findall(markdown)


def own_words(markdown: str) -> str:
    """What a lesson says outside code, quotations, comments, addresses and tags."""
    text = FENCE.sub("", markdown)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"`+[^`]*`+", "", text)
    text = re.sub(r"^\s*>.*$", "", text, flags=re.MULTILINE)
    text = LINK.sub(lambda match: match.group(2), without_pictures(text))
    text = re.sub(r"<[^>]+>", "", text)
    return re.sub(r"https?://\S+", "", text)


def prose_of(markdown: str) -> str:
    """What is said in our own voice: the lesson's own words, without what stands in quotation marks."""
    return re.sub(r"\"[^\"\n]*\"|“[^”]*”", "", own_words(markdown))


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"<[^>]+>", "", LINK.sub(lambda match: match.group(2), heading))
    text = text.replace("`", "").replace("*", "").strip().lower()
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
def metadata_are_those_of_jupyterlab(notebook: Notebook) -> Iterator[str]:
    """JupyterLab rewrites other metadata when it opens a notebook, which then asks to be saved."""
    kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    if notebook.metadata.get("kernelspec") != kernelspec:
        yield f"the kernelspec is {notebook.metadata.get('kernelspec')}, not {kernelspec}: run `make notebooks`"
    if "version" not in notebook.metadata.get("language_info", {}):
        yield "language_info names no version of Python: run `make notebooks`"


@rule
def known_tags_only(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.cells:
        for tag in set(cell.tags) - TAGS:
            if not tag.lower().startswith("within"):
                yield f"{cell} has the tag {tag!r}; known are {sorted(TAGS)} and within-X"
        if cell.kind == "code" and NBVAL_COMMENT.search(cell.source):
            yield f"{cell} speaks to nbval in a comment: use the tag nbval-ignore-output, which is counted"


@rule
def tolerances_are_right_and_needed(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.cells:
        try:
            tolerance = tolerance_of(cell.tags)
        except ValueError as error:
            yield f"{cell}: {error}"
            continue
        shown = [number for output in cell.outputs for number in numbers_in(without_tags(output))]
        if tolerance and not any(number.has_point or tolerance.percent for number in shown):
            yield f"{cell} has the tolerance {tolerance} and shows no number that may differ: take the tag off"


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
        nodes = list(ast.walk(following.tree)) if following and following.tree else []
        if not any(isinstance(node, ast.Assert) for node in nodes) and not checks_in(nodes, notebook):
            yield f"{cell} is not compared, and the code cell after it asserts nothing"


def checks_in(nodes: list[ast.AST], notebook: Notebook) -> list[ast.Call]:
    """The calls of the guards' `check` among these nodes; some cell of the notebook imports it."""
    every_node = [node for cell in notebook.code if cell.tree for node in ast.walk(cell.tree)]
    imports = [node for node in every_node if isinstance(node, ast.ImportFrom) and node.module == GUARD]
    names = {alias.asname or alias.name for node in imports for alias in node.names}
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in names]


@rule
def guards_call_check_and_say_nothing(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        if not cell.guard:
            continue
        nodes = list(ast.walk(cell.tree)) if cell.tree else []
        if not checks_in(nodes, notebook):
            yield f"{cell} is a guard and does not call `check` of {GUARD}"
        if any(isinstance(node, ast.Assert) for node in nodes):
            yield f"{cell} is a guard and asserts: a reader who changed a number would be stopped by it, use `check`"
        if cell.outputs:
            yield f"{cell} is a guard and shows something: {texts_of(cell.outputs[0]).strip()[:60]!r}"


@rule
def only_guards_and_annotations_hide_their_source(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        hidden_in_lab = bool(cell.metadata.get("jupyter", {}).get("source_hidden"))
        hidden_in_colab = cell.metadata.get("cellView") == "form"
        if cell.guard and not (hidden_in_lab and hidden_in_colab):
            yield f'{cell} is a guard: its metadata needs "jupyter": {{"source_hidden": true}} and "cellView": "form"'
        may_hide = cell.guard or cell.source.startswith("annotate(")
        if (hidden_in_lab or hidden_in_colab) and not may_hide:
            yield f"{cell} hides its source: only a guard, and a cell that begins with `annotate(`, may"


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
        for target in targets_in(text):
            reason = broken(target, notebook.path, pages)
            if reason:
                yield f"{cell} links to {target}: {reason}"


def broken(target: str, page: Path, own_text: str) -> str | None:
    """Why a link leads nowhere; None where it leads somewhere, or out into the web."""
    if target.startswith(("http://", "https://", "mailto:")):
        ours = re.search(r"/notebooks/([\w.-]+\.ipynb)", target)
        folder = page.parent if page.suffix == ".ipynb" else page.parent / "notebooks"
        return f"there is no notebook {ours.group(1)}" if ours and not (folder / ours.group(1)).is_file() else None
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
    elif head_links(notebook.path.stem) not in first.source.splitlines():
        yield "the line of the head that links to Colab is not the one of all notebooks: `make address` writes it"


@rule
def ends_with_a_recap(notebook: Notebook) -> Iterator[str]:
    headings = [line for cell in notebook.markdown for line in cell.source.splitlines() if line.startswith("#")]
    if not any("recap" in line.lower() for line in headings[-2:]):
        yield f"the last heading is {headings[-1] if headings else 'missing'}, not a recap"


@rule
def figures_have_alt_text(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        for output in cell.outputs:
            yield from (f"{cell} shows {what}: say in words what it shows" for what in without_alt_text(output))
    for cell in notebook.markdown:
        for match in PICTURE.finditer(FENCE.sub("", cell.source)):
            is_badge = match.group(2).startswith("badges/")  # its words say what a click does
            if len(match.group(1)) < MIN_ALT and not is_badge:
                yield f"{cell} shows {match.group(2)} with the alt text {match.group(1)!r}"


def without_alt_text(output: dict) -> Iterator[str]:
    """The pictures of an output that lack a description, or have one that is too short to be one."""
    for mime in output.get("data", {}):
        alt = output.get("metadata", {}).get(mime, {}).get("alt", "")
        if mime.startswith("image/") and len(alt) < MIN_ALT:
            yield f"a figure with the alt text {alt!r}"
    for tag in re.findall(r"<img\b[^>]*>", texts_of(output)):
        if not re.search(rf"\balt=\"[^\"]{{{MIN_ALT},}}\"", tag):
            yield "an <img> without alt text"


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
    """Two at least; a first reading, without what stands under "Deeper:", has four at most."""
    first_reading = [cell for cell in without_deeper(notebook) if "exercise" in cell.tags]
    if len(notebook.exercises) < 2 or len(first_reading) > 4:
        yield f"{len(notebook.exercises)} cells tagged exercise, two to four are wanted (more under Deeper)"


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


def without_deeper(notebook: Notebook) -> list[Cell]:
    """The cells of a first reading: those under a heading that begins with "Deeper:" are left out."""
    kept = []
    deeper = False
    for cell in notebook.cells:
        heading = re.search(r"^##? (.*)", FENCE.sub("", cell.source), re.MULTILINE) if cell.kind == "markdown" else None
        if heading:
            deeper = heading.group(1).startswith("Deeper:")
        if not deeper:
            kept.append(cell)
    return kept


def is_figure(output: dict) -> bool:
    return bool({"image/png", "image/jpeg"} & set(output.get("data", {})))


def minutes_to_read(notebook: Notebook) -> float:
    """Minutes of a first reading, counted from all words (folded ones too), lines of code, figures and exercises.

    What is the same in every notebook, and need not be read, is left out: the set-up cell and the badges of the head.
    """
    cells = without_deeper(notebook)
    code = [cell for cell in cells if cell.kind == "code" and cell.source != setup_cell()]
    badges = head_links(notebook.path.stem)
    sources = [cell.source.replace(badges, "") for cell in cells if cell.kind == "markdown"]
    texts = [LINK.sub(lambda link: link.group(2), source) for source in sources]
    words = sum(len(text.split()) for text in texts)  # without the titles of links, which show at the pointer
    lines = sum(bool(line.strip()) for cell in code for line in cell.source.splitlines())
    figures = sum(is_figure(output) for cell in code for output in cell.outputs)
    exercises = sum("exercise" in cell.tags for cell in code)
    seconds = lines * SECONDS_A_LINE + figures * SECONDS_A_FIGURE
    return words / WORDS_A_MINUTE + seconds / 60 + exercises * MINUTES_AN_EXERCISE


@rule
def minutes_are_honest(notebook: Notebook) -> Iterator[str]:
    counted = minutes_to_read(notebook)
    if counted > MAX_MINUTES:
        yield f'{counted:.0f} minutes, at most {MAX_MINUTES}: put something under "Deeper:", or make two notebooks'
    table = [line for line in notebook.cells[0].source.splitlines() if line.startswith("|")]
    stated = [re.match(r"\|[^|]*\bminutes\b[^|]*\|\D*(\d+)", line, re.IGNORECASE) for line in table]
    row = next(filter(None, stated), None)
    if table and row is None:
        yield "the table has no row that begins with Minutes and states a number"
    if row and abs(int(row.group(1)) - counted) > MINUTES_OFF:
        yield f"the table says {row.group(1)} minutes; words, lines, figures and exercises come to {counted:.0f}"


@rule
def imports_where_they_are_needed(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code[1:]:  # the first is the set-up cell
        nodes = ast.walk(cell.tree) if cell.tree and not cell.from_the_notes else []
        imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        count = sum(len(node.names) for node in imports)
        if count > MAX_IMPORTED:
            yield f"{cell} imports {count} names, at most {MAX_IMPORTED}: import a name in the cell that first needs it"


@rule
def no_tricks(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.code:
        if cell.tree is None or cell.from_the_notes:
            continue
        for node in ast.walk(cell.tree):
            trick = trick_of(node)
            if trick:
                yield f"{cell} uses {trick}, and beginners copy it"
        for statement in cell.tree.body[:-1]:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, COMPREHENSIONS):
                yield f"{cell} has a comprehension whose result is not used: write a loop"


COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def trick_of(node: ast.AST) -> str | None:
    """The name of the trick that this node is; None for plain code."""
    if isinstance(node, ast.NamedExpr):
        return "a walrus (:=)"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "locals":
        return "locals()"
    if isinstance(node, ast.Attribute) and node.attr == "__future__":
        return "__future__"
    if isinstance(node, ast.ImportFrom) and "__future__" in (node.module or "").split("."):
        return "__future__"
    if isinstance(node, COMPREHENSIONS):
        changes = [changing(inner) for inner in ast.walk(node)]
        name = next(filter(None, changes), None)
        return f"{name}() inside a comprehension, where it is a side effect" if name else None
    return None


def changing(node: ast.AST) -> str | None:
    """The name of the called function, if it is known to change something; torch's end in one underscore."""
    if not isinstance(node, ast.Call):
        return None
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    in_place = name.endswith("_") and not name.startswith("_")
    moves_on = name == "next" and bool(node.args) and isinstance(node.args[0], ast.Name)  # unlike next(iter(data))
    return name if name in CHANGES or in_place or moves_on else None


def numbers_shown_or_written(notebook: Notebook) -> tuple[set[Decimal], set[Decimal]]:
    """The numbers that a notebook prints, writes in code or reads from a record; and those of them that are percent.

    What is only said, in a comment, a string or a figure's description, is no source for what the prose says.
    """
    numbers = set()
    percent = set()
    for cell in notebook.code:
        nodes = list(ast.walk(cell.tree)) if cell.tree else []
        written = [node.value for node in nodes if isinstance(node, ast.Constant)]
        numbers |= {Decimal(repr(value)) for value in written if type(value) in (int, float)}
        numbers |= {abs(Decimal(repr(value))) for node in nodes for value in numbers_recorded(record_read_by(node))}
        for text in [without_tags(output) for output in cell.outputs if not is_figure(output)]:
            found = [number for number in numbers_in(text) if number.value.is_finite()]
            numbers |= {abs(number.value) for number in found}
            percent |= {abs(number.value) for number in found if is_percent(text, number)}
    return numbers, percent


def record_read_by(node: ast.AST) -> object:
    """What benchmarks/results/NAME.json holds, where the node is the call `recorded("NAME")`; else None."""
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "recorded"
    argument = node.args[0] if is_call and node.args else None
    if not isinstance(argument, ast.Constant):
        return None
    path = RECORDS / f"{argument.value}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def numbers_recorded(value: object) -> Iterator[float]:
    """The numbers of a record, without its curves: a hundred values between 0 and 1 would prove any number right."""
    if isinstance(value, dict | list):
        is_curve = isinstance(value, list) and len(value) > MAX_LISTED
        for part in value.values() if isinstance(value, dict) else value:
            if isinstance(part, dict | list) or not is_curve:
                yield from numbers_recorded(part)
    elif type(value) in (int, float) and math.isfinite(value):
        yield value


def is_percent(text: str, number: Number) -> bool:
    return bool(re.match(r"\s*(?:%|per ?cent\b|(?:percentage )?points?\b)", text[number.start + len(number.text) :]))


def is_rounding(number: Decimal, sources: set[Decimal]) -> bool:
    """Whether one of the sources, rounded to as many places as `number` has, gives it."""
    half_a_unit = Decimal((0, (5,), int(number.as_tuple().exponent) - 1))
    return any(abs(source - number) <= half_a_unit for source in sources)


def prose_numbers(notebook: Notebook) -> Iterator[tuple[Cell, str, Number]]:
    """The decimal numbers of a lesson's own words: (cell, its words, number). Versions of libraries are none."""
    for cell in notebook.markdown:
        words = VERSION.sub("", own_words(cell.source))
        for number in numbers_in(words):
            if re.search(r"\.\d", number.text):
                yield cell, words, number


@rule
def numbers_in_the_prose_are_shown_or_recorded(notebook: Notebook) -> Iterator[str]:
    allowed = PROSE_NUMBERS.get(notebook.name, {})
    needed = set()
    sources, percent = numbers_shown_or_written(notebook)
    hundredths = {value / 100 for value in percent}
    hundredfold = {value * 100 for value in sources}
    for cell, words, number in prose_numbers(notebook):
        candidates = sources | (hundredfold if is_percent(words, number) else hundredths)
        if is_rounding(abs(number.value), candidates):
            continue
        needed.add(number.text)
        if number.text not in allowed:
            around = words[max(0, number.start - 40) : number.start + len(number.text) + 20]
            yield f"{cell} says {number.text}, which no cell prints or writes and no record holds: {around!r}"
    for text in sorted(set(allowed) - needed):
        yield f"{text} is on the list PROSE_NUMBERS and need not be: take it off"


def few_verdicts(notebooks: list[Notebook]) -> Iterator[str]:
    """A rule of the whole series: at most one printed line in fifty is True, False, yes or no."""
    lines = [(notebook, cell, line) for notebook in notebooks for cell in notebook.code for line in printed_lines(cell)]
    verdicts = [each for each in lines if VERDICT.search(each[2])]
    if len(verdicts) * MAX_VERDICTS > len(lines):
        yield f"{len(verdicts)} of {len(lines)} printed lines are verdicts: print the number, and tag the cell within-X"
        for notebook, cell, line in verdicts:
            yield f"{notebook.path.name}, {cell}: {line.strip()}"


def printed_lines(cell: Cell) -> list[str]:
    """What a cell prints or shows as plain text, line by line; the answers to an exercise are left out."""
    if "exercise" in cell.tags:
        return []
    texts = ["".join(output.get("text") or output.get("data", {}).get("text/plain", "")) for output in cell.outputs]
    return [line for text in texts for line in text.splitlines() if line.strip()]
