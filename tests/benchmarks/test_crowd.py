"""The simulation of many nodes, against cases that can be computed by hand."""

from typing import Any

import pytest

from benchmarks import crowd
from benchmarks.crowd import Setup, simulate

FREE: dict[str, Any] = {
    "epochs": 2,
    "epoch_seconds": 10.0,
    "record_bytes": 0,
    "snapshot_bytes": 0,
    "model_bytes": 0,
    "dataset_bytes": 0,
    "dvc_seconds": 0.0,
    "mlflow_seconds": {"sqlite": 0.0, "postgresql": 0.0},
}


def test_without_any_cost_the_cores_train_all_the_time() -> None:
    found = simulate(3, FREE, Setup(), cores=2, waves=4)
    assert (found.seconds, found.training) == (80, 1)


def test_one_core_waits_for_the_lock_and_the_network_and_not_for_mlflow() -> None:
    """3 s for the lock, 4 for the data, twice 10 + 1 for an epoch and its snapshot, 2 for the model."""
    own = FREE | {"dvc_seconds": 3.0, "dataset_bytes": 4 * crowd.LINK, "snapshot_bytes": crowd.LINK}
    own |= {"model_bytes": 2 * crowd.LINK, "mlflow_seconds": {"sqlite": 5.0}}
    found = simulate(1, own, Setup(), cores=1, waves=1)
    assert found.seconds == 34  # it has trained after 31; MLflow has the second epoch 5 s after 29
    assert found.busy == {"dvc": 3 / 34, "link": 8 / 34, "mlflow": 10 / 34}
    assert found.training == 20 / 34


@pytest.mark.parametrize(
    ("costs", "setup", "seconds"),
    [
        ({"dvc_seconds": 6.0}, Setup(), 6 * 2 + 20),  # 6 cores are 2 stages of 3 seeds: the second waits for the first
        ({"dvc_seconds": 6.0}, Setup(checkouts=6), 1 * 2 + 20),
        ({"snapshot_bytes": 3 * crowd.LINK}, Setup(), 10 + 12 * 3),  # without a pause, once the first epoch is over
        ({"snapshot_bytes": 3 * crowd.LINK}, Setup(aside=True), 20),
        ({"dataset_bytes": 5 * crowd.LINK}, Setup(), 5 * 2 + 20),  # two nodes
        ({"dataset_bytes": 5 * crowd.LINK}, Setup(carried=True), 20),
        ({"mlflow_seconds": {"sqlite": 5.0}}, Setup(), 10 + 12 * 5),
        ({"mlflow_seconds": {"sqlite": 5.0}}, Setup(whole=True), 20 + 6 * 5),
    ],
)
def test_two_nodes_of_three_cores_queue_at_one_server(costs: dict[str, Any], setup: Setup, seconds: float) -> None:
    assert simulate(2, FREE | costs, setup, cores=3, waves=1).seconds == pytest.approx(seconds)


def test_what_limits_is_mended_until_the_cores_train() -> None:
    costs = {"mlflow_seconds": {"sqlite": 1.0, "postgresql": 0.0}, "dataset_bytes": 1}
    rows = crowd.table(FREE | costs)
    assert [(row["nodes"], row["setup"]) for row in rows] == [
        (nodes, setup) for nodes in crowd.NODES for setup in ("as it comes", "PostgreSQL in place of sqlite")
    ]
    assert {row["first"] for row in rows if row["setup"] == "as it comes"} == {"MLflow's store"}
    assert all(row["training"] > crowd.ENOUGH for row in rows if row["setup"] != "as it comes")
