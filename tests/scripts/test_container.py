"""The container image, built and run without network, root or a writable folder other than /tmp.

Run by make container-test or `pytest -m container`. IMAGE names an image of this clone's champion; without it, a
small champion is trained and put in an image for the CPU.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data import dataset
from digitline.data.dataset import Dataset, Part
from digitline.model import checkpoint, networks
from digitline.model.evaluation import predict
from digitline.model.scores import accuracy
from digitline.model.training import fit
from digitline.registry import bento
from digitline.registry.bento import Card
from digitline.serving import export
from scripts import container, engine
from tests.served import CLASSES, ROOT, free_port, picture

pytestmark = [pytest.mark.slow, pytest.mark.container]

LIMIT = 500e6  # bytes of an image without CUDA
NETWORK: dict[str, Any] = {"network": "modern", "classes": 10, "widths": [8, 16, 16, 16]}
RECIPE: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 32,
    "optimizer": "SGD",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "warmup": 0.2,
    "label_smoothing": 0.05,
    "augmentation": {},
    "bfloat16": False,
}
BATCH = 2500  # images per request
VERSION = "from importlib.metadata import version; print(version('onnxruntime'))"
# Runs in the container, with its Python: sends images from stdin to the service over HTTP, writes answers to stdout.
CLIENT = """if True:
    import sys
    from urllib.request import Request, urlopen
    while body := sys.stdin.buffer.read(int(sys.argv[1])):
        request = Request("http://127.0.0.1:3000/predict", body, {"Content-Type": "application/octet-stream"})
        sys.stdout.buffer.write(urlopen(request).read())
"""


class Shipped(NamedTuple):
    """An image and the folder in which it was built."""

    engine: str
    image: str
    folder: Path

    def config(self) -> dict[str, Any]:
        """Its settings; podman stores the health check beside them."""
        [found] = json.loads(engine.answer(self.engine, "image", "inspect", self.image))
        return {"Healthcheck": found.get("Healthcheck"), **found["Config"]}

    def torch(self) -> str:
        """Whether it holds PyTorch for CUDA or none: cuda or cpu."""
        return self.image.rpartition(":")[2].rpartition("-")[2]

    def card(self) -> Card:
        return bento.verified(self.folder / "models/champion")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, mnist: Dataset) -> Shipped:
    try:
        name = engine.find()
    except InputError as error:
        pytest.exit(f"error: {error}", returncode=1)
    if name == "buildah":
        pytest.exit("error: buildah builds images but cannot run them: install Docker or podman", returncode=1)
    image = os.environ.get("IMAGE")
    if image:
        return Shipped(name, image, ROOT)
    folder = new_clone(tmp_path_factory.mktemp("clone"), mnist)
    alone = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        "BENTOML_HOME": str(folder.with_name("bentoml")),
    }
    words = [sys.executable, "-m", "scripts.container", "cpu", "--name", "digitline-test"]
    done = subprocess.run(words, cwd=folder, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    shutil.rmtree(folder / ".container/cpu")  # a gigabyte
    return Shipped(name, "digitline-test:cpu", folder)


def new_clone(folder: Path, mnist: Dataset) -> Path:
    """A repository with the service and a champion trained for one epoch on a part of MNIST."""
    for part in ("service", "src/digitline"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "bentofile.yaml", "requirements.lock", "Containerfile"):
        shutil.copy(ROOT / file, folder)
    (folder / ".gitignore").write_text("models/\ndata/\n.container/\n")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "all"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    dataset.save(mnist, folder / "data/dataset.safetensors")
    champion = folder / "models/champion"
    trained = train(mnist)
    checkpoint.save(trained, champion / bento.MODEL, **NETWORK)
    export.write(champion / bento.MODEL, champion / bento.EXPORTED)
    card = {
        "variant": "modern",
        "seed": 1,
        "sha256": digest(champion / bento.MODEL),
        "onnx_sha256": digest(champion / bento.EXPORTED),
        "classes": CLASSES,
        "test_accuracy": accuracy(predict(trained, mnist.test.images.copy()), mnist.test.labels),
        "dataset_sha256": digest(folder / "data/dataset.safetensors"),
    }
    (champion / bento.CARD).write_text(json.dumps(card))
    return folder


def train(mnist: Dataset) -> nn.Module:
    part = Part(mnist.train.images[:3000].copy(), mnist.train.labels[:3000].copy())
    torch.manual_seed(1)
    model = networks.build(**NETWORK)
    list(fit(model, *dataset.split(part, validation=500, seed=0), seed=1, **RECIPE))
    return model


class Running(NamedTuple):
    """A container with all restrictions that an engine offers."""

    engine: str
    name: str

    def command(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [self.engine, "exec", "--interactive", self.name, *words]
        return subprocess.run(command, input=stdin, capture_output=True, check=False)

    def log(self) -> str:
        done = engine.asked(self.engine, "logs", self.name)
        return done.stdout + done.stderr


def start(shipped: Shipped, *network: str) -> Running:
    """Runs the image with a read-only root and without privileges; waits until its health check passes."""
    name = f"digitline-test-{os.getpid()}-{free_port()}"
    locked = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--no-healthcheck"]
    engine.answer(shipped.engine, "run", "--detach", "--name", name, *locked, *network, shipped.image)
    running = Running(shipped.engine, name)
    _, *check = shipped.config()["Healthcheck"]["Test"]
    until = time.monotonic() + 180
    while engine.answer(running.engine, "inspect", "--format", "{{.State.Running}}", name) == "true":
        if running.command(*check).returncode == 0:
            return running
        if time.monotonic() > until:
            break
        time.sleep(1)
    log = running.log()
    remove(running)
    pytest.fail(log)


def remove(running: Running) -> None:
    engine.asked(running.engine, "rm", "--force", running.name)


@pytest.fixture(scope="module")
def offline(shipped: Shipped) -> Iterator[Running]:
    """A container with no network except loopback."""
    running = start(shipped, "--network=none")
    yield running
    remove(running)


def test_the_labels_name_model_data_commit_and_versions(shipped: Shipped) -> None:
    card, labels = shipped.card(), shipped.config()["Labels"]
    assert labels["digitline.model.sha256"] == card["sha256"]
    assert labels["digitline.dataset.sha256"] == card["dataset_sha256"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=shipped.folder, capture_output=True, text=True, check=True)
    assert labels["org.opencontainers.image.revision"].removesuffix("-dirty") == head.stdout.strip()
    held = engine.inside(shipped.engine, shipped.image, "python3", "-c", VERSION)
    assert labels["digitline.version.onnxruntime"] == held
    assert ("digitline.version.torch" in labels) == (shipped.torch() == "cuda")


def test_the_whole_test_set_over_http_gets_the_evaluated_answers(
    shipped: Shipped, offline: Running, mnist: Dataset
) -> None:
    images = mnist.test.images.copy()
    done = offline.command("python3", "-c", CLIENT, str(images[:BATCH].nbytes), stdin=images.tobytes())
    assert done.returncode == 0, done.stderr
    digits, probabilities = answers(done.stdout, len(images))
    card = shipped.card()
    expected = predict(checkpoint.load(shipped.folder / "models/champion" / bento.MODEL), images)
    assert (digits == expected.argmax(1)).all()
    assert np.abs(probabilities - softmax(expected, axis=1)).max() < 1e-4
    assert (digits == mnist.test.labels).mean() == pytest.approx(card["test_accuracy"])


def answers(content: bytes, count: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Digits [N] and probabilities [N, 10] of all answers, concatenated."""
    requests = np.frombuffer(content, np.uint8).reshape(-1, BATCH * 41)
    digits, rest = requests[:, :BATCH], requests[:, BATCH:]
    return digits.reshape(count), np.ascontiguousarray(rest).view("<f4").reshape(count, 10)


def test_it_runs_as_nobody_and_writes_only_to_tmp(offline: Running) -> None:
    assert offline.command("id", "-u").stdout.strip() == b"65534"
    assert b"Read-only file system" in offline.command("touch", "/app/new").stderr
    assert offline.command("sh", "-c", "touch /tmp/new").returncode == 0


def test_it_has_neither_the_pipeline_s_tools_nor_this_machine_s_folders(shipped: Shipped, offline: Running) -> None:
    absent = ["dvc", "mlflow", "great_expectations", "matplotlib", "pandas", "onnx", "onnxscript", "scipy", "sklearn"]
    for name in absent if shipped.torch() == "cuda" else [*absent, "torch", "torchvision"]:
        assert b"ModuleNotFoundError" in offline.command("python3", "-c", f"import {name}").stderr
    found = offline.command("grep", "--recursive", "--files-with-matches", str(shipped.folder), "/app")
    assert found.stdout == b""
    assert [name for name in shipped.config()["Env"] if "pip" in name.lower() or "proxy" in name.lower()] == []


def test_its_bill_of_materials_names_packages_model_and_the_base_s_own(shipped: Shipped) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator  # takes a second to import

    text = (shipped.folder / container.bill(shipped.torch())).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found = {part["name"]: part for part in json.loads(text)["components"]}
    assert found["onnxruntime"]["version"] == shipped.config()["Labels"]["digitline.version.onnxruntime"]
    assert {"bentoml", "numpy", "python", "libc6"} <= set(found)
    [model] = [part for part in found.values() if part["type"] == "machine-learning-model"]
    assert model["hashes"] == [{"alg": "SHA-256", "content": shipped.card()["sha256"]}]
    assert str(shipped.folder) not in text


def test_without_cuda_it_is_below_half_a_gigabyte(shipped: Shipped) -> None:
    if shipped.torch() != "cpu":
        pytest.skip("this image is the one for CUDA")
    assert engine.size(shipped.engine, shipped.image) < LIMIT


def test_sigterm_ends_it_at_once_and_cleanly(offline: Running) -> None:
    began = time.monotonic()
    engine.answer(offline.engine, "stop", "--time", "30", offline.name)
    assert time.monotonic() - began < 25
    assert engine.answer(offline.engine, "inspect", "--format", "{{.State.ExitCode}}", offline.name) == "0"
    assert "Service digitline initialized" in offline.log()
    assert "Traceback" not in offline.log()


def test_a_published_port_answers_a_picture_and_the_page(shipped: Shipped, mnist: Dataset) -> None:
    port = free_port()
    running = start(shipped, "--network=bridge", f"--publish=127.0.0.1:{port}:3000")
    try:
        url = f"http://127.0.0.1:{port}"
        found = httpx.post(f"{url}/classify", files={"image": picture(mnist.test.images[0])}, timeout=30).json()
        assert found["model"] == shipped.card()["sha256"]
        assert found["label"] == found["classes"][7]
        assert httpx.get(f"{url}/ui/").status_code == 200
    finally:
        remove(running)
