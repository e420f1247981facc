"""Judges the leader against the champion; outside of experiments, promotes it if it passes."""

from digitline.cli import entry
from digitline.cli import promote as command
from digitline.config.params import Params


def promote(params: Params) -> None:
    """Promotes, or in an experiment only writes the verdict."""
    if command.in_experiment():
        command.propose(params)
    else:
        command.promote(params)


if __name__ == "__main__":
    entry.run(promote)
