"""The Open Inference Protocol, called within this process."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from scipy.special import softmax
from starlette.datastructures import State
from starlette.routing import Route
from starlette.testclient import TestClient
from torch import nn

from digitline.data.dataset import Bytes, Dataset
from digitline.data.entry import Shape
from digitline.model import checkpoint
from digitline.model.evaluation import predict
from service import api, v2, work
from service.champion import Champion
from service.front import Front, Shed
from tests.served import CLASSES, error, new_champion

MODEL = "/v2/models/digitline"
OUTPUTS = ["label", "probabilities", "doubtful"]


@pytest.fixture(scope="module")
def model(champion: Path) -> nn.Module:
    """The champion as evaluation has it."""
    return checkpoint.load(champion / "model.safetensors")


@pytest.fixture(scope="module")
def client(champion: Path) -> TestClient:
    api.app.state.champion = Champion(champion)
    return TestClient(api.app, raise_server_exceptions=False)


@pytest.fixture
def images(digits: Dataset) -> Bytes:
    return digits.test.images[:5]


@pytest.fixture
def expected(model: nn.Module, images: Bytes) -> Any:
    """The probabilities of the images."""
    return softmax(predict(model, images), 1)


def tensor(images: Bytes, **changed: Any) -> dict[str, Any]:
    """The images as an input in JSON."""
    sent = {"name": "images", "datatype": "UINT8", "shape": list(images.shape), "data": images.ravel().tolist()}
    return {**sent, **changed}


def asked(client: TestClient, path: str = MODEL, **body: Any) -> Any:
    return client.post(f"{path}/infer", json=body)


def asked_in_bytes(client: TestClient, images: Bytes, **body: Any) -> Any:
    """The images as bytes after the JSON."""
    size = {"binary_data_size": images.nbytes}
    sent = {"name": "images", "datatype": "UINT8", "shape": list(images.shape), "parameters": size}
    head = json.dumps({"inputs": [sent], **body}).encode()
    return client.post(f"{MODEL}/infer", content=head + images.tobytes(), headers={v2.LENGTH: str(len(head))})


def outputs(answer: httpx.Response) -> dict[str, Any]:
    """The tensors of an answer by name, from its JSON and the bytes after it."""
    assert answer.status_code == 200, answer.text
    head = int(answer.headers.get(v2.LENGTH, len(answer.content)))
    rest, found = answer.content[head:], {}
    for output in json.loads(answer.content[:head])["outputs"]:
        kind = {"BYTES": object, "FP32": np.float32, "BOOL": np.bool_}[output["datatype"]]
        if "data" in output:
            values: Any = np.array(output["data"], kind)
        else:
            size = output["parameters"]["binary_data_size"]
            data, rest = rest[:size], rest[size:]
            values = np.array(texts(data), object) if kind is object else np.frombuffer(data, kind)
        found[output["name"]] = values.reshape(output["shape"])
    assert rest == b""
    return found


def texts(data: bytes) -> list[str]:
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4], "little")
        found.append(data[4:end].decode())
        data = data[end:]
    return found


def test_json_and_bytes_are_answered_as_the_evaluation_answers(
    client: TestClient, images: Bytes, expected: Any
) -> None:
    for answer in [
        asked(client, inputs=[tensor(images)]),
        asked(client, inputs=[tensor(images, data=images.tolist())]),
        asked_in_bytes(client, images),
        asked_in_bytes(client, images, parameters={"binary_data_output": True}),
    ]:
        found = outputs(answer)
        assert list(found) == OUTPUTS
        np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
        assert found["label"].tolist() == [CLASSES[place] for place in expected.argmax(1)]
        assert found["doubtful"].tolist() == [False] * len(images)
        assert answer.headers["X-Model"] == api.app.state.champion.sha256


def test_requests_with_the_same_json_are_answered_by_their_own_images(
    client: TestClient, model: nn.Module, digits: Dataset
) -> None:
    for image in digits.test.images[:3]:
        found = outputs(asked_in_bytes(client, image[None]))["probabilities"]
        expected = softmax(predict(model, image[None]), 1)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_doubt_is_answered(client: TestClient, images: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.app.state.champion, "doubt_above", 0)
    for binary in (False, True):
        answer = asked(client, inputs=[tensor(images)], parameters={"binary_data_output": binary})
        assert outputs(answer)["doubtful"].all()


def test_only_the_requested_outputs_are_answered_each_in_its_form(client: TestClient, images: Bytes) -> None:
    wanted = [{"name": "doubtful"}, {"name": "probabilities", "parameters": {"binary_data": True}}]
    answer = asked(client, inputs=[tensor(images)], outputs=wanted)
    head = json.loads(answer.content[: int(answer.headers[v2.LENGTH])])
    assert head["outputs"] == [
        {"name": "doubtful", "datatype": "BOOL", "shape": [5], "data": [False] * 5},
        {"name": "probabilities", "datatype": "FP32", "shape": [5, 10], "parameters": {"binary_data_size": 200}},
    ]
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert len(answer.content) == int(answer.headers[v2.LENGTH]) + 200


def test_an_output_s_own_form_has_precedence(client: TestClient, images: Bytes) -> None:
    wanted = [{"name": "label"}, {"name": "doubtful", "parameters": {"binary_data": False}}]
    answer = asked(client, inputs=[tensor(images)], outputs=wanted, parameters={"binary_data_output": True})
    label, doubtful = json.loads(answer.content[: int(answer.headers[v2.LENGTH])])["outputs"]
    assert "data" not in label
    assert doubtful["data"] == [False] * 5


def test_an_answer_is_json_unless_bytes_are_asked_for(client: TestClient, images: Bytes) -> None:
    for answer in [asked(client, inputs=[tensor(images)]), asked_in_bytes(client, images)]:
        assert answer.headers["Content-Type"] == "application/json"
        assert v2.LENGTH not in answer.headers
        assert list(answer.json()) == ["model_name", "model_version", "outputs"]


def test_an_answer_repeats_the_id_and_names_the_model(client: TestClient, images: Bytes) -> None:
    known = {"priority": 1, "timeout": 5, "mine": "x"}
    found = asked(client, id="seven", parameters=known, inputs=[tensor(images)]).json()
    version = api.app.state.champion.sha256[:16]
    assert (found["id"], found["model_name"], found["model_version"]) == ("seven", "digitline", version)
    nulls: dict[str, Any] = {"id": None, "parameters": None, "outputs": None, "model_name": "digitline"}
    assert "id" not in asked(client, inputs=[tensor(images, parameters=None)], **nulls).json()


def test_bytes_without_json_are_images_and_answered_in_bytes(client: TestClient, images: Bytes, expected: Any) -> None:
    answer = client.post(f"{MODEL}/infer", content=images.tobytes(), headers={v2.LENGTH: "0"})
    np.testing.assert_allclose(outputs(answer)["probabilities"], expected, atol=1e-5)
    assert answer.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(("name", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_read(client: TestClient, images: Bytes, name: str, compress: Any) -> None:
    plain = asked_in_bytes(client, images)
    request = plain.request.read()
    headers = {v2.LENGTH: plain.request.headers[v2.LENGTH], "Content-Encoding": name}
    answer = client.post(f"{MODEL}/infer", content=compress(request), headers=headers)
    assert (answer.status_code, answer.content) == (200, plain.content)


def test_images_in_colour_are_described_and_recognised(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    new_champion(tmp_path / "champion", seed=0, image=Shape(20, 24, 3), preparation="crop")
    own = State({"champion": Champion(tmp_path / "champion"), "work": api.app.state.work})
    monkeypatch.setattr(api.app, "state", own)
    assert client.get(MODEL).json()["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 20, 24, 3]}]
    photos = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), np.uint8)
    for answer in [asked(client, inputs=[tensor(photos)]), asked_in_bytes(client, photos)]:
        expected = softmax(predict(checkpoint.load(tmp_path / "champion/model.safetensors"), photos), 1)
        np.testing.assert_allclose(outputs(answer)["probabilities"], expected, atol=1e-5)
    refused = asked(client, inputs=[tensor(photos, shape=[3, 20, 24])])
    expected = "expected [N, 20, 24, 3] with N from 1 to 139"
    assert (refused.status_code, error(refused)) == (400, f"inputs[0].shape is [3, 20, 24], {expected}")


def test_the_server_and_the_model_are_described(client: TestClient) -> None:
    version = api.app.state.champion.sha256[:16]
    assert client.get("/v2").json() == {"name": "digitline", "version": "1", "extensions": ["binary_tensor_data"]}
    assert client.get("/v2/health/live").json() == {"live": True}
    for path in (MODEL, f"{MODEL}/versions/{version}"):
        assert client.get(path).json() == {
            "name": "digitline",
            "versions": [version],
            "platform": "digitline_onnx",
            "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28]}],
            "outputs": [
                {"name": "label", "datatype": "BYTES", "shape": [-1]},
                {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
                {"name": "doubtful", "datatype": "BOOL", "shape": [-1]},
            ],
        }
    for path in ("/v2/health/ready", f"{MODEL}/ready", f"{MODEL}/versions/{version}/ready"):
        assert client.get(path).json() == {"name": "digitline", "ready": True}


def test_only_the_champion_s_version_is_served(client: TestClient, images: Bytes) -> None:
    version = api.app.state.champion.sha256[:16]
    there, other = (f"{MODEL}/versions/{name}" for name in (version, "1"))
    assert asked(client, there, inputs=[tensor(images)]).json()["model_version"] == version
    for answer in [client.get(other), client.get(f"{other}/ready"), client.post(f"{other}/infer", content=b"")]:
        assert answer.status_code == 404
        assert error(answer) == f"there is no version 1 of digitline, expected {version}"


def test_the_document_has_every_route(client: TestClient) -> None:
    paths = client.get("/docs.json").json()["paths"]
    there = {route.path for route in api.app.routes if isinstance(route, Route) and route.path.startswith("/v2")}
    assert there == {path for path in paths if path.startswith("/v2")}
    infer, by_version = (paths[f"{path}/infer"]["post"] for path in v2.PATHS)
    assert set(infer["responses"]) == {"200", "400", "401", "408", "413", "415", "429", "500", "503"}
    assert set(by_version["responses"]) == {*infer["responses"], "404"}
    assert [each["name"] for each in by_version["parameters"]] == ["version", v2.LENGTH]


# Refusals


BLANK = np.zeros((1, 28, 28), np.uint8)
SHAPE = "expected [N, 28, 28] with N from 1 to 256"
WHOLE = "expected whole numbers from 0 to 255"


def with_first(value: object) -> list[object]:
    return [value, *[0] * 783]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"name": "x"}, "inputs[0].name is 'x', expected 'images'"),
        ({"datatype": "FP32"}, "inputs[0].datatype is 'FP32', expected 'UINT8'"),
        ({"datatype": None}, "inputs[0].datatype is None, expected 'UINT8'"),
        ({"shape": [784]}, f"inputs[0].shape is [784], {SHAPE}"),
        ({"shape": [1, 28, 28, 1]}, f"inputs[0].shape is [1, 28, 28, 1], {SHAPE}"),
        ({"shape": [0, 28, 28]}, f"inputs[0].shape is [0, 28, 28], {SHAPE}"),
        ({"shape": [257, 28, 28]}, f"inputs[0].shape is [257, 28, 28], {SHAPE}"),
        ({"shape": [10**30, 28, 28]}, f"inputs[0].shape is [{10**30}, 28, 28], {SHAPE}"),
        ({"shape": [-1, -28, -28]}, f"inputs[0].shape is [-1, -28, -28], {SHAPE}"),
        ({"shape": []}, f"inputs[0].shape is [], {SHAPE}"),
        ({"shape": [1.5, 28, 28]}, "inputs[0].shape[0] is 1.5, expected a whole number"),
        ({"shape": [True, 28, 28]}, "inputs[0].shape[0] is True, expected a whole number"),
        ({"shape": "1,28,28"}, "inputs[0].shape is '1,28,28', expected a list"),
        ({"data": None}, "inputs[0] has neither data nor binary_data_size, expected one of them"),
        ({"data": "AAAA"}, "inputs[0].data is 'AAAA', expected a list"),
        ({"data": [0] * 783}, "inputs[0].data has the shape [783], expected [784] or [1, 28, 28]"),
        ({"data": [[0] * 784]}, "inputs[0].data has the shape [1, 784], expected [784] or [1, 28, 28]"),
        ({"data": with_first(256)}, f"inputs[0].data has 256, {WHOLE}"),
        ({"data": with_first(-1)}, f"inputs[0].data has -1, {WHOLE}"),
        ({"data": with_first(0.5)}, f"inputs[0].data has 0.5, {WHOLE}"),
        ({"data": with_first("7")}, f"inputs[0].data has '7', {WHOLE}"),
        ({"data": with_first(True)}, f"inputs[0].data has True, {WHOLE}"),
        ({"data": with_first(None)}, f"inputs[0].data has None, {WHOLE}"),
        ({"data": with_first([0])}, f"inputs[0].data has a list of 1, {WHOLE}"),
        ({"parameters": []}, "inputs[0].parameters is a list of 0, expected an object"),
        (
            {"parameters": {"binary_data_size": "784"}},
            "inputs[0].parameters.binary_data_size is '784', expected a whole number",
        ),
        (
            {"parameters": {"binary_data_size": 784}},
            "inputs[0] has both data and binary_data_size, expected one of them",
        ),
        (
            {"parameters": {"shared_memory_region": "x"}},
            "inputs[0].parameters.shared_memory_region is 'x', expected none: this service has no such extension",
        ),
    ],
)
def test_another_tensor_is_refused_by_what_is_wrong(client: TestClient, changed: Any, sentence: str) -> None:
    answer = asked(client, inputs=[tensor(BLANK, **changed)])
    assert (answer.status_code, error(answer)) == (400, sentence)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is not JSON: EOF while parsing"),
        (b"[" * 100_000, "the body is not JSON: recursion limit exceeded"),
        (b"[]", "the body is a list of 0, expected an object"),
        (b"{}", "inputs is missing"),
        (b'{"inputs": {}}', "inputs is an object, expected a list"),
        (b'{"inputs": []}', "inputs is a list of 0, expected a list of one input"),
        (b'{"inputs": [1]}', "inputs[0] is 1, expected an object"),
        (b'{"inputs": [{}]}', "inputs[0].name is missing"),
    ],
)
def test_a_body_without_an_input_is_refused(client: TestClient, body: bytes, sentence: str) -> None:
    answer = client.post(f"{MODEL}/infer", content=body)
    assert answer.status_code == 400
    assert error(answer).startswith(sentence)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"inputs": [tensor(BLANK)] * 2}, "inputs is a list of 2, expected a list of one input"),
        ({"id": 7}, "id is 7, expected a text"),
        ({"parameters": {"binary_data_output": 1}}, "parameters.binary_data_output is 1, expected true or false"),
        ({"outputs": ["label"]}, "outputs[0] is 'label', expected an object"),
        (
            {"outputs": [{"name": "logits"}]},
            "outputs[0].name is 'logits', expected 'label', 'probabilities' or 'doubtful'",
        ),
        (
            {"outputs": [{"name": "label", "parameters": {"classification": 3}}]},
            "outputs[0].parameters.classification is 3, expected none: this service has no such extension",
        ),
    ],
)
def test_other_wishes_are_refused(client: TestClient, more: Any, sentence: str) -> None:
    answer = asked(client, **{"inputs": [tensor(BLANK)], **more})
    assert (answer.status_code, error(answer)) == (400, sentence)


@pytest.mark.parametrize(
    ("size", "changed", "sentence"),
    [
        (783, {"data": None, "parameters": {"binary_data_size": 784}}, "783 bytes after its JSON, expected 784"),
        (785, {"data": None, "parameters": {"binary_data_size": 784}}, "785 bytes after its JSON, expected 784"),
        (5, {}, "5 bytes after its JSON, expected 0"),
    ],
)
def test_bytes_of_another_number_are_refused(client: TestClient, size: int, changed: Any, sentence: str) -> None:
    head = json.dumps({"inputs": [tensor(BLANK, **changed)]}).encode()
    answer = client.post(f"{MODEL}/infer", content=head + bytes(size), headers={v2.LENGTH: str(len(head))})
    assert (answer.status_code, error(answer)) == (400, f"the body has {sentence}")


@pytest.mark.parametrize("size", [-1, 0, 783, 1568])
def test_bytes_that_do_not_fit_the_shape_are_refused(client: TestClient, size: int) -> None:
    sent = tensor(BLANK, data=None, parameters={"binary_data_size": size})
    head = json.dumps({"inputs": [sent]}).encode()
    answer = client.post(f"{MODEL}/infer", content=head + bytes(784), headers={v2.LENGTH: str(len(head))})
    expected = f"inputs[0].parameters.binary_data_size is {size}, expected 784"
    assert (answer.status_code, error(answer)) == (400, expected)


@pytest.mark.parametrize("length", ["", "-1", "3", "x", "1" * 5000])
def test_a_header_with_another_length_is_refused(client: TestClient, length: str) -> None:
    answer = client.post(f"{MODEL}/infer", content=b"{}", headers={v2.LENGTH: length})
    expected = f"{v2.LENGTH} is {length[:40]}, expected a number from 0 to the body's 2 bytes"
    assert (answer.status_code, error(answer)) == (400, expected)


@pytest.mark.parametrize(
    ("kind", "body", "status", "sentence"),
    [
        ("br", b"", 415, "the Content-Encoding is br, expected gzip or deflate"),
        (
            "gzip",
            b"{}",
            400,
            "the body cannot be decompressed: Error -3 while decompressing data: incorrect header check",
        ),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-1], 400, "the body cannot be decompressed: its length is wrong"),
        ("deflate", zlib.compress(b"{}") + b"x", 400, "the body cannot be decompressed: its length is wrong"),
        (
            "gzip",
            gzip.compress(bytes(9 * 2**20), mtime=0),
            413,
            "the body is too large, expected at most 8388608 bytes",
        ),
    ],
)
def test_a_body_that_cannot_be_decompressed_is_refused(
    client: TestClient, kind: str, body: bytes, status: int, sentence: str
) -> None:
    answer = client.post(f"{MODEL}/infer", content=body, headers={"Content-Encoding": kind})
    assert (answer.status_code, error(answer)) == (status, sentence)


def test_a_body_over_the_limit_is_refused(client: TestClient) -> None:
    answer = client.post(f"{MODEL}/infer", content=bytes(9 * 2**20))
    assert (answer.status_code, error(answer)) == (413, "the body is too large, expected at most 8388608 bytes")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{MODEL}/config", 404),
        ("GET", f"{MODEL}/stats", 404),
        ("POST", "/v2/repository/index", 404),
        ("GET", "/v2/systemsharedmemory/status", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("GET", f"{MODEL}/infer", 405),
        ("POST", "/v2", 405),
    ],
)
def test_what_other_servers_have_is_refused_as_json(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert error(answer).startswith((f"there is no {path};", f"{path} does not accept {method}, "))


@pytest.mark.parametrize("path", ["infer", "versions/0123456789abcdef/infer"])
def test_work_beyond_capacity_is_refused_unread(client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(api.app.state.work, "requests", work.CAPACITY)
    answer = TestClient(Front(Shed(api.app))).post(f"{MODEL}/{path}", content=b"no JSON")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert error(answer) == "the service is at capacity, try again"
