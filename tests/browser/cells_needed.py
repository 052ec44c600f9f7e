"""Owns which cells of a notebook have to run before one of them: read from the names that they bind and use."""

import ast
from typing import Any


def cells_needed(cells: list[dict[str, Any]], target: int) -> list[int]:
    """The places of the cells that the cell `target` needs, and its own, in order.

    The first code cell, the set-up, is always needed. A cell is needed if it binds or changes a name that a needed cell
    below it uses.

    Args:
        cells: of a notebook, as JSON.
        target: the place of one of them.

    Example:
        >>> cells = [{"cell_type": "code", "source": text} for text in ("import os", "a = 1", "b = 2", "print(a)")]
        >>> cells_needed(cells, 3)
        [0, 1, 3]
    """
    code = [place for place in range(target) if cells[place]["cell_type"] == "code"]
    wanted = names_used(tree_of(cells[target]))
    needed = [target]
    for place in reversed(code):
        tree = tree_of(cells[place])
        if place == code[0] or names_changed(tree) & wanted:
            needed.append(place)
            wanted |= names_used(tree)
    return sorted(needed)


def tree_of(cell: dict[str, Any]) -> ast.Module:
    return ast.parse("".join(cell["source"]))


def names_used(tree: ast.Module) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def names_changed(tree: ast.Module) -> set[str]:
    """Names that a cell assigns, imports or defines; and those of which it sets a part or calls a method by itself."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            names.add(owner(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            names.add(owner(node.value.func))
    return names


def owner(node: ast.expr) -> str:
    """The name at the left of a chain of attributes, indices and calls; empty if there is none."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
