"""What a pull request is told of its change."""

import os
import re
from pathlib import Path

import pytest

from scripts import difference
from tests import example, warm
from tests.checkout import BIN, HERE, command

PASSES, FAILS = "# wide passes the gate\n\nChallenger: wide.\n", "# wide does not pass the gate\n\nToo slow.\n"


def test_the_verdict_comes_first_and_says_what_changed() -> None:
    changed = difference.verdict(FAILS, PASSES, "abc1234")
    assert changed.splitlines()[0] == "**Now: wide does not pass the gate.** In abc1234: wide passes the gate."
    assert "Too slow." in changed
    assert difference.verdict(PASSES, PASSES, "abc1234") == "The verdict is that of abc1234: wide passes the gate."
    assert "In abc1234: there is no verdict." in difference.verdict(PASSES, None, "abc1234")


def test_the_chart_has_a_bar_a_row_and_the_line_of_the_commit_before() -> None:
    rows = [{"variant": "a", "val_accuracy": {"mean": 0.98}}, {"variant": "b", "val_accuracy": {"mean": 0.99}}]
    before = [{"variant": "a", "val_accuracy": {"mean": 0.97}}, {"variant": "b", "val_accuracy": {"mean": 0.99}}]
    chart = difference.picture(rows, before, "val_accuracy", "abc1234")
    assert "  bar [98.00, 99.00]\n  line [97.00, 99.00]\n" in chart
    assert "  y-axis 96.70 --> 100\n" in chart
    assert "line [" not in difference.picture(rows, before[:1], "val_accuracy", "abc1234")


@example.studied
@pytest.mark.slow
def test_it_names_the_commit_by_seven_digits_and_the_change(tmp_path: Path) -> None:
    """Of a clone in which a parameter and the verdict changed."""
    clone = tmp_path / "clone"
    assert command("git", "clone", "-q", str(HERE), str(clone), cwd=tmp_path).returncode == 0
    assert command("git", "config", "core.abbrev", "12", cwd=clone).returncode == 0
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("margin: 0.002", "margin: 0.003"))
    (clone / "reports/promotion.md").write_text("# nothing passes the gate\n")
    commit = command("git", "rev-parse", "HEAD", cwd=clone).stdout
    path = f"{warm.folder()}:{BIN}:{os.environ['PATH']}"
    for base in ("HEAD", commit.strip(), "0" * 40):
        done = command("python", "-m", "scripts.difference", cwd=clone, BASE=base, PATH=path)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines[:2] == [difference.MARKER, f"## Against {commit[:7]}"]
        assert lines[3].startswith("**Now: nothing passes the gate.**")
        assert re.search(r"gate.margin +\| 0.002 +\| 0.003", done.stdout)
        assert commit[:8] not in done.stdout
        assert done.stdout.count("```mermaid") == 2


def test_the_workflow_finds_its_comment_by_the_marker() -> None:
    """Another workflow's comment is not replaced."""
    text = (HERE / ".github/workflows/pipeline.yml").read_text()
    assert f'startswith("{difference.MARKER}")' in text
    assert "--edit-last" not in text
