import re
from html.parser import HTMLParser

import pytest

from seglib.errors import SegError
from seglib.lesson import annotate
from seglib.lesson.common.annotate import source_lines


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


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


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
    assert set(page.tags) == {"table", "tr", "td", "pre", "b", "code"}
    assert page.tags.count("tr") == 5
    assert "# <N, C>" in page.words
    assert "a < b & c" in page.words


def test_html_shows_which_piece_is_explained_and_sets_no_colour():
    text = annotate(step, EXPLAINED)._repr_html_()
    assert "<b>optimizer.zero_grad()</b>" in text
    assert "<b>Zeroing gradients.</b>" in text
    assert "<code>lr</code>" in text
    assert "color" not in text
    assert "background" not in text


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


@pytest.mark.parametrize("thing", [len, 3, int])
def test_what_has_no_source_is_an_error(thing):
    with pytest.raises(SegError, match="no source"):
        annotate(thing, {"x": "**X.** Y."})
