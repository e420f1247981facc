import shutil

import pytest

from digitline.cli.main import main
from tests import example


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["leaderboard"], "error: reports has no such results yet; run make for them"),
        (["leaderboard", "shifts"], "error: reports/ablation has no such results yet; run make record for them"),
        (["leaderboard", "serving"], "error: reports/bench has no such results yet; run make bench-serve for them"),
        (
            ["report"],
            "error: there is no reports/leaderboard.json, which the report shows; run make, or dvc repro, for",
        ),
    ],
)
def test_before_the_first_run_a_sentence_says_what_to_run(words, sentence, tmp_path, monkeypatch):
    shutil.copy(example.SETTINGS, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert str(refused.value.code).startswith(sentence)
