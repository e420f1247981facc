"""What deploy/compose.yaml promises: limits, locks, no secret of its own; and that its files fit each other."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from ruamel.yaml import YAML

from scripts import stack
from service import metrics
from tests.served import ROOT

DEPLOY = ROOT / "deploy"
SECRETS = ["POSTGRES_PASSWORD", "STORE_KEY", "GRAFANA_PASSWORD", "KEYS_FILE", "SCRAPER_FILE"]
PANEL = {
    "id": int,
    "type": str,
    "title": str,
    "datasource": dict,
    "gridPos": dict,
    "targets": list,
    "fieldConfig": dict,
}


def yaml(path: str) -> Any:
    return YAML(typ="safe").load(DEPLOY / path)


COMPOSE: dict[str, Any] = yaml("compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_locked_limited_watched_and_published_on_this_machine_alone(name: str) -> None:
    found = SERVICES[name]
    assert found["read_only"]
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit", "healthcheck", "restart"} <= set(found)
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & set(found)
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{\w+_PORT:-\d+}:\d+", port) for port in found.get("ports", []))
    assert re.search(r"^digitline:cpu$|:v?\d+(\.\d+)+$", found["image"])


def test_the_database_is_in_no_network_with_a_way_out() -> None:
    assert SERVICES["postgres"]["networks"] == ["behind"]
    assert COMPOSE["networks"]["behind"] == {"internal": True}
    assert "ports" not in SERVICES["postgres"]


def test_no_secret_has_a_default() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert {name for name in re.findall(r"\$\{(\w+):-", text) if not name.endswith("_PORT")} == set()
    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(SECRETS)


@pytest.mark.parametrize("missing", SECRETS)
def test_without_a_secret_compose_stops_with_one_sentence(missing: str, tmp_path: Path) -> None:
    stack.write_secrets(tmp_path / "secrets")
    environment = tmp_path / "secrets/env"
    kept = [line for line in environment.read_text().splitlines() if not line.startswith(f"{missing}=")]
    (tmp_path / "env").write_text("\n".join(kept))
    words = [sys.executable, "-m", "podman_compose", "--env-file", str(tmp_path / "env")]
    words += ["--file", str(DEPLOY / "compose.yaml"), "config"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert re.search(r"(set it|name the file) .* let make stack ", done.stderr.splitlines()[-1]), done.stderr


def test_mlflow_s_image_is_of_the_locked_version_and_the_test_starts_it_in_the_same_way() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert f"mlflow=={SERVICES['mlflow']['image'].partition(':')[2]}\n" in lock
    containerfile = (DEPLOY / "mlflow/Containerfile").read_text()
    entry = json.loads(containerfile.partition("ENTRYPOINT ")[2])
    stand_in = YAML(typ="safe").load(Path(__file__).parent / "stand-ins/compose.yaml")["services"]["mlflow"]
    assert stand_in["entrypoint"] == entry
    assert all(f"{name}={value}" in containerfile for name, value in stand_in["environment"].items())


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_mounts_exists(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.partition(":")[0]
        assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
    assert set(SERVICES[name].get("secrets", [])) <= set(COMPOSE["secrets"])


def test_prometheus_scrapes_the_service_with_the_key_that_it_gets() -> None:
    found = yaml("prometheus/prometheus.yaml")
    job = next(job for job in found["scrape_configs"] if job["job_name"] == "digitline")
    [target] = job["static_configs"][0]["targets"]
    assert target == "service:3000"
    assert SERVICES["service"]["ports"][0].endswith(":3000")
    assert Path(job["authorization"]["credentials_file"]).name in SERVICES["prometheus"]["secrets"]
    assert all((DEPLOY / "prometheus" / name).exists() for name in found["rule_files"])


def test_each_rule_is_of_metrics_that_exist_and_has_a_case_in_which_it_fires() -> None:
    assert metrics.REQUESTS
    there = {"up"} | {f"{each.name}{end}" for each in REGISTRY.collect() for end in ("", "_total", "_bucket")}
    [group] = yaml("prometheus/rules.yaml")["groups"]
    cases = YAML(typ="safe").load(Path(__file__).with_name("alerts.yaml"))["tests"]
    fired = {case["alertname"] for each in cases for case in each["alert_rule_test"] if case.get("exp_alerts")}
    for rule in group["rules"]:
        named = set(re.findall(r"digitline_\w+|\bup\b", rule["expr"]))
        assert named, rule
        assert named <= there, rule
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["alert"] in fired
    assert len(fired) == len(group["rules"])


def test_grafana_finds_its_source_and_its_dashboard() -> None:
    [source] = yaml("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml("grafana/provisioning/dashboards/digitline.yaml")["providers"]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert provider["options"]["path"] == mounts["./grafana/dashboards"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DEPLOY / "grafana/dashboards" / Path(home).name).exists()
    assert Path(home).parent == Path(provider["options"]["path"])


def test_the_dashboard_has_the_form_of_grafana_s_schema_39() -> None:
    board = json.loads((DEPLOY / "grafana/dashboards/digitline.json").read_text())
    assert board["schemaVersion"] == 39
    [variable] = board["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    for panel in board["panels"]:
        assert {name for name, kind in PANEL.items() if not isinstance(panel.get(name), kind)} == set(), panel["title"]
        assert panel["datasource"]["uid"] == f"${{{variable['name']}}}"
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
