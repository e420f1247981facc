"""Runs the whole pipeline in a fresh clone of HEAD, without caches, and compares its dvc.lock with this one.

Prints the processor, instruction set and BLAS kernel, and whether the committed results are from the same kind.
Exit status 0: the same dvc.lock. 3: other bits, as on another kind of processor, but accuracies within the
tolerance. 1: neither, or a stage failed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from digitline.base import files
from digitline.compute import machine
from digitline.config import paths

TOLERANCE = 0.005  # of an accuracy; two seeds of a variant differ by less
SPLITS = ("val_accuracy", "test_accuracy")
WITHIN = 3  # exit status

Lock = Mapping[str, Mapping[str, Any]]  # the stages of dvc.lock


class Difference(NamedTuple):
    """A stage's difference between two locks."""

    stage: str
    kind: str  # deps, params or outs
    path: str


def differences(here: Lock, there: Lock) -> list[Difference]:
    """The differences of two locks: outputs of stages with equal inputs first, then the rest, in pipeline order."""
    found = [
        Difference(name, kind, path)
        for name in dict.fromkeys([*here, *there])
        for kind in ("cmd", "params", "deps", "outs")
        for path in apart(part(here, name, kind), part(there, name, kind))
    ]
    return sorted(found, key=lambda one: one.kind != "outs" or inherited(one.stage, found))


def inherited(name: str, found: Sequence[Difference]) -> bool:
    """Whether a stage had different inputs."""
    return any(one.stage == name and one.kind != "outs" for one in found)


def part(lock: Lock, name: str, kind: str) -> dict[str, Any]:
    """A stage's dependencies or outputs by path, its parameters by key, or its command."""
    content = lock.get(name, {}).get(kind, [])
    if kind == "cmd":
        return {"its command": content}
    if kind == "params":
        return {key: value for keys in dict(content).values() for key, value in keys.items()}
    return {entry["path"]: entry.get("md5") for entry in content}


def apart(here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[str]:
    """The keys with different values."""
    return (key for key in dict.fromkeys([*here, *there]) if here.get(key) != there.get(key))


def gaps(here: Sequence[Mapping[str, Any]], there: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The differences of each row's accuracies in two leaderboards; infinite if one lacks the row."""
    ours, theirs = ({row["variant"]: row for row in board} for board in (here, there))
    return {
        f"{name}'s {split}": abs(ours[name][split]["mean"] - theirs[name][split]["mean"])
        if name in ours and name in theirs
        else float("inf")
        for name in dict.fromkeys([*ours, *theirs])
        for split in SPLITS
    }


def verdict(folder: Path, clone: Path, tolerance: float, here: Mapping[str, Any]) -> tuple[int, str]:
    """The exit status and the message about a pipeline that was run again on this machine."""
    before, after = (dict(YAML(typ="safe").load(root / "dvc.lock")["stages"]) for root in (folder, clone))
    found = differences(before, after)
    same, on = kinds(files.read_json(folder / paths.MACHINE), here)
    if not found:
        return 0, f"a fresh clone ends with the same dvc.lock, {on}"
    first = found[0]
    names = {"outs": "output", "deps": "dependency", "params": "parameter", "cmd": "part"}
    where = (
        f"a fresh clone ends with another dvc.lock: {first.stage} is the first to differ, in its {names[first.kind]}"
    )
    where = f"{where} {first.path}" + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")
    if first.kind != "outs":
        return 1, f"{where}: dvc.lock does not belong to this commit; run dvc repro and commit it"
    boards = [files.read_json(root / paths.LEADERBOARD) for root in (folder, clone)]
    name, gap = max(gaps(*boards).items(), key=lambda item: item[1])
    far = f"the largest difference is in {name}, {100 * gap:.2f} points"
    if gap <= tolerance:
        cause = "although the kind is the same" if same else "as expected of another kind of processor"
        return WITHIN, f"{where}, {on}; within {100 * tolerance:g} points, {cause}: {far}"
    return 1, f"{where}, {on}; not within {100 * tolerance:g} points: {far}"


def kinds(made: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether this machine is of the kind that made the committed results, and a description of both."""
    if machine.same_kind(made, here):
        return True, f"on {machine.words(here)}, the kind of machine that made it"
    return False, f"on {machine.words(here)}, another kind of machine than the one that made it ({machine.words(made)})"


def rerun(folder: Path, scratch: Path) -> Path:
    """Runs the pipeline in a fresh clone, with its own MLflow and BentoML; returns the clone."""
    clone = scratch / "digitline"
    subprocess.run(["git", "clone", "--quiet", folder, clone], check=True)
    own = {**os.environ, "BENTOML_HOME": str(scratch / "bentoml")}
    own.pop("MLFLOW_TRACKING_URI", None)
    # Forced, because DVC would skip a stage whose outputs are all in git.
    done = subprocess.run(["dvc", "repro", "--force"], cwd=clone, env=own, check=False)
    if done.returncode:
        sys.exit("error: the pipeline failed in a fresh clone; its output above names the stage")
    return clone


def main() -> None:
    """Runs the pipeline again and prints whether it gives the same results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="of an accuracy, default %(default)s")
    tolerance = parser.parse_args().tolerance
    with tempfile.TemporaryDirectory() as scratch:
        status, sentence = verdict(Path(), rerun(Path.cwd(), Path(scratch)), tolerance, machine.describe())
    print(sentence)
    sys.exit(status)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
