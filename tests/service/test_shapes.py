"""The routes of a champion whose images are not MNIST's: other sizes, colour, another preparation."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from starlette.testclient import TestClient

from digitline.base.errors import InputError
from digitline.data import corrections, prepare
from digitline.data.dataset import Bytes, Dataset
from digitline.data.entry import MNIST, Shape
from digitline.model import checkpoint
from digitline.model.evaluation import predict
from service import api, form
from service.champion import Champion, Study
from tests.served import CLASSES, error, new_champion, new_study

SHAPE = Shape(20, 24, 3)
RAW = {"Content-Type": "application/octet-stream"}


def served(folder: Path, monkeypatch: pytest.MonkeyPatch, **champion: Any) -> TestClient:
    """The routes of a new champion."""
    new_champion(folder / "champion", seed=0, **champion)
    monkeypatch.setattr(api.app.state, "champion", Champion(folder / "champion"), raising=False)
    monkeypatch.setattr(api.app.state, "study", Study(folder / "study", api.app.state.champion), raising=False)
    return TestClient(api.app, raise_server_exceptions=False)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    new_study(tmp_path / "study", image=SHAPE, dataset="flowers", classes=CLASSES)
    return served(tmp_path, monkeypatch, image=SHAPE, preparation="letterbox", dataset="flowers")


@pytest.fixture
def images() -> Bytes:
    return np.random.default_rng(0).integers(0, 256, (5, 20, 24, 3), np.uint8)


def file(pixels: Bytes) -> bytes:
    """An image as a PNG."""
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def test_json_and_bytes_are_answered_as_the_evaluation_answers(
    client: TestClient, images: Bytes, tmp_path: Path
) -> None:
    expected = softmax(predict(checkpoint.load(tmp_path / "champion/model.safetensors"), images), 1)
    found = client.post("/predict", json={"images": images.tolist()}).json()["predictions"]
    np.testing.assert_allclose([each["probabilities"] for each in found], expected, atol=1e-5)
    assert [each["label"] for each in found] == [CLASSES[place] for place in expected.argmax(1)]
    answer = client.post("/predict", content=images.tobytes(), headers=RAW).content
    np.testing.assert_allclose(np.frombuffer(answer, "<f4", offset=5).reshape(5, 10), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ([[[0] * 24] * 20], "images[0][0][0] is 0, expected a list of 3 numbers"),
        ([[[[0] * 3] * 24] * 19], "images[0] is a list of 19, expected a list of 20 rows"),
        ([[[[0] * 3] * 20] * 20], "images[0][0] is a list of 20, expected a list of 24 pixels"),
        ([[[[0] * 4] * 24] * 20], "images[0][0][0] is a list of 4, expected a list of 3 numbers"),
        ([[[[0, 0, 256]] * 24] * 20], "images[0][0][0][2] is 256, expected a number from 0 to 255"),
        ([], "images is a list of 0, expected a list of 1 to 139 images"),
    ],
)
def test_images_of_another_shape_are_refused_by_place(client: TestClient, sent: Any, sentence: str) -> None:
    answer = client.post("/predict", json={"images": sent})
    assert (answer.status_code, error(answer)) == (400, sentence)


@pytest.mark.parametrize("kind", [int, float])
def test_fast_and_full_validation_read_the_same_colours(images: Bytes, kind: type) -> None:
    body = json.dumps({"images": images.astype(kind).tolist()}).encode()
    full: Any = form.of(SHAPE).body.model_validate_json(body)
    np.testing.assert_array_equal(form.plain(body, form.of(SHAPE)), images)
    np.testing.assert_array_equal(full.images, images)


def test_bytes_of_an_incomplete_image_are_refused_with_the_champion_s_numbers(client: TestClient) -> None:
    answer = client.post("/predict", content=bytes(1441), headers=RAW)
    assert error(answer) == "the body has 1441 bytes, expected 20x24x3 = 1440 bytes for each of 1 to 2230 images"


@pytest.mark.parametrize(
    ("shape", "most", "most_raw", "title"),
    [
        (MNIST, 256, 4096, "28x28"),
        (Shape(8, 8, 1), 256, 4096, "8x8"),
        (Shape(64, 64, 3), 16, 261, "64x64x3"),
        (Shape(1024, 1024, 3), 1, 1, "1024x1024x3"),
    ],
)
def test_a_request_has_fewer_images_the_larger_they_are(shape: Shape, most: int, most_raw: int, title: str) -> None:
    found = form.of(shape)
    assert (found.most, found.most_raw, found.title) == (most, most_raw, title)
    assert found.most * found.values <= max(256 * 784, found.values)
    assert found.json_bytes >= 20 * found.most * found.values


@pytest.mark.parametrize("preparation", ["letterbox", "crop"])
def test_a_picture_is_prepared_as_the_card_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preparation: Any
) -> None:
    client = served(tmp_path, monkeypatch, image=SHAPE, preparation=preparation)
    data = file(np.random.default_rng(1).integers(0, 256, (90, 50, 3), np.uint8))
    image = prepare.image(data, SHAPE, preparation)
    found = client.post("/classify", files={"image": data}).json()
    [expected] = client.post("/predict", json={"images": [image.tolist()]}).json()["predictions"]
    assert found["image"] == image.tolist()
    assert {key: found[key] for key in expected} == expected
    assert found["label"] == found["digit"]


def test_an_image_of_the_data_set_as_a_picture_gets_the_same_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Dataset
) -> None:
    client = served(tmp_path, monkeypatch, preparation="letterbox", dataset="fashion")
    images = digits.test.images[:20]
    predicted = client.post("/predict", json={"images": images.tolist()}).json()["predictions"]
    for image, expected in zip(images, predicted, strict=True):
        found = client.post("/classify", content=file(image), headers={"Content-Type": "image/png"}).json()
        assert {key: found[key] for key in expected} == expected


def test_a_picture_of_one_colour_is_blank_only_where_a_pen_is_expected(client: TestClient) -> None:
    assert client.post("/classify", files={"image": file(np.full((9, 9, 3), 200, np.uint8))}).status_code == 200


def test_an_explanation_has_the_image_s_own_grid_and_three_maps_of_it(client: TestClient, images: Bytes) -> None:
    found = client.post("/explain", files={"image": file(images[0])}).json()
    assert np.shape(found["evidence"]) == (10, 12)
    assert found["layers"][0]["maps"]["shape"] == [3, 20, 24]
    assert found["image"] == images[0].tolist()


def test_the_network_says_what_the_champion_takes(client: TestClient) -> None:
    found = client.get("/network").json()
    assert found["image"] == {"height": 20, "width": 24, "channels": 3}
    assert (found["dataset"], found["preparation"], found["apart"]) == ("flowers", "letterbox", None)
    assert found["variants"] == ["wide", "narrow", "none"]
    assert found["layers"][1]["filters"]["shape"] == [4, 3, 5, 5]


def test_the_document_has_the_champion_s_shape(client: TestClient) -> None:
    document = client.get("/docs.json").json()
    rows = document["components"]["schemas"]["Images"]["properties"]["images"]["items"]
    assert (rows["minItems"], rows["items"]["minItems"], rows["items"]["items"]["maxItems"]) == (20, 24, 3)
    assert "20x24x3" in document["paths"]["/predict"]["post"]["summary"]
    assert "scaled to fit" in document["paths"]["/classify"]["post"]["summary"]
    assert document["components"]["schemas"]["Prediction"]["properties"]["digit"]["deprecated"] is True


def test_a_correction_has_the_champion_s_shape(
    client: TestClient, images: Bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITLINE_FEEDBACK", str(tmp_path / "kept"))
    headers = {**RAW, "Origin": "http://testserver"}
    assert client.post("/feedback?label=class 4", content=images[0].tobytes(), headers=headers).json()["kept"] == 1
    assert client.post("/feedback?label=class 4", content=bytes(784), headers=headers).status_code == 400
    [kept] = corrections.read(tmp_path / "kept", CLASSES)
    np.testing.assert_array_equal(kept.image, images[0])


def test_a_study_of_the_champion_s_data_set_is_compared(client: TestClient, images: Bytes) -> None:
    found = client.post("/compare", json={"images": images.tolist()}).json()
    assert [np.shape(rows) for rows in found["variants"].values()] == [(5, 10)] * 3


@pytest.mark.parametrize(
    ("study", "sentence"),
    [
        ({"dataset": "mnist"}, "the study is of the data set mnist, the champion of flowers"),
        ({"classes": CLASSES[::-1]}, "the study's models have other classes than the champion"),
        ({"image": MNIST}, "the study's models take 28x28 images, the champion 20x24x3"),
    ],
)
def test_a_study_of_another_data_set_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: Bytes, study: Any, sentence: str
) -> None:
    new_study(tmp_path / "study", **{"image": SHAPE, "dataset": "flowers", "classes": CLASSES, **study})
    client = served(tmp_path, monkeypatch, image=SHAPE, preparation="crop", dataset="flowers")
    answer = client.post("/compare", json={"images": images.tolist()})
    assert (answer.status_code, client.get("/network").json()["variants"]) == (409, [])
    assert error(answer) == f"{sentence}; dvc repro makes a study of the data set in use"
    assert client.get("/network").json()["apart"] == sentence


@pytest.mark.parametrize(
    ("image", "known", "words"),
    [
        (SHAPE, {}, "is mnist, expected letterbox or crop for a model of 20x24x3 images"),
        (MNIST, {"preparation": "ink"}, "is ink, expected mnist or letterbox or crop for a model of 28x28 images"),
    ],
)
def test_a_card_with_an_unfitting_preparation_is_not_served(
    tmp_path: Path, image: Shape, known: dict[str, str], words: str
) -> None:
    new_champion(tmp_path / "champion", seed=0, image=image, **known)
    with pytest.raises(InputError, match=words):
        Champion(tmp_path / "champion")
