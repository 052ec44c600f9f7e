"""What only 11_predict needs: scores at thresholds, calibration, kinds of mistakes, charts, the threshold slider."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from seglib.errors import ImageError
from seglib.lesson.common.figures import encode
from seglib.lesson.predict.figures import (
    calibration_chart,
    class_dots,
    confusion_figure,
    mistakes_figure,
    mistakes_picture,
    specks_chart,
    threshold_chart,
)
from seglib.lesson.predict.own_photo import photo_upload, read_photograph
from seglib.lesson.predict.scores import (
    at_thresholds,
    calibration,
    in_colour_box,
    iou_interval,
    kinds_of_mistakes,
    matrices_of,
    quarter_size,
    without_specks,
)
from seglib.lesson.predict.threshold_slider import threshold_slider
from seglib.losses import make_loss
from seglib.training.checkpoint import TrainedModel


def test_scores_at_thresholds_are_those_of_a_count():
    torch.manual_seed(0)
    probabilities = torch.rand(500)
    masks = torch.randint(0, 2, (500,))
    masks[:50] = 255
    known = masks != 255
    thresholds = [0.0, 0.2, 0.5, 0.99, 1.0]
    scores = at_thresholds(probabilities, masks, thresholds)
    is_object = masks[known] == 1
    for number, threshold in enumerate(thresholds):
        predicted = probabilities[known] > threshold
        true_positives = (predicted & is_object).sum().item()
        assert scores["iou"][number] == pytest.approx(true_positives / (predicted | is_object).sum().item())
        assert scores["recall"][number] == pytest.approx(true_positives / is_object.sum().item())
        if predicted.any():
            assert scores["precision"][number] == pytest.approx(true_positives / predicted.sum().item())
        else:
            assert math.isnan(scores["precision"][number])


def test_a_probability_equal_to_the_threshold_is_background():
    scores = at_thresholds(torch.tensor([0.5, 0.9]), torch.tensor([1, 1]), [0.5])
    assert scores["recall"] == [0.5]


def test_without_any_object_recall_is_not_defined():
    scores = at_thresholds(torch.tensor([0.2, 0.9]), torch.tensor([0, 255]), [0.5])
    assert all(math.isnan(values[0]) for values in scores.values())


def test_calibration_counts_each_known_pixel_once():
    probabilities = torch.tensor([0.05, 0.95, 1.0, 0.5, 0.5])
    masks = torch.tensor([0, 1, 1, 255, 1])
    rows = calibration(probabilities, masks)
    assert [row["pixels"] for row in rows] == [1, 1, 2]
    assert [round(row["predicted"], 3) for row in rows] == [0.05, 0.5, 0.975]
    assert [row["observed"] for row in rows] == [0.0, 1.0, 1.0]


def test_each_wrong_pixel_is_of_one_kind():
    target = torch.zeros(20, 20, dtype=torch.long)
    target[5:15, 5:15] = 1
    predicted = torch.zeros(20, 20, dtype=torch.long)
    predicted[4:15, 5:15] = 1  # a row too many: boundary
    predicted[9:11, 9:11] = 0  # a hole in the middle: missed
    predicted[0, 0] = 1  # far away: invented
    kinds = kinds_of_mistakes(predicted, target)
    assert {kind: int(where.sum()) for kind, where in kinds.items()} == {"missed": 4, "invented": 1, "boundary": 10}
    assert sum(where.sum() for where in kinds.values()) == (predicted != target).sum()


def test_each_kind_of_mistake_has_its_colour():
    target = torch.zeros(20, 20)
    target[:10] = 1
    predicted = torch.zeros(20, 20)
    predicted[:3] = 1
    predicted[19, 19] = 1
    picture = mistakes_picture(predicted, target, torch.zeros(3, 20, 20))
    assert picture.shape == (20, 20, 3)
    assert picture[1, 1].tolist() == [118, 156, 177]  # found: the photograph in light blue
    assert picture[19, 19].tolist() == [204, 121, 167]  # invented: purple
    assert picture[5, 5].tolist() == [230, 159, 0]  # missed: orange
    assert picture[9, 9].tolist() == [0, 0, 0]  # boundary: black
    assert picture[15, 5].tolist() == [140, 140, 140]  # rightly left alone: the photograph in grey


def test_the_confusion_figure_says_per_cent_of_each_row():
    figure = confusion_figure(torch.tensor([[5, 1], [0, 0]]), ["background", "fruit"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["83 %", "17 %", "0 %", "0 %"]


def test_the_charts_can_be_drawn():
    scores = {"precision": [0.5, 0.9], "recall": [0.9, 0.5], "iou": [0.4, 0.4]}
    triple = (torch.ones(6, 8), torch.zeros(6, 8), torch.zeros(3, 6, 8))
    figures = (
        threshold_chart([0.2, 0.8], scores, own=0.5),
        calibration_chart([{"predicted": 0.1, "observed": 0.2, "pixels": 9}]),
        mistakes_figure([triple, triple], ["a", "b"]),
    )
    assert [encode(figure)[0] for figure in figures] == ["image/png"] * 3


def test_the_threshold_slider_changes_picture_and_words():
    probabilities = torch.linspace(0, 1, 48).view(6, 8)
    widget = threshold_slider(torch.zeros(3, 6, 8), probabilities, (probabilities > 0.5).long())
    before = widget.picture.value
    assert "iou 1.00" in widget.caption.value
    widget.slider.value = 0.9
    assert widget.picture.value != before
    assert "iou 1.00" not in widget.caption.value
    assert repr(widget) == "ThresholdSlider(threshold from 0 to 1)"


def test_scores_without_specks():
    mask = torch.zeros(10, 10, dtype=torch.long)
    mask[:4, :4] = 1  # 16 pixels, 12 of them right
    mask[8, 8] = 1  # invented
    mask[6, :2] = 1  # a small true thing
    truth = torch.zeros(10, 10, dtype=torch.long)
    truth[:4, :3] = 1
    truth[6, :2] = 1
    rows = without_specks([mask, mask], [truth, truth], [1, 2, 3])
    assert [row["pieces"] for row in rows] == [6, 4, 2]
    assert [row["iou"] for row in rows] == pytest.approx([14 / 19, 14 / 18, 12 / 18])
    assert [row["precision"] for row in rows] == pytest.approx([14 / 19, 14 / 18, 12 / 16])
    assert [row["recall"] for row in rows] == pytest.approx([1, 1, 12 / 14])
    assert encode(specks_chart({"a": rows, "b": rows}))[0] == "image/png"


def test_a_quarter_of_width_and_height():
    mask = Image.new("L", (40, 24))
    mask.paste(255, (0, 0, 20, 24))
    images, truths = quarter_size([(Image.new("RGB", (40, 24)), mask)])
    assert images[0].size == (10, 6)
    assert truths[0].float().mean().item() == 0.5
    assert matrices_of([torch.full((6, 10), 0.7)], truths)[0].tolist() == [[0, 30], [0, 30]]


def test_the_interval_holds_the_score_and_is_a_point_where_all_pictures_are_alike():
    same = torch.tensor([[[5, 1], [1, 6]]] * 4)
    assert iou_interval(same, draws=50) == pytest.approx((0.75, 0.75))
    low, high = iou_interval(torch.tensor([[[5, 1], [1, 6]], [[9, 4], [0, 1]]]), draws=200)
    assert low < 7 / 13 < high


def test_a_box_of_colours_whose_hue_goes_round():
    image = Image.new("HSV", (2, 1), (250, 200, 200))
    image.putpixel((1, 0), (100, 200, 200))
    image = image.convert("RGB")
    assert in_colour_box(image, [(240, 266), (100, 256), (100, 256)]).tolist() == [[1, 0]]


def test_the_dots_of_the_classes_can_be_drawn():
    runs = [{"arm": arm, "iou": {"apple": 0.5, "banana": None}} for arm in ("short", "longer")]
    assert encode(class_dots({"arms": {"short": {}, "longer": {}}, "runs": runs}, ["apple", "banana"]))[0]


class Bright(nn.Module):
    """Says of each pixel its normalised red."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        return {"out": images[:, :1]}


def file_of(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("colab", [False, True])
def test_an_uploaded_photograph_gets_its_mask(colab: bool):
    widget = photo_upload(TrainedModel(Bright(), make_loss("bce"), (24, 32)))
    data = file_of(Image.new("RGB", (64, 48), (255, 0, 0)))
    value = {"a<b.png": {"content": data}} if colab else ({"name": "a<b.png", "content": memoryview(data)},)
    widget.button = type("Button", (), {"value": value})()  # the widget's own trait takes one of the two forms only
    widget._draw()
    assert widget.caption.value == "a&lt;b.png: 100.0 % of the pixels are called fruit"
    assert np.array(Image.open(io.BytesIO(widget.picture.value))).shape == (48, 128, 3)
    assert repr(widget) == "PhotoUpload(a photograph of yours)"


def test_an_upload_that_is_no_picture_says_what_to_do():
    widget = photo_upload(TrainedModel(Bright(), make_loss("bce"), (24, 32)))
    widget.button = type("Button", (), {"value": ({"name": "IMG_1.HEIC", "content": b"nothing"},)})()
    widget._draw()
    assert "IMG_1.HEIC cannot be opened" in widget.caption.value
    assert "Save it as a JPEG" in widget.caption.value
    with pytest.raises(ImageError):
        read_photograph("a.jpg", b"")


NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "11_predict.ipynb"


def cell_with(words: str, kind: str = "code") -> str:
    """The source of the one cell of the notebook that holds these words."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]
    (source,) = [source for source in sources if words in source]
    return source


def finder_of_the_notebook() -> nn.Module:
    names = {"torch": torch, "F": F}
    exec(cell_with("class FruitFinder").split("\n\n\nphotograph =")[0], names)
    return names["FruitFinder"](Bright()).eval()


def test_the_module_of_the_notebook_refuses_floats():
    finder = finder_of_the_notebook()
    assert finder(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)).shape == (1, 1, 8, 8)
    with pytest.raises(AssertionError):
        finder(torch.rand(1, 3, 8, 8))


def test_the_program_of_the_notebook_takes_one_picture_or_three_of_any_size():
    finder = finder_of_the_notebook()
    lines = cell_with("dynamic_shapes=", "markdown").split("```python\n")[1].split("torch.export.save")[0]
    names = {"torch": torch, "finder": finder}
    exec(lines, names)
    program = names["program"].module()
    for shape in ((1, 3, 1280, 960), (3, 3, 40, 50), (1, 3, 240, 320)):
        pictures = torch.randint(0, 256, shape, dtype=torch.uint8)
        assert (program(pictures) - finder(pictures)).abs().max() < 1e-4
