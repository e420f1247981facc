"""The Open Inference Protocol, spoken by Triton's own client to a real server."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from scipy.special import softmax
from tritonclient.utils import InferenceServerException

from digitline.base.digest import digest
from digitline.data.dataset import Bytes, Dataset
from digitline.model import checkpoint
from digitline.model.evaluation import predict
from tests import warm
from tests.served import CLASSES, Server, new_clone, started, stopped

pytestmark = pytest.mark.slow

OUTPUTS = ["label", "probabilities", "doubtful"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = started(new_clone(tmp_path_factory.mktemp("clone")), python=f"{warm.folder()}/python")
    yield server
    stopped(server)


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
