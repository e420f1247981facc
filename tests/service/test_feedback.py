"""The route for corrections: only from its own page, and only with a folder for them."""

from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from digitline.data import corrections, dataset
from service import api
from service import feedback as service
from service.champion import Champion, Study
from tests.served import CLASSES, error, new_champion

ORIGIN = {"Origin": "http://testserver", "Content-Type": "application/octet-stream"}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    new_champion(tmp_path / "champion", seed=0)
    api.app.state.champion = Champion(tmp_path / "champion")
    api.app.state.study = Study(tmp_path / "study", api.app.state.champion)
    monkeypatch.setenv("DIGITLINE_FEEDBACK", str(tmp_path / "kept"))
    return TestClient(api.app, raise_server_exceptions=False)


def test_a_correction_is_kept_beside_the_model_s_answer(
    client: TestClient, drawings: dataset.Bytes, tmp_path: Path
) -> None:
    answer = client.post("/feedback?label=class 4", content=drawings[0].tobytes(), headers=ORIGIN)
    assert answer.json() == {"image": corrections.identity(drawings[0]), "label": "class 4", "kept": 1}
    assert client.post("/feedback?label=", content=drawings[1].tobytes(), headers=ORIGIN).json()["kept"] == 2
    champion = api.app.state.champion
    kept = {one.label: one for one in corrections.read(tmp_path / "kept", CLASSES)}
    for label, image in zip(["class 4", ""], drawings, strict=False):
        assert np.array_equal(kept[label].image, image)
        assert kept[label].answer == champion.answers(champion.probabilities(image[None]))[0].label
        assert kept[label].model == champion.sha256


def test_corrections_are_closed_unless_a_folder_is_named(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/network").json()["corrections"]
    monkeypatch.delenv("DIGITLINE_FEEDBACK")
    assert not client.get("/network").json()["corrections"]
    answer = client.post("/feedback?label=class 4", content=bytes(784), headers=ORIGIN)
    assert answer.status_code == 403
    assert "DIGITLINE_FEEDBACK" in error(answer)


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "http://testserver.elsewhere.example", None])
def test_a_correction_from_another_page_is_refused(client: TestClient, tmp_path: Path, origin: str | None) -> None:
    headers = {**ORIGIN, "Origin": origin} if origin else {"Content-Type": ORIGIN["Content-Type"]}
    answer = client.post("/feedback?label=class 4", content=bytes(784), headers=headers)
    assert answer.status_code == 403
    assert "of this service's own origin" in error(answer)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("query", "size", "status"),
    [
        ("", 784, 400),
        ("?label=12", 784, 400),
        ("?label=class 1&label=class 2", 784, 400),
        ("?label=class 1", 783, 400),
        ("?label=class 1", 0, 400),
        ("?label=class 1", 785, 413),
    ],
)
def test_a_correction_in_another_format_is_refused(
    client: TestClient, tmp_path: Path, query: str, size: int, status: int
) -> None:
    answer = client.post(f"/feedback{query}", content=bytes(size), headers=ORIGIN)
    assert answer.status_code == status
    assert "expected" in error(answer)
    assert not (tmp_path / "kept").exists()


def test_when_enough_are_kept_the_next_is_refused(
    client: TestClient, drawings: dataset.Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST", 1)
    statuses = [
        client.post("/feedback?label=", content=image.tobytes(), headers=ORIGIN).status_code for image in drawings[:2]
    ]
    assert statuses == [200, 409]


@pytest.mark.parametrize(
    ("said", "status"), [("same-origin", 200), ("same-site", 403), ("cross-site", 403), ("none", 403)]
)
def test_where_the_browser_says_whose_page_it_is_the_host_does_not_matter(
    client: TestClient, drawings: dataset.Bytes, said: str, status: int
) -> None:
    """A proxy may replace the Host header."""
    headers = {**ORIGIN, "Origin": "https://example.org", "Host": "127.0.0.1:3000", "Sec-Fetch-Site": said}
    answer = client.post("/feedback?label=class 4", content=drawings[0].tobytes(), headers=headers)
    assert answer.status_code == status
