from digitline.compute import plan

EDGES = {"fetch": [], "check": ["fetch"], "train": ["fetch", "check"], "draw": ["train"], "count": ["fetch"]}


def test_what_changed_and_what_follows_from_it_is_needed() -> None:
    assert plan.needed(EDGES, ["train"]) == {"train": [], "draw": ["train"]}
    assert plan.needed(EDGES, ["count", "models/champion.dvc"]) == {"count": []}
    assert plan.needed(EDGES, ["fetch"]) == EDGES | {"train": ["check", "fetch"]}
    assert plan.needed(EDGES, []) == {}


def test_the_longest_chain_is_that_of_the_most_seconds() -> None:
    seconds = {"fetch": 1, "check": 2, "train": 5, "draw": 1, "count": 7}
    chains = plan.chains(EDGES, seconds)
    assert chains["fetch"] == ["fetch", "check", "train", "draw"]
    assert plan.length(chains["fetch"], seconds) == 9
    assert plan.chains(EDGES, seconds | {"count": 20})["fetch"] == ["fetch", "count"]
