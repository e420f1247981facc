import gzip
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from ruamel.yaml import YAML

from digitline.base.digest import digest
from digitline.cli import adopt as adopting
from digitline.cli import main
from digitline.config import own, params, paths
from digitline.data import dataset, pictures, sources
from digitline.data.dataset import Dataset
from digitline.draw import found
from tests import drawn, example
from tests.checkout import Checkout, command, idx

Adopt = Callable[..., str]
FLOWERS = {"roses": 10, "daisies": 20}


@pytest.fixture
def adopt(tmp_path, monkeypatch, capsys) -> Adopt:
    """Runs the command in a repository with params.yaml; returns what it prints, or how it refuses."""
    monkeypatch.chdir(tmp_path)
    params.FILE.write_text(example.ALONE, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], check=True)

    def run(*words: str) -> str:
        ended = ""
        try:
            main.main(["adopt", *words])
        except SystemExit as end:
            ended = str(end.code)
        assert "\n" not in ended
        assert not Path("data/surveyed.safetensors").exists()
        return ended or str(capsys.readouterr().out)

    return run


def entry(name: str = "flowers"):
    return YAML(typ="safe").load(params.FILE)["datasets"][name]


def lines(name: str = "flowers") -> list[pictures.Line]:
    return pictures.read(Path(f"data/{name}.csv"), entry(name)["classes"])


def test_a_folder_becomes_a_data_set(adopt):
    drawn.folder(Path("flowers"), **FLOWERS)
    shutil.copy("flowers/roses/00.png", "flowers/roses/copy.png")
    Path("flowers/notes.txt").write_text("picked in May")
    told = adopt("flowers")
    assert told.startswith("31 pictures of 2 classes, as colour images of 16x20 (height x width)\nfor testing: ")
    assert "daisies  16     4\n" in told
    assert "notes.txt  lies in no folder of a class" in told
    assert "digitline use flowers\n" in told
    assert "dvc add flowers\n" in told
    found = entry()
    assert found["classes"] == ["daisies", "roses"]
    assert found["image"] == {"height": 16, "width": 20, "channels": 3}
    assert found["source"]["sha256"] == digest(paths.ADOPTED)
    assert [line.path for line in lines()] == sorted(line.path for line in lines())
    assert Path("data/flowers.left-out.csv").read_text() == "path,why\nnotes.txt,lies in no folder of a class\n"
    with Image.open("reports/adopted/flowers/sheet.png") as sheet:
        assert min(sheet.size) > 800
    page = Path("reports/adopted/flowers/index.html").read_text()
    assert "with the same pixels as an earlier picture: 1" in page
    assert "notes.txt" in page


def test_what_it_decoded_is_what_fetch_decodes(adopt):
    drawn.folder(Path("flowers"), train__a=6, train__b=5, test__a=2, test__b=2)
    adopt("flowers", "--size", "12x10", "--grey", "--fit", "crop", "--use")
    read = params.read()
    assert read.dataset == "flowers"
    pictures.fetch(Path("fetched"), read.classes, read.image, read.preparation, name="flowers", **read.source)
    assert digest(Path("fetched")) == digest(paths.ADOPTED)
    data = dataset.load(Path("fetched"))
    assert data.train.images.shape == (11, 12, 10)
    assert len(data.test.labels) == 4


def test_a_table_becomes_a_data_set_with_groups_and_its_order(adopt, tmp_path):
    drawn.folder(tmp_path / "scans", x=24)
    named = [(f"x/{place:02}.png", "ab"[place % 2], f"writer {place // 4}") for place in range(23, -1, -1)]
    text = "\n".join(["path,label,group", *map(",".join, named)])
    Path("labels.csv").write_text(text)
    told = adopt("labels.csv", "--pictures", "scans", "--name", "letters")
    assert "24 pictures of 2 classes" in told
    assert [(line.path, line.label, line.group) for line in lines("letters")] == named
    sides = {(line.group, line.split) for line in lines("letters")}
    assert len(sides) == 6
    assert "train_groups" in dataset.mapped(paths.ADOPTED)


def test_look_alikes_across_the_split_are_shown_and_can_be_kept_together(adopt):
    drawn.folder(Path("flowers"), train__a=6, train__b=6, test__a=3, test__b=3)
    shutil.copy("flowers/train/a/00.png", "flowers/test/a/copy.png")
    told = adopt("flowers")
    assert "test pictures that are training pictures too: 1; dvc repro will not go on with them" in told
    assert "test/a/copy.png" in Path("reports/adopted/flowers/index.html").read_text()
    assert "digitline use flowers" in told
    own.use(params.FILE, "flowers")
    assert "digitline use" not in adopt("flowers", "--replace", "--keep-together")
    [moved, original] = [line for line in lines() if line.group]
    assert {moved.path, original.path} == {"train/a/00.png", "test/a/copy.png"}
    assert {moved.split, original.split} == {"train"}


def test_damaged_pictures_stop_it_by_name_or_are_left_out_and_listed(adopt):
    drawn.folder(Path("flowers"), **FLOWERS)
    whole = Path("flowers/roses/00.png").read_bytes()
    Path("flowers/roses/00.png").write_bytes(whole[: len(whole) // 2])
    Path("flowers/roses/text.jpg").write_text("a rose")
    before = params.FILE.read_text()
    assert adopt("flowers").startswith(
        "error: 1 of 31 pictures cannot be used, first roses/text.jpg: the file is not a picture, expected a PNG, "
        "JPEG, WebP, GIF, BMP or TIFF; data/flowers.left-out.csv lists them; repair or delete them, or add --drop-damag"
    )
    Path("flowers/roses/text.jpg").unlink()
    assert "1 of 30 pictures cannot be used, first roses/00.png: the picture is damaged" in adopt("flowers")
    assert params.FILE.read_text() == before
    assert "damaged pictures: 1" in adopt("flowers", "--drop-damaged")
    assert len(lines()) == 29
    assert "roses/00.png,the picture is damaged" in Path("data/flowers.left-out.csv").read_text()


def test_a_picture_in_two_classes_is_listed_with_its_twin(adopt):
    drawn.folder(Path("flowers"), **FLOWERS)
    shutil.copy("flowers/daisies/03.png", "flowers/roses/twin.png")
    told = adopt("flowers")
    assert "of these with another class, so one of the two labels is wrong: 1" in told
    assert re.search(r"roses/twin\.png +roses +daisies/03\.png +daisies\n", told)
    page = Path("reports/adopted/flowers/index.html").read_text()
    assert "<td>roses/twin.png</td><td>roses</td><td>daisies/03.png</td>" in page


def test_the_terminal_says_how_many_more_sizes_there_are(adopt):
    drawn.folder(Path("flowers"), **FLOWERS)
    for side in range(20, 40):
        drawn.picture(side, (side, side)).save(f"flowers/roses/{side}.png")
    told = adopt("flowers", "--size", "16")
    assert "… 9 more" in told
    assert told.count("x") < 40


def test_a_class_that_the_font_cannot_draw_has_one_number_on_the_sheet(adopt, monkeypatch):
    drawn.folder(Path("flowers"), a=10, 花=10)
    titles: list[str] = []

    def sheet(_, names) -> Figure:
        titles.extend(names)
        return Figure()

    monkeypatch.setattr(found, "sheet", sheet)
    adopt("flowers")
    assert set(titles) == {"a", "1"}


@pytest.mark.parametrize(("folder", "name"), [("Früchte", "Fruchte"), ("a b.c", "a-b")])
def test_the_name_is_the_folders_without_accents(folder, name):
    assert adopting.stem(Path(folder)) == name


def test_a_class_of_which_nothing_can_be_read_is_not_dropped(adopt):
    drawn.folder(Path("flowers"), **FLOWERS)
    shutil.rmtree("flowers/roses")
    Path("flowers/roses").mkdir()
    Path("flowers/roses/a.png").write_text("a rose")
    assert "the class roses of flowers has no picture that can be used" in adopt("flowers", "--drop-damaged")


def test_pictures_of_every_kind_are_adopted_and_counted_by_mode(adopt):
    root = Path("all sorts")
    drawn.folder(root, розы=6, b=6)
    large = drawn.picture(99, (60, 90))
    for number, mode in enumerate(["1", "L", "LA", "P", "RGBA", "CMYK"]):
        large.convert(mode).save(root / f"розы/{mode}.{'jpg' if mode == 'CMYK' else 'png'}")
        large.rotate(7 * number).save(root / f"b/{number}.webp")
    Image.new("I;16", (30, 30), 40000).save(root / "b/sixteen bits.tif")
    large.save(root / "b/moves.gif", save_all=True, append_images=[drawn.picture(98, (60, 90))])
    drawn.picture(97, (1, 40)).save(root / "b/thin.bmp")
    told = adopt(str(root), "--size", "16", "--name", "sorts")
    assert "animated: the first frame is used  1" in told
    for mode in ("CMYK", "I;16", "LA", "1 "):
        assert f"\n{mode}" in told
    assert entry("sorts")["classes"] == ["b", "розы"]
    assert len(lines("sorts")) == 27


def test_a_hundred_classes_are_summed_up(adopt):
    drawn.folder(Path("many"), **{f"c{number:02}": 3 for number in range(100)})
    told = adopt("many")
    assert "300 pictures of 100 classes" in told
    assert "… 89 more" in told
    assert len(told.splitlines()) < 45
    assert entry("many")["gate"]["minimum_accuracy"] == 0.011


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["none"], "error: there is no none; give a folder of pictures, or a CSV or Parquet table of their paths"),
        (["flowers", "--name", "mnist"], "error: params.yaml has a data set mnist already"),
        (["flowers", "--name", "a.b"], "error: the name 'a.b' cannot be a key of params.yaml"),
        (["花"], "error: the name '-' cannot be a key of params.yaml; give one with --name: A to Z, digits, - and _"),
        (["flowers", "--size", "large"], "error: --size is 'large', expected a number of pixels like 64"),
        (["flowers", "--size", "0"], "error: --size is '0'"),
        (["flowers", "--test", "20"], "error: --test is 20, expected a share between 0 and 1"),
        (["flowers", "--pictures", "flowers"], "error: --pictures is for a table of paths, but flowers is a folder"),
        (["flowers", "--transpose"], "error: --transpose is for a folder of IDX files, but flowers has none"),
        (["."], "error: . has the checkout in it"),
        (["mixed"], "error: the pictures have 2 sizes, from 16x20 to 30x30 (height x width)"),
        (["one"], "error: one has 1 class, expected 2 to 256"),
    ],
)
def test_what_cannot_be_adopted_is_a_sentence_and_changes_nothing(adopt, words, sentence):
    drawn.folder(Path("flowers"), **FLOWERS)
    drawn.folder(Path("花"), a=4, b=4)
    drawn.folder(Path("one"), a=4)
    drawn.folder(Path("mixed"), a=2, b=2)
    drawn.picture(0, (30, 30)).save("mixed/a/large.png")
    before = params.FILE.read_text()
    assert adopt(*words).startswith(sentence)
    assert params.FILE.read_text() == before


def test_idx_files_become_a_data_set_that_fetch_gets(adopt, digits: Dataset, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name, array in zip("dcba", [*digits.train, *digits.test], strict=True):
        (folder / name).write_bytes(gzip.compress(idx(array)))
    told = adopt(str(folder), "--name", "few", "--use")
    assert told.startswith("1,200 pictures of 10 classes, as grey images of 28x28 (height x width)\n")
    read = params.read()
    fetched = sources.fetch([Path("data/few")], len(read.classes), read.image, name="few", **read.source)
    np.testing.assert_array_equal(fetched.test.images, digits.test.images)
    assert read.classes == [str(number) for number in range(10)]
    assert Path("data/few").resolve() == folder
    assert adopt(str(folder), "--size", "28") == f"error: --size is for pictures, but {folder} has IDX files"


@pytest.mark.slow
def test_a_second_clone_has_the_pictures_from_the_remote(mnist: Dataset, tmp_path):
    """What adopt says at its end is what a second clone needs: pictures through a real remote, then fetch and validate.

    The first clone trains nothing either: fetch takes what adopt decoded, and both clones write the same file.
    """
    (tmp_path / "first").mkdir()
    first = Checkout(tmp_path / "first").make(mnist)
    drawn.folder(tmp_path / "elsewhere", **FLOWERS)
    (tmp_path / "elsewhere/notes.txt").write_text("picked in May")
    told = first.digitline("adopt", str(tmp_path / "elsewhere"), "--name", "flowers", "--use")
    share = [line.strip().partition("   #")[0] for line in told.split("have the pictures:\n")[1].splitlines()[:4]]
    assert first.repro("validate") == ["fetch", "validate"]
    assert not (first.folder / paths.ADOPTED).exists()
    left = [{"path": "notes.txt", "why": "lies in no folder of a class"}]
    assert first.json("reports/validation.json")["left_out"] == left

    (tmp_path / "store").mkdir()
    assert first.run("dvc", "remote", "add", "-q", "--default", "store", str(tmp_path / "store")).returncode == 0
    add, commit, push, pull = share
    for words in (add, commit.replace("git commit", "true"), push):
        done = first.run("sh", "-c", words)
        assert done.returncode == 0, done.stderr
    first.commit()
    assert first.run("git", "check-ignore", "data/flowers").returncode == 0

    second = Checkout(tmp_path / "second")
    assert command("git", "clone", "-q", str(first.folder), str(second.folder), cwd=tmp_path).returncode == 0
    refused = second.run("dvc", "repro", "fetch")
    assert "30 of the 30 pictures of data/flowers.csv are missing" in refused.stderr
    assert second.run("sh", "-c", pull).returncode == 0
    assert second.repro("--force", "validate") == ["fetch", "validate"]
    assert digest(second.folder / paths.DATASET) == digest(first.folder / paths.DATASET)
