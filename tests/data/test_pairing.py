import shutil
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglib.data.dataset import CustomDataset
from seglib.data.image_io import IMAGE_EXTENSIONS, UNREAD_EXTENSIONS
from seglib.data.pairing import common_suffixes, find_pairs, pair_files, stem_of
from seglib.errors import PairError
from tests.support.helpers import make_folders, photograph, quick, refused


def touch(folder: Path, *names: str) -> None:
    """Files by name only: pairing looks at no content."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "images", tmp_path / "masks"


def names(pairs):
    return [(image.name, mask.name) for image, mask in pairs]


def test_a_jpg_finds_its_png_whatever_the_order_on_disk(folders):
    images, masks = folders
    touch(images, "c.jpg", "a.jpg", "b.jpeg")
    touch(masks, "b.png", "c.png", "a.png")
    assert names(pair_files(images, masks)) == [("a.jpg", "a.png"), ("b.jpeg", "b.png"), ("c.jpg", "c.png")]
    assert pair_files(str(images), str(masks)) == pair_files(images, masks)


def test_the_order_is_that_of_the_stems_not_of_the_filenames(folders):
    images, masks = folders
    touch(images, "a.jpg", "a-1.jpg", "a_1.JPG")  # "-" sorts before ".", so by filename a-1.jpg would come first
    touch(masks, "a.png", "a-1.png", "a_1.png")
    assert [stem_of(image) for image, _ in pair_files(images, masks)] == ["a", "a-1", "a_1"]


def test_suffixes_in_capitals_are_pictures_too(folders):
    images, masks = folders
    touch(images, *(f"a{n}{suffix.upper()}" for n, suffix in enumerate(sorted(IMAGE_EXTENSIONS))))
    touch(masks, *(f"a{n}.PNG" for n in range(len(IMAGE_EXTENSIONS))))
    assert len(pair_files(images, masks)) == len(IMAGE_EXTENSIONS)


def test_only_the_last_suffix_is_cut_off(folders):
    images, masks = folders
    touch(images, "a.v1.jpg", "a.v2.jpg")
    touch(masks, "a.v1.png", "a.v2.png")
    assert names(pair_files(images, masks)) == [("a.v1.jpg", "a.v1.png"), ("a.v2.jpg", "a.v2.png")]


@pytest.mark.parametrize("name", ["b.heic", "b.NEF", "b.jxl"])
def test_a_picture_that_nobody_reads_is_refused_not_dropped(folders, name):
    images, masks = folders
    touch(images, "a.jpg", name)
    touch(masks, "a.png")
    with pytest.raises(PairError, match=name) as error:
        pair_files(images, masks)
    assert "Convert" in error.value.fix


def test_hidden_and_other_files_are_passed_over(folders):
    images, masks = folders
    for folder in folders:
        touch(folder, ".DS_Store", "._a.jpg", "._a.png", ".hidden.png", "Thumbs.db", "notes.txt", "split.json", "jpg")
        (folder / "older").mkdir()
        (folder / ".cache.jpg").mkdir()
    touch(images, "a.jpg")
    touch(masks, "a.png")
    assert names(pair_files(images, masks)) == [("a.jpg", "a.png")]


def test_one_name_in_two_spellings_of_unicode_pairs(folders):
    images, masks = folders
    composed, decomposed = unicodedata.normalize("NFC", "Äpfel_é"), unicodedata.normalize("NFD", "Äpfel_é")
    assert composed != decomposed
    touch(images, f"{decomposed}.jpg")
    touch(masks, f"{composed}.png")
    ((image, mask),) = pair_files(images, masks)
    assert stem_of(image) == stem_of(mask) == composed
    assert image.exists()  # the path is the one on disk, in the spelling of the disk
    assert mask.exists()


@pytest.mark.parametrize("missing", ["images", "masks"])
def test_a_missing_folder_is_named(tmp_path, missing):
    images, masks = make_folders(tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / missing)
    with refused(PairError, tmp_path, f'no folder "data/{missing}"', "a folder of pictures"):
        pair_files(images, masks)


def test_a_missing_folder_of_a_relative_path_is_named_as_it_was_given(tmp_path, monkeypatch):
    make_folders(tmp_path)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    with refused(PairError, tmp_path, '"../imgs"'):
        pair_files("../imgs", "../masks")


def test_a_file_where_a_folder_should_be_is_no_folder(tmp_path):
    images, masks = make_folders(tmp_path)
    with refused(PairError, tmp_path, 'no folder "images/a.jpg"'):
        pair_files(images / "a.jpg", masks)


@pytest.mark.parametrize("empty", ["images", "masks"])
@pytest.mark.parametrize("clutter", [[], [".DS_Store", "readme.txt"]])
def test_a_folder_without_a_picture_is_named(tmp_path, empty, clutter):
    folders = make_folders(tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / empty)
    touch(tmp_path / "data" / empty, *clutter)
    with refused(PairError, tmp_path, f'"data/{empty}" holds no picture', ".jpg"):
        pair_files(*folders)


@pytest.mark.parametrize("folder", ["images", "masks"])
@pytest.mark.parametrize("twin", ["a.PNG", "a.JPG", "a.tif"])
def test_two_files_of_one_stem_are_both_named(tmp_path, folder, twin):
    folders = make_folders(tmp_path, image_suffix=".jpg", mask_suffix=".bmp")
    touch(tmp_path / folder, twin)
    if len(list((tmp_path / folder).iterdir())) == 3:
        pytest.skip("this file system takes a.JPG and a.jpg for one file")
    first = "a.jpg" if folder == "images" else "a.bmp"
    with refused(PairError, tmp_path, f'"{folder}/{first}"', f'"{folder}/{twin}"', 'stem, "a"'):
        pair_files(*folders)


def test_two_unicode_spellings_in_one_folder_are_one_stem(folders, tmp_path):
    images, masks = folders
    touch(images, *(unicodedata.normalize(form, "é") + ".jpg" for form in ("NFC", "NFD")))
    if len(list(images.iterdir())) == 1:
        pytest.skip("this file system takes both for one file")
    touch(masks, "é.png")
    with refused(PairError, tmp_path, "same stem"):
        pair_files(images, masks)


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_a_folder_with_the_name_of_a_picture_is_refused(tmp_path, folder):
    folders = make_folders(tmp_path)
    (tmp_path / folder / "scans.jpg").mkdir()
    with refused(PairError, tmp_path, f'"{folder}/scans.jpg"', "is a folder"):
        pair_files(*folders)


def test_one_orphan_of_either_side_is_named(tmp_path):
    images, masks = make_folders(tmp_path / "one")
    (masks / "b.png").unlink()
    with refused(PairError, tmp_path, "Images without a mask (1): images/b.jpg."):
        pair_files(images, masks)
    images, masks = make_folders(tmp_path / "two")
    (images / "b.jpg").unlink()
    with refused(PairError, tmp_path, "Masks without an image (1): masks/b.png."):
        pair_files(images, masks)


def test_all_orphans_of_both_folders_stand_in_one_message(tmp_path):
    images, masks = make_folders(tmp_path, stems=("a", "b", "c", "d", "e"))
    for path in (images / "b.jpg", images / "d.jpg", masks / "a.png", masks / "e.png"):
        path.unlink()
    with refused(
        PairError,
        tmp_path,
        "Images without a mask (2): images/a.jpg, images/e.jpg.",
        "Masks without an image (2): masks/b.png, masks/d.png.",
    ):
        pair_files(images, masks)


def test_a_stem_in_other_letters_is_another_stem(folders, tmp_path):
    images, masks = folders
    touch(images, "Apple.jpg")
    touch(masks, "apple.png")
    with refused(PairError, tmp_path, "images/Apple.jpg", "masks/apple.png"):
        pair_files(images, masks)


stem = st.text("abcXYZ019_- .é", min_size=1, max_size=6).filter(
    lambda text: text[0] not in ". " and text[-1] not in ". " and text == unicodedata.normalize("NFC", text)
)
stems = st.lists(stem, min_size=1, max_size=8, unique_by=str.casefold)
suffix = st.sampled_from([*sorted(IMAGE_EXTENSIONS), ".JPG", ".Png"])


@quick
@given(data=st.data(), stems=stems)
def test_any_folders_are_paired_by_stem_in_order(data, stems):
    with tempfile.TemporaryDirectory() as root:
        images, masks = Path(root, "images"), Path(root, "masks")
        for folder in (images, masks):
            touch(folder, *(name + data.draw(suffix) for name in data.draw(st.permutations(stems))))
        pairs = pair_files(images, masks)
        assert [stem_of(image) for image, _ in pairs] == sorted(stems)
        assert all(stem_of(image) == stem_of(mask) for image, mask in pairs)
        assert all(image.parent == images and mask.parent == masks for image, mask in pairs)


@quick
@given(data=st.data(), stems=stems)
def test_any_orphans_are_all_named_and_nothing_else_is(data, stems):
    sides = data.draw(st.lists(st.sampled_from(["both", "images", "masks"]), min_size=len(stems), max_size=len(stems)))
    with tempfile.TemporaryDirectory() as root:
        images, masks = Path(root, "images"), Path(root, "masks")
        touch(
            images, "0_pair.jpg", *(f"{name}.jpg" for name, side in zip(stems, sides, strict=True) if side != "masks")
        )
        touch(
            masks, "0_pair.png", *(f"{name}.png" for name, side in zip(stems, sides, strict=True) if side != "images")
        )
        lonely = {
            f"images/{name}.jpg" if side == "images" else f"masks/{name}.png"
            for name, side in zip(stems, sides, strict=True)
            if side != "both"
        }
        if not lonely:
            assert len(pair_files(images, masks)) == len(stems) + 1
            return
        with pytest.raises(PairError) as caught:
            pair_files(images, masks)
        named = {
            name
            for line in caught.value.found.splitlines()
            for name in line.split("): ")[1].removesuffix(".").split(", ")
        }
        assert named == lonely


def test_pairing_opens_and_changes_no_file(tmp_path):
    images, masks = make_folders(tmp_path, stems=("a",))
    photograph().save(images / "b.png")
    (masks / "b.png").write_text("no picture at all")
    assert len(pair_files(images, masks)) == 2


def test_a_refused_kind_is_never_a_kind_that_is_read():
    assert not IMAGE_EXTENSIONS & UNREAD_EXTENSIONS
    assert {".jpg", ".png", ".tif", ".gif", ".webp"} <= IMAGE_EXTENSIONS


# Endings: named where they explain the missing partners, taken only where they are given.


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("", "_mask"),  # Carvana
        ("", "_segmentation"),  # ISIC
        ("_sat", "_mask"),  # DeepGlobe
        ("_leftImg8bit", "_gtFine_labelIds"),  # Cityscapes
        ("", ".jpg"),  # x.jpg.png
        ("_image", "_annotation"),
        ("_image", "_inverse"),  # the same first letter
        ("", "-labels"),
    ],
)
def test_an_ending_is_named_in_a_few_lines_and_taken_where_it_is_given(folders, tmp_path, image, mask):
    images, masks = folders
    stems = [f"car_{number:04}_01" for number in range(300)]
    touch(images, *(f"{stem}{image}.jpg" for stem in stems))
    touch(masks, *(f"{stem}{mask}.png" for stem in stems))
    with pytest.raises(PairError) as error:
        pair_files(images, masks)
    assert len(str(error.value)) < 1500
    given = {name: value for name, value in (("image_suffix", image), ("mask_suffix", mask)) if value}
    for name, value in given.items():
        assert f'{name}="{value}"' in error.value.fix
    assert "300" in error.value.fix
    found = find_pairs(images, masks, **given)
    assert list(found.pairs) == stems
    assert not (found.images_alone)
    assert not (found.masks_alone)
    assert not (found.passed_over)


def test_what_ends_otherwise_is_passed_over_and_told(folders):
    images, masks = folders
    touch(images, "a.jpg", "b.jpg")
    touch(masks, "a_labelIds.png", "a_color.png", "b_labelIds.png", "b_color.png")
    found = find_pairs(images, masks, mask_suffix="_labelIds")
    assert [mask.name for _, mask in found.pairs.values()] == ["a_labelIds.png", "b_labelIds.png"]
    assert [path.name for path in found.passed_over] == ["a_color.png", "b_color.png"]


def test_a_suffix_that_no_name_has_is_refused_with_those_that_they_have(folders, tmp_path):
    images, masks = folders
    touch(images, "a.jpg", "b.jpg")
    touch(masks, "a_mask.png", "b_mask.png")
    with refused(PairError, tmp_path, 'ends in "_masks"', "_mask."):
        pair_files(images, masks, mask_suffix="_masks")


def test_nothing_is_guessed_from_two_pictures_that_happen_to_begin_alike():
    assert common_suffixes(["cat"], ["cat_2"]) is None
    assert common_suffixes(["a", "b", "c"], ["x", "y", "z"]) is None
    assert common_suffixes([], ["a"]) is None


def test_one_folder_for_both_is_said_at_once_and_taken_with_an_ending(tmp_path):
    folder = tmp_path / "train"
    touch(folder, "a.jpg", "b.jpg", "a_mask.png", "b_mask.png")
    with refused(PairError, tmp_path, "Both folders are one", '"_mask"', 'mask_suffix="_mask"'):
        CustomDataset(folder, folder)
    pairs = pair_files(folder, folder, mask_suffix="_mask")
    assert names(pairs) == [("a.jpg", "a_mask.png"), ("b.jpg", "b_mask.png")]


def test_one_folder_with_an_ending_for_each(tmp_path):
    folder = tmp_path / "all"
    touch(folder, "1_sat.jpg", "1_mask.png", "2_sat.jpg", "2_mask.png")
    pairs = pair_files(folder, folder, mask_suffix="_mask", image_suffix="_sat")
    assert names(pairs) == [("1_sat.jpg", "1_mask.png"), ("2_sat.jpg", "2_mask.png")]


# Sub folders: told where they hold pictures, read where asked for.


@pytest.mark.parametrize("beside", [(), ("a.jpg",)])
def test_pictures_in_sub_folders_are_never_dropped_in_silence(folders, tmp_path, beside):
    images, masks = folders
    touch(images, *beside)
    touch(images / "day1", "b.jpg")
    touch(masks, "a.png")
    with refused(PairError, tmp_path, "day1", "recursive=True", "recursive=False"):
        pair_files(images, masks)


def test_sub_folders_are_read_where_asked_for_and_left_where_not(folders):
    images, masks = folders
    touch(images, "a.jpg")
    touch(images / "day1" / "north", "a.jpg")
    touch(images / ".cache", "x.jpg")
    touch(masks, "a.png")
    touch(masks / "day1" / "north", "a.png")
    found = find_pairs(images, masks, recursive=True)
    assert list(found.pairs) == ["a", "day1/north/a"]
    assert names(pair_files(images, masks, recursive=False)) == [("a.jpg", "a.png")]


def test_a_folder_of_masks_inside_that_of_the_images_is_no_sub_folder_of_pictures(tmp_path):
    images = tmp_path / "data"
    touch(images, "a.jpg")
    touch(images / "masks", "a.png")
    for recursive in (None, True, False):
        assert names(pair_files(images, images / "masks", recursive=recursive)) == [("a.jpg", "a.png")]


# Photographs without a mask.


def test_a_photograph_without_a_mask_is_background_where_asked_for(tmp_path):
    images, masks = make_folders(tmp_path)
    (masks / "b.png").unlink()
    with refused(PairError, tmp_path, 'unmasked="background"'):
        CustomDataset(images, masks)
    dataset = CustomDataset(images, masks, unmasked="background")
    assert dataset.mask_filenames == ["a.png", "", "c.png"]
    image, mask = dataset[1]
    assert mask.size == image.size
    assert mask.getextrema() == (0, 0)
    (images / "c.jpg").unlink()  # a mask without an image is never right
    with refused(PairError, tmp_path, "masks/c.png"):
        CustomDataset(images, masks, unmasked="background")


def test_a_word_that_is_none_is_refused(tmp_path):
    folders = make_folders(tmp_path)
    with refused(PairError, tmp_path, "background"):
        pair_files(*folders, unmasked="black")


def test_a_dataset_with_sub_folders_and_endings_reads_its_pictures(tmp_path):
    images, masks = make_folders(tmp_path)
    for folder, ending in ((images, "_image.jpg"), (masks, "_mask.png")):
        (folder / "x").mkdir()
        for path in [path for path in folder.iterdir() if path.is_file()]:
            path.rename(folder / "x" / f"{path.stem}{ending}")
    dataset = CustomDataset(images, masks, recursive=True, image_suffix="_image", mask_suffix="_mask")
    assert dataset.stems == ["x/a", "x/b", "x/c"]
    assert dataset.image_filenames[0] == "x/a_image.jpg"
    assert dataset.subset(["x/c"])[0][1].getextrema() == (0, 255)
