"""A real `bentoml serve`, and a Bento that carries its champion."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from digitline import checkpoint, drawing
from digitline.data import Dataset
from service import api, schema
from tests.serving import ROOT, STORE, Server, error, new_champion, new_clone, picture, started, stopped

BLANK = [[0] * 28] * 28


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves one clone's champion, while another clone has stored a newer one."""
    clone, other = (new_clone(tmp_path_factory.mktemp(name), seed=seed) for seed, name in enumerate(["clone", "other"]))
    clone.python("-c", STORE)
    other._replace(environment=clone.environment).python("-c", STORE)
    server = started(clone)
    yield server
    if server.process.poll() is None:
        stopped(server)


def test_the_server_answers_by_its_own_clone_s_champion(server: Server, digits: Dataset) -> None:
    sha256 = checkpoint.digest(server.clone.folder / "models/champion/model.safetensors")
    predicted = httpx.post(f"{server.url}/predict", json={"images": digits.test.images[:3].tolist()})
    classified = httpx.post(f"{server.url}/classify", files={"image": picture(digits.test.images[0])})
    assert predicted.status_code == classified.status_code == 200
    assert len(predicted.json()["predictions"]) == 3
    assert predicted.json()["model"] == classified.json()["model"] == sha256


def test_the_server_is_live_and_counts(server: Server) -> None:
    assert httpx.get(f"{server.url}/livez").status_code == 200
    httpx.post(f"{server.url}/predict", json={"images": []})
    httpx.post(f"{server.url}/predict", json={"images": [BLANK]})
    text = httpx.get(f"{server.url}/metrics").text
    assert 'bentoml_service_request_total{endpoint="/predict",http_response_code="400"' in text
    assert 'digitline_answers_total{digit="class ' in text


def test_the_server_describes_itself_in_our_words(server: Server) -> None:
    assert httpx.get(f"{server.url}/docs.json").json() == schema.openapi()
    page = httpx.get(server.url).text
    assert "googletagmanager" not in page
    for file in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert f'"static_content/{file}"' in page
        assert httpx.get(f"{server.url}/static_content/{file}").status_code == 200


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(
    ("route", "media", "limit"),
    [("/predict", "application/json", api.JSON_BYTES), ("/classify", "image/png", drawing.MAX_BYTES)],
)
def test_a_body_over_the_limit_is_refused(server: Server, route: str, media: str, limit: int, declared: bool) -> None:
    block = bytes(2**20)
    content = block * (limit // len(block) + 1) if declared else (block for _ in range(limit // len(block) + 1))
    answer = httpx.post(f"{server.url}{route}", content=content, headers={"Content-Type": media}, timeout=30)
    assert answer.status_code == 413
    assert error(answer) == f"the body is too large, expected at most {limit} bytes"


def test_a_form_over_the_limit_is_refused(server: Server) -> None:
    files = {"image": bytes(drawing.MAX_BYTES + 2 * api.FORM_BYTES)}
    assert httpx.post(f"{server.url}/classify", files=files, timeout=30).status_code == 413


def test_a_url_in_place_of_a_file_is_not_fetched(server: Server) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(1)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/digit.png"
        forms: list[dict[str, Any]] = [
            {"files": {"image": (None, url)}},
            {"files": {"image": url.encode()}},
            {"data": {"image": url}},
            {"json": {"image": url}},
            {"content": url, "headers": {"Content-Type": "image/png"}},
            {"content": url, "headers": {"Content-Type": "application/vnd.bentoml+pickle"}},
        ]
        for options in forms:
            assert httpx.post(f"{server.url}/classify", **options).status_code in (400, 415)
        assert httpx.post(f"{server.url}/predict", json={"images": url}).status_code == 400
        with pytest.raises(TimeoutError):
            listener.accept()


def test_sigterm_ends_the_server_and_nothing_was_reported(server: Server) -> None:
    assert stopped(server) == 0
    log = (server.clone.folder / "log").read_text()
    assert "Service digitline initialized" in log
    assert "Tracking Payload" not in log
    assert "Traceback" not in log


def test_a_bento_serves_the_champion_that_it_carries(server: Server, digits: Dataset) -> None:
    folder = server.clone.folder
    carried = checkpoint.digest(folder / "models/champion/model.safetensors")
    shutil.copytree(ROOT / "src/digitline", folder / "src/digitline")
    built = server.clone.python("-m", "bentoml", "build", "--output", "tag")
    assert built.returncode == 0, built.stdout + built.stderr
    shutil.rmtree(folder / "models/champion")
    new_champion(folder / "models/champion", seed=2)
    tag = built.stdout.splitlines()[-1].removeprefix("__tag__:")
    bento = started(server.clone, tag)
    answer = httpx.post(f"{bento.url}/predict", json={"images": digits.test.images[:1].tolist()})
    stopped(bento)
    assert answer.json()["model"] == carried
