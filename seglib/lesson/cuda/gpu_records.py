"""Owns how 08_cuda reads `benchmarks/results/gpu_step.json`: by way, and with words where a row is missing."""

from collections.abc import Mapping
from typing import Any

NOT_YET = "not measured yet"
# The ways of the large case that the lesson draws, in its order; and those of the small one that it prints.
WAYS = (
    "the notes' loop",
    "no .item()",
    "workers",
    "bytes and a cache",
    "TF32 nowhere",
    "TF32 everywhere",
    "channels-last",
    "bfloat16",
    "float16 with a scaler",
    "fused Adam",
    "cuDNN tries",
    "torch.compile",
    "all together",
    "all together, compiled",
)
SMALL_WAYS = {  # and the words for it
    "the notes' loop": "the notes' loop",
    "recorded as a CUDA graph": "its step as a CUDA graph",
    "all together, recorded": "all together, as a graph",
    "all together, recorded, bfloat16": "all together, as a graph, in bfloat16",
}
FIRST_RECORD = {"large": ("deeplabv3_resnet50", 8), "small": ("deeplabv3_mobilenet_v3_large", 4)}


def card_of(record: Mapping[str, Any]) -> str:
    """The graphics card that a record was measured on, without its maker.

    Example:
        >>> card_of({"machine": {"gpu": "NVIDIA H100 80GB HBM3"}})
        'H100 80GB HBM3'
    """
    return record["machine"]["gpu"].removeprefix("NVIDIA ")


def rows_of_case(record: Mapping[str, Any], case: str) -> dict[str, dict[str, Any]]:
    """The rows of a case, by their way; without those that ended in an error.

    Args:
        record: of `benchmarks/gpu_step.py`. The rows of the first one name no case, only the model and the batch size.
        case: "large" or "small".
    """
    rows = {}
    for row in record["rows"]:
        unnamed = "case" not in row and (row["model"], row["batch_size"]) == FIRST_RECORD[case]
        if (row.get("case") == case or unnamed) and "error" not in row:
            rows[row["way"]] = row
    return rows


def rate(rows: Mapping[str, Mapping[str, Any]], way: str, *, loader: bool = False) -> str:
    """Pictures a second of a way, with one decimal; "not measured yet" where the record has no such row.

    Args:
        rows: of `rows_of_case`.
        way: as in the record.
        loader: with pictures from a dataloader, and not of the step on one batch alone.

    Example:
        >>> rate({"workers": {"images_a_second_of_the_step": 15.11}}, "workers"), rate({}, "bfloat16")
        ('15.1', 'not measured yet')
    """
    what = "images_a_second_with_the_loader" if loader else "images_a_second_of_the_step"
    return f"{rows[way][what]:.1f}" if way in rows else NOT_YET
