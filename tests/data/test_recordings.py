"""Recordings by name: the running number at the end is what differs within one."""

import pytest

from seglib.data.recordings import groups_by_recording, recording_of


@pytest.mark.parametrize(
    ("stem", "recording"),
    [
        ("0001TP_006690", "0001TP"),
        ("0016E5_08370", "0016E5"),
        ("frame0001", "frame"),
        ("aachen_000000_000019", "aachen_000000"),
        ("clip-3-12", "clip-3"),
        ("trip (12)", "trip"),
        ("day1/0017", "day1/"),
        ("day1/cam.2_007", "day1/cam.2"),
        ("0017", ""),
        ("portrait", "portrait"),
        ("img_7_left", "img_7_left"),
        ("Straße_٣", "Straße"),
    ],
)
def test_the_running_number_at_the_end_is_left_out(stem, recording):
    assert recording_of(stem) == recording


def test_groups_are_in_the_order_of_their_numbers_not_of_their_letters():
    stems = ["b_2", "a_10", "a_9", "a_100", "alone", "b_1"]
    assert groups_by_recording(stems) == {"a": ["a_9", "a_10", "a_100"], "alone": ["alone"], "b": ["b_1", "b_2"]}


def test_every_stem_is_in_one_group():
    stems = [f"{name}{number:03}" for name in ("x_", "y-", "z") for number in range(12)] + ["z", "1", "2"]
    groups = groups_by_recording(stems)
    assert sorted(stem for members in groups.values() for stem in members) == sorted(stems)
    assert all(recording_of(stem) == name for name, members in groups.items() for stem in members)
