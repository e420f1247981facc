"""Promotions that are killed or run out of space: the next call finds all of them or nothing."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
from mlflow import MlflowClient

from digitline.base.digest import digest
from digitline.registry import bento, ledger, promotion
from digitline.registry.promotion import Places
from digitline.tracking.store import Opened, Store
from tests import warm
from tests.served import free_port, new_champion

ROOT = Path(__file__).parents[2]
OLD = {"champion": "A", "alias": "A", "ledger": ["A"], "kept by DVC": True, "left": False}
NEW = {"champion": "B", "alias": "B", "ledger": ["A", "B"], "kept by DVC": True, "left": False}


@pytest.fixture(scope="module")
def moves(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], str]:
    """The state after each promotion, and the errors."""
    folder = tmp_path_factory.mktemp("moves")
    for repository in (folder / "another", folder / "world"):
        repository.mkdir()
        shutil.copy(tables, repository / "mlflow.db")
    environment = {**os.environ, "BENTOML_HOME": str(folder / "world/bentoml"), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    python = f"{warm.folder()}/python"
    words = [python, "-m", "tests.registry.moves", python]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done.stderr


def after(moves: tuple[list[dict[str, Any]], str], how: str) -> list[dict[str, Any]]:
    return [{key: state[key] for key in OLD} for state in moves[0] if state["how"] == how]


@pytest.mark.slow
def test_a_promotion_killed_at_any_step_is_complete_or_undone_at_the_next_call(moves: Any) -> None:
    """Once the ledger has its line, any later call completes it: bytes, DVC's file, MLflow's alias."""
    found = after(moves, "killed")
    assert [state for state in found if state not in (OLD, NEW)] == []
    decided = found.index(NEW)
    assert decided > 1  # the draft
    assert len(found) - decided > 4  # the steps after the decision
    assert set(map(str, found[decided:])) == {str(NEW)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "sentence"),
    [("full", "model.safetensors could not be written: File too large"), ("refused", "promotions.jsonl could not be")],
)
def test_a_promotion_that_cannot_be_written_changes_nothing_and_says_so(moves: Any, how: str, sentence: str) -> None:
    """With a full disk or an unwritable ledger, the champion and its views stay."""
    assert after(moves, how) == [OLD]
    assert sentence in moves[1]


@pytest.mark.slow
def test_a_champion_that_was_never_exported_is_exported_by_the_next_call(moves: Any) -> None:
    assert after(moves, "former") == [OLD]


@pytest.mark.slow
def test_champions_of_a_version_in_which_a_stage_had_them_come_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC kept each as an output of `promote`: the present one gets its file, a former one is found in DVC's cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(warm.folder() / "python"))  # which runs DVC
    places = Places(Path("models/champion"), Path("promotions.jsonl"))
    stage = {"cmd": "true", "outs": [{"models/champion": {"persist": True}}]}
    Path("dvc.yaml").write_text(json.dumps({"stages": {"promote": stage}}))
    promotion.dvc("init", "--no-scm")
    digests = []
    for seed in (1, 2):
        shutil.rmtree(places.champion, ignore_errors=True)
        new_champion(places.champion, seed=seed)
        assert promotion.dvc("commit", "--force").returncode == 0
        digests.append(bento.verified(places.champion)["sha256"])
    Path("dvc.yaml").unlink()  # today's has no such output
    entry: Any = dict.fromkeys(ledger.KEYS, "") | {"when": "2026-01-01T00:00:00+00:00", "to": digests[1]}
    ledger.append(places.ledger, entry)
    champion = promotion.complete(places, dict, cast("promotion.Views", None))
    assert champion
    assert champion.sha256 == digests[1]
    assert capsys.readouterr().out == "added models/champion to DVC; now commit models/champion.dvc\n"
    assert "path: champion" in places.pointer.read_text()
    found = promotion.in_cache(digests[0])
    assert found
    assert (found.sha256, digest(found.file)) == (digests[0], digests[0])
    found.file.chmod(0o644)
    found.file.write_bytes(b"damaged")
    assert promotion.in_cache(digests[0]) is None


@pytest.mark.slow
def test_looking_for_a_model_that_is_nowhere_leaves_the_champion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if DVC's cache has lost the champion: dvc checkout would then delete its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(warm.folder() / "python"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    places = Places(Path("models/champion"), Path("promotions.jsonl"))
    new_champion(places.champion, seed=1)
    promotion.dvc("init", "--no-scm")
    promotion.keep(places)
    shutil.rmtree(".dvc/cache")
    client = MlflowClient(f"http://127.0.0.1:{free_port()}")
    nobody = Store(lambda: Opened(client, "0", nullcontext()), {})
    assert promotion.find(places, dict, nobody, tmp_path / "scratch", "0" * 64) is None
    assert promotion.held(places.champion)
