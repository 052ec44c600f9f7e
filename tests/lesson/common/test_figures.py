import base64
import io
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from seglib.errors import SegError, ShapeError
from seglib.inference.palette import HIT, INVENTED, MISSED
from seglib.lesson import error_picture, image_grid, new_figure, overlay, plot_history, show, to_labels, to_picture
from seglib.lesson.common import figures
from seglib.lesson.dataset.figures import mask_values_bar
from seglib.lesson.start_here.figures import error_map, iou_grid_figure
from seglib.training.history import History

ALT = "A line that climbs from zero to one, then stays there."


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: bundles.append((data, options)))
    return bundles


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def line_figure():
    figure, axes = new_figure()
    axes[0, 0].plot([0, 1, 1])
    axes[0, 0].set(xlabel="epoch", ylabel="IoU")
    return figure


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def test_show_gives_a_small_png_with_alt_text_and_width(shown):
    show(line_figure(), ALT)
    data, options = shown[0]
    assert data["text/plain"] == ALT
    assert options == {"raw": True, "metadata": {"image/png": {"alt": ALT, "width": 768}}}
    assert data["image/png"].startswith(b"\x89PNG")
    assert len(data["image/png"]) < figures.MAX_BYTES
    stored = Image.open(io.BytesIO(data["image/png"]))
    assert stored.width == 8 * figures.DPI
    assert stored.mode == "P"  # it has a palette


class Images(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(dict(attrs))


def test_the_html_holds_the_same_picture_with_the_words_as_its_alt_text(shown):
    words = 'One "curve", a < b & c, that climbs.'
    show(line_figure(), words)
    data, _ = shown[0]
    (image,) = Images(data["text/html"]).found
    assert image["alt"] == words
    assert image["width"] == "768"
    address, _, stored = image["src"].partition(",")
    assert address == "data:image/png;base64"
    assert base64.b64decode(stored) == data["image/png"]


def test_nbconvert_shows_the_alt_text_of_a_stored_figure(shown):
    # Of an image/png alone nbconvert says "No description has been provided for this image".
    nbconvert = pytest.importorskip("nbconvert")
    nbformat = pytest.importorskip("nbformat")
    show(line_figure(), ALT)
    data, options = shown[0]
    stored = {**data, "image/png": base64.b64encode(data["image/png"]).decode("ascii")}
    output = nbformat.v4.new_output("display_data", stored, metadata=options["metadata"])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("show(figure, ALT)", outputs=[output])])
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    assert [image["alt"] for image in Images(page).found] == [ALT]


def test_a_palette_makes_lines_smaller_and_looks_the_same():
    _, png = figures.encode(line_figure())
    smaller = figures.with_palette(png)
    assert len(smaller) < 0.6 * len(png)
    before = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=float)
    after = np.asarray(Image.open(io.BytesIO(smaller)).convert("RGB"), dtype=float)
    assert np.abs(before - after).mean() <= 0.05


def test_a_picture_of_many_colours_gets_no_palette(noise):
    stored = io.BytesIO()
    Image.fromarray(noise).save(stored, format="png")
    assert figures.with_palette(stored.getvalue()) == stored.getvalue()


def test_one_output_holds_all_of_a_figure(shown):
    show(line_figure(), ALT)
    assert [set(data) for data, _ in shown] == [{"image/png", "text/html", "text/plain"}]


def test_photographs_become_a_jpeg_below_the_limit(shown, noise):
    show(image_grid([[noise, noise, noise]] * 3), ALT)
    data, options = shown[0]
    assert set(data) == {"image/jpeg", "text/html", "text/plain"}
    assert Images(data["text/html"]).found[0]["src"].startswith("data:image/jpeg;base64,")
    assert options["metadata"]["image/jpeg"]["alt"] == ALT
    assert Image.open(io.BytesIO(data["image/jpeg"])).format == "JPEG"


def test_show_closes_the_figure(shown):
    figure, axes = plt.subplots()
    axes.set(xlabel="x", ylabel="y")
    show(figure, ALT)
    assert not plt.get_fignums()


@pytest.mark.parametrize("alt", ["", "   ", "a plot", "figure.png", "a b c d e", None])
def test_a_figure_without_words_is_refused(shown, alt):
    with pytest.raises(SegError, match="alternative text"):
        show(line_figure(), alt)
    assert shown == []


@pytest.mark.parametrize("draw", ["plot", "scatter", "bar"])
def test_data_without_labels_is_refused(shown, draw):
    figure, axes = new_figure()
    getattr(axes[0, 0], draw)([0, 1], [1, 2])
    axes[0, 0].set(title="losses", ylabel="loss")
    with pytest.raises(SegError, match=r"'losses'.*no label for x(?s:.)*set_xlabel"):
        show(figure, ALT)


def test_pictures_drawings_and_shared_axes_need_no_labels_of_their_own(shown, noise):
    figure, axes = new_figure(1, 3)
    axes[0, 0].imshow(noise)
    axes[0, 1].plot([0, 1])
    axes[0, 1].axis("off")
    show(figure, ALT)
    figure, axes = plt.subplots(1, 2, sharex=True, sharey=True)
    for place in axes:
        place.plot([0, 1])
    axes[0].set(xlabel="epoch", ylabel="loss")
    show(figure, ALT)
    assert len(shown) == 2


def test_to_picture_takes_what_a_lesson_has_at_hand(noise):
    tensor = torch.from_numpy(noise).permute(2, 0, 1)
    for image in (noise, Image.fromarray(noise), tensor, tensor / 255):
        np.testing.assert_array_equal(to_picture(image), noise)
    assert to_picture(torch.ones(1, 4, 5)).shape == (4, 5, 3)
    assert to_picture(np.ones((4, 5), bool)).max() == 255


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.zeros(2, 3, 4, 4), "images.0."),
        (torch.zeros(3, 4, 4) - 2, "denormalize"),
        (np.zeros((4, 4, 2)), "cannot"),
    ],
)
def test_an_image_that_would_be_drawn_wrongly_is_refused(image, words):
    with pytest.raises(ShapeError, match=words):
        to_picture(image)


def test_to_labels_keeps_values_and_drops_the_channel():
    mask = torch.tensor([[[0, 255], [3, 1]]])
    np.testing.assert_array_equal(to_labels(mask), [[0, 255], [3, 1]])
    np.testing.assert_array_equal(to_labels(Image.fromarray(np.uint8([[0, 255]]))), [[0, 255]])
    with pytest.raises(ShapeError, match="one mask"):
        to_labels(torch.zeros(2, 1, 4, 4))


def test_overlay_fills_the_mask_draws_its_contour_and_leaves_the_rest():
    image = np.full((20, 20, 3), 100, np.uint8)
    mask = np.zeros((20, 20), np.uint8)
    mask[5:15, 5:] = 255
    drawn = overlay(image, mask, "#FF0000", alpha=0.5, line=1)
    assert tuple(drawn[10, 10]) == (178, 50, 50)  # fill
    assert tuple(drawn[5, 10]) == (255, 255, 255)  # inner line
    assert tuple(drawn[4, 10]) == (89, 0, 0)  # outer line
    assert tuple(drawn[10, 19]) == (178, 50, 50)  # no line where the picture cuts the fruit off
    assert (drawn[:4] == 100).all()
    assert (image == 100).all()


def test_overlay_of_classes_colours_each_and_leaves_255_alone():
    image, mask = np.zeros((9, 12, 3), np.uint8), np.zeros((9, 12), np.uint8)
    mask[2:7, :3], mask[2:7, 3:6], mask[2:7, 9:] = 1, 2, 255
    drawn = overlay(image, mask, ("#FF0000", "#00FF00"), alpha=1.0, line=0)
    assert tuple(drawn[4, 1]) == (255, 0, 0)
    assert tuple(drawn[4, 4]) == (0, 255, 0)
    assert tuple(drawn[4, 10]) == (0, 0, 0)


def test_overlay_of_two_sizes_is_refused(noise):
    with pytest.raises(ShapeError, match="nearest"):
        overlay(noise, np.zeros((320, 240)))


def test_error_picture_tells_hit_missed_and_invented_apart():
    picture = error_picture(np.array([[1, 0, 1, 0]]), np.array([[255, 255, 0, 0]]))
    assert [tuple(pixel) for pixel in picture[0, :3]] == [rgb(HIT), rgb(MISSED), rgb(INVENTED)]
    assert len({rgb(HIT), rgb(MISSED), rgb(INVENTED), tuple(picture[0, 3])}) == 4
    with pytest.raises(ShapeError, match="one size"):
        error_picture(np.zeros((2, 3)), np.zeros((3, 2)))


def test_error_map_counts_its_pixels(noise):
    target = np.zeros((240, 320), bool)
    target[:100] = True
    words = [text.get_text() for text in error_map(~target, target, noise).legends[0].get_texts()]
    assert words == ["hit: 0 px", "missed: 32,000 px", "invented: 44,800 px"]


def test_image_grid_leaves_empty_places_empty(noise):
    figure = image_grid([[noise, None], [noise]], ["left", "right"], ["one", "two"])
    assert [len(axes.images) for axes in figure.axes] == [1, 0, 1, 0]
    assert [axes.get_ylabel() for axes in figure.axes] == ["one", "", "two", ""]


def test_iou_grid_counts_cell_by_cell():
    predicted, target = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    predicted[:2, :2], target[1:3, 1:3] = True, True
    figure = iou_grid_figure(predicted, torch.from_numpy(target))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["predicted: 4", "target: 4", "intersection: 1", "union: 7"]
    assert figure.get_supxlabel().endswith("= 1 / 7 = 0.143")
    assert iou_grid_figure(target & False, target & False).get_supxlabel().endswith("0 / 0 = not defined")


def test_mask_values_bar_shows_every_value(shown):
    mask = np.array([[0, 0, 0], [255, 0, 255]], np.uint8)
    axes = mask_values_bar(mask, {255: "fruit"}).axes[0]
    assert [text.get_text() for text in axes.texts] == ["4", "2"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "255\nfruit"]
    assert axes.get_yscale() == "log"
    smeared = mask_values_bar(np.arange(256, dtype=np.uint8).reshape(16, 16))
    assert len(smeared.axes[0].patches) == 256
    show(smeared, ALT)


def test_plot_history_draws_losses_iou_and_ceiling(shown):
    figure = plot_history(History([0.5, 0.3], [0.6, 0.4], [0.2, 0.7]), ceiling=0.94)
    losses, scores = figure.axes
    assert [line.get_label() for line in losses.lines] == ["training", "validation"]
    np.testing.assert_array_equal(losses.lines[0].get_xdata(), [1, 2])
    np.testing.assert_array_equal(scores.lines[0].get_ydata(), [0.2, 0.7])
    assert scores.lines[1].get_label() == "ceiling 0.94"
    show(figure, ALT)
