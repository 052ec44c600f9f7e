import copy
import hashlib
import json
import pickle
import socket
import urllib.request
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torchvision.models.segmentation import DeepLabV3_MobileNet_V3_Large_Weights, deeplabv3_mobilenet_v3_large
from torchvision.models.segmentation.fcn import FCNHead

from seglib import model as model_module
from seglib.errors import TrainingError, WeightsError
from seglib.inference.tiles import TILE_STEP
from seglib.losses import make_loss
from seglib.model import BUNDLED_MODEL, OUTPUT_STRIDE, build_deeplab, bundled_weights_path, output_stride
from seglib.training.checkpoint import Checkpoint
from seglib.training.early_stopping import EarlyStopping
from seglib.training.history import History
from tests.support.helpers import check_message, refused

COCO_FILE = DeepLabV3_MobileNet_V3_Large_Weights.DEFAULT.url.rsplit("/", 1)[1]
IMAGES = torch.zeros(2, 3, 48, 64)


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Any use of the network is an error, and the hub's folder is empty."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)


@pytest.fixture(scope="module")
def one():
    """The model of one class, built once: tests that change it build their own."""
    torch.manual_seed(1)
    return build_deeplab(weights=None, verbose=False).eval()


@pytest.fixture(scope="module")
def aux():
    torch.manual_seed(2)
    return build_deeplab(weights=None, num_classes=21, aux=True, verbose=False).eval()


@pytest.fixture(scope="module")
def state(one):
    return one.state_dict()


@pytest.fixture
def bundle(tmp_path, monkeypatch, state):
    """A stand-in for the bundled weights, half precision, with its story beside it."""
    path = tmp_path / "weights" / f"{BUNDLED_MODEL}.pt"
    path.parent.mkdir()
    torch.save({key: value.half() if value.is_floating_point() else value for key, value in state.items()}, path)
    story = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "trained_on": "stand-in pictures", "steps": 0}
    path.with_suffix(".json").write_text(json.dumps(story))
    monkeypatch.setattr(model_module, "bundled_weights_path", lambda: path)
    return path


def same(model: nn.Module, state: dict, skip: tuple[str, ...] = ()) -> bool:
    own = model.state_dict()
    return all(torch.equal(own[key], value) for key, value in state.items() if not key.startswith(skip or ("?",)))


# Shapes, names, no weights


def test_the_output_is_as_large_as_the_image(one):
    with torch.inference_mode():
        outputs = one(IMAGES)
        assert list(outputs) == ["out"]
        assert outputs["out"].shape == (2, 1, 48, 64)
        assert one(torch.zeros(1, 3, 33, 47))["out"].shape == (1, 1, 33, 47)


def test_the_auxiliary_head_is_there_when_asked_for(aux):
    with torch.inference_mode():
        outputs = aux(IMAGES)
    assert set(outputs) == {"out", "aux"}
    assert outputs["out"].shape == outputs["aux"].shape == (2, 21, 48, 64)


def test_it_trains_on_a_batch_of_two():
    model = build_deeplab(weights=None, num_classes=3, verbose=False).train()
    before = model.classifier[4].weight.clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model(torch.randn(2, 3, 48, 64))["out"].square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    optimizer.step()
    assert not torch.equal(model.classifier[4].weight, before)


def test_the_output_stride_is_that_of_the_coarse_logits(one):
    coarse = []
    hook = one.classifier.register_forward_hook(lambda module, inputs, output: coarse.append(output.shape[-2:]))
    with torch.inference_mode():
        one(torch.zeros(1, 3, 64, 96))
    hook.remove()
    assert coarse == [(64 // OUTPUT_STRIDE[BUNDLED_MODEL], 96 // OUTPUT_STRIDE[BUNDLED_MODEL])]


def test_resnet50_is_built_too(capsys):
    model = build_deeplab("deeplabv3_resnet50", num_classes=4, weights=None).eval()
    assert capsys.readouterr().out == "deeplabv3_resnet50: random weights, nothing is pretrained.\n"
    with torch.inference_mode():
        coarse = model.backbone(torch.zeros(1, 3, 32, 64))["out"].shape[-2:]
        assert model(torch.zeros(1, 3, 32, 64))["out"].shape == (1, 4, 32, 64)
    assert coarse == (32 // OUTPUT_STRIDE["deeplabv3_resnet50"], 64 // OUTPUT_STRIDE["deeplabv3_resnet50"])


def test_no_weights_is_said_and_nothing_is_fetched(capsys):
    build_deeplab(weights=None)
    assert capsys.readouterr().out == f"{BUNDLED_MODEL}: random weights, nothing is pretrained.\n"
    build_deeplab(weights=None, verbose=False)
    assert capsys.readouterr().out == ""


def test_random_weights_follow_the_seed(one):
    torch.manual_seed(1)
    again = build_deeplab(weights=None, verbose=False)
    assert same(again, one.state_dict())


@pytest.mark.parametrize(("momentum", "wanted"), [(0.1, {0.1}), (0.03, {0.03}), (None, {0.01, 0.1})])
def test_batchnorm_momentum(momentum, wanted):
    model = build_deeplab(weights=None, batchnorm_momentum=momentum, verbose=False)
    found = {module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)}
    assert found == wanted


def test_an_unknown_name_is_refused():
    with pytest.raises(WeightsError) as caught:
        build_deeplab("deeplabv3_mobilenet", weights=None)
    check_message(caught.value, '"deeplabv3_mobilenet"', *OUTPUT_STRIDE)


@pytest.mark.parametrize("num_classes", [0, -1])
def test_less_than_one_class_is_refused(num_classes):
    with pytest.raises(TrainingError) as caught:
        build_deeplab(num_classes=num_classes, weights=None, verbose=False)
    check_message(caught.value, f"num_classes={num_classes}")


# A batch of one in training mode


@pytest.fixture
def training(one):
    """The shared model in training mode, as it was before and will be afterwards."""
    before = copy.deepcopy(one.state_dict())
    yield one.train()
    one.load_state_dict(before)
    one.eval()


def test_a_batch_of_one_is_refused_before_anything_moves(training):
    before = copy.deepcopy(training.state_dict())
    with pytest.raises(TrainingError) as caught:
        training(IMAGES[:1])
    check_message(caught.value, "one picture", "drop_last=True", "model.eval()")
    assert same(training, before)


def test_torch_would_have_refused_it_too_but_late(training):
    """Why the guard is there: without it the running means of the backbone have moved when the error comes."""
    before = copy.deepcopy(training.state_dict())
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        training.forward(IMAGES[:1])
    assert not same(training, before)


def test_two_pictures_train_and_one_predicts(training):
    assert training(IMAGES)["out"].shape == (2, 1, 48, 64)
    assert training.eval()(IMAGES[:1])["out"].shape == (1, 1, 48, 64)


def test_one_picture_trains_where_the_batchnorm_of_the_pooling_is_frozen(training):
    for module in training.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    assert training(IMAGES[:1])["out"].shape == (1, 1, 48, 64)


def test_another_head_has_no_pooling_and_no_guard(training):
    head, training.classifier = training.classifier, FCNHead(960, 2)
    try:
        assert training(IMAGES[:1])["out"].shape == (1, 2, 48, 64)
    finally:
        training.classifier = head


def test_the_guard_is_no_part_of_the_weights_and_survives_a_copy(one):
    plain = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=1, aux_loss=False)
    assert list(one.state_dict()) == list(plain.state_dict())
    for twin in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        with pytest.raises(TrainingError):
            twin.train()(IMAGES[:1])


def test_the_guard_does_not_stand_in_the_way_of_an_export(one):
    one.eval()
    exported = torch.export.export(one, (IMAGES[:1],)).module()
    images = torch.randn(1, 3, 48, 64)
    torch.testing.assert_close(exported(images)["out"], one(images)["out"], rtol=1e-4, atol=1e-4)


# Weights from a file


def test_the_same_number_of_classes_keeps_every_layer(tmp_path, state, capsys):
    torch.save(state, tmp_path / "mine.pt")
    model = build_deeplab(weights=tmp_path / "mine.pt")
    assert capsys.readouterr().out == f"{BUNDLED_MODEL}: weights from mine.pt; every layer is pretrained.\n"
    assert same(model, state)
    assert same(build_deeplab(weights=str(tmp_path / "mine.pt"), verbose=False), state)


def test_another_number_of_classes_gets_a_new_last_layer_and_says_so(tmp_path, state, capsys):
    torch.save(state, tmp_path / "mine.pt")
    model = build_deeplab(weights=tmp_path / "mine.pt", num_classes=4)
    assert capsys.readouterr().out == f"{BUNDLED_MODEL}: weights from mine.pt; new: the last layer.\n"
    assert same(model, state, skip=("classifier.4.",))
    assert model.classifier[4].weight.shape[0] == 4


def test_one_class_after_many_gets_a_new_last_layer(tmp_path, aux, capsys):
    """(1, 256, 1, 1) fits into no (21, 256, 1, 1), nor the other way round: nothing may be broadcast."""
    torch.save(aux.state_dict(), tmp_path / "many.pt")
    model = build_deeplab(weights=tmp_path / "many.pt", num_classes=1)
    assert "new: the last layer." in capsys.readouterr().out
    assert same(
        model, {key: value for key, value in aux.state_dict().items() if not key.startswith("aux")}, ("classifier.4.",)
    )


def test_an_auxiliary_head_without_weights_is_new_and_the_last_layer_is_not(tmp_path, state, capsys):
    torch.save(state, tmp_path / "mine.pt")
    model = build_deeplab(weights=tmp_path / "mine.pt", aux=True)
    assert capsys.readouterr().out == f"{BUNDLED_MODEL}: weights from mine.pt; new: the auxiliary head.\n"
    assert same(model, state)


def test_half_precision_weights_become_float32(bundle, state):
    model = build_deeplab(verbose=False)
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32, torch.int64}
    own = model.state_dict()
    assert all(torch.allclose(own[key].float(), value.float(), rtol=1e-3, atol=1e-4) for key, value in state.items())


def save_without(key):
    def save(state, path):
        torch.save({name: value for name, value in state.items() if name != key}, path)

    return save


def save_truncated(state, path):
    torch.save(state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


class Code:
    """What a file with bad intentions holds: a call that unpickling runs."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    ("save", "mention"),
    [
        (lambda state, path: path.write_bytes(b""), "cannot be read: it is damaged"),
        (lambda state, path: path.write_bytes(b"this is a text"), "cannot be read: it is damaged"),
        (save_truncated, "cannot be read: it is damaged"),
        (lambda state, path: torch.save(nn.Linear(1, 1), path), "holds pickled code"),
        (lambda state, path: torch.save([1, 2], path), "holds no state dict"),
        (lambda state, path: torch.save(torch.zeros(3), path), "holds no state dict"),
        (lambda state, path: torch.save({"ema": state, "epoch": 3}, path), "holds no state dict"),
        (lambda state, path: torch.save({0: torch.zeros(1)}, path), "holds no state dict"),
        (lambda state, path: torch.save({"weight": "text"}, path), "holds no state dict"),
        (lambda state, path: torch.save({}, path), "do not fit"),
        (lambda state, path: torch.save(nn.Conv2d(3, 3, 3).state_dict(), path), "do not fit"),
        (save_without("backbone.0.0.weight"), "1 tensors differ, backbone.0.0.weight for one"),
        (lambda state, path: torch.save({**state, "extra.weight": torch.zeros(1)}, path), "extra.weight"),
    ],
)
def test_weights_that_are_none_are_refused(tmp_path, state, save, mention):
    save(state, tmp_path / "bad.pt")
    with refused(WeightsError, tmp_path, "bad.pt", mention):
        build_deeplab(weights=tmp_path / "bad.pt", verbose=False)


def test_code_in_a_weights_file_does_not_run(tmp_path):
    torch.save(OrderedDict(weight=Code(tmp_path / "touched")), tmp_path / "evil.pt")
    with refused(WeightsError, tmp_path, "evil.pt", "holds pickled code"):
        build_deeplab(weights=tmp_path / "evil.pt", verbose=False)
    assert not (tmp_path / "touched").exists()


def test_weights_of_another_architecture_are_refused(tmp_path, state):
    torch.save(state, tmp_path / "mobile.pt")
    with refused(WeightsError, tmp_path, "mobile.pt do not fit", "same architecture"):
        build_deeplab("deeplabv3_resnet50", weights=tmp_path / "mobile.pt", verbose=False)


@pytest.mark.parametrize("path", ["gone.pt", "."])
def test_missing_weights_are_refused(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with refused(WeightsError, tmp_path, "There are no weights"):
        build_deeplab(weights=path, verbose=False)


# The bundled weights


def test_the_bundled_weights_are_the_default_and_tell_their_story(bundle, state, capsys):
    build_deeplab()
    wanted = f"{BUNDLED_MODEL}: bundled weights, pretrained on stand-in pictures; every layer is pretrained.\n"
    assert capsys.readouterr().out == wanted
    build_deeplab(num_classes=4, weights="bundled")
    assert capsys.readouterr().out.endswith("stand-in pictures; new: the last layer.\n")


def damage_weights(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        damage_weights,
        lambda path: path.write_bytes(path.read_bytes()[:1000]),
        lambda path: path.unlink(),
        lambda path: path.with_suffix(".json").unlink(),
        lambda path: path.with_suffix(".json").write_text("{}"),
        lambda path: path.with_suffix(".json").write_text("[]"),
        lambda path: path.with_suffix(".json").write_text("no json"),
    ],
    ids=["one bit", "truncated", "no weights", "no story", "empty story", "a list", "no json"],
)
def test_bundled_weights_that_are_not_those_released_are_refused(bundle, tmp_path, damage):
    damage(bundle)
    with refused(WeightsError, tmp_path, bundle.name, "git checkout"):
        build_deeplab(verbose=False)


def test_the_sum_is_checked_before_the_file_is_opened(bundle, monkeypatch):
    damage_weights(bundle)
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("opened before it was checked"))
    with pytest.raises(WeightsError, match="SHA-256"):
        build_deeplab(verbose=False)


def test_no_other_model_has_bundled_weights():
    with pytest.raises(WeightsError) as caught:
        build_deeplab("deeplabv3_resnet50", verbose=False)
    check_message(caught.value, "deeplabv3_resnet50", "coco", BUNDLED_MODEL)


def test_the_output_stride_is_that_of_the_model():
    for name, stride in OUTPUT_STRIDE.items():
        model = build_deeplab(name, weights=None, verbose=False).eval()
        sizes = []
        model.classifier.register_forward_hook(
            lambda module, inputs, output, sizes=sizes: sizes.append(output.shape[-2:])
        )
        with torch.inference_mode():
            model(torch.zeros(1, 3, 96, 128))
        assert sizes == [(96 // stride, 128 // stride)]
        assert output_stride(name) == stride
        assert TILE_STEP % stride == 0


def test_an_unknown_model_has_no_output_stride():
    with pytest.raises(WeightsError) as caught:
        output_stride("unet")
    check_message(caught.value, '"unet"', BUNDLED_MODEL)


def test_the_weights_in_the_repository_are_whole_and_load(capsys):
    path = bundled_weights_path()
    assert path.parts[-3:] == ("seglib", "weights", "deeplabv3_mobilenet_v3_large.pt")
    story = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == story["sha256"]
    assert path.stat().st_size < 30e6
    state = torch.load(path, weights_only=True)
    assert all(tensor.isfinite().all() for tensor in state.values())
    assert all(value.min() >= 0 for key, value in state.items() if key.endswith("running_var"))
    build_deeplab()
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert f"bundled weights, pretrained on {story['trained_on']}; new: the last layer." in line


# torchvision's weights


@pytest.fixture
def coco_file():
    """Where torchvision would put its download; what lies there already is not fetched."""
    folder = torch.hub.get_dir()
    path = model_module.Path(folder) / "checkpoints" / COCO_FILE
    path.parent.mkdir(parents=True)
    return path


def test_coco_weights_are_loaded_the_way_torchvision_does(coco_file, aux, capsys):
    torch.save(aux.state_dict(), coco_file)
    model = build_deeplab(weights="coco", num_classes=21, aux=True)
    assert capsys.readouterr().out == f"{BUNDLED_MODEL}: torchvision's COCO weights; every layer is pretrained.\n"
    assert same(model, aux.state_dict())


def test_coco_weights_for_one_class_get_a_new_last_layer(coco_file, aux, capsys):
    torch.save(aux.state_dict(), coco_file)
    model = build_deeplab(weights="coco")
    assert capsys.readouterr().out == f"{BUNDLED_MODEL}: torchvision's COCO weights; new: the last layer.\n"
    assert model.aux_classifier is None
    assert torch.equal(model.backbone["0"][0].weight, aux.backbone["0"][0].weight)


@pytest.mark.parametrize(
    "failure", [urllib.error.URLError("no route"), TimeoutError(), ConnectionResetError(), RuntimeError("hash")]
)
def test_coco_weights_that_cannot_be_fetched(monkeypatch, tmp_path, failure):
    def fail(*args, **kwargs):
        raise failure

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(WeightsError) as caught:
        build_deeplab(weights="coco", verbose=False)
    check_message(caught.value, BUNDLED_MODEL, "network", 'weights="bundled"', never=tmp_path)


def test_a_damaged_download_is_refused(coco_file, aux, tmp_path):
    save_truncated(aux.state_dict(), coco_file)
    with refused(WeightsError, tmp_path, "checkpoints", "delete"):
        build_deeplab(weights="coco", verbose=False)


WRAPPINGS = {
    "DataParallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "torch.compile": lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
    "both": lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
    "torchvision's script": lambda state: {"model": state, "optimizer": {}, "epoch": 3},
    "state_dict": lambda state: {"state_dict": state},
    "Lightning": lambda state: {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}, "epoch": 1},
    "wrapped and nested": lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_weights_of_other_scripts_are_unwrapped(tmp_path, wrap):
    torch.manual_seed(0)
    state = build_deeplab(weights=None, verbose=False).state_dict()
    torch.save(wrap(state), tmp_path / "other.pt")
    read = build_deeplab(weights=tmp_path / "other.pt", verbose=False).state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in state.items())


def test_weights_of_another_model_name_that_model(tmp_path):
    torch.save(build_deeplab("deeplabv3_resnet50", weights=None, verbose=False).state_dict(), tmp_path / "other.pt")
    with pytest.raises(WeightsError, match='model="deeplabv3_resnet50"'):
        build_deeplab(weights=tmp_path / "other.pt")


@pytest.mark.parametrize("best", [False, True])
def test_a_checkpoint_gives_the_weights_of_its_best_epoch_and_other_classes_a_new_layer(tmp_path, best, capsys):
    model = build_deeplab(weights=None, verbose=False)
    history = History()
    history.add(1.0, 1.0, 0.5)
    stopping = EarlyStopping(model)
    if best:
        stopping.update(history)
    wanted = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if best:  # the weights go on, and the best stay
        for parameter in model.parameters():
            parameter.data.add_(1)
    Checkpoint(tmp_path / "run.pt", model, make_loss("bce"), optimizer, None, size=(48, 64), stopping=stopping).save(
        history
    )
    read = build_deeplab(weights=tmp_path / "run.pt").state_dict()
    assert "every layer is pretrained" in capsys.readouterr().out
    assert all(torch.equal(read[name], tensor) for name, tensor in wanted.items())
    build_deeplab(num_classes=3, weights=tmp_path / "run.pt")
    assert "new: the last layer" in capsys.readouterr().out
