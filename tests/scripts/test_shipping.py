"""The contents of the container, and the messages of make container if it cannot be built."""

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
import tomllib
from contextlib import closing
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from digitline.base.errors import InputError
from scripts import container, engine, released
from tests import example
from tests.served import ROOT, new_champion

BEHIND = {"httptools", "uvloop"}  # uvicorn imports them if they are installed
SHARED = {"opentelemetry": {"opentelemetry-api", "opentelemetry-sdk"}}  # the name is that of many packages


def make_container(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "scripts.container", "cpu"]
    alone = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), **environment}
    return subprocess.run(words, cwd=folder, env=alone, capture_output=True, text=True, check=False)


def source(name: str) -> Path | None:
    """The file of one of our modules."""
    path = ROOT / ("src" if name.startswith("digitline") else "") / name.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def imported(path: Path) -> set[str]:
    """The modules that a file imports, with their packages; our modules' imports in functions are for stages."""
    found = set[str]()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if path.is_relative_to(ROOT / "service") else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {str(node.module), *filter(source, inner)}
    return found | {name.rpartition(".")[0] for name in found if "." in name}


def test_the_container_gets_what_the_service_imports_and_nothing_else() -> None:
    waiting, seen, foreign = set((ROOT / "service").glob("*.py")), set[Path](), set[str]()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        for name in imported(path):
            file = source(name) if name.startswith(("digitline", "service")) else None
            if file and file not in seen:
                waiting.add(file)
            elif not file:
                foreign.add(name.partition(".")[0])
    assert ROOT / "src/digitline/explain/evidence.py" in seen  # through what a function of the service imports
    providers = packages_distributions()
    alone = foreign - sys.stdlib_module_names - set(SHARED)
    needed = {providers[name][0].lower().replace("_", "-") for name in alone}
    needed = needed.union(*(SHARED[name] for name in foreign & set(SHARED)))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["dependency-groups"]["serve"]) == needed | BEHIND
    assert project["dependency-groups"]["serve-cuda"] == [{"include-group": "serve"}, "safetensors", "torch"]
    locked = set((ROOT / "requirements.lock").read_text().splitlines())
    built = YAML(typ="safe").load(ROOT / "bentofile.yaml")["python"]
    assert set(built["packages"]) == {line for line in locked if line.partition("==")[0] in needed | BEHIND}
    assert needed | BEHIND <= {line.split("==")[0] for line in project["project"]["dependencies"]}


def test_without_an_engine_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    done = make_container(tmp_path, ENGINE="no-such-engine")
    assert done.returncode == 1
    assert done.stderr == (
        "error: no container engine answers (no-such-engine); install podman, or install Docker and start it\n"
    )


def test_an_installed_engine_that_does_not_answer_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, program in {"docker": "false", "podman": "true"}.items():
        (tmp_path / name).symlink_to(str(shutil.which(program)))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ENGINE", raising=False)
    assert engine.find() == "podman"
    (tmp_path / "podman").unlink()
    with pytest.raises(InputError, match="no container engine answers \\(docker, podman, buildah\\); install"):
        engine.find()


def test_without_a_champion_or_a_commit_nothing_starts(tmp_path: Path) -> None:
    done = make_container(tmp_path, ENGINE="true")
    assert done.stderr.startswith("error: there is no champion in models/champion; run make to train and promote one;")
    new_champion(tmp_path / "models/champion", seed=0)
    done = make_container(tmp_path, ENGINE="true", GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert done.stderr.startswith("error: git describe failed: fatal: not a git repository")
    assert done.returncode == 1
    assert not (tmp_path / ".container").exists()


def test_too_small_a_disk_is_refused_before_anything_is_fetched() -> None:
    with pytest.raises(InputError, match=r"the disk has [\d.]+ GB free, expected 1000000000 for libraries"):
        container.require_room(10**9)


def test_a_disk_that_fills_up_and_a_failure_end_in_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="sh -c failed: the disk is full; free some space and run this again"):
        engine.follow(["sh", "-c", "echo begun; seq 9 > /dev/full"])
    assert capfd.readouterr().out.startswith("begun\n")
    with pytest.raises(InputError, match=r"^sh -c failed: no such image$"):
        engine.follow(["sh", "-c", "echo begun; echo 'Error: no such image'; exit 125"])


@pytest.mark.parametrize("target", ["serve", "ui"])
def test_a_port_in_use_ends_in_one_sentence(target: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as holder:
        port = holder.getsockname()[1]
        words = [sys.executable, "-m", "scripts.port", target, str(port)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    other = f"make {target} PORT={port + 1}"
    assert done.stderr == f"error: port {port}: Address already in use; stop the program that uses it, or run {other}\n"
    assert done.returncode == 1
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("to", ["", "digitline:1", "registry/digitline"])
def test_an_invalid_push_target_is_refused(to: str) -> None:
    words = [sys.executable, "-m", "scripts.push", "digitline:cpu", to]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == f"error: TO is {to or 'missing'}, expected registry/name:tag; run make push TO=...\n"
    assert done.returncode == 1


@example.studied
def test_a_release_has_the_champion_of_the_committed_ledger() -> None:
    lines = (ROOT / "promotions.jsonl").read_text()
    entries = [json.loads(line) for line in lines.splitlines()]
    assert released.champion(lines) == max(entries, key=lambda entry: entry["when"])["to"]
    assert released.champion("\n".join(reversed(lines.splitlines()))) == released.champion(lines)
    with pytest.raises(InputError, match=r"the committed promotions\.jsonl has no champion"):
        released.champion("")


@pytest.mark.slow
def test_setting_up_where_venv_is_a_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    """venv --clear would empty the other folder."""
    other, here = tmp_path / "other", tmp_path / "here"
    for folder in (other, here / "scripts"):
        folder.mkdir(parents=True)
    (other / "kept").touch()
    (here / ".venv").symlink_to(other)
    shutil.copy(ROOT / "scripts/setup.sh", here / "scripts")
    shutil.copy(ROOT / "requirements.lock", here)
    python = tmp_path / "python"  # without pip, which takes seconds to install, and without which nothing else is
    python.write_text(
        f'#!/bin/sh\nfor last; do :; done\n[ "$last" != .venv ] || set -- "$@" --without-pip\n{sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    words, env = ["sh", "scripts/setup.sh"], {**os.environ, "PYTHON": str(python)}
    done = subprocess.run(words, cwd=here, env=env, capture_output=True, text=True, check=False)
    assert "No module named pip" in done.stderr
    assert (other / "kept").exists()
    assert (here / ".venv/bin/python").exists()
    assert not (here / ".venv").is_symlink()
