"""Merges and pulls: two branches that each promoted, a ledger without its bytes, a clone that trained other bits."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.checkout import Checkout, command, edit

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(copied) -> Checkout:
    found: Checkout = copied()
    return found


def clone(checkout: Checkout, folder: Path, *, models: bool = True) -> Checkout:
    """A clone that trained the same bits, or has no models."""
    other = Checkout(folder / "clone")
    assert command("git", "clone", "-q", str(checkout.folder), str(other.folder), cwd=folder).returncode == 0
    if models:
        shutil.copytree(checkout.folder / "models/variants", other.folder / "models/variants")
        shutil.copytree(checkout.folder / "data", other.folder / "data", dirs_exist_ok=True)
    return other


def test_two_branches_that_each_promoted_merge_and_the_latest_counts(checkout):
    """The ledger keeps the lines of both; the next command restores the latest champion's bytes and DVC's file."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    start = checkout.run("git", "rev-parse", "--abbrev-ref", "HEAD").stdout.strip()
    assert checkout.run("git", "checkout", "-qb", "other").returncode == 0
    checkout.digitline("promote", "conv1_vote", "--reason", "on the other branch")
    checkout.commit()
    assert checkout.run("git", "checkout", "-q", start).returncode == 0
    assert checkout.run("dvc", "checkout", "--quiet").returncode == 0
    checkout.digitline("promote", "conv1", "--reason", "on this branch")
    latest = checkout.champion()
    checkout.commit()
    merged = checkout.run(*git, "merge", "other", "-m", "both")
    assert "promotions.jsonl" not in [line.split()[-1] for line in merged.stdout.splitlines() if "CONFLICT" in line]
    assert len(checkout.ledger()) == 3
    checkout.run("git", "add", "-A")
    shutil.rmtree(checkout.folder / "models/champion")
    output = checkout.digitline("status", "--url", "http://127.0.0.1:9")
    assert "on this branch" in output
    assert checkout.champion() == latest == max(checkout.ledger(), key=lambda entry: entry["when"])["to"]
    assert checkout.run("dvc", "status", "models/champion.dvc").stdout.startswith("Data and pipelines are up to date")
    assert checkout.run(*git, "commit", "-qm", "both").returncode == 0
    assert "<<<<" not in (checkout.folder / "models/champion.dvc").read_text()


def test_what_an_error_about_a_conflict_says_to_type_is_taken_by_git(checkout):
    """Params, dvc.lock, JSON and CSV after a merge that git left to the user, and a ledger with half a line."""
    lines = {"params.yaml": "# {}", "dvc.lock": "# {}", "reports/ablation/plots/robustness.csv": "{},shift right,1,0.5"}
    board = checkout.folder / "reports/leaderboard.json"
    start = checkout.run("git", "rev-parse", "--abbrev-ref", "HEAD").stdout.strip()
    for branch, begin in (("other", "[ "), ("this", "[  ")):
        assert checkout.run("git", "checkout", "-qb", branch, start).returncode == 0
        board.write_text(board.read_text().replace("[", begin, 1))
        for name, line in lines.items():
            with (checkout.folder / name).open("a") as file:
                file.write(f"{line.format(branch)}\n")
        checkout.commit()
    assert checkout.run("git", "merge", "-q", "other").stdout.count("CONFLICT") == 4
    with (checkout.folder / "promotions.jsonl").open("a") as file:
        file.write("{\n")
    mended = []
    for words in (
        ["digitline", "leaderboard"],
        ["digitline", "leaderboard", "shifts"],
        ["sh", "scripts/restore.sh"],
        ["python", "-m", "pipeline.train", "none"],
    ):
        while advice := re.search(r"git checkout HEAD -- (\S+)", checkout.run(*words).stderr):
            done = checkout.run(*advice[0].split())
            assert done.returncode == 0, done.stderr
            mended.append(advice[1])
    names = ["params.yaml", board.name, "robustness.csv", "dvc.lock", "promotions.jsonl"]
    assert [Path(name).name for name in mended] == names
    assert checkout.run("git", "status", "--porcelain").stdout == ""


def test_a_pull_without_the_bytes_gives_one_sentence_and_changes_no_view(checkout, tables, tmp_path):
    """Nothing changes as long as the bytes are nowhere; once DVC's cache has them, they are restored."""
    other = clone(checkout, tmp_path, models=False).store(tables)
    output = other.digitline("status", "--url", "http://127.0.0.1:9", status=1)
    sentence = (
        f"names fc {checkout.champion()[:16]} as champion, but its bytes are missing; "
        "run dvc pull models/champion.dvc, or make where no remote has them"
    )
    assert sentence in output
    assert not (other.folder / "models/champion").exists()
    shutil.copytree(checkout.folder / ".dvc/cache", other.folder / ".dvc/cache")
    assert other.run("dvc", "checkout", "data/dataset.safetensors").returncode == 0
    other.digitline("status", "--mend", "--url", "http://127.0.0.1:9")
    assert other.champion() == checkout.champion()
    assert command("git", "status", "--porcelain", cwd=other.folder).stdout == ""


def test_a_clone_that_trained_the_same_bits_has_the_same_champion_without_an_entry(checkout, tables, tmp_path):
    """The ledger's champion is found among the models by its hash; DVC's file of it does not change."""
    other = clone(checkout, tmp_path).store(tables)
    assert "the champion is fc" in other.digitline("promote")
    assert other.champion() == checkout.champion()
    assert other.ledger() == checkout.ledger()
    assert command("git", "status", "--porcelain", cwd=other.folder).stdout == ""


def test_without_the_champion_s_bytes_the_leader_is_promoted_without_an_opponent(checkout, tables, tmp_path):
    """As in a clone on another processor, which trained other bits; the entry says so."""
    other, gone = clone(checkout, tmp_path).store(tables), "ab" * 32
    ledger = other.folder / "promotions.jsonl"
    ledger.write_text(ledger.read_text().replace(checkout.champion(), gone))
    other.digitline("promote")
    entry = other.ledger()[-1]
    assert "without an opponent: promotions.jsonl names fc" in entry["reason"]
    assert (entry["from"], entry["to"]) == (gone, other.champion())
    assert other.champion() == checkout.champion()  # the leader of the same bits


def test_without_models_there_is_nothing_to_promote_and_one_sentence_says_how_to_get_them(checkout, tables, tmp_path):
    """In a clone that has neither trained nor pulled, although git has the leaderboard."""
    other = clone(checkout, tmp_path, models=False).store(tables)
    output = other.digitline("promote", status=1)
    assert "models/variants/fc/seed-1.safetensors, the leader's model, is missing; run dvc repro to make it" in output


def test_a_champion_of_another_data_set_is_no_opponent_and_no_target_of_a_rollback(checkout):
    """The entry says so; rollback stays within one data set."""
    edit(checkout.folder, lambda tree: tree["datasets"].update(more=dict(tree["datasets"]["few"])))
    edit(checkout.folder, lambda tree: tree.update(dataset="more"))
    validation, board = checkout.json("reports/validation.json"), checkout.json("reports/leaderboard.json")
    (checkout.folder / "reports/validation.json").write_text(json.dumps(validation | {"dataset": "more"}))
    (checkout.folder / "reports/leaderboard.json").write_text(json.dumps(board[-1:]))  # the study of the new data
    before = checkout.champion()
    checkout.digitline("promote", board[-1]["variant"], "--reason", "of the new data")
    assert checkout.ledger()[-1]["reason"] == (
        "of the new data; without an opponent: the previous champion is of the data set few"
    )
    output = checkout.digitline("rollback", before[:12], "--reason", "back", status=1)
    assert "is of the data set few" in output
    assert "expected more" in output
    assert checkout.champion() != before
