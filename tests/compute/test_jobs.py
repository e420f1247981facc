import socket
import sys
from collections.abc import Iterator

import pytest

from digitline.base.errors import InputError
from digitline.compute import jobs


def count(job: int) -> Iterator[int]:
    yield from range(job)


@pytest.fixture
def port() -> Iterator[int]:
    """One that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.slow
def test_without_an_address_jobs_run_here_and_ray_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = set(sys.modules)
    assert sorted(jobs.side_by_side(count, [2, 1])) == [(1, 0), (2, 0), (2, 1)]
    assert "ray" not in set(sys.modules) - before


def test_an_address_without_ray_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    with pytest.raises(InputError, match=r"pip install -e '.\[cluster\]'"):
        jobs.side_by_side(count, [1])


@pytest.mark.parametrize("address", ["ray://10.0.0.1:10001", "auto", "10.0.0.1", "http://10.0.0.1:8265"])
def test_an_address_of_another_form_is_refused_with_the_expected_one(address: str) -> None:
    with pytest.raises(InputError, match=f"RAY_ADDRESS is {address}, expected the head as HOST:PORT"):
        jobs.reach(address)


def test_an_address_where_nothing_answers_is_named(port: int) -> None:
    with pytest.raises(InputError, match=f"no Ray cluster answers at RAY_ADDRESS 127.0.0.1:{port}"):
        jobs.reach(f"127.0.0.1:{port}")
