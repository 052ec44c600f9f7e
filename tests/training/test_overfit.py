"""The whole machine at once: two real photographs, learned by heart. Whatever is wired wrongly, it cannot do that."""

import torch

from benchmarks.ceiling import ceiling
from seglib.data.dataset import CustomDataset
from seglib.data.transforms import image_transform, mask_transform
from seglib.device import pick_device, seed_everything
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import evaluate, train_one_epoch

SIZE, STEPS = (120, 160), 110  # (height, width)


def test_two_photographs_are_learned_to_98_hundredths_of_their_ceiling():
    seed_everything(0)
    folders = "data_samples/images", "data_samples/masks"
    pairs = CustomDataset(*folders, image_transform(SIZE), mask_transform(SIZE)).subset(["fruit_014", "fruit_019"])
    images, masks = (torch.stack(part) for part in zip(*pairs, strict=True))  # (2, 3, 120, 160), (2, 1, 120, 160)
    model, criterion, device = build_deeplab(verbose=False), make_loss("dice"), pick_device("cpu")
    model.classifier[0].project[3].p = 0.0  # no dropout: by heart is what we want
    optimizer = make_optimizer(model, "adam", lr=2e-3, head_lr=1e-2)
    schedule = make_scheduler(optimizer, "cosine", STEPS, warmup=10)
    train_one_epoch(model, [(images, masks)] * STEPS, criterion, optimizer, device, scheduler=schedule)
    reached = evaluate(model, [(images, masks)], criterion, device).iou
    assert reached >= 0.98 * ceiling(masks[:, 0])
