"""Generated requests for every operation of the service's OpenAPI document, with pictures of real digits among them.

As a program (make fuzz) it sends about 10,000 requests with each of three seeds; making them takes most of the time.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from service import schema
from tests.served import ROOT, Server, lines, new_clone, new_study, started, stopped

SEEDS = (1, 2, 3)


class Outcome(NamedTuple):
    failed: bool
    report: str  # of schemathesis
    operations: int
    answers: Counter[tuple[str, int]]  # by path and status


@contextmanager
def service(folder: Path, python: str = sys.executable) -> Iterator[Server]:
    """A service with an untrained champion, a study and a folder for corrections."""
    clone = new_clone(folder)
    new_study(clone.folder / "models/study")
    server = started(clone, python=python, DIGITLINE_FEEDBACK="kept")
    try:
        yield server
    finally:
        stopped(server)


def sent(server: Server, *, seed: int, examples: int) -> Outcome:
    """At most that many examples of each operation, and what the service answered."""
    before = len(lines(server.clone.folder / "log"))
    # A schema cannot express which bytes are a picture or complete images, so valid requests may be refused.
    words = ["--config-file", str(ROOT / "tests/schemathesis.toml"), "run", f"{server.url}/docs.json"]
    words += ["--exclude-checks", "positive_data_acceptance"]
    words += ["--max-examples", str(examples), "--seed", str(seed)]
    words += ["--header", f"Origin: {server.url}"]  # corrections come from the service's own page
    done = subprocess.run(
        [Path(sys.executable).with_name("st"), *words],
        cwd=server.clone.folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.pictured", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    tested = re.search(r"Tested: +(\d+)\b", done.stdout)
    answered = [line for line in lines(server.clone.folder / "log")[before:] if "status" in line]
    answers = Counter((line["path"], line["status"]) for line in answered)
    return Outcome(done.returncode != 0, done.stdout + done.stderr, int(tested[1]) if tested else 0, answers)


def missed(outcome: Outcome) -> list[str]:
    """The paths that answered no request with 200 or 201; ends the program if an operation was left out."""
    operations = schema.openapi()["paths"]
    if outcome.operations != (expected := sum(len(methods) for methods in operations.values())):
        sys.exit(f"error: {outcome.operations} operations were tested, expected {expected}")
    answered = {path for path, status in outcome.answers if status in (200, 201)}  # OPTIONS is answered with 204
    return sorted({path for path in operations if "{" not in path} - answered)


def main() -> None:
    """Sends the requests of each seed to a service of its own; exits with a status if one was answered wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=450, help="of each operation and phase, at most")
    examples = parser.parse_args().examples

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services = [stack.enter_context(service(folder / str(seed))) for seed in SEEDS]
        pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))
        outcomes = pool.map(lambda server, seed: sent(server, seed=seed, examples=examples), services, SEEDS)
        for seed, outcome in zip(SEEDS, outcomes, strict=True):
            statuses = Counter[int]()
            for (_, status), times in outcome.answers.items():
                statuses[status] += times
            by_status = ", ".join(f"{times:,} with {status}" for status, times in sorted(statuses.items()))
            print(f"seed {seed}: {statuses.total():,} requests were answered, {by_status}", flush=True)
            if outcome.failed:
                sys.exit(outcome.report)
            if unanswered := missed(outcome):
                sys.exit(f"error: no request was answered with 200 or 201 by {', '.join(unanswered)}")


if __name__ == "__main__":
    main()
