"""Corrections: kept by the service, held against the expectations, trained with in an experiment of the real dvc."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from starlette.testclient import TestClient
from tests.test_pipeline import Line, edit

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.config import params
from digitline.data import corrections, dataset, prepare, retraining
from digitline.data.corrections import Correction
from digitline.data.dataset import Dataset, Part
from service import api
from service import feedback as service
from service.champion import Champion
from tests.served import CLASSES, error, new_champion

DIGITS = list("0123456789")
ORIGIN = {"Origin": "http://testserver", "Content-Type": "application/octet-stream"}


def drawn(image: dataset.Bytes) -> dataset.Bytes:
    """What a drawing of this digit is brought to: nearly, but not just the same pixels."""
    return prepare.prepare(Image.fromarray(255 - image).resize((280, 280)))


def correction(image: dataset.Bytes, label: str = "7") -> Correction:
    return Correction(image, label, "1", False, "0" * 64)


@pytest.fixture(scope="module")
def images(mnist: Dataset) -> dataset.Bytes:
    return np.stack([drawn(image) for image in mnist.test.images[5000:5006]])


# What is kept


def test_what_is_kept_is_read_again_and_the_last_correction_counts(images: dataset.Bytes, tmp_path: Path) -> None:
    for image, label in zip(images[[0, 1, 0, 0]], ["7", "", "3", "3"], strict=True):
        count = corrections.keep(tmp_path / "kept", correction(image, label), most=10)
    assert count == 3  # the same again is none
    found = {corrections.identity(one.image): one for one in corrections.read(tmp_path / "kept", DIGITS)}
    assert {name: one.label for name, one in found.items()} == {
        corrections.identity(images[0]): "3",
        corrections.identity(images[1]): "",
    }
    for name, one in found.items():
        assert np.array_equal(np.array(Image.open(tmp_path / f"kept/{name}.png")), one.image)


def test_no_more_are_kept_than_allowed(images: dataset.Bytes, tmp_path: Path) -> None:
    for image in images[:2]:
        corrections.keep(tmp_path, correction(image), most=2)
    with pytest.raises(InputError, match="2 corrections are kept, expected no more"):
        corrections.keep(tmp_path, correction(images[2]), most=2)
    assert len(list(tmp_path.glob("*.png"))) == 2


@pytest.mark.parametrize("damage", ["other", "empty", "gone", "wide"])
def test_an_image_that_is_not_as_it_was_kept_is_refused_by_name(
    images: dataset.Bytes, tmp_path: Path, damage: str
) -> None:
    corrections.keep(tmp_path, correction(images[0]), most=9)
    [path] = tmp_path.glob("*.png")
    match damage:
        case "other":
            Image.fromarray(images[1]).save(path)
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "wide":
            Image.new("RGB", (29, 28)).save(path)
    with pytest.raises(InputError, match=rf"{path} is not the image of its name"):
        corrections.read(tmp_path, DIGITS)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("image,label\n", "is no table of corrections, expected lines of image,label,answer,doubtful,model"),
        ("", "no tab"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, table: str, sentence: str) -> None:
    (tmp_path / corrections.TABLE).write_text(table)
    with pytest.raises(InputError, match=sentence):
        corrections.read(tmp_path, DIGITS)


def test_a_label_that_is_no_class_is_refused_by_name(images: dataset.Bytes, tmp_path: Path) -> None:
    corrections.keep(tmp_path, correction(images[0], "seven"), most=9)
    with pytest.raises(InputError, match="'seven', expected 0, 1, 2"):
        corrections.read(tmp_path, DIGITS)


# What is trained with


@pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")
def test_the_expectations_of_the_data_decide_over_each_correction(images: dataset.Bytes, digits: Dataset) -> None:
    faint, small = images[1] // 3, np.zeros((28, 28), np.uint8)
    small[12:16, 12:16] = images[2][10:14, 12:16]
    copies = digits.train.images[5], digits.test.images[5]
    part = Part(np.stack([images[0], faint, small, *copies]), np.zeros(5, np.uint8))
    bounds = {name: bound for name, bound in params.read().bounds.items() if name != "images"}
    good, *bad = retraining.reasons(part, digits, classes=DIGITS, **bounds)
    assert good == []
    for found, name in zip(
        bad, ["brightest pixel 85", "longer side of the ink's bounding box", *["copies"] * 2], strict=True
    ):
        assert name in "; ".join(found)


def test_without_corrections_the_data_set_has_the_same_bytes(
    digits: Dataset, images: dataset.Bytes, tmp_path: Path
) -> None:
    dataset.save(digits, tmp_path / "without")
    assert set(load_file(tmp_path / "without")) == {"train_images", "train_labels", "test_images", "test_labels"}
    assert len(dataset.corrections(tmp_path / "without").labels) == 0
    added = Part(images, np.arange(6, dtype=np.uint8))
    dataset.save(digits, tmp_path / "with", corrections=added)
    assert all(np.array_equal(*pair) for pair in zip(dataset.corrections(tmp_path / "with"), added, strict=True))
    for one, other in zip(dataset.load(tmp_path / "without"), dataset.load(tmp_path / "with"), strict=True):
        assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


# The route


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    new_champion(tmp_path / "champion", seed=0)
    api.app.state.champion = Champion(tmp_path / "champion")
    monkeypatch.setenv("DIGITLINE_FEEDBACK", str(tmp_path / "kept"))
    return TestClient(api.app, raise_server_exceptions=False)


def test_a_correction_is_kept_beside_the_model_s_answer(
    client: TestClient, images: dataset.Bytes, tmp_path: Path
) -> None:
    answer = client.post("/feedback?label=class 4", content=images[0].tobytes(), headers=ORIGIN)
    assert answer.json() == {"image": corrections.identity(images[0]), "label": "class 4", "kept": 1}
    assert client.post("/feedback?label=", content=images[1].tobytes(), headers=ORIGIN).json()["kept"] == 2
    champion = api.app.state.champion
    told = {one.label: one for one in corrections.read(tmp_path / "kept", CLASSES)}
    for label, image in zip(["class 4", ""], images, strict=False):
        assert np.array_equal(told[label].image, image)
        assert told[label].answer == champion.answers(champion.probabilities(image[None]))[0].digit
        assert told[label].model == champion.sha256


def test_corrections_are_closed_unless_a_folder_is_named(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/network").json()["corrections"]
    monkeypatch.delenv("DIGITLINE_FEEDBACK")
    assert not client.get("/network").json()["corrections"]
    answer = client.post("/feedback?label=class 4", content=bytes(784), headers=ORIGIN)
    assert answer.status_code == 403
    assert "DIGITLINE_FEEDBACK" in error(answer)


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "http://testserver.elsewhere.example", None])
def test_a_correction_from_another_page_is_refused(client: TestClient, tmp_path: Path, origin: str | None) -> None:
    headers = {**ORIGIN, "Origin": origin} if origin else {"Content-Type": ORIGIN["Content-Type"]}
    answer = client.post("/feedback?label=class 4", content=bytes(784), headers=headers)
    assert answer.status_code == 403
    assert "of this service's own origin" in error(answer)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("query", "size", "status"),
    [
        ("", 784, 400),
        ("?label=12", 784, 400),
        ("?label=class 1&label=class 2", 784, 400),
        ("?label=class 1", 783, 400),
        ("?label=class 1", 0, 400),
        ("?label=class 1", 785, 413),
    ],
)
def test_a_correction_of_another_form_is_refused(
    client: TestClient, tmp_path: Path, query: str, size: int, status: int
) -> None:
    answer = client.post(f"/feedback{query}", content=bytes(size), headers=ORIGIN)
    assert answer.status_code == status
    assert "expected" in error(answer)
    assert not (tmp_path / "kept").exists()


def test_when_enough_are_kept_the_next_is_refused(
    client: TestClient, images: dataset.Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST", 1)
    statuses = [
        client.post("/feedback?label=", content=image.tobytes(), headers=ORIGIN).status_code for image in images[:2]
    ]
    assert statuses == [200, 409]


# The line


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, mnist: Dataset) -> Line:
    line = Line(tmp_path_factory.mktemp("line") / "clone", mnist)
    edit(line.folder, lambda tree: (tree["seeds"].pop(), tree["variants"].pop("fc")))
    assert line.run("dvc", "repro", "train").returncode == 0
    return line


@pytest.mark.slow
def test_without_corrections_feedback_says_where_they_would_come_from(line: Line) -> None:
    outcome = line.run("python", "-m", "pipeline.feedback")
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("error: data/feedback has no corrections; DIGITLINE_FEEDBACK=data/feedback make")


@pytest.mark.slow
def test_corrections_are_shown_and_trained_with_as_an_experiment(
    line: Line, mnist: Dataset, images: dataset.Bytes
) -> None:
    before, plain = (line.folder / "data/dataset.safetensors").read_bytes(), models(line)
    labels = [*map(str, mnist.test.labels[5000:5006]), "", "0"]
    for image, label in zip([*images, drawn(mnist.test.images[5006]), mnist.train.images[0]], labels, strict=True):
        corrections.keep(line.folder / "data/feedback", correction(image, label), most=99)

    shown = line.run("python", "-m", "pipeline.feedback")
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr.count("| yes |") == 6
    assert "no digit" in shown.stderr
    assert "copies among the data set's images 1, expected 0" in shown.stderr
    assert (line.folder / "reports/feedback.png").exists()
    sha256 = shown.stdout.strip()
    outcome = line.run("dvc", "exp", "run", "--set-param", f"feedback={sha256}", "train")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr

    arrays, old = load_file(line.folder / "data/dataset.safetensors"), line.folder / "old"
    old.write_bytes(before)
    assert {name: arrays[name].tobytes() for name in load_file(old)} == {
        name: array.tobytes() for name, array in load_file(old).items()
    }
    assert sorted(map(str, arrays["corrections_labels"])) == sorted(labels[:6])
    assert models(line) != plain
    assert sha256[:7] in line.run("dvc", "exp", "show", "--csv").stdout

    edit(line.folder, lambda tree: tree.update(feedback="0" * 64))
    refused = line.run("dvc", "repro", "fetch")
    assert refused.returncode != 0
    assert f"data/feedback.safetensors has SHA-256 {sha256}, expected {'0' * 64}" in refused.stderr
    edit(line.folder, lambda tree: tree.update(feedback=None))
    assert line.run("dvc", "repro", "train").returncode == 0
    assert (line.folder / "data/dataset.safetensors").read_bytes() == before
    assert models(line) == plain


def models(line: Line) -> list[str]:
    return [digest(path) for path in sorted((line.folder / "models/variants/conv1").glob("*.safetensors"))]
