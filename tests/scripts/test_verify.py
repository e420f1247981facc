"""The messages of make verify about planted differences."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from scripts.verify import differences, gaps, kinds, rerun, verdict
from tests import example

ROOT = Path(__file__).parents[2]
if not example.STUDIED:
    pytest.skip(example.REASON, allow_module_level=True)
LOCK: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.lock")
STAGES = ["fetch", "train@conv1", "train@fc", "evaluate@conv1", "compare"]  # the stages that are changed here
LOCK["stages"] = {name: LOCK["stages"][name] for name in STAGES}
BOARD: list[dict[str, Any]] = json.loads((ROOT / "reports/leaderboard.json").read_text())


HERE = {"processor": "AMD EPYC", "instructions": "AVX512_BF16", "blas": ["openblas Zen"]}


def folder(path: Path, lock: dict[str, Any], board: list[dict[str, Any]], **machine: Any) -> Path:
    """A checkout with the files that are compared."""
    (path / "reports").mkdir(parents=True)
    (path / "reports/machine.json").write_text(json.dumps(HERE | machine))
    YAML(typ="safe").dump(lock, path / "dvc.lock")
    (path / "reports/leaderboard.json").write_text(json.dumps(board))
    return path


@pytest.fixture
def lock() -> dict[str, Any]:
    return copy.deepcopy(LOCK)


@pytest.fixture
def board() -> list[dict[str, Any]]:
    return copy.deepcopy(BOARD)


def other(lock: dict[str, Any], name: str, kind: str, path: str) -> None:
    """Changes a hash."""
    [entry] = [entry for entry in lock["stages"][name][kind] if entry["path"] == path]
    entry["md5"] = "0" * 32


def test_equal_results_are_reported(tmp_path: Path, lock: dict[str, Any], board: list[dict[str, Any]]) -> None:
    assert differences(LOCK["stages"], lock["stages"]) == []
    found = verdict(folder(tmp_path / "a", LOCK, BOARD), folder(tmp_path / "b", lock, board), 0.005, HERE)
    kind = "on AMD EPYC, AVX512_BF16, openblas Zen, the kind of machine that made it"
    assert found == (0, f"a fresh clone ends with the same dvc.lock, {kind}")


def test_the_first_stage_to_differ_is_the_one_with_the_same_inputs(lock: dict[str, Any]) -> None:
    other(lock, "train@conv1", "outs", "models/variants/conv1")
    other(lock, "evaluate@conv1", "deps", "models/variants/conv1")
    other(lock, "evaluate@conv1", "outs", "predictions/conv1.safetensors")
    other(lock, "compare", "deps", "predictions")
    other(lock, "compare", "outs", "reports/leaderboard.json")
    lock["stages"] = dict(reversed(lock["stages"].items()))
    first = differences(lock["stages"], LOCK["stages"])[0]
    assert first == ("train@conv1", "outs", "models/variants/conv1")


@pytest.mark.parametrize(
    ("shift", "status", "words"),
    [
        (0.004, 3, "within 0.5 points, as expected of another kind of processor: the largest difference is in fc's"),
        (0.006, 1, "not within 0.5 points: the largest difference is in fc's test_accuracy, 0.60 points"),
    ],
)
def test_other_bits_are_reported_with_the_difference_of_the_accuracies(
    tmp_path: Path, lock: dict[str, Any], board: list[dict[str, Any]], *, shift: float, status: int, words: str
) -> None:
    other(lock, "train@fc", "outs", "models/variants/fc")
    [row] = [row for row in board if row["variant"] == "fc"]
    row["test_accuracy"]["mean"] -= shift
    made = folder(tmp_path / "a", LOCK, BOARD, processor="Xeon", instructions="AMX")
    found = verdict(made, folder(tmp_path / "b", lock, board), 0.005, HERE)
    assert found[0] == status
    assert "train@fc is the first to differ, in its output models/variants/fc" in found[1]
    assert words in found[1]


def test_other_bits_on_the_same_kind_of_machine_are_not_attributed_to_the_kind(
    tmp_path: Path, lock: dict[str, Any], board: list[dict[str, Any]]
) -> None:
    other(lock, "train@fc", "outs", "models/variants/fc")
    made = folder(tmp_path / "a", LOCK, BOARD, blas=["openblas Haswell"])
    status, sentence = verdict(made, folder(tmp_path / "b", lock, board), 0.005, HERE)
    assert status == 3
    assert "openblas Zen, the kind of machine that made it; within 0.5 points, although the kind is the" in sentence


def test_another_instruction_set_is_another_kind() -> None:
    same, sentence = kinds(HERE | {"instructions": "AVX2"}, HERE)
    assert not same
    assert sentence.endswith("another kind of machine than the one that made it (AMD EPYC, AVX2, openblas Zen)")


def test_every_stage_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[Any]] = []

    def run(words: list[Any], **options: Any) -> subprocess.CompletedProcess[bytes]:
        called.append(words)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(subprocess, "run", run)
    rerun(ROOT, tmp_path)
    assert called[-1] == ["dvc", "repro", "--force"]


def test_a_row_that_is_missing_is_infinitely_far(board: list[dict[str, Any]]) -> None:
    gone = board.pop()["variant"]
    assert gaps(BOARD, board)[f"{gone}'s val_accuracy"] == float("inf")


def test_a_lock_of_another_commit_is_reported(
    tmp_path: Path, lock: dict[str, Any], board: list[dict[str, Any]]
) -> None:
    other(lock, "fetch", "deps", "pipeline/fetch.py")
    found = verdict(folder(tmp_path / "a", LOCK, BOARD), folder(tmp_path / "b", lock, board), 0.005, HERE)
    assert found[0] == 1
    assert "fetch is the first to differ, in its dependency pipeline/fetch.py: dvc.lock does not belong" in found[1]
