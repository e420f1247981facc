from collections.abc import Sequence

import numpy as np
import pytest

from digitline.base.errors import InputError
from digitline.data import intake, survey
from digitline.data.dataset import Rows
from digitline.data.entry import Shape
from digitline.data.intake import Sides
from digitline.data.survey import Form, Found, Left, Picture
from tests import drawn


def form(height: int, width: int, mode: str = "RGB") -> Form:
    return Form("", height, width, mode, ())


def sided(found: Sequence[Picture], seeds: Sequence[int], share: float = 0.5, *, keep_together: bool = False) -> Sides:
    """With the pictures of these seeds; equal seeds have equal pixels, and half of one more is a near copy."""
    images = np.stack([np.asarray(drawn.picture(seed // 10)) for seed in seeds])
    for image, seed in zip(images, seeds, strict=True):
        image[0, 0] += np.uint8(seed % 10)  # which the eye cannot see
    places = Rows((images,), np.arange(len(images)))
    return intake.sided(list(found), places, share=share, keep_together=keep_together)


def pictures(labels: str, splits: str = "", groups: Sequence[str] = ()) -> list[Picture]:
    """One for each letter of labels; in splits, r is train and e is test."""
    names = {"r": "train", "e": "test"}
    return [
        Picture(f"{place}.png", label, names[splits[place]] if splits else "", groups[place] if groups else "")
        for place, label in enumerate(labels)
    ]


def test_damaged_pictures_are_told_from_files_that_are_none(tmp_path):
    root = drawn.folder(tmp_path, a=2, b=2)
    (root / "a/00.png").write_bytes((root / "a/00.png").read_bytes()[:9])
    (root / "b/notes.txt").write_text("flowers")
    (root / "b/photo.heic").write_bytes(b"of a telephone")
    (root / "b/00.png").rename(root / "b/without a suffix")
    seen = intake.looked_at(survey.folder(root))
    assert [picture.path for picture in seen.pictures] == ["a/01.png", "b/01.png", "b/without a suffix"]
    assert [one.path for one in seen.damaged] == ["a/00.png", "b/photo.heic"]
    assert seen.others == [Left("b/notes.txt", "is not a picture")]


def test_a_listed_file_that_is_missing_or_no_picture_is_damage(tmp_path):
    (tmp_path / "notes.txt").write_text("flowers")
    found = Found(tmp_path, [Picture("notes.txt", "a"), Picture("none.png", "a")], [], table=True)
    assert [one.path for one in intake.looked_at(found).damaged] == ["notes.txt", "none.png"]


def test_damage_that_only_decoding_shows_is_left_out_and_the_rest_keeps_its_order(tmp_path):
    root = drawn.folder(tmp_path / "flowers", a=2, b=2)
    whole = (root / "a/01.png").read_bytes()
    (root / "a/01.png").write_bytes(whole[: len(whole) // 2])  # the header is whole
    seen = intake.looked_at(survey.folder(root))
    assert not seen.damaged
    kept, images = intake.decoded(tmp_path / "scratch", root, seen, Shape(16, 20, 3), "letterbox")
    assert [picture.path for picture in kept.pictures] == ["a/00.png", "b/00.png", "b/01.png"]
    assert len(kept.forms) == 3
    assert [one.path for one in kept.damaged] == ["a/01.png"]
    np.testing.assert_array_equal(images[[2]][0], np.asarray(drawn.picture(4)))


def test_the_shape_is_the_pictures_own_or_the_one_that_is_given():
    assert intake.shape([form(3, 4), form(3, 4, "L")], None, grey=False) == Shape(3, 4, 3)
    assert intake.shape([form(3, 4), form(5, 6)], (7, 8), grey=True) == Shape(7, 8, 1)
    assert intake.shape([form(3, 4, "I;16"), form(3, 4, "1")], None, grey=False) == Shape(3, 4, 1)
    with pytest.raises(InputError, match=r"2 sizes, from 3x4 to 5x6 \(height x width\); give .* --size 64"):
        intake.shape([form(5, 6), form(3, 4)], None, grey=False)


def test_a_share_of_each_class_tests_and_equal_pixels_stay_together():
    sides = sided(pictures("aaaaabbbbb"), [10, 20, 30, 10, 40, 50, 60, 70, 80, 90])
    tested = [picture.path for picture in sides.pictures if picture.split == "test"]
    assert ("0.png" in tested) == ("3.png" in tested)
    assert 4 <= len(tested) <= 6
    assert not sides.pairs
    assert "with the same pixels as an earlier picture: 1" in sides.notes


def test_equal_pixels_with_two_labels_are_said():
    notes = sided(pictures("aabb"), [10, 20, 10, 30]).notes
    assert "of these with another class, so one of the two labels is wrong: 1" in notes


def test_leaks_of_a_given_split_are_counted_and_paired():
    sides = sided(pictures("aabbab", "rrrree"), [10, 20, 30, 40, 10, 31])
    assert sides.pairs == [(4, 0), (5, 2)]
    assert any(
        note.startswith("test pictures that are training pictures too: 1; dvc repro will") for note in sides.notes
    )
    assert any(note.startswith("test pictures that look like a training picture: 1;") for note in sides.notes)


def test_kept_together_leaks_join_the_training_pictures_as_one_group():
    sides = sided(pictures("aabbab", "rrreee"), [10, 20, 30, 40, 10, 31], keep_together=True)
    assert [picture.split for picture in sides.pictures] == ["train", "train", "train", "test", "train", "train"]
    assert [picture.group for picture in sides.pictures] == ["0.png", "", "2.png", "", "0.png", "2.png"]
    assert not sides.pairs
    assert "test pictures that look like training pictures and now join them: 2" in sides.notes


def test_a_group_on_both_sides_of_a_given_split_is_refused_or_trains():
    found = pictures("abab", "rree", ["anna", "", "anna", ""])
    with pytest.raises(InputError, match="the group anna is in training and in test; give it one split, or add --keep"):
        sided(found, [10, 20, 30, 40])
    assert [one.split for one in sided(found, [10, 20, 30, 40], keep_together=True).pictures] == [
        *["train", "train", "train", "test"]
    ]


def test_groups_stay_on_one_side_of_a_drawn_split():
    groups = [f"writer {place // 4}" for place in range(40)]
    sides = sided(pictures("ab" * 20, groups=groups), range(10, 410, 10), 0.2)
    of = {(picture.group, picture.split) for picture in sides.pictures}
    assert len(of) == 10
    assert 4 <= sum(picture.split == "test" for picture in sides.pictures) <= 12


def test_pictures_too_plain_to_tell_apart_are_not_kept_together():
    with pytest.raises(InputError, match="60 of the 60 pictures look alike, one like the next: they are too plain"):
        sided(pictures("ab" * 30), [10] * 60, keep_together=True)


def test_a_line_of_the_manifest_has_the_picture_s_hash():
    [line] = intake.lines([Picture("a.png", "a", "train", "anna")], [form(1, 1)._replace(sha256="12")])
    assert line == ("a.png", "a", "train", "anna", "12")
