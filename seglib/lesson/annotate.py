"""Owns annotated source: real code on the left, what it does on the right. See 00_start_here."""

import ast
import html
import inspect
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from seglib.errors import SegError

PLAIN_WIDTH = 100


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
        cell = '<td align="left" valign="top" style="text-align: left; vertical-align: top;{}">{}</td>'
        rows = []
        for group in self.groups:
            code = cell.format("", f'<pre style="margin: 0; white-space: pre-wrap;">{_code_html(group)}</pre>')
            # GitHub draws an empty cell without a border, so a cell without explanation holds a space.
            words = cell.format(" min-width: 18em; width: 42%;", _words_html(group.explanation) or "&nbsp;")
            rows.append(f"<tr>{code}{words}</tr>")
        return "<table>\n" + "\n".join(rows) + "\n</table>"

    def __repr__(self) -> str:
        text = []
        for group in self.groups:
            words = group.explanation.replace("**", "")
            text += textwrap.wrap(words, PLAIN_WIDTH, initial_indent="     > ", subsequent_indent="     > ")
            text += [f"{group.first + offset:3}  {line}".rstrip() for offset, line in enumerate(group.lines)]
        return "\n".join(text)


def annotate(thing: object, explanations: Mapping[str, str]) -> Annotation:
    """Show the source of a function, a method or a class beside its explanations, line against line.

    Docstrings are left out. A group of lines runs from an explained line to the line before the next explained one;
    comments, decorators and blank lines right above an explained line go with that line.

    Args:
        thing: a function, a method or a class whose source can be read.
        explanations: a fragment of exactly one source line -> its explanation, which opens with a bold lead-in
            (`**Zeroing gradients.** Clears ...`) and may hold `**bold**` and `code` in backticks.

    Returns:
        The last value of a cell: a table in JupyterLab, in Colab and on GitHub, indented notes elsewhere.

    Raises:
        SegError: the source cannot be read; a fragment stands on no line or on several; two fragments stand on the same
            line; an explanation has no lead-in.

    Example:
        >>> from seglib.errors import SegError
        >>> annotate(SegError, {"class SegError": "**One kind of error.** Found, expected, fix."}).groups[0].first
        1
    """
    name = getattr(thing, "__qualname__", type(thing).__name__)
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
    """Return the source lines of `thing` without docstrings; a SegError if there is no source."""
    try:
        source = textwrap.dedent(inspect.getsource(thing))  # type: ignore[arg-type]
    except (TypeError, OSError) as error:
        raise SegError(
            f"There is no source to show for {getattr(thing, '__name__', type(thing).__name__)!r}.",
            "a function, a method or a class that is defined in a file",
            "pass the function itself, without calling it: annotate(train_one_epoch, ...).",
        ) from error
    lines = source.rstrip().split("\n")
    hidden: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(node):
            docstring, last = node.body[0], node.body[0].end_lineno or 0
            if len(node.body) == 1 or docstring.lineno == node.lineno:
                continue  # without its docstring this body would be empty
            if last < len(lines) and not lines[last].strip():
                last += 1
            hidden.update(range(docstring.lineno - 1, last))
    return [line for index, line in enumerate(lines) if index not in hidden]


def _only_line_with(fragment: str, lines: list[str], name: str) -> int:
    places = [index for index, line in enumerate(lines) if fragment and fragment in line]
    if len(places) == 1:
        return places[0]
    standing = "".join(f"\n  line {index + 1}: {lines[index].strip()}" for index in places)
    if not places:
        found, fix = "stands on no line", "copy a piece of one line as it stands now; docstrings are not shown."
    else:
        found, fix = f"stands on {len(places)} lines", "make the fragment longer, until one line alone holds it."
    raise SegError(f"{fragment!r} {found} of {name}.{standing}", "a fragment that stands on exactly one line", fix)


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


def _code_html(group: Group) -> str:
    code = html.escape("\n".join(group.lines).rstrip(), quote=False)
    fragment = html.escape(group.fragment, quote=False)
    return code.replace(fragment, f"<b>{fragment}</b>", 1) if fragment else code


def _words_html(explanation: str) -> str:
    words = html.escape(explanation, quote=False)
    pieces = re.split(r"(`[^`]+`)", words)
    for index, piece in enumerate(pieces):
        if piece.startswith("`") and piece.endswith("`") and len(piece) > 2:
            pieces[index] = f"<code>{piece[1:-1]}</code>"
        else:
            pieces[index] = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", piece)
    return "".join(pieces)
