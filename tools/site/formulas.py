"""Writes formulas as MathML, which every browser draws by itself and a screen reader reads: no script, no font.

Sphinx's own ways load a script from the network, or need LaTeX to draw pictures.
"""

from docutils import nodes
from math_core import LatexToMathML
from sphinx.application import Sphinx

CONVERTER = LatexToMathML()


def mathml(latex: str, *, block: bool) -> str:
    return CONVERTER.convert_with_local_state(latex, displaystyle=block)


def inline(writer: nodes.NodeVisitor, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext(), block=False))
    raise nodes.SkipNode


def display(writer: nodes.NodeVisitor, node: nodes.math_block) -> None:
    # A formula wider than a telephone is scrolled; what scrolls must be reached by the keyboard, and so has a name.
    group = '<div class="formula" role="group" aria-label="Formula" tabindex="0">'
    writer.body.append(f"{group}{mathml(node.astext(), block=True)}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
