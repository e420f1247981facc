"""The command `digitline`, to be run in the root of a checkout: it promotes models, traces them and shows results.

The champion is the model that the service answers with. `promotions.jsonl` records who is champion and who was. The
challenger is the best model of the leaderboard by validation (`select_by` in params.yaml). The gate decides whether it
becomes champion.
"""

import argparse
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

from digitline.cli.entry import end_well, with_params

SERVER = "http://127.0.0.1:3000"
END = """\
examples:
  digitline status                  who is champion, who is next, whether everything agrees
  digitline leaderboard             the results of the last run
  digitline COMMAND --help          what a command does, its arguments, an example

An error ends with one sentence and exit status 1; DIGITLINE_TRACEBACK=1 adds the traceback."""


class Command(NamedTuple):
    does: str
    more: str
    examples: list[str]
    arguments: Mapping[str, Mapping[str, Any]] = MappingProxyType({})  # name, keywords of add_argument
    work: str = ""  # the function of the command's module, by default of the command's name
    params: bool = True  # whether it needs a valid params.yaml


COMMANDS = {  # each has the module of its name
    "start": Command(
        "begin a project of your own in an empty folder",
        "Copies this checkout without its results and makes the first commit. The project trains MNIST until\n"
        "`digitline adopt` or params.yaml gives it other images.",
        ["start ../flowers"],
        {"folder": {"help": "the folder, empty or not there yet"}},
        params=False,
    ),
    "run": Command(
        "run the pipeline, several stages at once",
        "Runs what dvc repro would run, as many stages at once as there are cores, with the same results.",
        ["run"],
    ),
    "status": Command(
        "show champion and challenger, and whether all places agree",
        "Compares promotions.jsonl with MLflow, BentoML's store and a running server, if one answers.\n"
        "The exit status is 1 if one of them has another model.",
        ["status", "status --mend", "status --url http://127.0.0.1:3001"],
        {
            "--url": {"default": SERVER, "help": "address of the server to ask (default: %(default)s)"},
            "--mend": {"action": "store_true", "help": "first make MLflow and BentoML follow promotions.jsonl"},
        },
    ),
    "promote": Command(
        "judge a model, and make it champion if it passes the gate",
        "Appends to promotions.jsonl and updates models/champion, MLflow and BentoML.\n"
        "Commit promotions.jsonl, models/champion.dvc and reports/promotion.* afterwards.",
        ["promote", 'promote conv2_wide --reason "smaller"', "promote c3c86b49"],
        {
            "model": {
                "nargs": "?",
                "help": "a variant, the path of a model file, or the first digits of a SHA-256 (default: the leader)",
            },
            "--reason": {"help": "why, for promotions.jsonl"},
        },
    ),
    "rollback": Command(
        "make a former champion champion again",
        "It must load and hold the gate's accuracy, latency and size. Appends to promotions.jsonl.",
        ['rollback --reason "misreads sevens"', 'rollback 04ec28c4 --reason "misreads sevens"'],
        {
            "model": {"nargs": "?", "help": "the first digits of its SHA-256 (default: the previous champion)"},
            "--reason": {"required": True, "help": "why, for promotions.jsonl"},
        },
    ),
    "trace": Command(
        "show where a model comes from, or what came of a data set",
        "For a model: metrics, promotions, commit, parameters, data. For a data set: its models and champions.",
        ["trace c3c86b49", "trace prediction.json", "trace digitline:cuda"],
        {"subject": {"help": "first digits of a SHA-256, a JSON answer of the service, or a container image"}},
    ),
    "adopt": Command(
        "make a folder of pictures a data set of params.yaml",
        "The folder has one folder for each class, or train and test with those in them; or four IDX files. A CSV or\n"
        "Parquet table has the columns path and label, and split and group if you like. Shows what it found, sixteen\n"
        "images and what to type next; writes data/NAME.csv, the entry in params.yaml and a page in reports/adopted.",
        ["adopt ~/flowers --size 64 --use", "adopt labels.csv --pictures ~/scans --name cells --size 48x64 --grey"],
        {
            "source": {"metavar": "FOLDER_OR_TABLE", "help": "the pictures, or a table of their paths and labels"},
            "--name": {"help": "of the data set (default: the folder's)"},
            "--size": {"help": "of the images in pixels, a number or HEIGHTxWIDTH (default: the pictures' own)"},
            "--grey": {"action": "store_true", "help": "without colour"},
            "--fit": {
                "choices": ["letterbox", "crop"],
                "help": "fit the whole picture into the image, or fill it and cut the rest (default: letterbox)",
            },
            "--test": {"type": float, "help": "share for testing, if there is no test folder (default: 0.2)"},
            "--keep-together": {"action": "store_true", "help": "put pictures that look alike on one side of a split"},
            "--drop-damaged": {"action": "store_true", "help": "leave out pictures that cannot be read"},
            "--pictures": {"metavar": "FOLDER", "help": "where a table's paths start (default: the table's folder)"},
            "--replace": {"action": "store_true", "help": "adopt a data set of this name again"},
            "--transpose": {"action": "store_true", "help": "of IDX files: swap the rows and columns of the images"},
            "--first-label": {"type": int, "help": "of IDX files: the number of the first class (default: the lowest)"},
            "--use": {"action": "store_true", "help": "put it to use at once, as digitline use does"},
        },
    ),
    "use": Command(
        "put another data set of params.yaml to use",
        "Sets `dataset`. The split, gate, recipe, variants, search, votes and select_by that its entry has of its own\n"
        "come to the top of params.yaml; those that they replace go into the entry of the data set that they are of.",
        ["use mnist"],
        {"name": {"help": "an entry of datasets"}},
        params=False,
    ),
    "predict": Command(
        "answer a folder of pictures with the champion, without a server",
        "Writes a row for each file: path, label, probability, doubtful, error, and p_CLASS for each class. Run again\n"
        "after an interruption, it goes on. The exit status is 1 if a file could not be answered.",
        ["predict ~/scans --to answers.parquet", "predict ~/scans --to answers.csv"],
        {
            "folder": {"help": "the folder, with those below it"},
            "--to": {"required": True, "metavar": "FILE", "help": "the file to write, .parquet or .csv"},
        },
        params=False,
    ),
    "runs": Command(
        "log to MLflow the runs that it does not have yet",
        "Reads them from the files, for example in a clone that has pulled, or after mlflow.db or mlruns was deleted.",
        ["runs"],
    ),
    "leaderboard": Command(
        "print a table of results as Markdown",
        "results: the last run. record: longer schedules. ablation: what each ingredient is worth.\n"
        "shifts: accuracy on shifted images. fashion: Fashion-MNIST. serving: the service beside other servers.",
        ["leaderboard", "leaderboard ablation"],
        {
            "table": {
                "nargs": "?",
                "default": "results",
                "choices": ["results", "record", "ablation", "shifts", "fashion", "serving"],
                "help": "which table (default: %(default)s)",
            }
        },
        "show",
    ),
    "results": Command(
        "update the results that git keeps, after a run",
        "Writes reports/timings.json, reports/machine.json and the tables in README.md and docs/.",
        ["results"],
    ),
    "report": Command("write the report, reports/site/index.html", "Needs the outputs of dvc repro.", ["report"]),
    "search": Command(
        "search better values for a variant, on validation alone",
        "Tries values from the ranges that `search` in params.yaml has for the variant; prints what fresh seeds leave\n"
        "of the gain, and lines for params.yaml. The same command continues where it was interrupted. Changes neither\n"
        "dvc.lock nor the champion.",
        ["search modern", "search modern --trials 200 --at-once 16 --fresh 10"],
        {
            "variant": {"help": "a variant of params.yaml"},
            "--trials": {"type": int, "default": 50, "help": "trainings of the search (default: %(default)s)"},
            "--at-once": {
                "type": int,
                "default": 4,
                "help": "trials that are begun together; the results depend on it, and not on the number of cores "
                "(default: %(default)s)",
            },
            "--fresh": {"type": int, "default": 3, "help": "seeds to compare the best one with (default: %(default)s)"},
        },
    ),
    "explore": Command(
        "print what each layer of a network outputs and costs",
        "Shapes, parameters and multiply-adds, layer by layer. The network need not be trained.",
        ["explore conv2", "explore"],
        {"variant": {"nargs": "?", "help": "a variant of params.yaml (default: all of them)"}},
    ),
    "feedback": Command(
        "list the corrections made on the page; keep the valid ones",
        "Reads the folder that DIGITLINE_FEEDBACK names (default: data/feedback), draws reports/feedback.png,\n"
        "writes data/feedback.safetensors and prints its SHA-256. `make feedback` trains with it.",
        ["feedback"],
    ),
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    layout = argparse.RawDescriptionHelpFormatter
    whole = argparse.ArgumentParser(prog="digitline", description=__doc__, epilog=END, formatter_class=layout)
    commands = whole.add_subparsers(required=True, metavar="COMMAND", dest="command", title="commands")
    for name, one in COMMANDS.items():
        text = f"{one.does[0].upper()}{one.does[1:]}.\n\n{one.more}"
        examples = "\n  digitline ".join([f"example{'s' * (len(one.examples) > 1)}:", *one.examples])
        added = commands.add_parser(name, help=one.does, description=text, epilog=examples, formatter_class=layout)
        added.set_defaults(work=one.work or name)
        for argument, options in one.arguments.items():
            added.add_argument(argument, **options)
    return whole


def main(words: list[str] | None = None) -> None:
    """Runs the command; an error that a user can correct ends in one sentence and exit status 1."""
    arguments = {name: value for name, value in vars(parser().parse_args(words)).items() if value is not None}
    module = import_module(f"digitline.cli.{(name := arguments.pop('command'))}")  # which takes seconds
    work = getattr(module, arguments.pop("work"))
    end_well(partial(with_params, work) if COMMANDS[name].params else work, **arguments)


if __name__ == "__main__":
    main()
