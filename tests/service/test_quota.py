"""Keys and the limit for each client, around the real routes."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from digitline.base.errors import InputError
from digitline.data.dataset import Dataset
from service import access, api, quota, schema
from service.access import Keys
from service.champion import Champion, Study
from service.quota import Limit, Limits
from tests.served import error, new_champion, new_study, picture

RAW = {"Content-Type": schema.RAW}


@pytest.fixture(scope="module", autouse=True)
def champion(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("models")
    new_champion(folder / "champion", seed=0)
    new_study(folder / "study")
    api.app.state.champion = Champion(folder / "champion")
    api.app.state.study = Study(folder / "study", api.app.state.champion)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, which stands still unless a test changes it."""
    time = [0.0]
    monkeypatch.setattr(quota, "monotonic", lambda: time[0])
    return time


def limited(rate: float, burst: float) -> Limits:
    return Limits(api.app, Limit(rate, burst))


def client(app: Any, address: str = "1.2.3.4") -> TestClient:
    return TestClient(app, client=(address, 1), raise_server_exceptions=False)


def statuses(asking: TestClient, images: int, times: int) -> list[int]:
    body = bytes(784 * images)
    return [asking.post("/predict", content=body, headers=RAW).status_code for _ in range(times)]


def test_an_image_costs_one_and_the_bucket_fills_with_the_rate(now: list[float]) -> None:
    asking = client(limited(rate=2, burst=5))
    assert statuses(asking, images=1, times=6) == [200] * 5 + [429]
    now[0] = 0.6
    assert statuses(asking, images=1, times=2) == [200, 429]
    now[0] = 60
    assert statuses(asking, images=1, times=6) == [200] * 5 + [429]


def test_a_large_request_is_paid_for_afterwards(now: list[float]) -> None:
    """41 images with 5 in the bucket: the next request has to wait for the 36 that are missing, and one more."""
    asking = client(limited(rate=2, burst=5))
    assert statuses(asking, images=41, times=1) == [200]
    answer = asking.post("/predict", content=bytes(784), headers=RAW)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "19"
    assert error(answer) == "this client has used up its 2 images a second, try again"
    now[0] = 18.4
    assert statuses(asking, images=1, times=1) == [429]
    now[0] = 18.5
    assert statuses(asking, images=1, times=1) == [200]


def test_a_picture_costs_by_its_pixels_and_a_comparison_by_its_variants(now: list[float], digits: Dataset) -> None:
    image = digits.test.images[0]
    one = {"images": [image.tolist()]}
    asked: list[tuple[int, str, dict[str, Any]]] = [
        (16, "/classify", {"files": {"image": picture(image, size=400)}}),
        (64, "/explain?brief", {"content": picture(image, size=800), "headers": {"Content-Type": "image/png"}}),
        (1, "/classify", {"content": b"no picture", "headers": {"Content-Type": "image/png"}}),
        (1, "/predict", {"json": one}),
        (3, "/compare", {"json": one}),
        (1, "/lineage", {}),
        (0, "/ui/main.js", {}),
    ]
    for cost, path, options in asked:
        app = limited(rate=1, burst=100)
        client(app).request("POST" if options else "GET", path, **options)
        assert [bucket.tokens for bucket in app.buckets.values()] == [100 - cost] * bool(cost), path


def test_each_address_has_a_bucket_and_an_ipv6_network_only_one(now: list[float]) -> None:
    app = limited(rate=1, burst=1)
    found = [statuses(client(app, address), images=1, times=1)[0] for address in ("1.1.1.1", "2.2.2.2", "1.1.1.1")]
    assert found == [200, 200, 429]
    found = [statuses(client(app, address), 1, 1)[0] for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")]
    assert found == [200, 429, 200]


def test_a_key_has_a_bucket_wherever_it_is_used(now: list[float], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("first\nsecond\n")
    app = Keys(limited(rate=1, burst=1), tmp_path / "keys")
    found = []
    for key, address in [("first", "1.1.1.1"), ("first", "2.2.2.2"), ("second", "1.1.1.1")]:
        asking = client(app, address)
        asking.headers["Authorization"] = f"Bearer {key}"
        found += statuses(asking, images=1, times=1)
    assert found == [200, 429, 200]


def test_the_buckets_of_many_clients_take_no_more_room(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "CLIENTS", 3)
    app = limited(rate=1, burst=1)
    for number in range(5):
        client(app, f"1.1.1.{number}").get("/lineage")
    assert list(app.buckets) == ["1.1.1.2", "1.1.1.3", "1.1.1.4"]


def test_the_limit_is_a_rate_and_ten_seconds_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert quota.limit() is None
    monkeypatch.setenv("DIGITLINE_RATE", "2.5")
    assert quota.limit() == (2.5, 25)
    monkeypatch.setenv("DIGITLINE_BURST", "1000")
    assert quota.limit() == (2.5, 1000)


@pytest.mark.parametrize(
    ("rate", "burst"), [("many", ""), ("0", ""), ("-1", ""), ("nan", ""), ("inf", ""), ("1", "0"), ("", "5")]
)
def test_a_limit_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, rate: str, burst: str) -> None:
    monkeypatch.setenv("DIGITLINE_RATE", rate)
    monkeypatch.setenv("DIGITLINE_BURST", burst)
    with pytest.raises(InputError, match=f"={rate or burst} .*expected DIGITLINE_RATE in images a second"):
        quota.limit()


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), (b"\n \n", "is empty"), (b"one\ntwo three\n", "line 2")],
)
def test_a_file_without_keys_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "keys").write_bytes(content)
    with pytest.raises(InputError, match=words):
        access.read(tmp_path / "keys")
