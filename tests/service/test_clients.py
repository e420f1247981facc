"""BentoML's and Triton's own clients with a real server, and the service's methods without one."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bentoml
import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from bentoml.exceptions import BentoMLException, InvalidArgument
from scipy.special import softmax
from tritonclient.utils import InferenceServerException

from digitline.base.digest import digest
from digitline.data.dataset import Bytes, Dataset
from digitline.model import checkpoint
from digitline.model.evaluation import predict
from tests import warm
from tests.served import CLASSES, Server, error, new_clone, picture, started, stopped

pytestmark = pytest.mark.slow

OUTPUTS = ["label", "probabilities", "doubtful"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = started(new_clone(tmp_path_factory.mktemp("clone")), python=f"{warm.folder()}/python")
    yield server
    stopped(server)


@pytest.fixture(scope="module")
def sync(server: Server) -> Iterator[bentoml.SyncHTTPClient]:
    with bentoml.SyncHTTPClient(server.url) as client:
        yield client


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client


@pytest.fixture(scope="module")
def version(server: Server) -> str:
    return digest(server.clone.folder / "models/champion/model.safetensors")[:16]


@pytest.fixture
def images(digits: Dataset) -> Bytes:
    return digits.test.images[:5]


@pytest.fixture
def digit(tmp_path: Path, digits: Dataset) -> Path:
    """A picture's file."""
    file = tmp_path / "digit.png"
    file.write_bytes(picture(digits.test.images[0]))
    return file


# BentoML


def predicted(server: Server, images: Bytes) -> Any:
    return httpx.post(f"{server.url}/predict", json={"images": images.tolist()}).json()


def classified(server: Server, file: Path) -> Any:
    return httpx.post(f"{server.url}/classify", files={"image": file.read_bytes()}).json()


def test_bentoml_s_client_sends_arrays_lists_and_files(
    server: Server, sync: bentoml.SyncHTTPClient, images: Bytes, digit: Path
) -> None:
    expected: Any = predicted(server, images)
    for sent in (images, images.astype(np.float32), images.tolist()):
        assert sync.predict(images=sent) == expected
    for file in (digit, str(digit)):
        assert sync.classify(image=file) == classified(server, digit)


def test_bentoml_s_asynchronous_client_gets_the_same(server: Server, images: Bytes, digit: Path) -> None:
    async def ask() -> list[Any]:
        async with bentoml.AsyncHTTPClient(server.url) as client:
            return [await client.predict(images=images), await client.classify(image=digit)]

    assert asyncio.run(ask()) == [predicted(server, images), classified(server, digit)]


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((1, 27, 28)), "images[0] is a list of 27, expected a list of 28 rows"),
        (np.zeros((28, 28)), "images[0][0] is 0.0, expected a list of 28 numbers"),
        (np.zeros((1, 784)), "images[0][0] is 0.0, expected a list of 28 numbers"),
        (np.full((1, 28, 28), np.nan), "images[0][0][0] is nan, expected a number from 0 to 255"),
        (np.zeros((0, 28, 28)), "images is a list of 0, expected a list of 1 to 256 images"),
    ],
)
def test_wrong_images_are_bentoml_s_exception_with_our_sentence(
    sync: bentoml.SyncHTTPClient, images: Any, sentence: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        sync.predict(images=images)
    assert json.loads(refused.value.message) == {"error": sentence}


def test_bentoml_s_client_cannot_make_the_service_fetch_a_url(sync: bentoml.SyncHTTPClient) -> None:
    with pytest.raises(BentoMLException) as refused:
        sync.classify(image="http://127.0.0.1:9/digit.png")
    assert refused.value.error_code == 415


def test_the_schema_has_the_methods_with_what_they_take(server: Server) -> None:
    routes = {route["name"]: route for route in httpx.get(f"{server.url}/schema.json").json()["routes"]}
    assert {name: route["route"] for name, route in routes.items()} == {"predict": "/predict", "classify": "/classify"}
    [images] = routes["predict"]["input"]["properties"].values()
    assert (images["type"], images["dtype"], "shape" in images) == ("tensor", "float32", False)  # any shape: no reshape
    assert routes["classify"]["input"]["properties"]["image"]["type"] == "file"


@pytest.mark.parametrize("path", ["/static_content/none.js", "/static_content/", "/assets/x", "/docs"])
def test_what_bentoml_does_not_have_is_refused_in_our_format(server: Server, path: str) -> None:
    answer = httpx.get(f"{server.url}{path}")
    assert (answer.status_code, error(answer)) == (404, f"there is no {path}; see /docs.json for the paths")
    counts = httpx.get(f"{server.url}/metrics").text
    assert path.rstrip("/") not in counts.replace('"/static_content"', "")


METHODS = """
import json
import sys
from pathlib import Path
import numpy as np
from starlette.testclient import TestClient
from service.service import Digitline

images, digit = np.load("images.npy"), Path("digit.png")
service = Digitline()
print(service.predict(images).model_dump_json())
print(service.predict(images=images.astype(float)).model_dump_json())
print(service.classify(digit).model_dump_json())
for wrong in (lambda: service.predict(images[:, 1:]), lambda: service.predict(images - 256.0),
              lambda: service.predict([]), lambda: service.classify(Path("bentofile.yaml"))):
    try:
        wrong()
    except Exception as error:
        print(json.dumps([type(error).__name__, str(error)]))
with TestClient(Digitline.to_asgi(is_main=False)) as part:
    answers = [part.post("/predict", json={"images": each.tolist()}) for each in (images, images[:, 1:])]
    print(json.dumps([answers[0].json(), answers[1].status_code]))
"""


def test_the_methods_answer_in_process_and_as_a_part_of_another_service(
    server: Server, images: Bytes, digit: Path
) -> None:
    folder = server.clone.folder
    (folder / "methods.py").write_text(METHODS)
    np.save(folder / "images.npy", images)
    (folder / "digit.png").write_bytes(digit.read_bytes())
    words = [f"{warm.folder()}/python", "-m", "methods"]
    done = subprocess.run(words, cwd=folder, env=server.clone.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second, third, *wrong, part = [
        found for line in done.stdout.splitlines() if "time" not in (found := json.loads(line))
    ]
    assert first == second == predicted(server, images)
    assert third == classified(server, digit)
    expected = "expected [N, 28, 28] with numbers from 0 to 255"
    assert wrong == [
        ["InvalidArgument", f"images is an array [5, 27, 28] of uint8, {expected}"],
        ["InvalidArgument", f"images is an array [5, 28, 28] of float64, {expected}"],
        ["InvalidArgument", f"images is an array [0] of float64, {expected}"],
        ["InvalidArgument", "the file is not a picture, expected a PNG, JPEG, WebP, GIF, BMP or TIFF"],
    ]
    assert part == [first, 400]


# Triton


def tensor(images: Bytes, *, binary: bool = True) -> Any:
    sent = triton.InferInput("images", list(images.shape), "UINT8")
    return sent.set_data_from_numpy(images, binary_data=binary)


def test_the_server_and_its_model_are_ready(client: triton.InferenceServerClient, version: str) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digitline")
    assert client.is_model_ready("digitline", version)
    assert not client.is_model_ready("digitline", "1")
    assert not client.is_model_ready("another")


def test_the_server_and_its_model_are_described(client: triton.InferenceServerClient, version: str) -> None:
    assert client.get_server_metadata()["name"] == "digitline"
    found = client.get_model_metadata("digitline")
    assert found == client.get_model_metadata("digitline", version)
    assert found["versions"] == [version]
    assert found["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28]}]
    assert [output["name"] for output in found["outputs"]] == OUTPUTS


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("outputs", [None, [True, True, True], [False, False, False], [True, False, True]])
def test_images_are_answered_as_the_evaluation_answers(
    client: triton.InferenceServerClient, server: Server, images: Bytes, binary: bool, outputs: Any
) -> None:
    if outputs:
        pairs = zip(OUTPUTS, outputs, strict=True)
        outputs = [triton.InferRequestedOutput(name, binary_data=wanted) for name, wanted in pairs]
    answer = client.infer("digitline", [tensor(images, binary=binary)], outputs=outputs)
    model = checkpoint.load(server.clone.folder / "models/champion/model.safetensors")
    expected = softmax(predict(model, images), 1)
    labels = answer.as_numpy("label").tolist()
    assert [label.decode() if isinstance(label, bytes) else label for label in labels] == [
        CLASSES[place] for place in expected.argmax(1)
    ]
    np.testing.assert_allclose(answer.as_numpy("probabilities"), expected, atol=1e-5)
    assert answer.as_numpy("doubtful").tolist() == [False] * 5


def test_only_the_requested_output_is_answered(client: triton.InferenceServerClient, images: Bytes) -> None:
    answer = client.infer("digitline", [tensor(images)], outputs=[triton.InferRequestedOutput("doubtful")])
    assert answer.as_numpy("doubtful").shape == (5,)
    assert answer.as_numpy("label") is None


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_requests_are_compressed(client: triton.InferenceServerClient, images: Bytes, algorithm: str) -> None:
    own = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
    for binary in (True, False):
        answer = client.infer("digitline", [tensor(images, binary=binary)], **own)
        assert answer.as_numpy("probabilities").shape == (5, 10)


def test_a_request_s_id_parameters_and_version_are_taken(
    client: triton.InferenceServerClient, images: Bytes, version: str
) -> None:
    more: Any = {"request_id": "seven", "priority": 1, "timeout": 1000, "parameters": {"mine": "x"}}
    found = client.infer("digitline", [tensor(images)], version, **more).get_response()
    assert (found["id"], found["model_name"], found["model_version"]) == ("seven", "digitline", version)


def test_requests_are_answered_at_the_same_time(server: Server, images: Bytes) -> None:
    address = server.url.removeprefix("http://")
    with triton.InferenceServerClient(address, concurrency=4) as client:
        waiting = [client.async_infer("digitline", [tensor(images)], request_id=str(number)) for number in range(8)]
        assert [each.get_result().get_response()["id"] for each in waiting] == [str(number) for number in range(8)]


def test_errors_are_the_client_s_own_exceptions(client: triton.InferenceServerClient, images: Bytes) -> None:
    other = triton.InferInput("pictures", [5, 28, 28], "UINT8").set_data_from_numpy(images)
    for ask, status, words in [
        (lambda: client.infer("digitline", [other]), "400", "inputs[0].name is 'pictures', expected 'images'"),
        (lambda: client.infer("digitline", [tensor(images[:, 1:])]), "400", "inputs[0].shape is [5, 27, 28]"),
        (lambda: client.infer("digitline", [tensor(images)], "1"), "404", "there is no version 1 of digitline"),
        (lambda: client.infer("another", [tensor(images)]), "404", "there is no /v2/models/another/infer"),
        (lambda: client.get_model_config("digitline"), "404", "there is no /v2/models/digitline/config"),
        (lambda: client.get_inference_statistics("digitline"), "404", "there is no /v2/models/digitline/stats"),
        (client.get_model_repository_index, "404", "there is no /v2/repository/index"),
    ]:
        with pytest.raises(InferenceServerException) as refused:
            ask()
        assert refused.value.status() == status
        assert words in refused.value.message()
