from typing import Any

import numpy as np

from digitline.measure.classes import of_row, of_run
from digitline.report import classwise


def row(variant: str, *runs: np.ndarray) -> Any:
    names = [f"class {number}" for number in range(len(runs[0]))]
    of_runs = [{"seed": seed, "sha256": f"{variant}{seed}", **of_run("test", one)} for seed, one in enumerate(runs, 1)]
    return {"variant": variant, "runs": of_runs, **of_row("test", np.stack(runs), names)}


def matrix(*right: int) -> np.ndarray:
    """Ten images of each class but those of None; the wrong ones are given to the next class."""
    counts = np.diag(right)
    for place, own in enumerate(right):
        counts[place, (place + 1) % len(right)] = 10 - own
    return counts


def test_the_worst_classes_stand_first_and_those_without_images_last_and_named():
    counts = matrix(9, 4, 10, 7)
    counts[2] = 0
    [section] = classwise.sections([row("a", counts)], {"sha256": "a1"})
    assert [line["name"] for line in section["lines"]] == ["class 1", "class 0", "class 3", "class 2"]
    assert section["unseen"] == ["class 2"]
    assert section["title"] == "a, the leader and champion"


def test_the_champion_s_own_run_is_shown_beside_the_leader_s_mean():
    board = [row("a", matrix(9, 9), matrix(7, 9)), row("b", matrix(10, 8), matrix(5, 8))]
    leader, champion = classwise.sections(board, {"sha256": "b2"})
    assert [leader["title"], champion["title"]] == ["a, the leader, mean over 2 seeds", "b, the champion, seed 2"]
    assert {line["name"]: line["recall"] for line in leader["lines"]} == {"class 0": 0.8, "class 1": 0.9}
    assert {line["name"]: line["recall"] for line in champion["lines"]} == {"class 0": 0.5, "class 1": 0.8}
    assert len(classwise.sections(board, {"sha256": "of an earlier board"})) == 1
    old: Any = {"variant": "old", "runs": []}
    assert classwise.sections([old], {"sha256": "x"}) == []
