"""What the service's tests share: a clone with a champion, its server, and a client's pictures."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import pytest
import torch
from PIL import Image

from digitline.base.digest import digest
from digitline.data.entry import MNIST, Shape
from digitline.model import checkpoint, networks
from digitline.serving import export

ROOT = Path(__file__).parents[1]
STORE = "from pathlib import Path; from digitline.registry import bento; print(bento.store(Path('models/champion')))"
CLASSES = [f"class {digit}" for digit in range(10)]


class Clone(NamedTuple):
    """A folder with the service and a champion, and BentoML's store for it alone."""

    folder: Path
    environment: dict[str, str]

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )


def new_clone(folder: Path, *, seed: int = 0, **champion: Any) -> Clone:
    shutil.copytree(ROOT / "service", folder / "service", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "bentofile.yaml", folder)
    new_champion(folder / "models/champion", seed=seed, **champion)
    environment = {
        **os.environ,
        "BENTOML_HOME": str(folder / "bentoml"),
        "PYTHONPATH": str(ROOT / "src"),
        # Checks that the service itself disables BentoML's reports; with this, BentoML logs what it would send.
        "BENTOML_DO_NOT_TRACK": "False",
        "__BENTOML_DEBUG_USAGE": "True",
    }
    return Clone(folder, environment)


def new_champion(
    folder: Path, *, seed: int, image: Shape = MNIST, classes: Sequence[str] = CLASSES, **known: str
) -> None:
    """An untrained network is enough to check that the answers are the model's."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    network: dict[str, Any] = {"network": "plain", "classes": len(classes), **networks.of_shape(image)}
    network |= {"filters": [4], "hidden": 20, "activation": "relu"}
    checkpoint.save(networks.build(**network), folder / "model.safetensors", **network)
    export.write(folder / "model.safetensors", folder / "model.onnx")
    sha256, onnx_sha256 = (digest(folder / f"model.{form}") for form in ("safetensors", "onnx"))
    card = {"variant": "conv1", "seed": seed, "sha256": sha256, "onnx_sha256": onnx_sha256}
    card |= {"classes": classes, "val_accuracy": 0.5, **known}
    (folder / "model.json").write_text(json.dumps(card))


def new_study(folder: Path, *, image: Shape = MNIST, **of: Any) -> None:
    """Three untrained variants, in the form of models/study."""
    listed = []
    for filters, name in zip(([8], [2], []), ["wide", "narrow", "none"], strict=True):
        network: dict[str, Any] = {"network": "plain", "classes": 10, "filters": filters, **networks.of_shape(image)}
        weights, exported = (folder / f"{name}.{form}" for form in ("safetensors", "onnx"))
        checkpoint.save(networks.build(**network), weights, **network)
        export.write(weights, exported)
        known = {"sha256": digest(weights), "onnx_sha256": digest(exported), "image": image._asdict(), **of}
        listed.append({"variant": name, **known})
    (folder / "study.json").write_text(json.dumps(listed))


def picture(digit: Any, form: str = "PNG", size: int = 400) -> bytes:
    sheet = Image.new("L", (size, size), 255)
    ink = Image.fromarray(255 - digit).resize((size // 2, size // 2), Image.Resampling.BICUBIC)
    sheet.paste(ink, (size // 8, size // 3))
    file = BytesIO()
    sheet.save(file, form)
    return file.getvalue()


def error(answer: httpx.Response) -> str:
    """The sentence of a refusal, after a check of its format."""
    assert list(answer.json()) == ["error"]
    sentence = answer.json()["error"]
    assert isinstance(sentence, str)
    assert "\n" not in sentence
    return sentence


class Server(NamedTuple):
    clone: Clone
    process: subprocess.Popen[str]
    url: str


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def started(clone: Clone, *words: str, python: str = sys.executable, certificate: str = "", **settings: str) -> Server:
    """A ready server of the clone; by https if it has a certificate, a file in the clone."""
    port = free_port()
    trusted = ssl.create_default_context(cafile=clone.folder / certificate) if certificate else True
    with (clone.folder / "log").open("w") as log:
        process = subprocess.Popen(
            [python, "-m", "bentoml", "serve", *words, "--port", str(port)],
            cwd=clone.folder,
            env={**clone.environment, **settings},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    for _ in range(600):
        time.sleep(0.1)
        try:
            if httpx.get(f"{url}/readyz", verify=trusted).status_code == 200:
                return Server(clone, process, url)
        except httpx.TransportError:
            if process.poll() is not None:
                break
    process.kill()
    pytest.fail((clone.folder / "log").read_text())


def worker(server: Server) -> psutil.Process:
    """The worker process that answers; the command's process only supervises it."""
    children = psutil.Process(server.process.pid).children()
    [found] = [each for each in children if "_bentoml_impl.worker.service" in each.cmdline()]
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    """The log's records, without the command's own output before the worker starts."""
    return [json.loads(line) for line in path.read_text().split("\n") if line.startswith("{")]


def stopped(server: Server) -> int:
    server.process.send_signal(signal.SIGTERM)
    return server.process.wait(30)
