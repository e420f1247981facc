"""A champion's folder, MLflow's alias and the ledger move as one: really killed, really out of space."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
OLD = {"champion": "A", "alias": "A", "ledger": ["A"], "kept": ["A", "B"], "left": False}
NEW = {"champion": "B", "alias": "B", "ledger": ["A", "B"], "kept": ["A", "B"], "left": False}


def moves(folder: Path, how: str) -> tuple[list[dict[str, Any]], str]:
    """What was found after each move, and the errors."""
    environment = {**os.environ, "BENTOML_HOME": str(folder / "world/bentoml"), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    words = [sys.executable, "-m", "tests.moves", how]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done.stderr


@pytest.mark.slow
def test_a_move_killed_at_any_step_has_moved_all_or_nothing_at_the_next_call(tmp_path: Path) -> None:
    found, _ = moves(tmp_path, "kill")
    assert [state for state in found if state not in (OLD, NEW)] == []
    decided = found.index(NEW)
    assert decided > 8  # what is laid out first
    assert len(found) - decided > 8  # what follows
    assert set(map(str, found[decided:])) == {str(NEW)}


@pytest.mark.parametrize(
    ("how", "sentence"),
    [("full", "model.safetensors could not be written: File too large"), ("refused", "promotions.jsonl could not be")],
)
def test_a_move_that_cannot_be_written_moves_nothing_and_says_so(tmp_path: Path, how: str, sentence: str) -> None:
    found, errors = moves(tmp_path, how)
    assert found == [OLD]
    assert sentence in errors
