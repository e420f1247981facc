"""The command `digitline`, run in the root of a checkout: shows and changes the champion, traces models."""

import argparse
from collections.abc import Callable
from importlib import import_module

from digitline.cli.entry import end_well

SERVER = "http://127.0.0.1:3000"


def parser() -> argparse.ArgumentParser:
    """Parses the command line; the module named after a command has the function that does its work."""
    whole = argparse.ArgumentParser(prog="digitline", description=__doc__)
    commands = whole.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def command(name: str, description: str, work: str = "") -> Callable[..., argparse.Action]:
        added = commands.add_parser(name, help=description, description=description)
        added.set_defaults(work=work or name)
        return added.add_argument

    argument = command("status", "show the champion and the leader, and whether every store and a running server agree")
    argument("--url", default=SERVER, help="URL of a running server, default %(default)s")
    argument("--mend", action="store_true", help="update MLflow and BentoML to the champion")
    argument = command("promote", "judge a model, by default the leader, and make it champion if it passes the gate")
    argument("model", nargs="?", help="a variant, a model's file, or the first digits of its SHA-256")
    argument("--reason", help="for the ledger")
    argument = command("rollback", "go back to a former champion, if it meets the floor and the budgets")
    argument("model", nargs="?", help="the first digits of its SHA-256; by default the previous champion")
    argument("--reason", required=True, help="for the ledger")
    argument = command("trace", "show where a model comes from, or which models used a data set")
    argument("subject", help="a hash or its first digits, an answer's JSON file, a container image")
    command("runs", "log to MLflow what it lacks, from the files, for example in a clone after dvc pull")
    argument = command("leaderboard", "print a table", "show")
    argument("table", nargs="?", default="results", choices=["results", "record", "ablation", "shifts", "serving"])
    command("results", "write the results that git tracks: times, machine, README's tables")
    command("report", "write the study as web pages to reports/site")
    argument = command("explore", "show the output shape and the cost of each layer of a variant")
    argument("variant", nargs="?", help="by default all variants")
    command("feedback", "check the collected corrections against the expectations")
    return whole


def main(words: list[str] | None = None) -> None:
    """Runs the command; an InputError ends in one sentence and exit status 1."""
    arguments = {name: value for name, value in vars(parser().parse_args(words)).items() if value is not None}
    module = import_module(f"digitline.cli.{arguments.pop('command')}")  # imported late: it takes seconds
    end_well(getattr(module, arguments.pop("work")), **arguments)


if __name__ == "__main__":
    main()
