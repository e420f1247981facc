"""The routes, called within this process."""

import asyncio
import base64
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prometheus_client import REGISTRY
from scipy.special import softmax
from starlette.testclient import TestClient
from starlette.types import Message
from torch import nn

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data import formats, prepare
from digitline.data.dataset import Dataset
from digitline.explain import activations
from digitline.measure import uncertainty
from digitline.model import checkpoint
from digitline.model.evaluation import predict
from service import api, form, metrics, schema, work
from service.champion import Champion, Study
from service.front import Front, Shed
from tests.served import (
    CLASSES,
    ROOT,
    error,
    new_study,
    picture,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    new_study(folder)
    return folder


@pytest.fixture(scope="module")
def model(champion: Path) -> nn.Module:
    """The champion as evaluation has it."""
    return checkpoint.load(champion / "model.safetensors")


@pytest.fixture(scope="module")
def client(champion: Path, study: Path) -> TestClient:
    api.app.state.champion = Champion(champion)
    api.app.state.study = Study(study, api.app.state.champion)
    return TestClient(api.app, raise_server_exceptions=False)


# Answers


def test_answers_equal_the_evaluation(client: TestClient, champion: Path, mnist: Dataset) -> None:
    images = mnist.test.images[:2500].copy()  # torch warns about read-only arrays
    answers = []
    for start in range(0, len(images), form.MAX_IMAGES):
        answer = client.post("/predict", json={"images": images[start : start + form.MAX_IMAGES].tolist()})
        answers += schema.Predictions.model_validate(answer.json()).predictions
    logits = predict(checkpoint.load(champion / "model.safetensors"), images)
    assert [answer.label for answer in answers] == [CLASSES[index] for index in logits.argmax(1)]
    probabilities = np.array([answer.probabilities for answer in answers])
    np.testing.assert_allclose(probabilities, softmax(logits.astype(float), 1), atol=1e-5)


def test_an_answer_names_the_model_by_its_content(client: TestClient, champion: Path, digits: Dataset) -> None:
    card = json.loads((champion / "model.json").read_text())
    image = digits.test.images[:1]
    for answer in [
        client.post("/predict", json={"images": image.tolist()}),
        client.post("/classify", files={"image": picture(image[0])}),
    ]:
        assert answer.json()["model"] == card["sha256"] == digest(champion / "model.safetensors")
        assert answer.json()["classes"] == CLASSES


@pytest.mark.parametrize("kind", formats.READ)
def test_a_picture_is_answered_as_its_prepared_image(client: TestClient, digits: Dataset, kind: str) -> None:
    data = picture(digits.test.images[0], kind)
    image = prepare.prepare(prepare.open_picture(data)).tolist()
    [expected] = client.post("/predict", json={"images": [image]}).json()["predictions"]
    for answer in [
        client.post("/classify", files={"image": ("digit", data)}),
        client.post("/classify", content=data, headers={"Content-Type": formats.READ[kind]}),
        client.post("/classify", content=data, headers={"Content-Type": "application/octet-stream"}),
    ]:
        found = schema.Classification.model_validate(answer.json())
        assert found.image == image
        assert found.label == found.digit == expected["label"]
        assert found.probabilities == expected["probabilities"]


@pytest.mark.parametrize("path", ["/classify", "/explain"])
def test_a_picture_without_one_mark_on_paper_is_doubted_whatever_the_model_says(
    client: TestClient, digits: Dataset, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(api.app.state.champion, "doubt_above", 10)  # the model doubts nothing
    two, file = Image.new("L", (400, 300), 255), io.BytesIO()
    for place, left in ((0, 30), (1, 220)):
        two.paste(0, (left, 80), Image.fromarray(digits.test.images[place]).resize((150, 150)))
    two.save(file, "PNG")
    sent = [{"image": ("picture", data)} for data in (file.getvalue(), picture(digits.test.images[0], "PNG"))]
    assert [client.post(path, files=each).json()["doubtful"] for each in sent] == [True, False]


def test_bytes_are_answered_in_bytes_as_json_in_json(client: TestClient, champion: Path, digits: Dataset) -> None:
    images = digits.test.images[:50]
    answer = client.post("/predict", content=images.tobytes(), headers={"Content-Type": "application/octet-stream"})
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Model"] == digest(champion / "model.safetensors")
    places = np.frombuffer(answer.content, np.uint8, 50)
    probabilities = np.frombuffer(answer.content, "<f4", offset=50).reshape(50, 10)
    predicted = client.post("/predict", json={"images": images.tolist()}).json()["predictions"]
    assert [CLASSES[place] for place in places] == [each["label"] for each in predicted]
    np.testing.assert_allclose(probabilities, [each["probabilities"] for each in predicted], atol=1e-6)


@pytest.mark.parametrize("size", [0, 1, 783, 785, 784 * (form.MAX_RAW + 1)])
def test_bytes_of_incomplete_images_are_refused(client: TestClient, size: int) -> None:
    answer = client.post("/predict", content=bytes(size), headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code in (400, 413)
    assert "expected" in error(answer)


def test_doubt_is_an_entropy_above_the_card_s(
    client: TestClient, model: nn.Module, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = digits.test.images[:30]
    entropies = uncertainty.entropy(softmax(predict(model, images), 1))
    monkeypatch.setattr(api.app.state.champion, "doubt_above", float(np.median(entropies)))
    found = client.post("/predict", json={"images": images.tolist()}).json()["predictions"]
    assert [each["doubtful"] for each in found] == list(entropies > np.median(entropies))


def test_answers_are_counted_by_class_and_probability(client: TestClient) -> None:
    def counted(label: str, sure: str) -> float:
        labels = {"label": label, "digit": label, "probability": sure}
        return REGISTRY.get_sample_value("digitline_answers_total", labels) or 0

    answers = np.array([[0.6, 0.4], [0.2, 0.8], [0.7, 0.3], [0.995, 0.005]], np.float32)
    names = [("x", "below 0.9"), ("y", "below 0.9"), ("x", "0.99 and above"), ("x", "below 0.5")]
    before = [counted(*labels) for labels in names]
    metrics.count(["x", "y"], answers, np.array([True, False, False, False]))
    assert [counted(*labels) - was for labels, was in zip(names, before, strict=True)] == [2, 1, 1, 0]
    images = REGISTRY.get_sample_value("digitline_images_sum") or 0
    client.post("/predict", json={"images": [BLANK] * 3})
    assert REGISTRY.get_sample_value("digitline_images_sum") == images + 3


def test_an_explanation_holds_the_answer_and_what_each_layer_sees(
    client: TestClient, model: nn.Module, digits: Dataset
) -> None:
    data = picture(digits.test.images[0])
    answer = client.post("/explain", files={"image": data}).json()
    explained = schema.Explanation.model_validate(answer)
    classified = client.post("/classify", files={"image": data}).json()
    assert {key: answer[key] for key in classified} == classified
    image = np.array(explained.image, np.uint8)
    layers = activations.layers(model, image)
    assert [each.name for each in explained.layers] == [layer.name for layer in layers]
    for each, layer in zip(explained.layers, layers, strict=True):
        step = (each.maps.high - each.maps.low) / 65535
        np.testing.assert_allclose(unpacked(each.maps), layer.maps, atol=step / 2 + 1e-5)
    evidence = activations.evidence(model, image, CLASSES.index(explained.label))
    np.testing.assert_allclose(np.array(explained.evidence), evidence, atol=1e-3)


def test_numbers_are_read_digit_by_digit_as_predict_answers(client: TestClient, digits: Dataset) -> None:
    """Two lines of digits: boxes in the picture's pixels, and for each the answer to its own part of the picture."""
    sheet = Image.new("L", (900, 640), 255)
    places = [(40, 60), (300, 80), (520, 70), (60, 380), (330, 360)]
    for place, digit in zip(places, digits.test.images, strict=False):
        sheet.paste(Image.fromarray(255 - digit).resize((200, 200), Image.Resampling.BICUBIC), place)
    answered, counted = doubts_and_answers(), REGISTRY.get_sample_value("digitline_images_sum") or 0
    answer = client.post("/read", files={"image": encoded(sheet)})
    found = schema.Reading.model_validate(answer.json())
    assert (found.width, found.height, answer.headers["X-Model"]) == (900, 640, found.model)
    assert [(number.line, len(number.digits)) for number in found.numbers] == [(0, 3), (1, 2)]
    boxes = [digit for number in found.numbers for digit in number.digits]
    for (left, top), digit in zip(places, boxes, strict=True):
        box = digit.box
        assert left <= box.left < box.left + box.width <= left + 200
        assert top <= box.top < box.top + box.height <= top + 200
        alone = client.post(
            "/classify", files={"image": encoded(sheet.crop((left, top, left + 200, top + 200)))}
        ).json()
        np.testing.assert_allclose(digit.probabilities, alone["probabilities"], atol=0.05)
    for number in found.numbers:
        assert number.text == " ".join("?" if digit.doubtful else digit.label for digit in number.digits)
        assert number.doubtful == any(digit.doubtful for digit in number.digits)
    assert doubts_and_answers() == answered + 2 * len(places)  # also those of /classify; candidates are no answers
    assert (REGISTRY.get_sample_value("digitline_images_sum") or 0) > counted + len(places)


def doubts_and_answers() -> float:
    """How many images were recognised so far."""
    [answers] = [each for each in REGISTRY.collect() if each.name == "digitline_answers"]
    return sum(sample.value for sample in answers.samples if sample.name.endswith("_total"))


def encoded(sheet: Image.Image) -> bytes:
    file = BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def test_numbers_need_ink_and_a_champion_of_a_pen_on_paper(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    blank = {"files": {"image": encoded(Image.new("L", (300, 200), 240))}}
    refused = client.post("/read", **blank)
    assert (refused.status_code, "blank" in error(refused)) == (400, True)
    monkeypatch.setattr(api.app.state.champion, "preparation", "crop")
    refused = client.post("/read", **blank)
    assert refused.status_code == 409
    assert error(refused) == "the champion's preparation is crop, expected mnist to read numbers"


def unpacked(maps: schema.Map) -> Any:
    steps = np.frombuffer(base64.b64decode(maps.data), "<u2").reshape(maps.shape)
    return maps.low + (maps.high - maps.low) * steps / 65535


def test_a_brief_explanation_leaves_out_the_evidence_alone(client: TestClient, digits: Dataset) -> None:
    data = {"content": picture(digits.test.images[0]), "headers": {"Content-Type": "image/png"}}
    whole, *brief = (client.post(f"/explain{query}", **data).json() for query in ("", "?brief", "?brief=true"))
    assert brief == [{**whole, "evidence": None}] * 2
    assert whole["evidence"] is not None
    assert client.post("/explain?brief=false", **data).json() == whole
    for unclear in ("?brief=no", "?brief&brief=false"):
        refused = client.post(f"/explain{unclear}", **data)
        assert refused.status_code == 400
        assert "expected brief or brief=true" in error(refused)


def test_the_network_is_described_with_its_filters(client: TestClient, model: nn.Module) -> None:
    network = schema.Network.model_validate(client.get("/network").json())
    _, first, pooling, *_ = network.layers
    assert network.members == 1
    assert (first.name, first.size, first.step, first.start) == ("convolution 1", 5, 1, 0)
    assert first.filters is not None
    assert first.filters.shape == [4, 1, 5, 5]
    [convolution] = [each for each in model.modules() if isinstance(each, nn.Conv2d)]
    np.testing.assert_allclose(unpacked(first.filters), convolution.weight.detach().numpy(), atol=1e-4)
    assert convolution.bias is not None
    assert first.bias == pytest.approx(convolution.bias.tolist())
    assert pooling.filters is None


def test_every_variant_of_the_study_is_asked(client: TestClient, study: Path, digits: Dataset) -> None:
    images = digits.test.images[:5]
    found = schema.Comparison.model_validate(client.post("/compare", json={"images": images.tolist()}).json())
    assert list(found.variants) == ["wide", "narrow", "none"]
    for name, rows in found.variants.items():
        logits = predict(checkpoint.load(study / f"{name}.safetensors"), images)
        np.testing.assert_allclose(rows, softmax(logits, 1), atol=1e-5)


def test_without_a_study_there_is_nothing_to_compare(client: TestClient, tmp_path: Path, digits: Dataset) -> None:
    found = Study(tmp_path, api.app.state.champion)
    assert (found.probabilities(digits.test.images[:1]), found.apart) == ({}, None)


@pytest.mark.parametrize("text", ["{", "[1]", '[{"name": "fc"}]'])
def test_an_invalid_study_is_named(client: TestClient, tmp_path: Path, text: str) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(InputError, match=r"study\.json is invalid"):
        Study(tmp_path, api.app.state.champion)


def test_the_lineage_is_the_card_and_the_data_of_the_promotion(client: TestClient, champion: Path) -> None:
    card = json.loads((champion / "model.json").read_text())
    found = schema.Lineage.model_validate(client.get("/lineage").json())
    assert (found.model, found.variant, found.seed) == (card["sha256"], card["variant"], card["seed"])
    assert found.val_accuracy == card["val_accuracy"]
    assert found.mlflow_version is None


def test_the_drawing_page_loads_only_from_this_service(client: TestClient) -> None:
    folder = ROOT / "service/ui"
    for name in ["", *(file.name for file in folder.iterdir())]:
        answer = client.get(f"/ui/{name}")
        assert answer.status_code == 200
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "//" not in answer.text.replace("http://www.w3.org", "").replace("// ", "")
    assert client.get("/ui/../api.py").status_code == 404


# Refusals

BLANK: list[list[object]] = [[0] * 28] * 28


def with_pixel(value: object) -> list[list[object]]:
    return [*BLANK[1:], [*BLANK[0][1:], value]]


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([], "images is a list of 0, expected a list of 1 to 256 images"),
        ([BLANK] * 257, "images is a list of 257, expected a list of 1 to 256 images"),
        (BLANK, "images[0][0] is 0, expected a list of 28 numbers"),
        ([[0] * 784], "images[0][0] is 0, expected a list of 28 numbers"),
        ([[[0] * 56] * 14], "images[0][0] is a list of 56, expected a list of 28 numbers"),
        ([BLANK, BLANK[1:]], "images[1] is a list of 27, expected a list of 28 rows"),
        ([[*BLANK[1:], [0] * 27]], "images[0][27] is a list of 27, expected a list of 28 numbers"),
        ([with_pixel(256)], "images[0][27][27] is 256, expected a number from 0 to 255"),
        ([with_pixel(-0.5)], "images[0][27][27] is -0.5, expected a number from 0 to 255"),
        ([with_pixel("7")], "images[0][27][27] is '7', expected a number from 0 to 255"),
        ([with_pixel(None)], "images[0][27][27] is None, expected a number from 0 to 255"),
        ([with_pixel(True)], "images[0][27][27] is True, expected a number from 0 to 255"),
        ([with_pixel(float("nan"))], "images[0][27][27] is nan, expected a number from 0 to 255"),
        ([with_pixel(float("inf"))], "images[0][27][27] is inf, expected a number from 0 to 255"),
        ("http://example.com", "images is 'http://example.com', expected a list of 1 to 256 images"),
        ({"0": BLANK}, "images is an object, expected a list of 1 to 256 images"),
    ],
)
def test_images_in_another_format_are_refused_by_place(client: TestClient, images: object, sentence: str) -> None:
    body = json.dumps({"images": images})
    answer = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert error(answer) == sentence


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "the body is not JSON"),
        ('{"images":', "the body is not JSON"),
        ("[" * 100_000, "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        ("[]", 'the body is a list of 0, expected {"images": [...]}'),
        ("null", 'the body is None, expected {"images": [...]}'),
        ("{}", "images is missing, expected a list of 1 to 256 images"),
        (json.dumps({"images": [BLANK], "model": "x"}), "model is unknown, expected only images"),
    ],
)
def test_a_body_without_images_is_refused(client: TestClient, body: str | bytes, sentence: str) -> None:
    answer = client.post("/predict", content=body, headers={"Content-Type": "application/json; charset=utf-8"})
    assert answer.status_code == 400
    assert error(answer).startswith(sentence)


@pytest.mark.parametrize("kind", [int, float])
def test_fast_and_full_validation_read_the_same(digits: Dataset, kind: type) -> None:
    images: Any = digits.test.images[:3].astype(kind)
    body = json.dumps({"images": images.tolist()}).encode()
    short = form.plain(body, form.of())
    assert short is not None
    np.testing.assert_array_equal(short, images)
    full: Any = form.of().body.model_validate_json(body)
    assert (np.array(full.images) == images).all()
    assert form.plain(body.replace(b"0", b"true", 1), form.of()) is None


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"RIFF", b"http://example.com/digit.png"]
)
def test_a_file_that_is_not_a_picture_is_refused(client: TestClient, data: bytes) -> None:
    for answer in [
        client.post("/classify", files={"image": data}),
        client.post("/classify", content=data, headers={"Content-Type": "image/png"}),
    ]:
        assert answer.status_code == 400
        assert error(answer) == f"the file is not a picture, expected a {formats.TITLE}"


def test_half_a_picture_is_refused(client: TestClient, digits: Dataset) -> None:
    data = picture(digits.test.images[0], "JPEG")
    answer = client.post("/classify", files={"image": data[: len(data) // 2]})
    assert answer.status_code == 400
    assert "damaged" in error(answer)


def test_a_blank_picture_gets_no_digit(client: TestClient, digits: Dataset) -> None:
    answer = client.post("/classify", files={"image": picture(np.zeros_like(digits.test.images[0]))})
    assert answer.status_code == 400
    assert "blank" in error(answer)


@pytest.mark.parametrize(
    "sent",
    [
        {"files": {"file": b"x"}},
        {"files": [("image", b"x"), ("image", b"y")]},
        {"files": {"image": b"x"}, "data": {"more": "y"}},
        {"files": {"image": (None, "http://example.com/digit.png")}},
        {"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}},
        {"content": b"x" * 99, "headers": {"Content-Type": "multipart/form-data; boundary=y"}},
        {"content": b"--y\r\n\r\n" * 9, "headers": {"Content-Type": "multipart/form-data; boundary=y; charset=z"}},
    ],
    ids=["field", "two", "more", "text", "no boundary", "no part", "no names"],
)
def test_a_form_without_exactly_one_file_is_refused(client: TestClient, sent: dict[str, Any]) -> None:
    answer = client.post("/classify", **sent)
    assert answer.status_code == 400
    assert error(answer)


@pytest.mark.parametrize("route", ["/predict", "/classify", "/explain", "/read", "/compare"])
@pytest.mark.parametrize("media", [None, "text/plain", "application/x-www-form-urlencoded", "image/heic"])
def test_another_content_type_is_refused(client: TestClient, route: str, media: str | None) -> None:
    answer = client.post(route, content=b"x", headers={"Content-Type": media} if media else {})
    assert answer.status_code == 415
    assert error(answer).startswith(f"the Content-Type is {media or 'missing'}, expected ")


def test_another_method_is_refused(client: TestClient) -> None:
    answer = client.get("/predict")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST, OPTIONS"
    assert error(answer)


def test_a_body_that_does_not_arrive_times_out(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BODY_SECONDS", 0.05)
    sent: list[Message] = []

    async def wait() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/classify", "query_string": b""}
    asyncio.run(api.app({**scope, "headers": [(b"content-type", b"image/png")]}, wait, send))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"]) == {"error": "the body took too long, expected all of it within 0.05 seconds"}


def test_a_failure_of_the_service_has_the_same_format(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.app.state.champion, "classes", [])
    answer = client.post("/predict", json={"images": [BLANK]})
    assert answer.status_code == 500
    assert error(answer) == "the service failed; see its log"


def test_beyond_its_capacity_the_service_refuses_at_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "CAPACITY", 2)
    release, recognise = threading.Event(), Champion.probabilities
    monkeypatch.setattr(Champion, "probabilities", lambda self, images: (release.wait(10), recognise(self, images))[1])

    def ask(_: int) -> Any:
        return client.post("/predict", json={"images": [BLANK]})

    with client, ThreadPoolExecutor(2) as pool:
        accepted = [pool.submit(ask, number) for number in range(2)]
        while api.app.state.work.requests < 2:
            time.sleep(0.01)
        refused = ask(2)
        release.set()
        assert [answer.result().status_code for answer in accepted] == [200, 200]
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert error(refused) == "the service is at capacity, try again"
    assert api.app.state.work.requests == 0


def test_work_beyond_capacity_is_refused_unread(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.app.state.work, "requests", work.CAPACITY)
    front = TestClient(Front(Shed(api.app)))
    refused = front.post("/predict", content=b"no JSON")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert error(refused) == "the service is at capacity, try again"
    assert refused.headers["X-Request-ID"]
    assert 'digitline_requests_total{route="/predict",status="503"}' in front.get("/metrics").text
    assert front.get("/network").status_code == 503  # also refused, when it reserves a place
    assert front.post("/none").status_code == 404


# OpenAPI


def test_the_document_names_every_answer_and_only_schemas_that_it_has(client: TestClient) -> None:
    document = client.get("/docs.json").json()
    usual = {"200", "400", "401", "408", "413", "415", "429", "500", "503"}
    for path in ("/predict", "/classify", "/explain"):
        assert set(document["paths"][path]["post"]["responses"]) == usual
    for path in ("/read", "/compare"):
        assert set(document["paths"][path]["post"]["responses"]) == usual | {"409"}
    assert set(document["paths"]["/feedback"]["post"]["responses"]) == usual | {"403", "409"}
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named == set(document["components"]["schemas"])


def test_the_document_says_that_mnist_s_images_are_light_on_dark(client: TestClient) -> None:
    paths = client.get("/docs.json").json()["paths"]
    for path in ("/predict", "/compare", "/v2/models/digitline/infer"):
        assert "a light digit on a dark ground, 0 for the background" in paths[path]["post"]["description"]
    assert "dark on light or light on dark" in paths["/classify"]["post"]["summary"]
    assert "description" not in schema.openapi(preparation="letterbox")["paths"]["/predict"]["post"]


def test_the_document_names_the_media_types_of_pictures(client: TestClient) -> None:
    bodies = client.get("/docs.json").json()["paths"]["/classify"]["post"]["requestBody"]["content"]
    assert set(bodies) == {"multipart/form-data", *formats.READ.values(), "application/octet-stream"}
    assert f'accept="{",".join(formats.READ.values())}"' in client.get("/ui/").text


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    assert "//" not in client.get("/").text
