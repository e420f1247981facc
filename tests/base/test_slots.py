import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from digitline.base import slots
from digitline.base.errors import InputError
from tests.served import ROOT


@pytest.fixture(autouse=True)
def one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "FOLDER", tmp_path / "cores")
    monkeypatch.setattr(slots, "cores", lambda: 1)


def test_there_are_as_many_slots_as_cores_and_each_in_the_order_of_asking() -> None:
    events: list[str] = []

    def work(name: str) -> None:
        events.append(f"{name} begins")
        time.sleep(0.05)
        events.append(f"{name} ends")

    with slots.Pool() as pool:
        for name in "abc":
            pool.submit(work, name)
            time.sleep(0.01)  # until it has asked
    assert events == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]


def test_several_cores_are_taken_at_once_so_that_two_who_want_them_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "cores", lambda: 2)
    both = 0

    def work(_: int) -> None:
        nonlocal both
        for _ in range(10):
            with slots.core(2):
                both += 1
                assert both == 1
                time.sleep(0.001)
                both -= 1

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, range(3), timeout=30)) == [None] * 3


def test_no_more_cores_are_waited_for_than_there_are() -> None:
    with slots.core(4), slots.core(0):
        pass


def test_a_killed_process_frees_its_core() -> None:
    program = f"""
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from digitline.base import slots
from tests.served import ROOT
slots.FOLDER, slots.cores = Path({str(slots.FOLDER)!r}), lambda: 1
with slots.core():
    print("holds it", flush=True)
    time.sleep(60)
"""
    other = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert other.stdout
    with other.stdout:
        assert other.stdout.readline() == "holds it\n"
        with slots.Pool() as pool:
            waiting = pool.submit(lambda: "done")
            time.sleep(0.1)
            assert not waiting.done()
            other.kill()
            assert waiting.result(timeout=10) == "done"
    other.wait()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system gives every process all cores")
def test_settings_of_openmp_do_not_bind_every_stage_to_the_first_core() -> None:
    bound = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores", "GOMP_CPU_AFFINITY": "0"}
    words = [sys.executable, "-c", "import os, pipeline, torch; print(os.sched_getaffinity(0))"]
    told = subprocess.check_output(words, env={**os.environ, **bound}, cwd=ROOT, text=True)
    assert told == f"{os.sched_getaffinity(0)}\n"


@pytest.mark.skipif(os.nice(0) > 9, reason="nothing is much nicer")
def test_a_process_in_the_background_keeps_no_slot_of_the_others() -> None:
    program = f"""
import os, sys
from pathlib import Path
from digitline.base import slots
slots.FOLDER, slots.cores = Path({str(slots.FOLDER)!r}), lambda: 1
with slots.core():
    print("has one", flush=True)
    sys.stdin.read()
"""
    words = ["nice", sys.executable, "-c", program]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "has one\n"
        with slots.core():
            assert other.poll() is None
        other.communicate()


def test_a_folder_that_somebody_else_may_have_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "another").mkdir()
    monkeypatch.setattr(slots, "FOLDER", tmp_path / "link")
    (tmp_path / "link").symlink_to(tmp_path / "another")
    with pytest.raises(InputError, match="link is not this user's own folder; remove it, or set TMPDIR"), slots.core():
        pass
