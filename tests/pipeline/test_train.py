from pathlib import Path

import pytest
import torch

from digitline.compute import machine
from digitline.config import paths
from pipeline import train


def test_a_snapshot_of_other_data_or_of_another_kind_of_processor_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "DATASET", tmp_path / "data")
    run = train.Run(1, {}, {}, {}, Path("model"), Path("unfinished"), "code", None)
    (tmp_path / "data").write_bytes(b"digits")
    before = train.snapshot(run)
    assert train.snapshot(run) == before
    (tmp_path / "data").write_bytes(b"others")
    assert train.snapshot(run) != before
    (tmp_path / "data").write_bytes(b"digits")
    monkeypatch.setenv(machine.LIMIT, "AVX2")  # which makes oneDNN compute as on such a processor
    assert (train.snapshot(run) == before) == torch.cuda.is_available()
