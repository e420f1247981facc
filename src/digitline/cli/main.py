"""The command `digitline`, in a checkout's root: who is champion, how to change that, and where a model comes from."""

import argparse
from collections.abc import Callable
from importlib import import_module

from digitline.cli.entry import end_well

SERVER = "http://127.0.0.1:3000"


def parser() -> argparse.ArgumentParser:
    """The command line; each command has the module of its name, with the function that does its work."""
    whole = argparse.ArgumentParser(prog="digitline", description=__doc__)
    commands = whole.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def command(name: str, description: str, work: str = "") -> Callable[..., argparse.Action]:
        added = commands.add_parser(name, help=description, description=description)
        added.set_defaults(work=work or name)
        return added.add_argument

    argument = command("status", "who is champion, who leads, and whether every place and a server agree")
    argument("--url", default=SERVER, help="of a running server, by default %(default)s")
    argument("--mend", action="store_true", help="bring MLflow and BentoML in line with the champion")
    argument = command("promote", "judge a model, by default the leader; if it passes the gate, it is champion")
    argument("model", nargs="?", help="a variant, a model's file, or the first digits of its SHA-256")
    argument("--reason", help="for the ledger")
    argument = command("rollback", "put a former champion back, once it has held the floor and the budgets")
    argument("model", nargs="?", help="the first digits of its SHA-256; without, the champion before")
    argument("--reason", required=True, help="for the ledger")
    argument = command("trace", "where a model comes from, or where a data set went")
    argument("subject", help="a hash or its first digits, an answer's JSON file, a container image")
    command("runs", "fill MLflow from the files with what it does not know, as in a clone that pulled")
    argument = command("leaderboard", "print a table", "show")
    argument("table", nargs="?", default="results", choices=["results", "record", "ablation", "shifts", "serving"])
    command("results", "write what git keeps of this machine's run: its times, itself, README's tables")
    command("report", "write reports/site: the study as pages")
    argument = command("explore", "what each layer of a variant makes of an image, and what it costs")
    argument("variant", nargs="?", help="by default all of them")
    command("feedback", "hold the corrections that came in against the expectations")
    return whole


def main(words: list[str] | None = None) -> None:
    """Runs the command; what a user can mend ends in one sentence and exit status 1."""
    arguments = {name: value for name, value in vars(parser().parse_args(words)).items() if value is not None}
    module = import_module(f"digitline.cli.{arguments.pop('command')}")  # which takes seconds
    end_well(getattr(module, arguments.pop("work")), **arguments)


if __name__ == "__main__":
    main()
