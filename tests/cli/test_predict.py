import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.cli import predict
from digitline.data import prepare
from digitline.data.entry import Shape
from digitline.model import checkpoint, evaluation, networks
from digitline.serving import bulk, export

CLASSES = ["rose", "tulip", "NA"]
SHAPE = Shape(20, 24, 3)
NETWORK: dict[str, Any] = {"network": "plain", "filters": [4], "hidden": 8, "classes": 3, "image": SHAPE._asdict()}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a champion of colour pictures, and ten pictures of several sizes and formats."""
    champion = tmp_path / "models/champion"
    champion.mkdir(parents=True)
    torch.manual_seed(0)
    checkpoint.save(networks.build(**NETWORK), champion / "model.safetensors", **NETWORK)
    export.write(champion / "model.safetensors", champion / "model.onnx")
    card = {"variant": "small", "sha256": digest(champion / "model.safetensors"), "classes": CLASSES}
    card |= {"onnx_sha256": digest(champion / "model.onnx")}
    (champion / "model.json").write_text(json.dumps(card | {"preparation": "letterbox", "doubt_above": 1.05}))
    folder = tmp_path / "scans"
    (folder / "花 of May").mkdir(parents=True)
    pixels = np.random.default_rng(0)
    for number in range(10):
        size = (30 + number, 50, 3)
        name = f"花 of May/{number}.png" if number % 2 else f"{number}, a.jpg"
        Image.fromarray(pixels.integers(0, 256, size, np.uint8)).save(folder / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answers(file: str) -> list[list[str]]:
    with Path(file).open(newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines))


def test_every_picture_gets_the_model_s_answer_in_the_order_of_the_paths(place):
    predict.predict("scans", to="a.csv")
    header, *rows = answers("a.csv")
    assert header == ["path", "label", "probability", "doubtful", "error", "p_rose", "p_tulip", "p_NA"]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert len(rows) == 10
    model = checkpoint.load(place / "models/champion/model.safetensors")
    for path, label, probability, doubtful, error, *shares in rows:
        image = prepare.image((place / "scans" / path).read_bytes(), SHAPE, "letterbox")
        expected = torch.from_numpy(evaluation.predict(model, image[None])).softmax(1)[0].numpy()
        np.testing.assert_allclose([float(share) for share in shares], expected, atol=1e-5)
        assert (label, error) == (CLASSES[int(expected.argmax())], "")
        assert float(probability) == max(map(float, shares))
        assert doubtful == str(bool(-(expected * np.log(expected)).sum() > 1.05))
    assert sorted(path.name for path in place.iterdir()) == ["a.csv", "models", "scans"]


def test_parquet_has_the_same_numbers_with_their_types(place):
    for name in ("a.csv", "a.parquet"):
        predict.predict("scans", to=name)
    found = pd.read_parquet("a.parquet")
    assert found.columns.tolist() == answers("a.csv")[0]
    assert found["p_rose"].dtype == np.float32
    assert found["doubtful"].dtype == bool
    rows = answers("a.csv")[1:]
    assert found[["path", "label"]].to_numpy().tolist() == [row[:2] for row in rows]
    assert found["doubtful"].astype(str).tolist() == [row[3] for row in rows]
    np.testing.assert_array_equal(found["p_NA"], np.array([row[7] for row in rows], np.float32))


def test_files_without_an_answer_are_named_with_the_reason_and_the_others_answered(place, capsys):
    (place / "scans/notes.txt").write_text("of May")
    (place / "scans/cut.jpg").write_bytes((place / "scans/0, a.jpg").read_bytes()[:300])
    (place / "scans/gone.png").symlink_to("nowhere.png")
    (place / "scans/.hidden").write_text("")
    with pytest.raises(InputError, match=r"3 of 13 files have no answer, a\.parquet says why: cut\.jpg: the"):
        predict.predict("scans", to="a.parquet")
    found = pd.read_parquet("a.parquet").set_index("path")
    assert "to 10 pictures" in capsys.readouterr().out
    assert found.loc["notes.txt", "error"].startswith("the file is not a picture, expected a PNG")
    assert found.loc["gone.png", "error"] == "it is not a file"
    assert found["label"].isna().sum() == found["p_rose"].isna().sum() == 3


@pytest.mark.parametrize("end", ["", "half a li", "\n"])
def test_an_interrupted_run_goes_on_where_it_was(place, monkeypatch, end):
    predict.predict("scans", to="whole.csv")
    monkeypatch.setattr(bulk, "AT_ONCE", 4)
    seen: list[bytes] = []
    read = prepare.seen

    def counted(data, *of, **options):
        seen.append(data)
        if len(seen) == 7:
            raise KeyboardInterrupt
        return read(data, *of, **options)

    monkeypatch.setattr(prepare, "seen", counted)
    with pytest.raises(KeyboardInterrupt):
        predict.predict("scans", to="a.csv")
    [draft] = place.glob("a.csv.*.partial")
    assert len(answers(str(draft))) == 1 + 4
    with draft.open("a") as file:
        file.write(end.strip("\n"))
    seen[:] = [b""] * 10  # past the interruption
    predict.predict("scans", to="a.csv")
    assert len(seen) == 10 + 6
    assert (place / "a.csv").read_bytes() == (place / "whole.csv").read_bytes()


def test_another_champion_s_answers_are_not_mixed_in(place, monkeypatch):
    first = predict.draft_of(Path("a.csv"), Path("scans"), "a" * 64)
    assert first != predict.draft_of(Path("a.csv"), Path("scans"), "b" * 64)
    assert first != predict.draft_of(Path("a.csv"), Path("other"), "a" * 64)


def test_a_sheet_of_paper_without_a_digit_has_no_answer(tmp_path):
    Image.new("L", (40, 40), 255).save(tmp_path / "sheet.png")
    answering = bulk.Answering(lambda images: np.ones((len(images), 1), np.float32), Shape(), "mnist", ["0"], 1.0)
    assert bulk.pixels(answering, tmp_path / "sheet.png") == "the picture is blank"
    assert not isinstance(bulk.pixels(answering._replace(preparation="crop"), tmp_path / "sheet.png"), str)


@pytest.mark.parametrize(
    ("folder", "to", "sentence"),
    [
        ("scans", "a.txt", r"--to is a\.txt, expected a name that ends in \.parquet or \.csv"),
        ("scans", "no/a.csv", r"there is no folder no for a\.csv"),
        ("scan", "a.csv", "there is no folder scan"),
        ("models/none", "a.csv", "models/none has no files"),
    ],
)
def test_a_mistake_is_one_sentence(place, folder, to, sentence):
    (place / "models/none").mkdir()
    with pytest.raises(InputError, match=sentence):
        predict.predict(folder, to=to)


def test_without_a_champion_the_command_that_makes_one_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="there is no champion in models/champion; run make"):
        predict.predict(".", to="a.csv")
