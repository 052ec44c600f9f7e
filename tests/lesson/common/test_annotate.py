import linecache
import re
from html.parser import HTMLParser

import pytest

from seglib.errors import SegError
from seglib.lesson.common.annotate import BREAK, COLOURS, DARK_PAGES, annotate, source_lines


def step(model, images, optimizer):
    """One step.

    With a docstring that mentions optimizer.step().
    """
    optimizer.zero_grad()
    # Forward pass
    outputs = model(images)["out"]  # <N, C>
    if outputs is None and not images:
        return None

    # Backward pass
    outputs.mean().backward()
    optimizer.step()
    return outputs


class Small:
    """A class with docstrings inside."""

    def first(self):
        """Do the first thing."""
        return 1

    def second(self):
        "second"


EXPLAINED = {
    "optimizer.step()": "**Optimization step.** Moves the weights by `lr` times the gradient, so that a < b & **c**.",
    "optimizer.zero_grad()": "**Zeroing gradients.** Clears the gradients.",
    "model(images)": "**Forward pass.** We feed the images through the model.",
    "outputs.mean()": "**Backward pass.** Calculates the gradients. " + "Long words follow here. " * 12,
}


NOTES = (
    """
for images, masks in dataloader:
  # Forward pass
  outputs = model(images)["out"]
  loss = criterion(outputs, masks, weight=12.5, names="""
    + "'out', 'aux'"
    + """)

  loss.backward()
"""
)


class Tags(HTMLParser):
    """Reads HTML as a browser does: which tags, which words, and the style of each word."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.words = ""
        self.open = []
        self.runs = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open and self.open[-1][0] == "style":
            return
        self.words += data
        self.runs.append((data, dict(self.open[-1][1]) if self.open else {}))

    def kinds(self):
        return {text: attrs["class"] for text, attrs in self.runs if "class" in attrs and text.strip()}


def page_of(code, explanations=None):
    return annotate(code, explanations or {})._repr_html_()


def luminance(colour):
    values = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_groups_run_from_an_explained_line_to_the_next_one():
    groups = annotate(step, EXPLAINED).groups
    assert [group.fragment for group in groups] == ["", *list(EXPLAINED)[1:], "optimizer.step()"]
    assert [group.first for group in groups] == [1, 2, 3, 7, 10]
    assert sum((group.lines for group in groups), ()) == tuple(source_lines(step))


def test_comments_and_blank_lines_go_with_the_line_below_them():
    groups = annotate(step, EXPLAINED).groups
    assert groups[2].lines[0].strip() == "# Forward pass"
    assert groups[3].lines[:2] == ("", "    # Backward pass")


def test_the_docstring_is_left_out():
    assert "docstring" not in str(annotate(step, EXPLAINED))
    text = str(annotate(Small, {"return 1": "**One.** The first thing."}))
    assert "Do the first thing" not in text
    assert '"second"' in text  # it is all there is of this body


def test_plain_text_numbers_the_lines_and_wraps_the_words():
    lines = str(annotate(step, EXPLAINED)).splitlines()
    assert lines[0] == "  1  def step(model, images, optimizer):"
    assert lines[1:3] == ["     > Zeroing gradients. Clears the gradients.", "  2      optimizer.zero_grad()"]
    assert max(map(len, lines)) <= 100
    assert "**" not in "".join(lines)
    assert [int(line[:3]) for line in lines if not line.startswith("     >")] == list(range(1, 12))


def test_html_is_a_table_of_tags_that_github_keeps():
    page = Tags(annotate(step, EXPLAINED)._repr_html_())
    assert page.open == []
    assert set(page.tags) <= {"style", "table", "tr", "td", "pre", "span", "b", "code"}
    assert page.tags.count("tr") == 5
    assert "# <N, C>" in page.words
    assert "a < b & c" in page.words


def test_the_code_is_whole_where_styles_are_stripped():
    html = re.sub(r"<style>.*?</style>", "", annotate(step, EXPLAINED)._repr_html_(), flags=re.DOTALL)
    code = "".join(Tags(part).words for part in re.findall(r"<pre.*?</pre>", html, re.DOTALL))
    assert code.splitlines() == [line for line in source_lines(step) if line.strip()]


def test_html_shows_which_piece_is_explained():
    text = annotate(step, EXPLAINED)._repr_html_()
    assert "<b>optimizer.zero_grad()</b>" in text
    assert "<b>Zeroing gradients.</b>" in text
    assert ">lr</code>" in text


def test_a_piece_that_holds_several_colours_is_bold_as_a_whole():
    text = page_of(NOTES, {"for images": "**Loop.** All batches.", 'model(images)["out"]': "**Forward.** Images in."})
    bold = [Tags(part).words for part in re.findall(r"<b>.*?</b>", text)]
    assert bold == ["for images", "Loop.", 'model(images)["out"]', "Forward."]


def test_words_of_python_have_colours():
    kinds = Tags(page_of("@cached\ndef f(x):\n    # why\n    return None if x in 'ab' else 12.5\n")).kinds()
    assert kinds == {
        "@cached": "name",
        "def": "keyword",
        "f": "name",
        "# why": "comment",
        "return": "keyword",
        "None": "keyword",
        "if": "keyword",
        "in": "keyword",
        "'ab'": "string",
        "else": "keyword",
        "12.5": "number",
    }


def test_a_string_over_several_lines_is_one_string():
    page = Tags(page_of('text = """one\n  for two\n"""\nx = 1\n'))
    assert page.kinds() == {'"""one': "string", "  for two": "string", '"""': "string", "1": "number"}


def test_colours_can_be_read_on_light_and_dark_pages():
    for light, dark, both in COLOURS.values():
        assert min(contrast(light, page) for page in ("#ffffff", "#f5f5f5")) >= 4.5
        assert min(contrast(dark, page) for page in ("#111111", "#212121", "#383838")) >= 4.5  # the last is Colab's
        # One colour has 4.35 on both at best: (1.05 / 0.0556) ** 0.5.
        assert min(contrast(both, page) for page in ("#ffffff", "#111111")) >= 4.3


def test_the_style_sheet_has_each_colour_for_light_and_dark_and_beats_the_one_at_the_word():
    sheet = re.search(r"<style>\n(.*?)</style>", page_of(NOTES), re.DOTALL).group(1)
    for kind, (light, dark, both) in COLOURS.items():
        assert f".annotated .{kind} {{ color: {light} !important; }}" in sheet
        rules = [line for line in sheet.splitlines() if dark in line]
        assert len(rules) == 1
        assert all(f"{page} .annotated .{kind}" in rules[0] for page in DARK_PAGES)
        assert both not in sheet
    assert f'class="number" style="color: {COLOURS["number"][2]}">12.5<' in page_of(NOTES)


def test_nothing_has_a_background_of_its_own():
    page = Tags(annotate(step, EXPLAINED)._repr_html_())
    text = annotate(step, EXPLAINED)._repr_html_()
    opened = re.findall(r"<(tr|td|pre|code)\b([^>]*)>", text)
    assert {tag for tag, _ in opened} == {"tr", "td", "pre", "code"}
    assert all("background: transparent" in rest for _, rest in opened)
    assert len(re.findall("background", text)) == len(opened)
    assert page.tags.count("td") == 10


def test_a_line_that_the_window_wraps_goes_on_right_of_its_beginning():
    text = page_of("if x:\n    y = [\n        2\n    ]\n")
    hangs = re.findall(r"display: block; padding-left: ([\d.]+)em; text-indent: -([\d.]+)em", text)
    assert hangs == [("2.4", "2.4"), ("4.8", "4.8"), ("7.2", "7.2"), ("4.8", "4.8")]


def test_lines_wrap_between_words():
    text = page_of(NOTES)
    assert text.count("white-space: pre-wrap; word-break: normal; overflow-wrap: break-word") == text.count("<pre")
    assert "break-all" not in text
    assert BREAK not in text  # a space is near everywhere


def test_long_code_without_a_space_may_be_broken_at_punctuation_and_only_there():
    line = "torch.nn.functional.binary_cross_entropy_with_logits(images,masks.mean(1.5))"
    text = page_of(f"{line}\n").replace(BREAK, "|")
    code = Tags(re.search(r"<pre.*</pre>", text, re.DOTALL).group(0)).words
    assert code.strip().split("|") == [
        "torch",
        ".nn",
        ".functional",
        ".binary_",
        "cross_",
        "entropy_",
        "with_",
        "logits(",
        "images,",
        "masks",
        ".mean(",
        "1.5))",
    ]


def test_code_and_words_of_a_row_begin_at_one_height():
    text = page_of(NOTES, {"loss.backward()": "**Backward pass.** Gradients."})
    assert [Tags(part).words for part in re.findall(r"<pre.*?</pre>", text, re.DOTALL)][1] == "  loss.backward()\n"


def test_source_may_be_given_as_a_string():
    shown = annotate(NOTES, {"for images": "**Loop.** All batches.", "loss.backward()": "**Backward.** Gradients."})
    assert str(shown).splitlines() == [
        "     > Loop. All batches.",
        "  1  for images, masks in dataloader:",
        "  2    # Forward pass",
        '  3    outputs = model(images)["out"]',
        "  4    loss = criterion(outputs, masks, weight=12.5, names='out', 'aux')",
        "     > Backward. Gradients.",
        "  5",
        "  6    loss.backward()",
    ]


def test_a_string_is_shown_as_it_stands():
    code = '    def f():\n        """Say what it does."""\n        return 1\n    }\n'
    assert source_lines(code) == ["def f():", '    """Say what it does."""', "    return 1", "}"]


def test_output_is_the_same_every_time_and_holds_no_path_or_address():
    one, two = annotate(step, EXPLAINED), annotate(step, EXPLAINED)
    assert repr(one) == repr(two)
    assert one._repr_html_() == two._repr_html_()
    assert not re.search(r"0x[0-9a-f]{4}|test_annotate", repr(one) + one._repr_html_())


def test_a_method_loses_its_indentation():
    assert str(annotate(Small.first, {"return": "**Back.** One."})).startswith("  1  def first(self):")


@pytest.mark.parametrize(
    ("explanations", "words"),
    [
        ({"optimizer.zerograd()": "**Zero.** Clears."}, ["'optimizer.zerograd()'", "stands on no line of step"]),
        (
            {"optimizer.": "**Zero.** Clears."},
            ["stands on 2 lines", "line 2: optimizer.zero_grad()", "line 10:", "longer"],
        ),
        ({'"': "**Quote.** Of a key."}, ["stands 2 times on one line", "line 4: outputs", "longer"]),
        ({"": "**Zero.** Clears."}, ["no line"]),
        ({"With a docstring": "**Zero.** Clears."}, ["no line", "docstrings are not shown"]),
        ({"zero_grad": "Clears the gradients."}, ["'zero_grad'", "no bold lead-in", "**"]),
        ({"outputs = model": "**A.** B.", "(images)": "**C.** D."}, ["Two fragments", "line 4", "join"]),
    ],
)
def test_an_explanation_that_does_not_fit_its_source_is_an_error(explanations, words):
    with pytest.raises(SegError) as caught:
        annotate(step, explanations)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "Fix:" in str(caught.value)


@pytest.mark.parametrize("thing", [len, 3, int, type("Bare", (), {}), "text"])
def test_what_has_no_source_is_an_error(thing):
    with pytest.raises(SegError, match="no source"):
        annotate(thing, {"x": "**X.** Y."})


CELL = """import os


class Pairs:
    def __init__(self, folder):
        self.names = os.listdir(folder)

    def __len__(self):
        return len(self.names)


other = 1
"""


@pytest.fixture
def pairs():
    """A class as a cell of a notebook defines it: in no file, its lines known to linecache alone."""
    name = "<cell of a test>"
    linecache.cache[name] = (len(CELL), None, CELL.splitlines(keepends=True), name)
    namespace = {"__name__": "a_module_without_a_file"}
    exec(compile(CELL, name, "exec"), namespace)
    yield namespace["Pairs"]
    del linecache.cache[name]


def test_a_class_of_a_cell_is_shown_whole_and_alone(pairs):
    text = repr(annotate(pairs, {"class Pairs": "**The class.** Pairs.", "return len": "**How many.** Names."}))
    assert "  1  class Pairs:" in text
    assert "  6          return len(self.names)" in text
    assert "other = 1" not in text
    assert "import os" not in text


def test_a_fragment_that_the_cell_lacks_is_an_error(pairs):
    with pytest.raises(SegError):
        annotate(pairs, {"os.scandir": "**Names.** Of the files."})
