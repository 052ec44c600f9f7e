"""A model judged on a folder: figures that are right, by class and by picture, at the pictures' own size."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from seglib.cli.evaluate import in_words
from seglib.data.dataset import CustomDataset
from seglib.errors import TrainingError
from seglib.inference.evaluate_folder import FolderScore, PictureScore, boundary_counts, evaluate_folder
from seglib.inference.html_page import picture, table, text, write_page
from seglib.inference.predict import predict
from seglib.metrics import confusion_matrix, iou
from tests.inference.test_predict import half_red, red
from tests.support.helpers import quick, refused


@pytest.fixture
def dataset(tmp_path: Path) -> CustomDataset:
    """Pictures of three shapes, red in the left half; the masks call more and more of it the object."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number, (width, height) in enumerate([(64, 48), (48, 64), (80, 20), (40, 40)]):
        half_red(width, height).save(tmp_path / "images" / f"p{number}.png")
        mask = np.zeros((height, width), np.uint8)
        mask[:, : width // 2 + number * 4] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"p{number}.png")
    return CustomDataset(tmp_path / "images", tmp_path / "masks")


def test_the_figures_are_those_of_one_confusion_matrix_at_the_own_size(dataset: CustomDataset):
    score = evaluate_folder(red(), dataset)
    matrix = torch.zeros(2, 2, dtype=torch.int64)
    for image, mask in dataset:
        predicted = predict(red(), image).mask
        matrix += confusion_matrix(predicted.long(), torch.from_numpy(np.array(mask)).long() // 255)
    assert torch.equal(score.matrix, matrix)
    assert score.score == pytest.approx(iou(matrix)[1].item())
    assert [one.stem for one in score.worst_first()] == ["p3", "p1", "p2", "p0"] or score.worst_first()[-1].stem == "p0"
    assert score.worst_first()[0].score < score.worst_first()[-1].score
    values = json.loads(json.dumps(score.as_plain_values()))
    assert values["confusion_matrix"] == matrix.tolist()
    assert values["score_low"] <= values["score"] <= values["score_high"]
    assert set(values["classes"]) == {"background", "object"}


def test_a_class_model_is_judged_by_class_and_its_collapse_is_told(tmp_path: Path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (40, 30), (255, 0, 0)).save(tmp_path / "images" / "a.png")  # red: class 0 everywhere
    labels = np.zeros((30, 40), np.uint8)
    labels[:10] = 1
    labels[10] = 255
    Image.fromarray(labels).save(tmp_path / "masks" / "a.png")
    trained = red("cross_entropy", channels=3)
    dataset = CustomDataset(tmp_path / "images", tmp_path / "masks", classes=["soil", "crop", "weed"])
    with refused(TrainingError, tmp_path, "0 and 255"):
        evaluate_folder(trained, dataset)
    trained = type(trained)(trained.model, trained.criterion, trained.size, classes=["soil", "crop", "weed"])
    score = evaluate_folder(trained, dataset)
    assert score.matrix.tolist() == [[19 * 40, 0, 0], [10 * 40, 0, 0], [0, 0, 0]]
    values = score.as_plain_values()
    assert values["classes"]["weed"]["iou"] is None
    assert values["classes"]["soil"]["iou"] == values["classes"]["soil"]["share"]  # everything is called soil
    assert values["score_of_calling_everything"]["soil"] == pytest.approx(values["mean_iou"])  # soil and crop are there
    assert "Calling every pixel soil would have a mean IoU of 0.328." in in_words(score, values)
    assert '"crop" is never predicted.' in score.warnings()
    with refused(TrainingError, tmp_path, 'classes=["soil", "crop", "weed"]'):
        evaluate_folder(trained, CustomDataset(tmp_path / "images", tmp_path / "masks", classes=["a", "b", "c"]))


def test_no_picture_is_refused(dataset: CustomDataset, tmp_path: Path):
    with refused(TrainingError, tmp_path, "no picture"):
        evaluate_folder(red(), dataset.subset([]))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Pictures of a random hit rate around 0.5: the interval of 60 of them covers the score of very many."""
    random = np.random.default_rng(0)

    def pictures(count: int) -> list[PictureScore]:
        hits = random.binomial(100, random.beta(4, 4, count))
        return [
            PictureScore(str(n), torch.tensor([[100, 0], [100 - hit, int(hit)]]), torch.zeros(2, 2))
            for n, hit in enumerate(hits)
        ]

    truth = FolderScore(["background", "object"], pictures(20000)).score
    covered = 0
    for _ in range(60):
        low, high = FolderScore(["background", "object"], pictures(60)).interval(samples=300)[1]
        covered += low <= truth <= high
    assert 51 <= covered <= 60  # 95 % of 60 is 57


def by_hand(labels: np.ndarray, label: int, distance: int) -> np.ndarray:
    """The pixels of a label within whose square another label, or the end of the picture, lies."""
    inside = np.pad(labels == label, distance)
    ring = np.zeros_like(labels, bool)
    for y, x in np.argwhere(labels == label):
        ring[y, x] = not inside[y : y + 2 * distance + 1, x : x + 2 * distance + 1].all()
    return ring


@quick
@given(seed=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(5, 30), st.integers(5, 30)))
def test_boundaries_are_counted_as_by_hand(seed: int, size: tuple[int, int]):
    random = np.random.default_rng(seed)
    truth, predicted = (
        random.integers(0, 3, (size[0] // 5 + 1, size[1] // 5 + 1)).repeat(5, 0).repeat(5, 1)[: size[0], : size[1]]
        for _ in range(2)
    )
    distance = max(1, round(0.05 * np.hypot(*size)))
    counts = boundary_counts(torch.from_numpy(predicted), torch.from_numpy(truth), 3, share=0.05)
    for label in range(3):
        first, second = (by_hand(labels, label, distance) for labels in (predicted, truth))
        assert counts[:, label].tolist() == [(first & second).sum(), (first | second).sum()]


def test_an_outline_that_is_off_costs_more_at_the_boundary_than_inside():
    truth = torch.zeros(100, 100, dtype=torch.int64)
    truth[20:80, 20:80] = 1
    predicted = truth.roll(2, 0)
    both, either = boundary_counts(predicted, truth, 2)[:, 1].tolist()
    assert both / either < 0.6 < iou(confusion_matrix(predicted, truth))[1].item()


def test_a_page_holds_its_pictures_and_shows_names_as_they_are(tmp_path: Path):
    parts = [text("<b> & co"), table(["a"], [[0.12345], ["<i>"]]), picture(half_red(900, 600), 'a "name" <x>')]
    write_page(tmp_path / "page.html", "Title <1>", parts)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "&lt;b&gt; &amp; co" in page
    assert "0.123" in page
    assert 'alt="a &quot;name&quot; &lt;x&gt;" src="data:image/jpeg;base64,' in page
    assert "color-scheme: light dark" in page
    assert "http" not in page  # nothing is fetched
