import pytest

from digitline.config import times


@pytest.mark.parametrize("damage", ["", "[]", "5", '{"fc": 3}', "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> other\n", None])
def test_missing_times_or_times_damaged_by_a_merge_are_no_reason_to_fail(tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    for name in ("models", "reports"):
        (tmp_path / name).mkdir()
        if damage is not None:
            (tmp_path / name / "timings.json").write_text(damage)
    assert times.known() == {}
    times.note("fc", latency_ms=1.5)
    times.note("fc", train_seconds={1: 2.5})
    assert times.known() == {"fc": {"latency_ms": 1.5, "train_seconds": {"1": 2.5}}}
