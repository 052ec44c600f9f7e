"""Owns which pictures come from one recording, as far as their names say it. Explained in 03_dataloader."""

import re
from collections import defaultdict
from collections.abc import Iterable

_RUNNING_NUMBER = re.compile(r"(?P<before>.*?)[ ._\-#(]*(?P<number>\d+)\)?", re.DOTALL)


def recording_of(stem: str) -> str:
    """The recording that a picture belongs to: its name without the running number at the end.

    Names are all that is looked at: pictures that were numbered for another reason form one recording too, and a name
    without a number at its end is a recording of its own.

    Example:
        >>> recording_of("street_02_frame_0017"), recording_of("day1/0017"), recording_of("portrait")
        ('street_02_frame', 'day1/', 'portrait')
    """
    match = _RUNNING_NUMBER.fullmatch(stem)
    return match.group("before") if match else stem


def groups_by_recording(stems: Iterable[str]) -> dict[str, list[str]]:
    """The stems of each recording, in the order of their running numbers.

    Example:
        >>> groups_by_recording(["a_10", "a_9", "b_1"])
        {'a': ['a_9', 'a_10'], 'b': ['b_1']}
    """
    groups = defaultdict(list)
    for stem in sorted(stems):
        groups[recording_of(stem)].append(stem)
    return {name: sorted(members, key=_running_number) for name, members in groups.items()}


def _running_number(stem: str) -> int:
    match = _RUNNING_NUMBER.fullmatch(stem)
    return int(match.group("number")) if match else -1
