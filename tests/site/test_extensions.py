"""What tools/site adds to Sphinx. These tests need Sphinx, so `make site` runs them."""

import xml.etree.ElementTree as ElementTree

from docutils import nodes

from tools.notebooks.environment import NOTEBOOKS
from tools.site.formulas import mathml
from tools.site.glossary import definitions, plain


def test_the_glossary_gives_each_term_its_sentences():
    found = definitions((NOTEBOOKS / "GLOSSARY.md").read_text(encoding="utf-8"))
    assert len(found) > 100
    assert found["adamw"].startswith("Adam with weight decay beside the gradient")
    assert all(len(words) > 40 and words.endswith((".", ")", "?")) for words in found.values())


def test_definitions_are_plain_words():
    assert plain("The [loss](#loss) of\n`x`, **always**.") == "The loss of x, always."
    assert definitions("# G\n\n## A b\n\nOne.\nTwo.\n\nMore.\n\n## `c`\n\nThree.\n") == {
        "a-b": "One. Two.",
        "c": "Three.",
    }


def test_a_formula_becomes_mathml():
    formula = mathml(r"\frac{1}{n} \sum_i x_i", block=True)
    assert formula.startswith('<math display="block">')
    assert ElementTree.fromstring(formula).find(".//mfrac") is not None


def test_a_table_without_headings_gets_none_and_its_first_column_is_its_headings():
    from docutils.utils import new_document

    from tools.site.tables import HeadlessTables

    def row(*texts: str) -> nodes.row:
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", text)) for text in texts))

    def table(head: nodes.row) -> nodes.tgroup:
        columns = [nodes.colspec(), nodes.colspec()]
        return nodes.tgroup("", *columns, nodes.thead("", head), nodes.tbody("", row("a", "b")))

    document = new_document("page")
    empty, full = table(row("", "")), table(row("one", "two"))
    document += [nodes.table("", empty), nodes.table("", full)]
    HeadlessTables(document).apply()
    assert not list(empty.findall(nodes.thead))
    assert next(iter(empty.findall(nodes.colspec)))["stub"] == 1
    assert list(full.findall(nodes.thead))
