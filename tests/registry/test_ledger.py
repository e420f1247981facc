import json
from typing import cast

import pytest

from digitline.base.errors import InputError
from digitline.registry import ledger


def entries(*moves: str) -> list[ledger.Entry]:
    """A ledger of moves: "ab" promotes b after a, "ab!" rolls back from a to b."""
    return [
        cast("ledger.Entry", dict.fromkeys(ledger.KEYS, ""))
        | {"when": f"2026-01-01T00:00:{second:02}+00:00"}
        | {"action": ledger.ROLLBACK if move.endswith("!") else ledger.PROMOTION}
        | {"from": move[0].strip() or None, "to": move[1], "gate": {"images": 5}}
        for second, move in enumerate(moves)
    ]


def test_a_written_entry_is_read_again(tmp_path):
    path = tmp_path / "promotions.jsonl"
    assert ledger.read(path) == []
    path.write_bytes(b"".join(map(ledger.line, entries(" a", "ab"))))
    assert ledger.read(path) == entries(" a", "ab")


NAIVE = json.dumps({**entries(" a")[0], "when": "2026-01-01T00:00:00"})  # without a time zone, so without an order


@pytest.mark.parametrize("line", ["{", "[]", "", '{"to": "a"}', json.dumps({**entries(" a")[0], "to": 5}), NAIVE])
def test_a_broken_line_is_named_by_its_number(tmp_path, line):
    path = tmp_path / "promotions.jsonl"
    path.write_bytes(ledger.line(entries(" a")[0]) + line.encode() + b"\n")
    with pytest.raises(
        InputError, match=r"promotions\.jsonl, line 2 is not a ledger entry, expected JSON with when"
    ) as it:
        ledger.read(path)
    assert f"; correct it, or run git checkout HEAD -- {path} to go back" in str(it.value)


@pytest.mark.parametrize("mark", ["<<<<<<< HEAD", "=======", ">>>>>>> branch"])
def test_a_merge_marker_is_named(tmp_path, mark):
    path = tmp_path / "promotions.jsonl"
    path.write_bytes(ledger.line(entries(" a")[0]) + mark.encode() + b"\n")
    with pytest.raises(InputError, match=r"promotions\.jsonl, line 2 is a merge marker; delete the lines <<<<<<<, "):
        ledger.read(path)


def test_the_latest_entry_decides_in_any_line_and_a_line_of_both_branches_counts_once(tmp_path):
    path, (first, second, third) = tmp_path / "promotions.jsonl", entries(" a", "ab", "bc")
    path.write_bytes(b"".join(map(ledger.line, (third, first, second, first))))
    assert ledger.read(path) == [first, second, third]
    assert ledger.latest(ledger.read(path)) == third
    assert ledger.latest([]) is None


def test_times_of_several_zones_are_ordered(tmp_path):
    path, (one, other) = tmp_path / "promotions.jsonl", entries(" a", "ab")
    later: ledger.Entry = {**one, "when": "2026-01-01T01:00:00+00:00"}
    earlier: ledger.Entry = {**other, "when": "2026-01-01T02:00:00+02:00"}  # an hour before
    path.write_bytes(ledger.line(later) + ledger.line(earlier))
    assert ledger.read(path) == [earlier, later]


def test_an_entry_is_appended_even_without_a_last_line_break(tmp_path):
    path = tmp_path / "promotions.jsonl"
    for entry in entries(" a", "ab"):
        ledger.append(path, entry)
    path.write_bytes(path.read_bytes().rstrip())
    ledger.append(path, entries(" a", "ab", "bc")[2])
    assert ledger.read(path) == entries(" a", "ab", "bc")


@pytest.mark.parametrize(
    ("moves", "before"),
    [
        ([" a", "ab"], "a"),
        ([" a", "ab", "bc"], "b"),
        ([" a", "ab", "bc", "cb!"], "a"),
        ([" a", "ab", "ba!", "ac"], "a"),
        ([" a", "ab", "bx!"], "a"),
    ],
)
def test_the_previous_champion_is_none_of_those_rolled_back(moves, before):
    assert ledger.before(entries(*moves)) == before


@pytest.mark.parametrize("moves", [[], [" a"], [" a", "ab", "ba!"]])
def test_without_a_previous_champion_the_sentence_says_what_to_do(moves):
    with pytest.raises(InputError, match="the ledger has no previous champion; name the model to roll back to"):
        ledger.before(entries(*moves))


def test_a_model_is_withdrawn_from_its_rollback_to_its_next_promotion():
    assert set(ledger.withdrawn(entries(" a", "ab", "ba!"))) == {"b"}
    assert set(ledger.withdrawn(entries(" a", "ab", "ba!", "ab"))) == set()
