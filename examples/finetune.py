"""Fine-tune a pretrained DeepLabV3 on a folder of images and a folder of masks.

    python finetune.py photographs masks
    python finetune.py data_samples/images data_samples/masks --split data_samples/split.json --size 240 320 \
        --weights seglib/weights/deeplabv3_mobilenet_v3_large.pt

An image and its mask have the same name up to the last dot. A mask is black, and white (or 1) where the object is.
At the full size one step can take a minute on a CPU, and 8 GB: without a GPU take --size 240 320. The learning rates
were chosen with the weights of the second call, at small sizes; with others try --lr 0.0003 too.

To predict with what was saved: `model = build_deeplab(NAME, "finetuned.pt").eval()`, with NAME from MODELS. Resize and
normalise the pictures as in training; the object is where `model(pictures)["out"] > 0`.

Needs torch, torchvision and Pillow. Notebook 07 shows how this file came out of the notes, line by line.
"""

import argparse
import json
import os

import torch
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageOps
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.models import get_model

MODELS = ("deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50", "deeplabv3_resnet101")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
WARM_UP = 8  # steps in which the learning rate rises


class UserError(Exception):
    """Something in the folders, files or options is wrong. The message says what, and what would be right."""


def read_arguments(words=None):
    """The options of the command line, or of a list of words; `--help` lists them."""
    parser = argparse.ArgumentParser(description="Fine-tune a pretrained DeepLabV3 on images and masks.")
    parser.add_argument("image_folder")
    parser.add_argument("mask_folder")
    parser.add_argument("--size", type=int, nargs=2, default=[960, 1280], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate of the backbone; the head has 5 times it")
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    parser.add_argument("--weights", default="coco", help="coco (downloaded once), or the file of a state dict")
    parser.add_argument("--split", help='a JSON file with two lists of names, "train" and "validation"')
    parser.add_argument("--validation-share", type=float, default=0.2, help="how many to validate on, without --split")
    parser.add_argument("--workers", type=int, default=0, help="processes that load pictures ahead")
    parser.add_argument("--device", help="cuda, mps or cpu; without it the best one that is here")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="finetuned.pt", help="where the trained weights go")
    args = parser.parse_args(words)
    if args.batch_size < 2:
        raise UserError("--batch-size must be 2 or more: DeepLab cannot be trained on one picture at a time.")
    if args.epochs < 1 or min(args.size) < 32:
        raise UserError("--epochs must be 1 or more, and both numbers of --size 32 or more.")
    if os.path.exists(args.out) or not os.path.isdir(os.path.dirname(args.out) or "."):
        raise UserError(f"--out {args.out}: this file exists already, or its folder does not. Choose another name.")
    return args


def find_pictures(folder):
    """The pictures of a folder in alphabetical order, as a dict: the name up to the last dot -> the whole name."""
    if not os.path.isdir(folder):
        raise UserError(f"There is no folder {folder}.")
    found = {}
    for filename in sorted(os.listdir(folder)):
        stem, suffix = os.path.splitext(filename)
        if suffix.lower() not in SUFFIXES or filename.startswith("."):
            continue
        if stem in found:
            raise UserError(f"{folder} holds both {found[stem]} and {filename}. Keep one of them.")
        found[stem] = filename
    return found


def open_picture(path, mode):
    """A picture as it is meant to be seen: turned upright by its EXIF tag, and in one mode."""
    try:
        return ImageOps.exif_transpose(Image.open(path)).convert(mode)
    except OSError as error:
        raise UserError(f"{path} cannot be read as a picture: {error}") from error


# 1) CustomDataset class


class CustomDataset(torch.utils.data.Dataset):
    """Pairs of an image and its mask, found by their names, checked when they are opened."""

    def __init__(self, image_folder, mask_folder, transform=None, mask_transform=None):
        self.image_folder = image_folder
        self.mask_folder = mask_folder
        self.transform = transform
        self.mask_transform = mask_transform
        images = find_pictures(image_folder)
        masks = find_pictures(mask_folder)
        alone = sorted(images.keys() ^ masks.keys())  # in one of the two folders only
        if alone or not images:
            raise UserError(f"{len(images)} images, {len(masks)} masks. These have no partner: {alone[:5]}")
        self.stems = list(images)
        self.image_filenames = list(images.values())
        self.mask_filenames = [masks[stem] for stem in images]

    def __len__(self):
        return len(self.image_filenames)

    def __getitem__(self, idx):
        filename = self.image_filenames[idx]
        image = open_picture(os.path.join(self.image_folder, filename), "RGB")
        mask = open_picture(os.path.join(self.mask_folder, self.mask_filenames[idx]), "L")
        if image.size != mask.size:
            raise UserError(f"{filename} is {image.size} wide and high, its mask {mask.size}. They must be equal.")
        values = {value for _, value in mask.getcolors()}
        if not (values <= {0, 255} or values <= {0, 1}):
            raise UserError(
                f"The mask of {filename}, as grey, holds {sorted(values)[:5]}. Expected: 0, and 255 or 1, in a PNG."
                " If it is a palette picture (mode P), save it as grey."
            )
        mask = mask.point(lambda value: 255 if value else 0)
        if self.transform:
            image = self.transform(image)
        if self.mask_transform:
            mask = self.mask_transform(mask)
        return image, mask


def split_indices(dataset, args):
    """Which pictures to train on, and which to validate on: two lists of indices."""
    if args.split:
        try:
            with open(args.split, encoding="utf-8") as file:
                split = json.load(file)
            unknown = sorted({*split["train"], *split["validation"]} - set(dataset.stems))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f'{args.split} is no JSON file with the lists "train" and "validation".') from error
        both = sorted(set(split["train"]) & set(split["validation"]))
        if unknown or both:
            raise UserError(f"{args.split}: not in the folder: {unknown[:5]}; on both sides: {both[:5]}")
        train = [dataset.stems.index(stem) for stem in split["train"]]
        validation = [dataset.stems.index(stem) for stem in split["validation"]]
    else:
        order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(args.seed)).tolist()
        count = max(1, round(args.validation_share * len(dataset)))
        train, validation = order[count:], order[:count]
    if len(train) < args.batch_size or not validation:
        raise UserError(
            f"{len(train)} pictures to train on, {len(validation)} to validate on; at least {args.batch_size} and 1."
        )
    return train, validation


def build_deeplab(name, weights):
    """A DeepLabV3 with one output channel. Its last layer is new, all the others are pretrained."""
    if weights == "coco":
        try:
            model = get_model(name, weights="DEFAULT")
        except OSError as error:
            raise UserError(f"The weights cannot be downloaded ({error}). Give a file: --weights FILE") from error
        model.aux_classifier = None  # its output, "aux", is not used
        model.classifier[4] = nn.Conv2d(256, 1, kernel_size=1)
    else:
        if not os.path.isfile(weights):
            raise UserError(f"There is no file {weights}. --weights is coco, or the file of a state dict.")
        model = get_model(name, weights=None, weights_backbone=None, aux_loss=False, num_classes=1)
        own = model.state_dict()
        try:
            state = dict(torch.load(weights, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises many kinds
            raise UserError(f"{weights} holds no state dict, as torch.save(model.state_dict(), ...) does.") from error
        shapes = {key: value.shape for key, value in own.items()}
        fitting = {key: value for key, value in state.items() if shapes.get(key) == getattr(value, "shape", 0)}
        missing = sorted(own.keys() - fitting.keys() - {"classifier.4.weight", "classifier.4.bias"})
        if missing:
            raise UserError(f"{weights} does not fit {name}: {len(missing)} tensors differ, {missing[0]} for one.")
        model.load_state_dict(fitting, strict=False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1  # MobileNetV3 has 0.01: too slow for a short training
    return model


def bce_dice(outputs, masks):
    """Binary cross-entropy, plus 1 - Dice over the whole batch. `outputs` are logits, in the shape of `masks`."""
    probability = outputs.sigmoid()
    dice = (2 * (probability * masks).sum() + 1) / (probability.sum() + masks.sum() + 1)
    return F.binary_cross_entropy_with_logits(outputs, masks) + 1 - dice


@torch.no_grad()
def evaluate(model, dataloader, device):
    """IoU of the object, over all pixels of all pictures. The model is in evaluation mode afterwards."""
    model.eval()
    intersection = 0
    union = 0
    for images, masks in dataloader:
        predicted = model(images.to(device))["out"] > 0  # a logit above 0 is a probability above one half
        target = masks.to(device) > 0.5
        intersection += (predicted & target).sum().item()
        union += (predicted | target).sum().item()
    return intersection / union if union else float("nan")


def save(model, path):
    """Write the weights to another file first: whoever interrupts never finds half a file under `path`."""
    torch.save(model.state_dict(), f"{path}.part")
    os.replace(f"{path}.part", path)


def best_device():
    """The fastest kind of device that is here."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def main(words=None):
    """The notes' script, in the order of the notes."""
    args = read_arguments(words)
    torch.manual_seed(args.seed)

    # 2) Transformations
    transform = transforms.Compose(
        [
            transforms.Resize(args.size),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    mask_transform = transforms.Compose(
        [
            transforms.Resize(args.size, interpolation=transforms.InterpolationMode.NEAREST),
            transforms.ToTensor(),
        ]
    )

    # 3) Data stuff
    dataset = CustomDataset(args.image_folder, args.mask_folder, transform, mask_transform)
    train, validation = split_indices(dataset, args)
    train_dataloader = DataLoader(
        Subset(dataset, train),
        batch_size=args.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=args.workers,
        generator=torch.Generator().manual_seed(args.seed),
    )
    validation_dataloader = DataLoader(Subset(dataset, validation), batch_size=args.batch_size)

    # Optimizer and Loss function
    pretrained_deeplab = build_deeplab(args.model, args.weights)
    device = args.device or best_device()
    criterion = bce_dice
    pretrained_deeplab.to(device)
    groups = [
        {"params": pretrained_deeplab.backbone.parameters(), "lr": args.lr},
        {"params": pretrained_deeplab.classifier.parameters(), "lr": 5 * args.lr},
    ]
    optimizer = optim.AdamW(groups, weight_decay=1e-4)
    steps = args.epochs * len(train_dataloader)
    scheduler = optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / WARM_UP) * max(0, 1 - step / steps) ** 0.9
    )

    # Training Loop
    print(f"{len(train)} pictures to train on, {len(validation)} to validate on, {args.epochs} epochs on {device}")
    for epoch in range(args.epochs):
        # Set the model to training mode
        pretrained_deeplab.train()
        total_loss = 0
        count = 0
        for images, masks in train_dataloader:
            images = images.to(device)
            masks = masks.to(device)
            if torch.rand(()) < 0.5:
                images, masks = images.flip(-1), masks.flip(-1)
            optimizer.zero_grad()

            # Forward pass
            outputs = pretrained_deeplab(images)["out"]

            # Calculate the loss
            loss = criterion(outputs, masks.float())
            if not torch.isfinite(loss):
                raise UserError(f"The loss became {loss.item()} in epoch {epoch + 1}. Try a tenth of --lr {args.lr:g}.")
            count += len(images)
            total_loss += loss.item() * len(images)

            # Backward pass and optimization
            loss.backward()
            nn.utils.clip_grad_norm_(pretrained_deeplab.parameters(), max_norm=10.0)
            optimizer.step()
            scheduler.step()
        iou = evaluate(pretrained_deeplab, validation_dataloader, device)
        print(f"epoch {epoch + 1}: loss {total_loss / count:.4f}, validation IoU {iou:.4f}", flush=True)
        save(pretrained_deeplab, args.out)
    print(f"The weights are in {args.out}.")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"finetune.py: {error}") from None
