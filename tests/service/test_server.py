"""A real `bentoml serve`, and a Bento that contains its champion."""

import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from scipy.special import softmax

from benchmarks import servers
from digitline.base.digest import digest
from digitline.data import prepare
from digitline.data.dataset import Dataset
from digitline.model import checkpoint
from digitline.model.evaluation import predict
from service import api, form, schema
from tests import warm
from tests.served import (
    ROOT,
    STORE,
    Server,
    error,
    lines,
    new_champion,
    new_clone,
    picture,
    started,
    stopped,
    worker,
)

pytestmark = pytest.mark.slow

BLANK = [[0] * 28] * 28
LINEAGE = {"mlflow_run": "a1", "mlflow_version": "7", "git_commit": "c0ffee", "validation": "passed"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves one clone's champion, while another clone has stored a newer one."""
    clone, other = (new_clone(tmp_path_factory.mktemp(name), seed=seed) for seed, name in enumerate(["clone", "other"]))
    clone.python("-c", STORE.replace("champion'))", f"champion'), **{LINEAGE})"))
    other._replace(environment=clone.environment).python("-c", STORE)
    server = started(clone)
    yield server
    if server.process.poll() is None:
        stopped(server)


def test_the_server_uses_its_own_clone_s_champion(server: Server, digits: Dataset) -> None:
    """Of two clones that share BentoML's store, each serves its own champion, and the answers name it."""
    sha256 = digest(server.clone.folder / "models/champion/model.safetensors")
    predicted = httpx.post(f"{server.url}/predict", json={"images": digits.test.images[:3].tolist()})
    classified = httpx.post(f"{server.url}/classify", files={"image": picture(digits.test.images[0])})
    assert predicted.status_code == classified.status_code == 200
    assert len(predicted.json()["predictions"]) == 3
    assert predicted.json()["model"] == classified.json()["model"] == sha256


def test_the_lineage_is_the_card_and_the_data_of_its_promotion(server: Server) -> None:
    """The running service returns what the promotion wrote into BentoML's store."""
    card = json.loads((server.clone.folder / "models/champion/model.json").read_text())
    found = httpx.get(f"{server.url}/lineage").json()
    assert {name: found[name] for name in LINEAGE} == LINEAGE
    assert [found[name] for name in ("model", "seed", "val_accuracy")] == [
        card[name] for name in ("sha256", "seed", "val_accuracy")
    ]


def test_the_server_is_live_and_counts(server: Server) -> None:
    """Liveness, and the metrics of requests, answers and the model."""
    assert httpx.get(f"{server.url}/livez").status_code == 200
    httpx.post(f"{server.url}/predict", json={"images": []})
    httpx.post(f"{server.url}/predict", json={"images": [BLANK]})
    text = httpx.get(f"{server.url}/metrics").text
    assert 'digitline_requests_total{route="/predict",status="400"} ' in text
    assert 'digitline_requests_total{route="/predict",status="200"} ' in text
    assert 'digitline_answers_total{digit="class ' in text
    assert ',label="class ' in text
    sha256 = digest(server.clone.folder / "models/champion/model.safetensors")
    assert f'digitline_model{{sha256="{sha256}",variant="conv1"}} 1.0' in text


def test_every_query_of_the_dashboard_names_an_existing_metric(server: Server) -> None:
    """No panel of the dashboard stays empty."""
    httpx.post(f"{server.url}/predict", json={"images": [BLANK]})
    there = set(re.findall(r"^(digitline_\w+)[{ ]", httpx.get(f"{server.url}/metrics").text, re.MULTILINE))
    board = json.loads((ROOT / "deploy/grafana/dashboards/digitline.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) >= 8
    for query in queries:
        named = set(re.findall(r"digitline_\w+", query))
        assert named, query
        assert named <= there, query


def test_a_port_in_use_ends_in_one_sentence(server: Server, tmp_path: Path) -> None:
    """bentoml serve on the port of a running server says so, without a traceback."""
    port = server.url.rpartition(":")[2]
    # In the same BENTOML_HOME BentoML would delete the running server's metrics.
    other = server.clone._replace(environment={**server.clone.environment, "BENTOML_HOME": str(tmp_path)})
    ended = other.python("-m", "bentoml", "serve", "--port", port)
    assert ended.returncode == 1
    sentence = "error: Address already in use; stop the program that uses the port, or choose another one with bentoml"
    assert ended.stderr.splitlines()[-1] == f"{sentence} serve --port"
    assert f"Could not bind 127.0.0.1:{port}" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_an_unknown_path_gets_one_sentence_and_adds_no_metric(server: Server) -> None:
    """Requests for invented paths get one sentence and cannot make the metrics grow."""

    def rows() -> int:
        return len(httpx.get(f"{server.url}/metrics").text.splitlines())

    for path in ("first", "second"):
        answer = httpx.get(f"{server.url}/{path}")
        assert answer.status_code == 404
        assert error(answer) == f"there is no /{path}; see /docs.json for the paths"
    before = rows()
    for number in range(20):
        httpx.get(f"{server.url}/made/up/{number}")
    assert rows() == before


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", "/predict", "POST"), ("POST", "/livez", "GET")])
def test_another_method_is_refused_with_the_one_that_fits(server: Server, method: str, path: str, allowed: str) -> None:
    """405 in the common format, on our routes and on BentoML's."""
    answer = httpx.request(method, f"{server.url}{path}")
    assert answer.status_code == 405
    assert allowed in answer.headers["Allow"]
    assert f"{error(answer)}, OPTIONS" == f"{path} does not accept {method}, expected {answer.headers['Allow']}"


def test_invalid_http_is_refused_by_the_server_as_json(server: Server) -> None:
    """The server answers bytes that are not HTTP in the common format."""
    with closing(socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))) as client:
        client.sendall(b"GET / nonsense\r\n\r\n")
        answer = client.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body) == {"error": "the request is not valid HTTP/1.1"}


def logged(server: Server, name: str) -> dict[str, Any]:
    """The line of a request, which the server writes after the answer."""
    for _ in range(100):
        found = [line for line in lines(server.clone.folder / "log") if line.get("id") == name]
        if found:
            break
        time.sleep(0.05)
    [line] = found
    return line


def test_an_answer_and_its_line_in_the_log_have_the_request_s_id(server: Server) -> None:
    """A request's answer and its log line have its id; an unsafe id is replaced."""
    image = [[77] * 28] * 28
    mine = httpx.post(f"{server.url}/predict", json={"images": [image]}, headers={"X-Request-ID": "mine-1"})
    assert mine.headers["X-Request-ID"] == "mine-1"
    line = logged(server, "mine-1")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/predict", 200)
    assert line["model"] == mine.json()["model"] == mine.headers["X-Model"]
    assert line["milliseconds"] > 0
    assert set(line) == {"time", "level", "message", "id", "method", "path", "status", "milliseconds", "model"}
    for strange in ("", "x" * 65, 'a"b', "two words"):
        made = httpx.get(f"{server.url}/livez", headers={"X-Request-ID": strange}).headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{32}", made)


def test_beyond_capacity_some_are_refused_at_once_and_the_others_answered(server: Server) -> None:
    """Under overload, accepted requests are answered completely, the rest is refused with 503 and a time to retry."""
    images = np.random.default_rng(0).integers(0, 256, (form.MAX_RAW, 28, 28), np.uint8).tobytes()

    def ask(_: int) -> httpx.Response:
        return httpx.post(f"{server.url}/predict", content=images, headers={"Content-Type": schema.RAW}, timeout=60)

    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(ask, range(48)))
    accepted = [answer for answer in found if answer.status_code == 200]
    refused = [answer for answer in found if answer.status_code == 503]
    assert len(accepted) + len(refused) == 48
    assert len({answer.content for answer in accepted}) == 1
    assert len(accepted[0].content) == 41 * form.MAX_RAW
    assert refused
    for answer in refused:
        assert answer.headers["Retry-After"] == "1"
        assert error(answer) == "the service is at capacity, try again"
    assert "digitline_waiting 0.0" in httpx.get(f"{server.url}/metrics").text


def test_thousands_of_requests_do_not_increase_memory(server: Server) -> None:
    """The worker's memory grows by less than 4 MB over 1,500 requests of three kinds."""
    process = worker(server)

    def ask(times: int) -> int:
        with httpx.Client(base_url=server.url) as client:
            for number in range(times):
                client.get(f"/made/up/{number}")
                client.post("/predict", json={"images": []})
                client.post("/predict", content=bytes(784), headers={"Content-Type": schema.RAW})
        return int(process.memory_info().rss)

    warm = ask(300)
    assert ask(500) - warm < 4 * 2**20


@contextmanager
def asking(server: Server, images: dict[str, Any]) -> Iterator[list[httpx.Response]]:
    """Three clients that repeat the same request without a pause, and their answers."""
    answers: list[httpx.Response] = []
    ended = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url) as client:
            while not ended.is_set():
                answers.append(client.post("/predict", json=images))

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    yield answers
    ended.set()
    for client in clients:
        client.join()


def until(server: Server, sha256: str) -> None:
    """Waits until a model answers."""
    for _ in range(300):
        if httpx.get(f"{server.url}/lineage").json()["model"] == sha256:
            return
        time.sleep(0.1)
    pytest.fail(f"{sha256} was not loaded")


def test_a_new_champion_is_loaded_without_dropping_a_request(server: Server, digits: Dataset) -> None:
    """When the champion changes under load, every request is answered, each by only the old or the new one."""
    folder, images = server.clone.folder / "models/champion", digits.test.images[:2]
    kept, coming = folder.with_name("kept"), folder.with_name("coming")
    new_champion(coming, seed=5)
    old, new = (digest(each / "model.safetensors") for each in (folder, coming))
    with asking(server, {"images": images.tolist()}) as answers:
        while not answers:
            time.sleep(0.01)
        folder.rename(kept)
        coming.rename(folder)
        until(server, new)
    assert {answer.status_code for answer in answers} == {200}
    assert list(dict.fromkeys(answer.headers["X-Model"] for answer in answers)) == [old, new]
    models = {old: checkpoint.load(kept / "model.safetensors"), new: checkpoint.load(folder / "model.safetensors")}
    expected = {name: softmax(predict(model, images), 1) for name, model in models.items()}
    for answer in answers:
        found = [each["probabilities"] for each in answer.json()["predictions"]]
        np.testing.assert_allclose(found, expected[answer.json()["model"]], atol=1e-5)
    assert httpx.get(f"{server.url}/lineage").json()["seed"] == 5
    counts = httpx.get(f"{server.url}/metrics").text
    assert f'{{sha256="{old}",variant="conv1"}} 0.0' in counts
    assert f'{{sha256="{new}",variant="conv1"}} 1.0' in counts


def test_a_champion_that_does_not_fit_its_card_is_not_loaded(server: Server) -> None:
    """With half a file or a broken study, the old champion stays, with a warning; a later one is loaded."""

    def warned(words: str) -> None:
        for _ in range(100):
            messages = [line["message"] for line in lines(server.clone.folder / "log") if line["level"] == "warning"]
            if messages and messages[-1].startswith("kept the old champion: ") and words in messages[-1]:
                return
            time.sleep(0.1)
        pytest.fail(f"{words}: not in the log")

    model, study = (server.clone.folder / "models" / name for name in ("champion/model.safetensors", "study"))
    whole, sha256 = model.read_bytes(), digest(model)
    model.write_bytes(whole[: len(whole) // 2])
    warned(f"{model} is not the model that its card names")
    model.write_bytes(whole)
    study.mkdir()
    (study / "study.json").write_text("{")
    warned(f"{study}/study.json is invalid")
    shutil.rmtree(study)
    assert httpx.get(f"{server.url}/lineage").json()["model"] == sha256
    new_champion(server.clone.folder / "models/newer", seed=6)  # it keeps checking
    model.parent.rename(server.clone.folder / "models/older")
    (server.clone.folder / "models/newer").rename(model.parent)
    until(server, digest(model))


def test_the_server_has_our_document_and_page(server: Server) -> None:
    """The OpenAPI document is ours, and its page loads nothing from other hosts."""
    assert httpx.get(f"{server.url}/docs.json").json() == schema.openapi()
    page = httpx.get(server.url).text
    assert "googletagmanager" not in page
    for file in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert f'"static_content/{file}"' in page
        assert httpx.get(f"{server.url}/static_content/{file}").status_code == 200


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(
    ("route", "media", "limit"),
    [("/predict", "application/json", form.JSON_BYTES), ("/classify", "image/png", prepare.MAX_BYTES)],
)
def test_a_body_over_the_limit_is_refused(server: Server, route: str, media: str, limit: int, declared: bool) -> None:
    """A body is refused at its limit, whether its length is declared or not."""
    block = bytes(2**20)
    content = block * (limit // len(block) + 1) if declared else (block for _ in range(limit // len(block) + 1))
    answer = httpx.post(f"{server.url}{route}", content=content, headers={"Content-Type": media}, timeout=30)
    assert answer.status_code == 413
    assert error(answer) == f"the body is too large, expected at most {limit} bytes"


def test_a_form_over_the_limit_is_refused(server: Server) -> None:
    """The limit also holds for forms, which are read in parts."""
    files = {"image": bytes(prepare.MAX_BYTES + 2 * api.FORM_BYTES)}
    assert httpx.post(f"{server.url}/classify", files=files, timeout=30).status_code == 413


def test_a_url_instead_of_a_file_is_not_fetched(server: Server) -> None:
    """BentoML would fetch a URL given for a file; here no form of it makes the service connect anywhere."""
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


def test_no_other_site_has_access_unless_it_is_named(server: Server) -> None:
    """By default, browsers do not let another site's page read an answer."""
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(f"{server.url}/predict", headers=asked)
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_after_sigterm_the_server_answers_open_requests_and_ends_without_reports(server: Server) -> None:
    """A half-sent request is answered after SIGTERM; the exit is clean, and BentoML has reported nothing."""
    with closing(socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))) as client:
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {schema.RAW}\r\nContent-Length: 784\r\n\r\n"
        client.sendall(head.encode() + bytes(400))
        httpx.get(f"{server.url}/livez")  # earlier bytes have been read by then
        server.process.send_signal(signal.SIGTERM)
        while servers.answers(f"{server.url}/livez"):
            time.sleep(0.1)
        client.sendall(bytes(384))
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert len(answer.partition(b"\r\n\r\n")[2]) == 41
    assert server.process.wait(30) == 0
    log = (server.clone.folder / "log").read_text()
    assert "Service digitline initialized" in log
    assert "Tracking Payload" not in log
    assert "Traceback" not in log


CONFIGURATION = """
services:
  digitline:
    workers: 2
    http:
      cors: {enabled: true, access_control_allow_origins: ["https://example.com"]}
    ssl: {enabled: true, certfile: cert.pem, keyfile: key.pem}
"""


def certify(folder: Path) -> None:
    """Makes a certificate of this machine in the folder."""
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"]
    files = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *words, *files], cwd=folder, capture_output=True, check=True)


def test_a_configuration_file_sets_tls_other_sites_and_two_workers_with_a_log_each(tmp_path: Path) -> None:
    """The settings of BENTOML_CONFIG hold; of two workers /metrics sums both, and each has its own log."""
    clone, log = new_clone(tmp_path / "clone"), tmp_path / "service.log"
    certify(clone.folder)
    trusted = ssl.create_default_context(cafile=clone.folder / "cert.pem")
    (tmp_path / "bentoml.yaml").write_text(CONFIGURATION)
    settings = {"DIGITLINE_LOG": str(log), "BENTOML_CONFIG": str(tmp_path / "bentoml.yaml")}
    server = started(clone, python=f"{warm.folder()}/python", certificate="cert.pem", **settings)
    logs = [log, tmp_path / "service-2.log"]

    def asked(path: Path) -> int:
        return sum(line.get("path") == "/predict" for line in lines(path)) if path.exists() else 0

    def ask(_: int) -> str:
        origin = {"Origin": "https://example.com"}
        answer = httpx.post(f"{server.url}/predict", json={"images": [BLANK] * 64}, headers=origin, verify=trusted)
        return answer.headers["Access-Control-Allow-Origin"]

    times, named = 0, set()
    with ThreadPoolExecutor(8) as pool:  # one after the other, a single worker may take them all
        while not all(map(asked, logs)) and times < 1000:
            named |= set(pool.map(ask, range(8)))
            times += 8
    counts = httpx.get(f"{server.url}/metrics", verify=trusted).text
    stopped(server)
    assert named == {"https://example.com"}
    assert [asked(path) > 0 for path in logs] == [True, True]
    assert sum(map(asked, logs)) == times
    assert f'digitline_requests_total{{route="/predict",status="200"}} {times}.0' in counts


def test_a_bento_serves_the_champion_that_it_contains(server: Server, digits: Dataset) -> None:
    """A Bento uses the model inside it, allows the named site, and loads a mounted model."""
    folder = server.clone.folder
    carried = digest(folder / "models/champion/model.safetensors")
    shutil.copytree(ROOT / "src/digitline", folder / "src/digitline")
    strays = ["service/.env", "service/dump.bin", "service/ui/.env", "src/.env", "src/digitline/notes.txt", ".env"]
    for stray in strays:
        (folder / stray).write_text("secret")
    built = server.clone.python("-m", "bentoml", "build", "--output", "tag")
    assert built.returncode == 0, built.stdout + built.stderr
    found = [path for path in (folder / "bentoml/bentos").rglob("*") if path.is_file()]
    assert [path for path in found if path.name in {Path(stray).name for stray in strays}] == []
    shutil.rmtree(folder / "models/champion")
    new_champion(folder / "models/champion", seed=2)
    tag = built.stdout.splitlines()[-1].removeprefix("__tag__:")
    log, mounted = folder / "service.log", folder / "mounted"
    origin = "https://example.com"
    cors = "services.digitline.http.cors"
    allowed = f"{cors}.enabled=true {cors}.access_control_allow_origins={origin}"
    settings = {"DIGITLINE_CHAMPION": str(mounted), "DIGITLINE_LOG": str(log), "BENTOML_CONFIG_OPTIONS": allowed}
    bento = started(server.clone, tag, python=f"{warm.folder()}/python", **settings)
    images = {"images": digits.test.images[:1].tolist()}
    answer = httpx.post(f"{bento.url}/predict", json=images, headers={"Origin": origin})
    assert answer.json()["model"] == carried == httpx.get(f"{bento.url}/lineage").json()["model"]
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "request" in {line["message"] for line in lines(log)}

    new_champion(mounted, seed=3)
    for _ in range(200):
        if httpx.post(f"{bento.url}/predict", json=images).json()["model"] != carried:
            break
        time.sleep(0.1)
    assert httpx.get(f"{bento.url}/lineage").json()["seed"] == 3
    stopped(bento)
