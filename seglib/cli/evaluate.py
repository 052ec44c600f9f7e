"""Owns the command that judges a trained model on a folder. Explained in 11_predict."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seglib.cli.options import add_folders, add_reading, reading_of
from seglib.data.dataset import CustomDataset
from seglib.data.splits import Split, read_split, split_by_folder
from seglib.device import pick_device
from seglib.errors import SegError, SplitError, TrainingError
from seglib.inference.evaluate_folder import FolderScore, evaluate_folder
from seglib.inference.html_page import heading, picture, table, text, write_page
from seglib.inference.overlay import error_picture, overlay
from seglib.inference.palette import class_colours
from seglib.inference.predict import predict
from seglib.training.checkpoint import TrainedModel, load_trained

SHOWN = 24  # pictures on the page, the worst first


def add_parser(commands: Any) -> None:
    """Add `evaluate` to the sub commands."""
    made = commands.add_parser("evaluate", help="judge a trained model", description="Judge a trained model.")
    made.add_argument("checkpoint", metavar="RUN", type=Path, help="checkpoint of a training, as run.pt")
    add_folders(made)
    add_reading(made)
    made.add_argument(
        "--side",
        choices=("train", "validation", "test"),
        help="judge these pictures of the split that the training used [all pictures]",
    )
    made.add_argument("--split", metavar="PATH", help="with --side: another split, as in train")
    made.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    made.add_argument("--page", type=Path, metavar="FILE", help="write a page with the worst pictures there, HTML")
    made.add_argument("--device", metavar="NAME", help="cuda, mps, cpu [the best one here]")
    made.set_defaults(run=run, parser=made)


def run(options: argparse.Namespace) -> int:
    """Judge, print, and write what is asked for."""
    for path in (options.json, options.page):
        if path is not None and path.exists():
            raise SegError(f"{path.name} is there already.", "a new name", "Name another file, or remove it.")
    trained = load_trained(options.checkpoint)
    trained.model.to(pick_device(options.device))
    reading = reading_of(options, (trained.about or {}).get("reading"))
    if trained.classes:
        reading["classes"] = reading["classes"] or list(trained.classes)
    dataset = CustomDataset(options.images, options.masks, **reading)
    dataset = dataset.subset(_stems(options, trained, dataset))
    score = evaluate_folder(trained, dataset)
    values = score.as_plain_values()  # once: the interval draws the pictures two thousand times
    print(in_words(score, values))
    if options.json:
        options.json.write_text(json.dumps(values, indent=1, ensure_ascii=False), encoding="utf-8")
    if options.page:
        title = f"{options.checkpoint.name} on {len(dataset)} pictures"
        write_page(options.page, title, _parts(score, values, trained, dataset))
    return 0


def _stems(options: argparse.Namespace, trained: TrainedModel, dataset: CustomDataset) -> list[str]:
    """The pictures to judge."""
    if options.side is None:
        return dataset.stems
    split = _split(options, trained, dataset)
    if options.side == "test" and not split.test:
        raise SplitError(
            "The split has no test pictures.",
            "a split that names some",
            "Name one with --split FILE, or judge --side validation.",
        )
    return split.side(options.side)


def _split(options: argparse.Namespace, trained: TrainedModel, dataset: CustomDataset) -> Split:
    """The split that is named, or else the one of the training."""
    if options.split == "folders":
        return split_by_folder(dataset.stems)
    if options.split:
        return read_split(options.split, validation_share=0.25)
    names = (trained.about or {}).get("split")
    if not names:
        raise TrainingError(
            f"{options.checkpoint.name} does not know its split.",
            "a checkpoint that holds the names, or a split",
            "Name the split with --split, or leave --side out.",
        )
    return Split(**names)


def in_words(score: FolderScore, values: dict[str, Any]) -> str:
    """What `evaluate` prints: the score, a table of the classes, the confusion matrix, the worst pictures."""
    what = "IoU of the object" if len(score.names) == 2 else "Mean IoU"
    low, high = _number(values["score_low"]), _number(values["score_high"])
    lines = [
        f"{what} on {len(score.pictures)} pictures, at their own size: {_number(values['score'])}",
        f"95 % interval over pictures: {low} to {high}. Pixel accuracy {_number(values['pixel_accuracy'])}.",
        "",
        f"{'class':20} {'IoU':>7} {'low':>7} {'high':>7} {'boundary':>9} {'share':>7}",
    ]
    for name, row in values["classes"].items():
        cells = [row[key] for key in ("iou", "iou_low", "iou_high")]
        numbers = " ".join(f"{_number(cell):>7}" for cell in cells)
        lines.append(f"{name:20} {numbers} {_number(row['boundary_iou']):>9} {_number(row['share']):>7}")
    lines += ["", _without_learning(score, values)]
    lines += ["", "Pixels, rows are the truth, columns the prediction:"]
    for name, counts in zip(score.names, values["confusion_matrix"], strict=True):
        lines.append(f"{name:20} " + " ".join(f"{count:>12,}" for count in counts))
    lines += ["", "The worst pictures:"]
    lines += [f"{_number(one.score):>7} {one.stem}" for one in score.worst_first()[:5]]
    lines += [f"Warning: {sentence}" for sentence in score.warnings()]
    return "\n".join(lines)


def _without_learning(score: FolderScore, values: dict[str, Any]) -> str:
    """What the score is to be compared with: that of a model which calls every pixel the same."""
    scores: dict[str, float] = values["score_of_calling_everything"]
    if len(score.names) == 2:
        name = score.names[1]
        return f"Calling every pixel {name} would have {_number(scores[name])}."
    name = max(scores, key=lambda one: scores[one])
    return f"Calling every pixel {name} would have a mean IoU of {_number(scores[name])}."


def _number(value: float | None) -> str:
    return "-" if value is None or np.isnan(value) else f"{value:.3f}"


def _parts(score: FolderScore, values: dict[str, Any], trained: TrainedModel, dataset: CustomDataset) -> list[str]:
    """The parts of the page."""
    head = ["class", "IoU", "low", "high", "boundary IoU", "share of pixels"]
    columns = ("iou", "iou_low", "iou_high", "boundary_iou", "share")
    rows = [[name, *(row[column] for column in columns)] for name, row in values["classes"].items()]
    low, high = _number(values["score_low"]), _number(values["score_high"])
    summary = f"Score {_number(values['score'])}, 95 % interval over pictures {low} to {high}."
    parts = [
        text(summary),
        text(_without_learning(score, values)),
        *(text(f"Warning: {sentence}") for sentence in score.warnings()),
        table(head, rows),
    ]
    parts += [heading("Confusion matrix, in pixels; rows are the truth")]
    matrix = zip(score.names, values["confusion_matrix"], strict=True)
    parts += [table(["", *score.names], [[name, *counts] for name, counts in matrix])]
    parts += [heading(f"The worst {min(SHOWN, len(score.pictures))} of {len(score.pictures)} pictures")]
    if len(score.names) == 2:
        parts += [text("Blue: object, and found. Orange: missed. Purple: invented.")]
    else:
        parts += [text("On the left the truth, on the right the prediction.")]
    for one in score.worst_first()[:SHOWN]:
        image, mask = dataset[dataset.stems.index(one.stem)]
        predicted = predict(trained, image).mask
        parts.append(
            picture(_side_by_side(image, mask, predicted, len(score.names)), f"{one.stem}: {_number(one.score)}")
        )
    return parts


def _side_by_side(image: Image.Image, mask: Image.Image, predicted: Any, num_classes: int) -> Image.Image:
    """Errors of one object over its picture; of several classes the truth and the prediction."""
    if num_classes == 2:
        return Image.fromarray(error_picture(predicted, mask, image))
    colours = class_colours(num_classes)
    return Image.fromarray(np.hstack([overlay(image, mask, colours), overlay(image, predicted, colours)]))


if __name__ == "__main__":
    raise SystemExit("Type: python -m seglib evaluate --help")
