"""What 04_model draws, trains, measures and asks: stages, the auxiliary head, two modes, the ceiling, the exercises."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from seglib import build_deeplab
from seglib.lesson import show
from seglib.lesson.common.ceiling import best_masks, ceiling_chart
from seglib.lesson.model.auxiliary_head import Aux, aux_chart, build_for, loss_of, score, train_with_aux
from seglib.lesson.model.exercises import check_freeze, check_new_head, check_places, check_running_mean, places_in_use
from seglib.lesson.model.figures import WAYS, WINDOWS, modes_chart, window_drawing
from seglib.lesson.model.modes import averages_from, compare_modes, in_training_mode, iou_in_company, neighbours
from seglib.lesson.model.stages import draw_stages, stages
from seglib.lesson.model.stride_slider import stride_slider
from seglib.losses import make_loss
from seglib.model import BUNDLED_MODEL, output_stride

IMAGE = torch.linspace(-1, 1, 3 * 48 * 64).view(3, 48, 64)


@pytest.fixture(scope="module")
def aux():
    torch.manual_seed(0)
    return build_deeplab(weights=None, aux=True, verbose=False)


def square_pairs(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pictures (3, 48, 64) with a bright square, and masks (1, 48, 64) of it."""
    masks = torch.zeros(count, 1, 48, 64)
    for number in range(count):
        masks[number, :, 8 : 32 + number, 16:48] = 1
    return [(mask.expand(3, -1, -1) * 2 - 1, mask) for mask in masks]


# The stages


def test_stages_count_every_parameter_once_and_give_the_shapes(aux):
    found = stages(aux, IMAGE)
    assert sum(stage.parameters for stage in found) == sum(weight.numel() for weight in aux.parameters())
    shapes = {(stage.part, stage.name): stage.shape for stage in found}
    assert shapes["backbone", "image"] == (3, 48, 64)
    assert shapes["backbone", "1/16"] == (960, 3, 4)
    branches = [stage for stage in found if stage.part == "ASPP"]
    assert [stage.name for stage in branches] == [
        "1x1 window",
        "3x3, rate 12",
        "3x3, rate 24",
        "3x3, rate 36",
        "whole picture",
    ]
    assert {stage.shape for stage in branches} == {(256, 3, 4)}
    assert shapes["classifier", "last layer"] == (1, 3, 4)
    assert shapes["classifier", "out"] == shapes["auxiliary head", "aux"] == (1, 48, 64)
    assert shapes["auxiliary head", "3x3 window"] == (10, 6, 8)
    with torch.no_grad():
        wanted = aux.eval()(IMAGE[None])["out"][0, 0].numpy()  # one channel keeps its sign
    np.testing.assert_allclose(found[[*shapes].index(("classifier", "out"))].picture, wanted, atol=1e-5)
    assert all(stage.picture.min() >= 0 for stage in found[1:] if stage.shape[0] > 1)  # of many it is the mean size


def test_stages_leave_the_model_as_it_was(aux):
    before = {key: value.clone() for key, value in aux.state_dict().items()}
    aux.train().backbone.eval()
    hooks = [len(module._forward_hooks) for module in aux.modules()]
    stages(aux, IMAGE)
    assert (aux.training, aux.backbone.training, aux.classifier[0].training) == (True, False, True)
    assert [len(module._forward_hooks) for module in aux.modules()] == hooks
    assert all(torch.equal(before[key], value) for key, value in aux.state_dict().items())


def test_a_model_without_auxiliary_head_has_no_such_stage(aux):
    head = aux.aux_classifier
    aux.aux_classifier = None
    try:
        found = stages(aux, IMAGE)
    finally:
        aux.aux_classifier = head
    assert {stage.part for stage in found} == {"backbone", "ASPP", "classifier"}
    figure = draw_stages(found)
    labels = [axes.get_xlabel() for axes in figure.axes if axes.get_visible()]
    assert "(960, 3, 4)" in labels
    assert len(labels) == len(found)


def test_the_drawing_can_be_shown(aux):
    show(draw_stages(stages(aux, IMAGE)), "Small pictures of what comes out of each part of a model.")


# The auxiliary head


def test_both_trainings_begin_with_the_same_weights():
    without = build_for(3, False)
    with_aux = build_for(3, True)
    assert without.aux_classifier is None
    more = with_aux.state_dict()
    assert all(torch.equal(value, more[key]) for key, value in without.state_dict().items())
    assert not torch.equal(build_for(4, False).classifier[4].weight, without.classifier[4].weight)


def test_half_of_the_loss_of_aux_is_added():
    criterion = make_loss("mse")
    masks = torch.zeros(1, 1, 2, 2)
    out = torch.full((1, 1, 2, 2), 3.0)
    aux_out = torch.full((1, 1, 2, 2), 2.0)
    assert loss_of({"out": out}, masks, criterion).item() == 9
    assert loss_of({"out": out, "aux": aux_out}, masks, criterion).item() == 9 + 0.5 * 4


def test_a_short_training_with_both_outputs_moves_both_heads():
    torch.manual_seed(0)
    pairs = square_pairs(4)
    before = build_for(0, True).state_dict()
    model = train_with_aux(pairs, square_pairs(1), seed=0, with_aux=True, epochs=9)
    after = model.state_dict()
    for key in ("classifier.4.weight", "aux_classifier.4.weight", "backbone.0.0.weight"):
        assert not torch.equal(before[key], after[key])
    assert 0 <= score(model, pairs) <= 1
    image = pairs[0][0][None]
    assert torch.equal(Aux(model.eval())(image)["out"], model(image)["aux"])


def test_the_chart_of_the_auxiliary_head_can_be_shown():
    arms = {
        "without": {"parameters": 11_020_337, "milliseconds_a_step": 150.0, "iou": [0.5, 0.6, 0.55]},
        "with": {"parameters": 11_023_968, "milliseconds_a_step": 155.0, "iou": [0.52, 0.6, 0.5]},
    }
    show(aux_chart({"arms": arms}), "two bars, two bars, and three dots twice")


# The two modes


@pytest.fixture(scope="module")
def small():
    """A model with BatchNorm and dropout that is quick, and has learned nothing."""
    torch.manual_seed(0)

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 1, 1)
            )

        def forward(self, images):
            return {"out": self.layers(images)}

    return Small().eval()


def test_measuring_in_both_modes_leaves_the_model_as_it_was(small):
    before = {key: value.clone() for key, value in small.state_dict().items()}
    ways = compare_modes(small, square_pairs(6), square_pairs(5), draws=2)
    assert not small.training
    assert all(torch.equal(before[key], value) for key, value in small.state_dict().items())
    assert set(WAYS) - {"slower averages"} <= ways.keys()  # that one is another training
    assert len(ways["as left"]) == len(ways["training pictures"]) == 2
    figure = modes_chart([{"epochs": epochs, "iou": ways} for epochs in (1, 2)])
    show(figure, "dots of seven ways in two panels")


def test_both_panels_of_the_modes_have_one_scale_that_holds_every_dot():
    low, high = ({way: start + 0.01 * number for number, way in enumerate(WAYS)} for start in (0.51, 0.62))
    del low["as left"]  # a way that not every run has is left out
    figure = modes_chart([{"epochs": 1, "iou": low}, {"epochs": 2, "iou": high}])
    assert [axes.get_xlim() for axes in figure.axes] == [pytest.approx((0.5, 0.7))] * 2
    assert [len(axes.get_xticks()) for axes in figure.axes] == [5, 5]
    names = [" ".join(label.get_text().split()) for label in figure.axes[0].get_yticklabels()]
    assert names == [label for way, label in WAYS.items() if way != "as left"]


def test_in_training_mode_only_dropout_is_held_still(small):
    modes = {type(part).__name__: part.training for part in in_training_mode(small).modules()}
    assert modes["BatchNorm2d"]
    assert not modes["Dropout"]
    assert in_training_mode(small, dropout=True).layers[3].training


def test_averages_taken_anew_are_the_plain_means_over_all_images(small):
    images = torch.stack([image for image, _ in square_pairs(8)])
    norm = averages_from(small, images).layers[1]
    with torch.no_grad():
        wanted = small.layers[0](images).mean(dim=(0, 2, 3))
    torch.testing.assert_close(norm.running_mean, wanted)
    assert not norm.training


def test_company_counts_in_training_mode_only(small):
    pairs = square_pairs(4)
    images = torch.stack([image for image, _ in pairs])
    nobody = [images[:0]] * 4
    bright = [torch.full((3, 3, 48, 64), 9.0)] * 4
    assert iou_in_company(small, pairs, nobody) == iou_in_company(small, pairs, bright)
    batch = in_training_mode(small)
    with torch.no_grad():
        alone = batch(images[:1])["out"][0]
        beside = batch(torch.cat([images[:1], bright[0]]))["out"][0]
    assert not torch.allclose(alone, beside, atol=1e-3)


def test_nobody_is_its_own_neighbour():
    images = torch.arange(6.0).view(6, 1, 1, 1)
    for number, others in enumerate(neighbours(images, torch.Generator().manual_seed(0))):
        assert len(others) == 3
        assert number not in others.flatten().tolist()


# The window of a convolution


@pytest.mark.parametrize(("title", "size"), list(zip(WINDOWS, (7, 4, 5), strict=True)))
def test_the_drawn_outputs_are_as_many_as_torch_gives(title, size):
    stride, dilation = WINDOWS[title]
    assert nn.Conv2d(1, 1, 3, stride=stride, dilation=dilation)(torch.zeros(1, 1, 9, 9)).shape[-1] == size
    titles = [axes.get_title() for axes in window_drawing().axes]
    assert f"output: {size} x {size}" in titles


def test_the_window_can_be_shown():
    show(window_drawing(), "Three pairs of grids with coloured squares.")


@pytest.mark.parametrize(("rate", "width", "height"), [(2, 3, 2), (1, 4, 3), (5, 4, 3), (2, 5, 5), (3, 4, 3)])
def test_a_place_is_in_use_if_its_weight_gets_a_gradient(rate, width, height):
    layer = nn.Conv2d(1, 1, 3, dilation=rate, padding=rate)
    layer(torch.ones(1, 1, height, width)).sum().backward()
    assert int((layer.weight.grad != 0).sum()) == places_in_use(rate, width, height)


# The ceiling


def test_the_default_stride_is_that_of_the_bundled_model():
    masks = square_pairs(2)[1][1][None]  # (1, 1, 48, 64)
    stride = output_stride(BUNDLED_MODEL)
    assert torch.equal(best_masks(masks), best_masks(masks, stride))
    assert not torch.equal(best_masks(masks), best_masks(masks, stride // 2))
    assert stride_slider((IMAGE + 1) / 2, masks[0], blocks).slider.value == stride


def blocks(masks, stride):
    """Stands in for the reader's fit: the majority of each block."""
    height, width = masks.shape[-2:]
    pooled = nn.functional.avg_pool2d(masks, stride, ceil_mode=True)
    return nn.functional.interpolate(pooled, scale_factor=stride)[..., :height, :width] > 0.5


def test_each_stride_has_its_picture_and_is_drawn_once():
    asked = []

    def best(masks, stride):
        asked.append(stride)
        return blocks(masks, stride)

    image, mask = square_pairs(1)[0]
    widget = stride_slider((image + 1) / 2, mask, best)
    assert widget.slider.value == 16
    assert "4 cells wide, 3 high: best IoU" in widget.caption.value
    pictures = {widget.picture.value}
    for stride in (4, 64, 4, 16):
        widget.slider.value = stride
        pictures.add(widget.picture.value)
    assert len(pictures) == 3
    assert asked == [4, 8, 16, 32, 64]  # when it is made, so that no move waits for it
    assert Image.open(io.BytesIO(widget.picture.value)).size == (64, 48)
    assert repr(widget) == "StrideSlider(4, 8, 16, 32, 64)" == widget._repr_mimebundle_()["text/plain"]


def test_the_best_iou_of_a_grid_that_fits_is_1():
    image, mask = square_pairs(1)[0]
    widget = stride_slider((image + 1) / 2, mask, blocks, strides=(4, 8))
    assert widget.caption.value == "16 cells wide, 12 high: best IoU 1.000"


def test_the_chart_of_the_ceiling_can_be_shown():
    sizes = [(120, 160), (240, 320)]
    show(ceiling_chart(sizes, {16: [0.9, 0.95], 8: [0.97, 0.99]}, [0.9, 0.96]), "two lines that rise with the size")


# The exercises; their typical wrong answers are in tests/support/wrong_answers.py


def said(capsys, check, answer) -> str:
    check(answer)
    return capsys.readouterr().out.strip()


def my_head(model, num_classes):
    for head in (model.classifier, model.aux_classifier):
        if head is not None:
            head[4] = nn.Conv2d(head[4].in_channels, num_classes, 1)
    return model


def my_update(running_mean, features, momentum):
    return (1 - momentum) * running_mean + momentum * features.mean(dim=(0, 2, 3))


def my_freeze(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (check_new_head, my_head),
        (check_places, lambda: [9, 9, 3]),
        (check_running_mean, my_update),
        (check_freeze, my_freeze),
    ],
)
def test_a_right_answer_is_right(capsys, check, answer):
    assert said(capsys, check, answer).startswith("Right.")


def wide_window(model, num_classes):
    model.classifier[4] = nn.Conv2d(256, num_classes, 3, padding=1)
    return model


def wide_aux_window(model, num_classes):
    if model.aux_classifier is not None:
        model.aux_classifier[4] = nn.Conv2d(2, num_classes, 3, padding=1)
    model.classifier[4] = nn.Conv2d(256, num_classes, 1)
    return model


def new_aux_head(model, num_classes):
    if model.aux_classifier is not None:
        model.aux_classifier = type(model.aux_classifier)(8, num_classes)
    model.classifier[4] = nn.Conv2d(256, num_classes, 1)
    return model


def added_head(model, num_classes):
    model.aux_classifier = nn.Identity()
    model.classifier[4] = nn.Conv2d(256, num_classes, 1)
    return model


def no_return(model, *rest):
    model.eval()


def without_norm(model):
    return nn.Sequential(*(module for module in model if not isinstance(module, nn.BatchNorm2d)))


def forget(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = module.running_var = None
    return model


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    [
        (check_new_head, wide_window, "kernel_size 1"),
        (check_new_head, lambda model, num_classes: model, "21 channels, not 1"),
        (check_new_head, lambda model, num_classes: num_classes, "this is 1"),
        (check_new_head, no_return, "is there a return"),
        (check_new_head, wide_aux_window, "the last layer of the auxiliary head"),
        (check_new_head, new_aux_head, "the pretraining is gone"),
        (check_new_head, added_head, "now it has one"),
        (check_places, lambda: [9, 9], "three numbers are wanted"),
        (check_places, lambda: [9, 9, "3"], "whole number of places"),
        (check_places, lambda: (8, 9, 3), "not at rate 12"),
        (check_running_mean, lambda mean, features, momentum: mean, "nothing has changed"),
        (check_running_mean, lambda m, f, p: m + p * f.mean(dim=(0, 2, 3)), "has to shrink"),
        (check_running_mean, lambda m, f, p: 0.3, "3 channels have 3 running means"),
        (check_freeze, without_norm, "BatchNorm layers are gone"),
        (check_freeze, forget, "or are gone"),
        (check_freeze, lambda model: model, "running means still move"),
        (check_freeze, lambda model: 3, "the model is expected back"),
    ],
)
def test_other_answers_get_a_hint(capsys, check, answer, hint):
    words = said(capsys, check, answer)
    assert words.startswith("Not yet")
    assert hint in words
