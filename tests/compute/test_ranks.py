import os
import socket

import pytest
from torch._C._distributed_c10d import TCPStore

from digitline.base.errors import InputError
from digitline.compute import machine, ranks
from digitline.compute.processes import side_by_side


@pytest.mark.parametrize(
    ("shards", "trainings", "cores", "expected"),
    [(1, 1, 8, 1), (4, 1, 2, 2), (4, 1, 3, 2), (4, 1, 4, 4), (5, 1, 4, 3), (2, 1, 64, 2), (4, 3, 2, 1), (4, 3, 16, 4)],
)
def test_as_few_processes_share_a_training_as_end_at_the_same_time(shards, trainings, cores, expected, monkeypatch):
    monkeypatch.setattr(ranks, "cores", lambda: cores)
    assert ranks.workers(shards, trainings) == expected


def test_one_process_joins_nobody():
    with ranks.joined(None, {}) as group:
        assert group is None


def join(place):
    if place.rank:
        machine.instructions = lambda: "SSE"
    with ranks.joined(place, {}) as group:
        yield group


@pytest.mark.cluster
def test_processors_of_two_kinds_share_no_training(tmp_path):
    places = [ranks.Rank(rank, 2, f"file://{tmp_path}/meeting") for rank in range(2)]
    sentence = rf"^instructions is {machine.instructions()} for process 0 and SSE for process 1, expected the same: "
    with pytest.raises(InputError, match=sentence):
        list(side_by_side(join, places, team=2, imports=["digitline.compute.ranks"]))


def interface(place):
    with ranks.joined(place, {}) as group:
        assert group
        yield group.size(), os.environ["GLOO_SOCKET_IFNAME"]


@pytest.mark.cluster
def test_processes_that_meet_in_a_store_talk_over_the_interface_that_leads_there():
    meeting = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    places = [ranks.Rank(rank, 2, f"store://127.0.0.1:{meeting.port}") for rank in range(2)]
    records = side_by_side(interface, places, team=2, imports=["digitline.compute.ranks"])
    assert [record for _, record in records] == [(2, "lo")] * 2


def test_a_store_that_is_gone_is_named_with_its_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"store://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ranks.Lost, match=f"^process 1 did not find the others at {address}: "):
        join_now(ranks.Rank(1, 2, address))


def join_now(place):
    with ranks.joined(place, {}):
        pass


def test_only_torchrun_s_processes_take_their_place_from_the_environment(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert ranks.started() is None
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert ranks.started() == ranks.Rank(1, 2, "env://")
