"""Owns annotated source: real code on the left, what it does on the right. See 00_start_here."""

import ast
import html
import inspect
import linecache
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String

from seglib.errors import SegError

PLAIN_WIDTH = 100

# Only these tokens get a colour; all else keeps the colour of the text. Finer kinds move between versions of Pygments,
# and the stored HTML, which is compared, must not depend on them.
KINDS = {
    Comment: "comment",
    String: "string",
    Number: "number",
    Keyword: "keyword",
    Operator.Word: "keyword",
    Name.Function: "name",
    Name.Class: "name",
    Name.Decorator: "name",
}

# For each kind: a colour for a white page, one for a dark page, and one that can be read on both. JupyterLab cuts the
# style sheet out of the stored outputs of a notebook that it does not trust yet and keeps the colour at the words.
COLOURS = {
    "keyword": ("#7928b0", "#cda3f7", "#8d62d7"),
    "string": ("#974500", "#f2a764", "#bc611f"),
    "number": ("#0a6a4d", "#5fd3ab", "#15896a"),
    "name": ("#0057b8", "#82bbff", "#2c79d4"),
}
COMMENT_STYLE = "opacity: 0.75; font-style: italic"  # paler than the text, on whichever page
DARK_PAGES = ('[data-jp-theme-light="false"]', '[theme="dark"]', ".vscode-dark")  # JupyterLab, Colab, VS Code

TABLE_STYLE = "width: 100%; table-layout: fixed; border-collapse: collapse"
CELL_STYLE = "text-align: left; vertical-align: top; background: transparent; border-top: 1px solid #80808060"
CODE_STYLE = (
    "margin: 0; padding: 0; background: transparent; white-space: pre-wrap;"
    " word-break: normal; overflow-wrap: break-word; overflow-wrap: anywhere"
)

# Half of a narrow window holds some 30 columns of code. A run of 25 without a space may be broken after an opening
# bracket, a comma or an equals sign, and before a dot; a name of 25 also after an underscore.
LONG_RUN = re.compile(r"\S{25,}")
PUNCTUATION = re.compile(r"(?<=[(\[{,=])(?=\w)|(?<=[\w)\]])(?=\.[a-zA-Z_])")
LONG_NAME = re.compile(r"\w{25,}")
UNDERSCORE = re.compile(r"(?<=_)(?=[a-zA-Z0-9])")
# A line may be broken beside an empty box. A <wbr> would break the lines of a <pre> on GitHub too, which strips styles.
BREAK = '<span style="display: inline-block"></span>'
HANGING = 4  # a line that goes on stands so many columns further in than its beginning
COLUMN = 0.6  # the width of one column of code, in em

Run = tuple[str, str]  # a kind of token, or nothing, and the text


@dataclass(frozen=True)
class Group:
    """A run of source lines and the explanation beside them; `fragment` is what the explanation is about."""

    first: int
    lines: tuple[str, ...]
    fragment: str = ""
    explanation: str = ""


class Annotation:
    """Source lines beside their explanations: a table in a notebook, in plain text notes above the numbered lines."""

    def __init__(self, groups: list[Group]):
        self.groups = groups

    def _repr_html_(self) -> str:
        # GitHub strips styles and keeps align and valign; JupyterLab aligns cells to the right unless a style forbids.
        # JupyterLab stripes the rows of a table; a row and its cells must both be transparent to be rid of it.
        cell = f'<td align="left" valign="top" style="{CELL_STYLE}; {{}}">{{}}</td>'
        runs = _runs_of([line for group in self.groups for line in group.lines])
        rows = []
        for group in self.groups:
            lines = runs[group.first - 1 : group.first - 1 + len(group.lines)]
            code = cell.format("width: 58%", f'<pre style="{CODE_STYLE}">{_code_html(lines, group.fragment)}</pre>')
            # GitHub draws an empty cell without a border, so a cell without explanation holds a space.
            words = cell.format("width: 42%", _words_html(group.explanation) or "&nbsp;")
            rows.append(f'<tr style="background: transparent">{code}{words}</tr>')
        table = f'<table class="annotated" style="{TABLE_STYLE}">\n' + "\n".join(rows) + "\n</table>"
        return f"{_style_sheet()}\n{table}"

    def __repr__(self) -> str:
        text = []
        for group in self.groups:
            words = group.explanation.replace("**", "")
            text += textwrap.wrap(words, PLAIN_WIDTH, initial_indent="     > ", subsequent_indent="     > ")
            text += [f"{group.first + offset:3}  {line}".rstrip() for offset, line in enumerate(group.lines)]
        return "\n".join(text)


def annotate(thing: object, explanations: Mapping[str, str]) -> Annotation:
    r"""Show source beside its explanations, line against line.

    Docstrings of a function, a method or a class are left out. A group of lines runs from an explained line to the
    line before the next explained one; comments, decorators and blank lines right above an explained line go with
    that line.

    Args:
        thing: a function, a method or a class whose source can be read; or source itself, a string with at least one
            newline in it, which is shown as it stands.
        explanations: a fragment that stands exactly once in the source, within a line -> its explanation, which opens
            with a bold lead-in (`**Zeroing gradients.** Clears ...`) and may hold `**bold**` and `code` in backticks.

    Returns:
        The last value of a cell: a table in JupyterLab, in Colab and on GitHub, indented notes elsewhere.

    Raises:
        SegError: the source cannot be read; a fragment does not stand in the source, or more than once; two fragments
            stand on the same line; an explanation has no lead-in.

    Example:
        >>> from seglib.errors import SegError
        >>> annotate(SegError, {"class SegError": "**One kind of error.** Found, expected, fix."}).groups[0].first
        1
        >>> annotate("model.train()\nmodel.eval()\n", {"eval": "**Switching.** No dropout."}).groups[1].first
        2
    """
    name = "the code" if isinstance(thing, str) else getattr(thing, "__qualname__", type(thing).__name__)
    lines = source_lines(thing)
    starts: dict[int, str] = {}
    for fragment, explanation in explanations.items():
        index = _only_line_with(fragment, lines, name)
        if not re.match(r"\*\*[^*]+\*\*", explanation):
            raise SegError(
                f"The explanation of {fragment!r} in {name} has no bold lead-in: {explanation[:40]!r}.",
                "an explanation that opens with its subject in bold, as in '**Forward pass.** We feed ...'",
                "put two or three words between ** and ** at its start.",
            )
        if index in starts:
            raise SegError(
                f"Two fragments stand on line {index + 1} of {name}: {starts[index]!r} and {fragment!r}.",
                "at most one explanation a line",
                "join the two explanations under one fragment.",
            )
        starts[index] = fragment
    return Annotation(_group(lines, starts, explanations))


def source_lines(thing: object) -> list[str]:
    """Return the lines to show: of a function, a method or a class without docstrings, of a string all.

    Raises:
        SegError: there is no source.
    """
    if isinstance(thing, str) and "\n" in thing:
        return textwrap.dedent(thing).strip("\n").rstrip().split("\n")
    try:
        source = textwrap.dedent(_source(thing))
    except (TypeError, OSError) as error:
        raise SegError(
            f"There is no source to show for {_name_or_text(thing)!r}.",
            "a function, a method or a class that is defined in a file, or source code of at least two lines",
            "pass the function itself, without calling it: annotate(train_one_epoch, ...).",
        ) from error
    lines = source.rstrip().split("\n")
    hidden = _docstring_lines(source, lines)
    return [line for index, line in enumerate(lines) if index not in hidden]


def _source(thing: object) -> str:
    """`inspect.getsource`, and the source of a class that a cell of a notebook defines: its methods know the cell."""
    try:
        return inspect.getsource(thing)  # type: ignore[arg-type]
    except (TypeError, OSError):
        methods = [value for value in getattr(thing, "__dict__", {}).values() if inspect.isfunction(value)]
        cell = linecache.getlines(methods[0].__code__.co_filename) if methods else []
        nodes = ast.walk(ast.parse("".join(cell)))
        name = getattr(thing, "__name__", "")
        found = [node for node in nodes if isinstance(node, ast.ClassDef) and node.name == name]
        if not found:
            raise
        return "".join(cell[found[0].lineno - 1 : found[0].end_lineno])


def _name_or_text(thing: object) -> str:
    return thing if isinstance(thing, str) else getattr(thing, "__name__", type(thing).__name__)


def _docstring_lines(source: str, lines: list[str]) -> set[int]:
    """The places in `lines` of docstrings, each with the blank line below it."""
    hidden: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(node):
            docstring = node.body[0]
            last = docstring.end_lineno or 0
            if len(node.body) == 1 or docstring.lineno == node.lineno:
                continue  # without its docstring this body would be empty
            if last < len(lines) and not lines[last].strip():
                last += 1
            hidden.update(range(docstring.lineno - 1, last))
    return hidden


def _only_line_with(fragment: str, lines: list[str], name: str) -> int:
    """The place in `lines` of the one line that holds the fragment, once."""
    places = [index for index, line in enumerate(lines) if fragment and fragment in line]
    count = sum(lines[index].count(fragment) for index in places)
    if count == 1:
        return places[0]
    standing = "".join(f"\n  line {index + 1}: {lines[index].strip()}" for index in places)
    if count == 0:
        found = "stands on no line"
        fix = "copy a piece of one line as it stands now; docstrings are not shown."
    elif len(places) == 1:
        found = f"stands {count} times on one line"
        fix = "make the fragment longer, until it stands there once."
    else:
        found = f"stands on {len(places)} lines"
        fix = "make the fragment longer, until one line alone holds it."
    raise SegError(f"{fragment!r} {found} of {name}.{standing}", "a fragment that stands in exactly one place", fix)


def _group(lines: list[str], starts: dict[int, str], explanations: Mapping[str, str]) -> list[Group]:
    opening: dict[int, str] = {}
    for index, fragment in starts.items():
        while index > 0 and index - 1 not in starts and re.match(r"\s*(#|@|$)", lines[index - 1]):
            index -= 1
        opening[index] = fragment
    edges = sorted({0, *opening, len(lines)})
    groups = []
    for first, end in zip(edges[:-1], edges[1:], strict=True):
        fragment = opening.get(first, "")
        groups.append(Group(first + 1, tuple(lines[first:end]), fragment, explanations.get(fragment, "")))
    return groups


def _runs_of(lines: list[str]) -> list[list[Run]]:
    """Cut each line into runs of one kind of token; a string over several lines is one token and several runs."""
    runs: list[list[Run]] = [[]]
    for token, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens("\n".join(lines)):
        for index, piece in enumerate(text.split("\n")):
            if index:
                runs.append([])
            if piece:
                _append(runs[-1], _kind(token), piece)
    return runs


def _append(runs: list[Run], kind: str, text: str) -> None:
    """Add text to a line; Pygments cuts a string into its quotes, its words and its escapes, which are one run here."""
    if runs and runs[-1][0] == kind:
        text = runs.pop()[1] + text
    runs.append((kind, text))


def _kind(token: Any) -> str:
    """What a token of Pygments counts as here; empty if it has no colour."""
    return next((kind for parent, kind in KINDS.items() if token in parent), "")


def _code_html(lines: list[list[Run]], fragment: str) -> str:
    """The lines of a group: each hangs, so that what the window wraps stays right of where the line began."""
    full = [place for place, runs in enumerate(lines) if _text(runs).strip()]
    shown = []
    # The rule between two rows stands for the blank lines there: without them code and words begin at one height.
    for runs in lines[full[0] : full[-1] + 1] if full else []:
        text = _text(runs)
        hang = COLUMN * (len(text) - len(text.lstrip()) + HANGING)
        # The newline stands inside: where styles are stripped it is all that ends the line.
        style = f"display: block; padding-left: {hang:.1f}em; text-indent: -{hang:.1f}em"
        shown.append(f'<span style="{style}">{_line_html(runs, fragment)}\n</span>')
    return "".join(shown)


def _text(runs: list[Run]) -> str:
    return "".join(text for _, text in runs)


def _line_html(runs: list[Run], fragment: str) -> str:
    line = _text(runs)
    start = line.find(fragment) if fragment else -1
    if start < 0:
        return _spans(runs, line, 0, len(line))
    end = start + len(fragment)
    before = _spans(runs, line, 0, start)
    after = _spans(runs, line, end, len(line))
    return f"{before}<b>{_spans(runs, line, start, end)}</b>{after}"


def _spans(runs: list[Run], line: str, start: int, end: int) -> str:
    """The part of a line from `start` to `end`, coloured, with the places marked where a long run may be broken."""
    breaks = _places_inside(LONG_RUN, PUNCTUATION, line) | _places_inside(LONG_NAME, UNDERSCORE, line)
    pieces = []
    column = 0
    for kind, text in runs:
        inside = range(max(start, column), min(end, column + len(text)))
        escaped = "".join((BREAK if i in breaks else "") + html.escape(line[i], quote=False) for i in inside)
        pieces.append(_coloured(kind, escaped))
        column += len(text)
    return "".join(pieces)


def _places_inside(stretch: re.Pattern[str], place: re.Pattern[str], line: str) -> set[int]:
    """The columns of `place`, as far as they lie within a `stretch`."""
    return {at.start() for found in stretch.finditer(line) for at in place.finditer(line, found.start(), found.end())}


def _coloured(kind: str, escaped: str) -> str:
    if not kind or not escaped:
        return escaped
    style = COMMENT_STYLE if kind == "comment" else f"color: {COLOURS[kind][2]}"
    return f'<span class="{kind}" style="{style}">{escaped}</span>'


def _style_sheet() -> str:
    """Colours for light and dark pages, stronger than those at the words, and a font of one width for nbconvert."""
    rules = [".annotated pre { font-family: var(--jp-code-font-family, monospace); }"]
    for kind, (light, dark, _) in COLOURS.items():
        selectors = ", ".join(f"{page} .annotated .{kind}" for page in DARK_PAGES)
        rules.append(f".annotated .{kind} {{ color: {light} !important; }}")
        rules.append(f"{selectors} {{ color: {dark} !important; }}")
    return "<style>\n" + "\n".join(rules) + "\n</style>"


def _words_html(explanation: str) -> str:
    words = html.escape(explanation, quote=False)
    pieces = re.split(r"(`[^`]+`)", words)
    for index, piece in enumerate(pieces):
        if piece.startswith("`") and piece.endswith("`") and len(piece) > 2:
            pieces[index] = f'<code style="background: transparent">{piece[1:-1]}</code>'
        else:
            pieces[index] = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", piece)
    return "".join(pieces)
