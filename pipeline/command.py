"""The command `digitline`, in a checkout's root: who is champion, how to change that, and where a model comes from."""

import argparse
from collections.abc import Callable
from importlib import import_module

SERVER = "http://127.0.0.1:3000"


def parser() -> argparse.ArgumentParser:
    """The command line; each command names the module with the function of its name."""
    whole = argparse.ArgumentParser(prog="digitline", description=__doc__)
    commands = whole.add_subparsers(required=True, metavar="COMMAND", dest="work")

    def command(module: str, work: str, told: str) -> Callable[..., argparse.Action]:
        added = commands.add_parser(work, help=told, description=told)
        added.set_defaults(module=f"pipeline.{module}")
        return added.add_argument

    argument = command("status", "status", "who is champion, who leads, and whether every place and a server agree")
    argument("--url", default=SERVER, help="of a running server, by default %(default)s")
    argument("--mend", action="store_true", help="let MLflow and BentoML follow models/champion")
    argument = command("champion", "promote", "hold a model against the gate; if it passes, it is champion")
    argument("model", help="a variant, a model's file, or the first digits of its SHA-256")
    argument("--reason", default="by hand", help="for the ledger")
    argument = command("champion", "rollback", "put a former champion back, once it has held the floor and the budgets")
    argument("model", nargs="?", help="the first digits of its SHA-256; without, the champion before")
    argument("--reason", required=True, help="for the ledger")
    argument = command("trace", "trace", "where a model comes from, or where a data set went")
    argument("subject", help="a hash or its first digits, an answer's JSON file, a container image")
    command("runs", "runs", "fill MLflow from the files with what it does not know, as in a clone that pulled")
    return whole


def main(words: list[str] | None = None) -> None:
    """Runs the command; what a user can mend ends in one sentence and exit status 1."""
    arguments = vars(parser().parse_args(words))
    module = import_module(arguments.pop("module"))  # takes seconds, of which a slip in the command line has no need
    work = getattr(module, arguments.pop("work"))
    module.stage.end_well(work, **arguments)


if __name__ == "__main__":
    main()
