import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from digitline.base.errors import InputError
from digitline.compute import stages

EDGES = {"a": [], "b": ["a"], "c": []}


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_a_stage_runs_after_those_that_it_waits_for_and_its_warnings_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    script = "echo {0} >> order; echo words; echo warning: {0} is small >&2"
    seconds = stages.follow(EDGES, lambda name: shell(script.format(name)), Path("logs"), {"c": 1.0}, 2)
    told = capsys.readouterr().out
    assert re.findall("warning: . is small", told) == [f"warning: {name} is small" for name in seconds]
    assert "words" not in told
    order = (tmp_path / "order").read_text().split()
    assert set(seconds) == set(order) == set(EDGES)
    assert order.index("a") < order.index("b")


def test_when_one_fails_its_words_are_shown_and_the_others_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scripts = {"a": "trap 'echo interrupted > told; exit' INT; echo > begun; while :; do sleep 0.05; done"}
    scripts["c"] = "until [ -e begun ]; do sleep 0.05; done; echo why; exit 3"
    with pytest.raises(InputError, match="the stage c failed"):
        stages.follow(EDGES, lambda name: shell(scripts.get(name, "echo > never")), Path("logs"), {}, 2)
    assert "why" in capfd.readouterr().err
    assert (tmp_path / "told").read_text() == "interrupted\n"
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["Ctrl-C", "kill", "hang-up"])
def test_what_ends_the_command_interrupts_all_that_run(tmp_path: Path, number: signal.Signals) -> None:
    program = """
from pathlib import Path
from digitline.compute import stages
words = ["sh", "-c", "trap 'echo told >> told; exit' INT; echo x >> begun; while :; do sleep 0.05; done"]
stages.follow({"a": [], "b": []}, lambda name: words, Path("logs"), {}, 2)
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (tmp_path / "begun").exists() or (tmp_path / "begun").read_text() != "x\nx\n":
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait(20) != 0
    assert (tmp_path / "told").read_text() == "told\ntold\n"


def test_a_stage_that_ignores_ctrl_c_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stages, "GRACE", 0.2)
    scripts = {"a": "trap '' INT; echo $$ > number; while :; do sleep 0.05; done"}
    scripts["c"] = "until [ -s number ]; do sleep 0.05; done; exit 3"
    with pytest.raises(InputError, match="the stage c failed"):
        stages.follow({"a": [], "c": []}, lambda name: shell(scripts[name]), Path("logs"), {}, 2)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "number").read_text()), 0)


def test_when_two_fail_at_once_one_is_named_and_the_third_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wait = "echo $$ > {0}; until [ -s a ] && [ -s b ] && [ -s c ]; do sleep 0.02; done; "
    scripts = {name: wait.format(name) + ("exit 1" if name != "c" else "sleep 60") for name in "abc"}
    with pytest.raises(InputError, match=r"the stage [ab] failed"):
        stages.follow(dict.fromkeys("abc", ()), lambda name: shell(scripts[name]), Path("logs"), {}, 3)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "c").read_text()), 0)
