import io
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from digitline.base.errors import InputError
from digitline.data import survey
from digitline.data.survey import Form, Left, Picture
from tests import drawn


def refusal(source: Path, **options) -> str:
    with pytest.raises(InputError) as refused:
        survey.folder(source) if source.is_dir() else survey.table(source, options.get("root", source.parent))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_folder_of_classes_is_listed_in_the_order_of_its_paths(tmp_path):
    found = survey.folder(drawn.folder(tmp_path, roses=2, daisies=1))
    assert found.pictures == [
        Picture("daisies/00.png", "daisies"),
        Picture("roses/00.png", "roses"),
        Picture("roses/01.png", "roses"),
    ]


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "Testing")])
def test_folders_of_splits_are_told_from_classes(tmp_path, names):
    train, test = names
    found = survey.folder(drawn.folder(tmp_path, **{f"{train}__a": 1, f"{train}__b": 1, f"{test}__a": 1}))
    assert [(one.label, one.split) for one in found.pictures if one.split == "test"] == [("a", "test")]
    assert {one.split for one in found.pictures} == {"train", "test"}


def test_classes_may_be_named_like_splits_if_there_are_others(tmp_path):
    found = survey.folder(drawn.folder(tmp_path, train=1, ship=1))
    assert survey.classes(found.pictures) == ["ship", "train"]


def test_pictures_may_lie_deeper_in_the_folder_of_a_class(tmp_path):
    drawn.folder(tmp_path, a__first=1, a__second=1, b=1)
    assert [one.label for one in survey.folder(tmp_path).pictures] == ["a", "a", "b"]


@pytest.mark.parametrize(
    ("names", "to"), [({"train", "val", "test"}, "train"), ({"train", "val"}, "test"), ({"train", "test"}, "")]
)
def test_a_validation_folder_trains_where_there_is_a_test_folder_and_else_tests(tmp_path, names, to):
    found = survey.folder(drawn.folder(tmp_path, **{f"{name}__{label}": 1 for name in names for label in "ab"}))
    settled, remark = survey.settled(found.pictures)
    assert {one.split for one in settled} == {"train", "test"}
    assert bool(remark) == bool(to)
    if to:
        assert all(one.split == to for one in settled if one.path.startswith("val/"))


def test_files_that_have_no_class_or_are_hidden_are_left_out_by_name(tmp_path):
    drawn.folder(tmp_path, a=1, b=1)
    drawn.folder(tmp_path / ".git", a=1)
    (tmp_path / "README").write_text("flowers")
    (tmp_path / "a/.DS_Store").write_text("")
    assert survey.folder(tmp_path).left_out == [
        Left(".git", "is hidden"),
        Left("README", "lies in no folder of a class"),
        Left("a/.DS_Store", "is hidden"),
    ]


def test_names_in_any_script_and_spaces_are_kept(tmp_path):
    found = survey.folder(drawn.folder(tmp_path, **{"красные розы": 1, "雛菊": 1, 'a, "b"': 1}))
    assert survey.classes(found.pictures) == ['a, "b"', "красные розы", "雛菊"]


def test_classes_that_are_numbers_are_ordered_by_size():
    found = [Picture("", str(number)) for number in (10, 9, 0, 2)]
    assert survey.classes(found) == ["0", "2", "9", "10"]


def test_an_empty_class_a_folder_without_classes_and_links_are_refused(tmp_path):
    root = drawn.folder(tmp_path / "flowers", a=1, b=1)
    (root / "c").mkdir()
    assert refusal(root) == f"the folder {root}/c has no pictures; fill it or delete it"
    (root / "c").rmdir()
    drawn.picture(9).save(tmp_path / "out.png")
    (root / "b/link.png").symlink_to(tmp_path / "out.png")
    assert refusal(root) == f"{root}/b/link.png is a symbolic link to {tmp_path}/out.png; put a copy in its place"
    (root / "b/link.png").unlink()
    (root / "c").symlink_to(root / "a")
    assert "c is a symbolic link to" in refusal(root)
    flat = drawn.folder(tmp_path / "flat", a=1) / "a"
    assert refusal(flat) == f"{flat} has no folders, expected one for each class, or train and test with those in them"


def test_a_link_within_the_folder_is_a_picture(tmp_path):
    drawn.folder(tmp_path, a=1, b=1)
    (tmp_path / "a/01.png").symlink_to("00.png")
    assert len(survey.folder(tmp_path).pictures) == 3


def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    drawn.folder(tmp_path, a=1, b=1)
    (tmp_path / "a" / b"\xff.png".decode(errors="surrogateescape")).write_bytes(b"")
    assert "is not UTF-8; rename the file or folder" in refusal(tmp_path)


# Tables


def listed(root: Path, text: str) -> Path:
    path = root / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_gives_paths_labels_splits_and_groups_in_its_order(tmp_path, separator):
    drawn.folder(tmp_path, x=3)
    lines = ["path,label,split,group,age", "x/02.png,b,train,anna,3", "./x/00.png,a,Validation,,4"]
    found = survey.table(listed(tmp_path, "\ufeff" + "\n".join(lines).replace(",", separator)), tmp_path)
    assert found.pictures == [Picture("x/02.png", "b", "train", "anna"), Picture("x/00.png", "a", "val", "")]
    assert found.left_out == [Left("x/01.png", "is not listed")]


def test_parquet_and_csv_give_the_same(tmp_path):
    drawn.folder(tmp_path, x=2)
    frame = pd.DataFrame({"path": ["x/00.png", "x/01.png"], "label": [3, 11], "group": ["anna", None]})
    frame.to_parquet(tmp_path / "labels.parquet")
    frame.to_csv(tmp_path / "labels.csv", index=False)
    of_parquet, of_csv = (survey.table(tmp_path / f"labels.{kind}", tmp_path) for kind in ("parquet", "csv"))
    assert of_parquet == of_csv
    assert of_csv.pictures == [Picture("x/00.png", "3", "", "anna"), Picture("x/01.png", "11", "", "")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,label\na.png,a\n", "labels.csv has the columns file, label, expected path among them"),
        ("", "labels.csv has the columns , expected path among them"),
        ("path,label\n", "labels.csv lists no pictures"),
        ("path,label\na.png,\n", "labels.csv, line 2: label is empty"),
        ("path,label\n,a\n", "labels.csv, line 2: path is empty"),
        ("path,label\na.png,a\na.png,b\n", "labels.csv, line 3: a.png is listed twice"),
        ("path,label\na.png,a\n./a.png,a\n", "labels.csv, line 3: a.png is listed twice"),
        ("path,label\n../a.png,a\n", "line 2: ../a.png leads out of"),
        ("path,label,split\na.png,a,dev\n", "labels.csv, line 2: the split is 'dev', expected train, test or val"),
        ("path,label,split\na.png,a,train\nb.png,a,\n", "gives a split for some pictures only, expected one for all"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, text, sentence):
    assert sentence in refusal(listed(tmp_path, text))


def test_a_damaged_parquet_file_is_refused(tmp_path):
    (tmp_path / "labels.parquet").write_bytes(b"PAR1")
    assert "cannot be read as a table" in refusal(tmp_path / "labels.parquet")


# Forms


def form(picture: Image.Image, form: str = "PNG", name: str = "a.png", **options) -> Form | str:
    file = io.BytesIO()
    picture.save(file, form, **options)
    path = Path(name)
    path.write_bytes(file.getvalue())
    return survey.form(path)


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_picture_s_form_is_told_without_decoding_it():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    told = form(drawn.picture(1), "JPEG", exif=exif)
    assert isinstance(told, Form)
    assert (told.height, told.width, told.mode, told.remarks) == (20, 16, "RGB", ("turned as EXIF says",))
    moving = form(drawn.picture(1), "GIF", save_all=True, append_images=[drawn.picture(2)])
    assert isinstance(moving, Form)
    assert moving.remarks == ("animated: the first frame is used",)
    clear = form(drawn.picture(1).convert("RGBA"))
    assert isinstance(clear, Form)
    assert (clear.mode, clear.remarks) == ("RGBA", ("transparent: on white",))


def test_what_cannot_be_read_is_a_sentence():
    assert survey.form(Path("none.png")) == "there is no such file"
    Path("text.png").write_text("flowers")
    told = survey.form(Path("text.png"))
    assert told == "the file is not a picture, expected a PNG, JPEG, WebP, GIF, BMP or TIFF"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(20000, 10000), (9000, 8000)])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(size):
    whole = Image.fromarray(np.zeros((2, 2), np.uint8))
    file = io.BytesIO()
    whole.save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    Path("large.png").write_bytes(data)
    assert "expected at most 67108864 pixels" in str(survey.form(Path("large.png")))


# What can be used


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({("a", ""): 5}, "flowers has 1 class, expected 2 to 256"),
        ({(str(number), ""): 2 for number in range(257)}, "flowers has 257 classes, expected 2 to 256"),
        ({("a", ""): 5, ("b", ""): 1}, "the class b of flowers has one picture, expected at least two"),
        (
            {("a", "train"): 2, ("a", "test"): 2, ("b", "test"): 3},
            "the class b of flowers is in test (3) and never in training",
        ),
        (
            {("a", "train"): 2, ("a", "test"): 2, ("b", "train"): 3},
            "the class b of flowers is in training (3) and never in test",
        ),
    ],
)
def test_classes_that_cannot_be_learned_or_tested_are_named(counts, sentence):
    found = [Picture("", label, split) for (label, split), count in counts.items() for _ in range(count)]
    with pytest.raises(InputError) as refused:
        survey.usable(found, Path("flowers"))
    assert sentence in str(refused.value)


def test_a_hundred_classes_and_a_thousand_to_one_can_be_used():
    found = [Picture("", f"c{number:02}") for number in range(100) for _ in range(2 if number else 2000)]
    survey.usable(found, Path("flowers"))
