import json

import pytest

from digitline.base.errors import InputError
from digitline.registry import ledger


def entries(*moves: str) -> list[ledger.Entry]:
    """A ledger of moves: "ab" promotes b after a, "ab!" rolls back from a to b."""
    return [
        dict.fromkeys(ledger.KEYS, "")
        | {"action": ledger.ROLLBACK if move.endswith("!") else ledger.PROMOTION}
        | {"from": move[0].strip() or None, "to": move[1], "gate": {"images": 5}}
        for move in moves
    ]


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "promotions.jsonl"
    assert ledger.read(path) == []
    path.write_bytes(b"".join(map(ledger.line, entries(" a", "ab"))))
    assert ledger.read(path) == entries(" a", "ab")


@pytest.mark.parametrize(
    "line", ["{", "[]", "<<<<<<< HEAD", "", '{"to": "a"}', json.dumps({**entries(" a")[0], "to": 5})]
)
def test_a_broken_line_is_named_by_its_number(tmp_path, line):
    path = tmp_path / "promotions.jsonl"
    path.write_bytes(ledger.line(entries(" a")[0]) + line.encode() + b"\n")
    with pytest.raises(InputError, match=r"promotions\.jsonl, line 2 is no entry of a ledger, expected JSON with when"):
        ledger.read(path)


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
def test_the_champion_before_leaves_out_those_rolled_back(moves, before):
    assert ledger.before(entries(*moves)) == before


@pytest.mark.parametrize("moves", [[], [" a"], [" a", "ab", "ba!"]])
def test_without_a_champion_before_the_sentence_says_what_to_do(moves):
    with pytest.raises(InputError, match="no champion before the present one; name the model to go back to"):
        ledger.before(entries(*moves))


def test_a_model_is_withdrawn_from_its_rollback_to_its_next_promotion():
    assert set(ledger.withdrawn(entries(" a", "ab", "ba!"))) == {"b"}
    assert set(ledger.withdrawn(entries(" a", "ab", "ba!", "ab"))) == set()
