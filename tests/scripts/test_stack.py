"""The secrets that make stack generates, and what it says where no Compose answers."""

import os
import subprocess
import sys
from pathlib import Path

from scripts import stack
from service import access
from tests.served import ROOT


def test_the_secrets_are_random_kept_and_readable_only_where_they_must_be(tmp_path: Path) -> None:
    folder, other = tmp_path / "one", tmp_path / "other"
    stack.write_secrets(folder)
    stack.write_secrets(other)
    first = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(first) == {"env", "keys", "scraper"}
    assert not any((other / name).read_text() == content for name, content in first.items())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "env").stat().st_mode & 0o777 == 0o600
    stack.write_secrets(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == first


def test_the_service_accepts_two_keys_of_which_prometheus_has_one(tmp_path: Path) -> None:
    stack.write_secrets(tmp_path / "secrets")
    keys = access.read(tmp_path / "secrets/keys")
    assert len(set(keys)) == 2
    assert (tmp_path / "secrets/scraper").read_bytes() in keys


def test_without_a_compose_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    alone = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    words = [sys.executable, "-m", "scripts.stack"]
    done = subprocess.run(words, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = "error: neither docker compose nor podman-compose answers; install Docker and start it, or podman\n"
    assert done.stderr == said
    assert not (tmp_path / stack.SECRETS).exists()
