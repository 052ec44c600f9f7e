"""What 13_your_own_data needs: eight exports, flaws put in on purpose, the reader's folder, labelling, its figures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seglib.data.dataset import CustomDataset
from seglib.data.formats import convert
from seglib.data.transforms import joint_transform
from seglib.doctor import examine
from seglib.lesson import annotate, show
from seglib.lesson.common.ceiling import best_masks
from seglib.lesson.common.recorded import recorded
from seglib.lesson.your_own_data.absent_class import pictures_without, train_classes
from seglib.lesson.your_own_data.annotations import NOTES_LINES, NOTES_LINES_EXPLANATIONS
from seglib.lesson.your_own_data.exports import FRUIT, binary, polygons, small_class_pairs, write_exports
from seglib.lesson.your_own_data.figures import cost_chart, labelling_chart, place_slider, places_figure
from seglib.lesson.your_own_data.flaws import KINDS, LEFT_OUT, cost_of, judged_by, shift, spoil, with_flaws
from seglib.lesson.your_own_data.labelling import labelled_first, train_on_labelled
from seglib.lesson.your_own_data.readers_folder import ReadersFolder, from_afar
from seglib.metrics import confusion_matrix, iou
from tests.support.helpers import binary_mask, photograph

MASKS = [torch.from_numpy(np.array(binary_mask(seed, 40, 80))) for seed in range(10)]


def test_an_unknown_kind_of_flaw_is_an_error():
    with pytest.raises(KeyError):
        spoil(MASKS, "smeared", 0.5, seed=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_the_asked_share_of_masks_is_spoiled_and_the_rest_kept(kind, share):
    rare = [mask.roll(number, 1) for number, mask in enumerate(MASKS)]  # no two alike
    spoiled, chosen = spoil(rare, kind, share, seed=3)
    changed = [place for place, (new, old) in enumerate(zip(spoiled, rare, strict=True)) if not torch.equal(new, old)]
    assert changed == chosen
    assert len(chosen) == 10 * share
    assert spoil(rare, kind, share, seed=3)[1] == chosen
    if kind == "exchanged":
        assert sorted(mask.sum().item() for mask in spoiled) == sorted(mask.sum().item() for mask in rare)


def test_a_shift_moves_and_never_comes_in_again_on_the_other_side():
    mask = torch.zeros(1, 20, 40)
    mask[0, 5:8, 38:] = 1
    assert torch.equal(shift(mask, (0, -1)), mask.roll(-2, -1))
    assert shift(mask, (0, 1)).sum() == 0
    assert torch.equal(shift(mask, (1, 0)), mask.roll(2, -2))
    assert torch.equal(shift(mask, (0, -1), "shifted a little"), mask.roll(-1, -1))


def test_pairs_keep_their_images_and_left_out_changes_no_mask():
    pairs = [(torch.full((3, 40, 80), float(number)), mask) for number, mask in enumerate(MASKS)]
    flawed, chosen = with_flaws(pairs, "mirrored", 0.3, seed=0)
    assert [image[0, 0, 0].item() for image, _ in flawed] == list(range(10))
    assert all(torch.equal(flawed[place][1], MASKS[place].flip(-1)) for place in chosen)
    kept, left = with_flaws(pairs, LEFT_OUT, 0.3, seed=0)
    assert len(left) == 3
    assert all(torch.equal(new, old) for (_, new), old in zip(kept, MASKS, strict=True))


def test_a_training_on_flaws_gives_outputs_that_can_be_judged():
    torch.manual_seed(0)
    pairs = [(torch.randn(3, 32, 48), (torch.rand(1, 32, 48) > 0.5).float()) for _ in range(4)]
    outputs = cost_of(pairs, pairs[:2], LEFT_OUT, 0.5, seed=0, epochs=9)
    assert outputs.shape == (2, 32, 48)
    assert 0 <= judged_by(outputs, pairs[:2]) <= 1
    assert judged_by(torch.stack([mask[0] - 0.5 for _, mask in pairs]), pairs) == 1


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """The reader's folder, with its flaws."""
    made = ReadersFolder(Path("data_samples"), tmp_path_factory.mktemp("reader"))
    made.spoil()
    return made


def test_the_readers_folder_has_the_flaws_that_the_lesson_tells_of(reader):
    report = examine(reader.images, reader.masks, split=reader.split)
    found = {one.kind: one.names for one in report.findings}
    assert found == {
        "no mask": ["images/fruit_010.jpg"],
        "ImageError": ["fruit_004"],
        "MaskError": ["fruit_015"],
        "size": ["fruit_012"],
        "zero and one": ["fruit_014"],
        "single": ["17 training pictures in batches of 4"],
        "turned": ["fruit_001"],
        "shifted": ["fruit_017"],
        "elsewhere": ["fruit_002", "fruit_007"],
        "tiny": ["fruit_023"],
        "twins apart": ["fruit_018 and fruit_018_b"],
        "shapes": ["fruit_012"],
    }


def test_a_scene_from_afar_is_smaller_and_its_mask_goes_with_it():
    image, mask = from_afar(photograph(0, 240, 320), binary_mask(0, 240, 320), times=4)
    assert image.size == mask.size == (320, 240)
    share = np.mean(np.array(mask) > 0) / np.mean(np.array(binary_mask(0, 240, 320)) > 0)
    assert share == pytest.approx(1 / 16, rel=0.1)
    assert set(np.unique(np.array(mask))) == {0, 255}


def test_the_slider_moves_the_mask_and_says_what_the_doctor_says(reader):
    slider = place_slider(*reader.right("fruit_000"))
    assert "the doctor says: nothing" in slider.caption.value
    before = slider.picture.value
    slider.right.value = 10
    assert "0 % too far right" in slider.caption.value
    assert slider.picture.value != before
    slider.right.value = 0
    slider.down.value = -8
    assert "too far up" in slider.caption.value
    assert repr(slider) == "PlaceSlider(right and down, from -20 to 20 %)"


def test_the_figures_draw_and_have_labels(reader, capsys):
    image, mask = reader.right("fruit_000")
    turned = mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    show(places_figure(image, {"right": mask, "mirrored": turned}), "A mask, and the same mirrored, with two maps.")
    show(cost_chart(recorded("dirty_data")["summary"]), "IoU over the share of wrong masks, in two panels.")


def test_the_best_masks_of_a_finer_grid_are_better(reader):
    mask = torch.from_numpy(np.array(reader.right("fruit_006")[1].resize((160, 120), 0)) / 255).float()[None, None]
    scores = [iou(confusion_matrix(best_masks(mask, stride).long(), mask.long()))[1].item() for stride in (16, 8)]
    assert 0.7 < scores[0] < scores[1] < 1


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """The eight folders, below one."""
    root = tmp_path_factory.mktemp("exports")
    write_exports(Path("data_samples"), root)
    return root


@pytest.fixture(scope="module")
def pairs():
    return small_class_pairs(Path("data_samples"))


def wrong_pixels(dataset: CustomDataset, pairs, *, binary_masks: bool) -> list[int]:
    """How many pixels of each mask are not as written; the outlines, 255, are left out."""
    counts = []
    for number, stem in enumerate(dataset.stems):
        mask = pairs[stem.rpartition("/")[2]][1]
        wanted = np.asarray(binary(mask) if binary_masks else mask)
        counts.append(int(((np.asarray(dataset[number][1]) != wanted) & (np.asarray(mask) != 255)).sum()))
    return counts


def test_masks_beside_photographs_are_read_back_equal(exports, pairs):
    red = {"#000000": 0, "#dc1e1e": 255}
    datasets = [
        CustomDataset(exports / "suffix/images", exports / "suffix/masks", mask_suffix="_mask"),
        CustomDataset(exports / "together", exports / "together", mask_suffix="_mask"),
        CustomDataset(exports / "colours/images", exports / "colours/masks", palette=red),
    ]
    assert [wrong_pixels(each, pairs, binary_masks=True) for each in datasets] == [[0, 0, 0]] * 3
    voc = CustomDataset(exports / "voc/JPEGImages", exports / "voc/SegmentationClass", classes=FRUIT)
    assert wrong_pixels(voc, pairs, binary_masks=False) == [0, 0, 0]
    assert 255 in np.asarray(voc[0][1])


KINDS_OF_EXPORT = {"cvat": "CVAT", "coco": "COCO", "labelme": "LabelMe", "roboflow": "Roboflow"}


@pytest.mark.parametrize("tool", KINDS_OF_EXPORT)
def test_exports_are_recognised_and_read_back_equal(exports, pairs, tmp_path, tool):
    report = convert(exports / tool, tmp_path, classes=FRUIT, gather_images=True)
    assert report.kind.startswith(KINDS_OF_EXPORT[tool])
    dataset = CustomDataset(tmp_path / "images", tmp_path / "masks", classes=FRUIT, recursive=True)
    assert wrong_pixels(dataset, pairs, binary_masks=False) == [0, 0, 0]


def test_without_class_names_each_tool_has_its_own_order(exports, tmp_path):
    assert convert(exports / "coco", tmp_path / "coco").classes == list(FRUIT)
    assert convert(exports / "labelme", tmp_path / "labelme").classes == ["background", "apple", "banana", "lemon"]


def test_polygons_fill_holes_and_put_small_objects_last():
    labels = np.zeros((40, 60), np.uint8)
    labels[5:35, 5:35] = 1
    labels[15:25, 15:25] = 0  # a hole
    labels[0:8, 50:60] = 3  # touches the border of the picture
    labels[38:39, 40:45] = 2  # too small
    shapes = polygons(Image.fromarray(labels))
    assert [name for name, _ in shapes] == ["apple", "banana"]
    assert shapes[1][1].min() == 0
    assert shapes[1][1].max() == 60


def test_the_lines_of_the_notes_are_all_explained():
    annotate(NOTES_LINES, NOTES_LINES_EXPLANATIONS)  # a fragment that stands there twice, or not, is an error


def test_each_picture_is_measured_once_in_a_draw_and_never_trained_on_then():
    stems = [f"picture_{number:02}" for number in range(48)]
    splits = labelled_first(stems, draw=1)
    assert sorted(stem for split in splits for stem in split.validation) == stems
    assert all(len(split.train) == 40 and not set(split.train) & set(split.validation) for split in splits)
    assert labelled_first(stems, draw=1) == splits
    assert labelled_first(stems, draw=0) != splits


def write_squares(folder: Path, count: int) -> list[str]:
    stems = [f"picture_{number}" for number in range(count)]
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for number, stem in enumerate(stems):
        photograph(number, 32, 32).save(folder / "images" / f"{stem}.png")
        binary_mask(number, 32, 32).save(folder / "masks" / f"{stem}.png")
    return stems


def test_a_training_on_a_few_labelled_pictures_measures_all_pixels_of_the_others(tmp_path):
    stems = write_squares(tmp_path, 8)
    matrices = [train_on_labelled(tmp_path, stems[:6], stems[6:], seed=0, steps=2, size=(32, 32)) for _ in range(2)]
    assert matrices[0].sum() == 2 * 32 * 32
    assert torch.equal(*matrices)


def test_a_class_that_is_in_no_picture_has_no_iou(tmp_path):
    stems = write_squares(tmp_path, 6)
    for path in (tmp_path / "masks").iterdir():
        Image.open(path).point(lambda value: value // 255).save(path)
    classes = ["background", "square", "pear"]
    transform = joint_transform((32, 32), train=False, classes=classes)
    dataset = CustomDataset(tmp_path / "images", tmp_path / "masks", joint_transform=transform, classes=classes)
    assert pictures_without(dataset, stems, label=2, most=4) == stems[:4]
    assert pictures_without(dataset, stems, label=1) == []
    evaluation = train_classes(dataset.subset(stems[:4]), dataset.subset(stems[4:]), epochs=2)
    assert len(evaluation.class_iou) == 3
    assert evaluation.matrix[2].sum() == 0  # no pear is there


def test_the_chart_of_labelling_draws():
    runs = [
        {"draw": 0, "fold": fold, "pictures": count, "iou": 0.5 + 0.1 * fold}
        for fold in (0, 1)
        for count in (10, 20, 40)
    ]
    figure = labelling_chart(runs, minutes=5)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "0.8 hours\n10 pictures",
        "1.7 hours\n20 pictures",
        "3.3 hours\n40 pictures",
    ]
    assert axes.lines[-1].get_ydata() == pytest.approx([0.55, 0.55, 0.55])
