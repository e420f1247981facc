"""The queue of one process."""

import asyncio
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.exceptions import HTTPException

from service import logs, work
from service.work import Work


class Model:
    """Distinguishes images by their first pixel, and records the size of each batch; the first batch waits."""

    def __init__(self) -> None:
        self.passes: list[int] = []
        self.go = threading.Event()

    def probabilities(self, images: Any) -> Any:
        self.passes.append(len(images))
        assert self.go.wait(10)
        if (images[:, 0, 0] == 13).any():
            raise ValueError("thirteen")
        return images[:, 0, :2].astype(np.float32)


def image(first: int, count: int = 1) -> Any:
    return np.full((count, 28, 28), first, np.uint8)


def recognised(model: Any, *jobs: Any, other: Any = None) -> list[Any]:
    """The answer to requests that arrive while all threads are busy."""

    async def run() -> list[Any]:
        place = Work()
        busy = []
        for _ in range(work.THREADS):
            busy.append(asyncio.create_task(place.recognise(model, image(0))))
            await asyncio.sleep(0.1)
        tasks = [asyncio.create_task(place.recognise(other or model, job)) for job in jobs]
        await asyncio.sleep(0.1)
        model.go.set()
        return (await asyncio.gather(*busy, *tasks, return_exceptions=True))[work.THREADS :]

    with ThreadPoolExecutor(1) as thread:  # the browser of other tests keeps a loop in this one
        return thread.submit(lambda: asyncio.run(run())).result()


def test_waiting_requests_are_batched_and_each_gets_its_own_answer() -> None:
    model = Model()
    found = recognised(model, image(1), image(2, 3), image(3))
    assert [rows[:, 0].tolist() for rows in found] == [[1], [2, 2, 2], [3]]
    assert sorted(model.passes) == [1] * work.THREADS + [5]


def test_a_pass_has_at_most_a_batch_or_one_larger_request() -> None:
    model = Model()
    recognised(model, image(1, work.BATCH - 1), image(2, 2), image(3, 10 * work.BATCH), image(4))
    assert sorted(model.passes[work.THREADS :]) == sorted([work.BATCH - 1, 2, 10 * work.BATCH, 1])


def test_a_pass_has_one_champion() -> None:
    model, other = Model(), Model()
    other.go.set()
    recognised(model, image(1), image(2), other=other)
    assert sum(model.passes) == work.THREADS
    assert sum(other.passes) == 2


def test_a_failed_pass_fails_all_its_requests_and_the_next_one_works() -> None:
    found = recognised(Model(), image(1), image(13), image(5, work.BATCH))
    assert [type(each) for each in found[:2]] == [ValueError, ValueError]
    assert found[2][0, 0] == 5


def test_arriving_bodies_have_a_common_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "ARRIVING_BYTES", 100)
    place = Work()
    with place.arrival() as first:
        first(90)
        with place.arrival() as second, pytest.raises(HTTPException, match="at capacity") as refused:
            second(20)
        assert refused.value.status_code == 503
        first(10)
    assert place.arriving == 0


def test_a_large_body_is_accepted_alone_but_not_beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "CAPACITY_BYTES", 100)
    place = Work()
    with place.admitted(1000), pytest.raises(HTTPException, match="at capacity"), place.admitted(1):
        pass
    with place.admitted(60), place.admitted(40):
        assert (place.requests, place.bytes) == (2, 100)
    assert (place.requests, place.bytes) == (0, 0)


def test_a_log_in_a_file_is_kept_short_and_each_line_is_one_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITLINE_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    root = logging.getLogger()
    kept = {
        name: logging.getLogger(name).propagate for name in ("bentoml", "uvicorn.error", "circus", "uvicorn.access")
    }
    monkeypatch.setattr(root, "handlers", root.handlers)
    logs.configure()
    for number in range(200):
        logging.getLogger("service").info("two\nlines", extra={"fields": {"number": number}})
    [handler] = root.handlers
    handler.close()
    for name, propagate in kept.items():
        logging.getLogger(name).propagate = propagate
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + logs.FILES
    assert all(file.stat().st_size <= 2000 for file in files)
    records = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert records[-1]["message"] == "two\nlines"
    assert records[-1]["number"] == 199
