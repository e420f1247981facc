"""Compressed bodies, and what the paths say about themselves."""

import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from digitline.data import prepare
from digitline.data.dataset import Dataset
from service import api, form, schema
from service.champion import Champion
from tests.served import error, new_champion, picture


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    folder: Path = tmp_path_factory.mktemp("champion") / "champion"
    new_champion(folder, seed=0)
    api.app.state.champion = Champion(folder)
    return TestClient(api.app, raise_server_exceptions=False)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_answered_as_the_plain_one(
    client: TestClient, digits: Dataset, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    images, drawn = digits.test.images[:300], picture(digits.test.images[0])
    sent = [
        ("/predict", "application/json", json.dumps({"images": images[:3].tolist()}).encode()),
        ("/predict", schema.RAW, images.tobytes()),
        ("/classify", "image/png", drawn),
    ]
    for path, media, body in sent:
        headers = {"Content-Type": media}
        plain = client.post(path, content=body, headers=headers)
        compressed = client.post(path, content=compress(body), headers={**headers, "Content-Encoding": encoding})
        assert compressed.status_code == plain.status_code == 200
        assert compressed.content == plain.content


@pytest.mark.parametrize(
    ("path", "media", "limit"),
    [("/predict", "application/json", form.JSON_BYTES), ("/classify", "image/png", prepare.MAX_BYTES)],
)
def test_the_limit_is_on_what_a_body_becomes(client: TestClient, path: str, media: str, limit: int) -> None:
    """Also with a small one that becomes too large."""
    headers = {"Content-Type": media, "Content-Encoding": "gzip"}
    statuses = [
        client.post(path, content=gzip.compress(bytes(size)), headers=headers).status_code
        for size in (limit, limit + 1, 4 * limit)
    ]
    assert statuses == [400, 413, 413]


WHOLE = gzip.compress(bytes(784), mtime=0)


@pytest.mark.parametrize("body", [b"", b"nonsense", WHOLE[:-1], WHOLE + b"x"], ids=["empty", "plain", "cut", "longer"])
def test_a_damaged_compressed_body_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/predict", content=body, headers={"Content-Type": schema.RAW, "Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert error(answer).startswith("the body cannot be decompressed: ")


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd"])
def test_another_encoding_is_refused_with_those_that_fit(client: TestClient, encoding: str) -> None:
    headers = {"Content-Type": schema.RAW, "Content-Encoding": encoding}
    answer = client.post("/predict", content=bytes(784), headers=headers)
    assert answer.status_code == 415
    assert error(answer) == f"the Content-Encoding is {encoding}, expected gzip or deflate"
    assert answer.headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/predict", "POST"), ("/lineage", "GET, HEAD"), ("/ui/main.js", "GET, HEAD"), ("/", "GET, HEAD")],
)
def test_options_says_what_a_path_accepts(client: TestClient, path: str, allowed: str) -> None:
    answer = client.options(path)
    assert answer.status_code == 204
    assert set(answer.headers["Allow"].split(", ")) == {*allowed.split(", "), "OPTIONS"}
    assert client.options("/nothing").status_code == 404
    assert client.delete(path).status_code == 405


def test_the_page_is_found_without_its_slash_wherever_it_stands(client: TestClient) -> None:
    """The redirect is relative: only a proxy may know the service's address."""
    answer = client.get("/ui", follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, "ui/")
