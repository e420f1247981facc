"""Entry point of stages and commands: checks params.yaml first and turns an InputError into one sentence."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from digitline.base.errors import InputError
from digitline.base.loopback import bypass_proxy
from digitline.base.slots import core
from digitline.compute.orphans import end_with_dvc
from digitline.config import params as file
from digitline.config import paths
from digitline.config.params import Params
from digitline.registry import ledger

Work = Callable[..., None]  # of params and the command's arguments


def run(stage: Work, *arguments: str, parallel: bool = False) -> None:
    """Runs a stage with the command's arguments; on one core, unless it gives its own work to several."""
    parser = argparse.ArgumentParser(description=stage.__doc__)
    for argument in arguments:
        parser.add_argument(argument)
    values = vars(parser.parse_args())
    end_with_dvc()
    work = stage if parallel else partial(on_one_core, stage)
    end_well(partial(with_params, partial(with_ledger, work)), **values)


def on_one_core(stage: Work, params: Params, **values: Any) -> None:
    """Does a stage's work when a core is free for it."""
    with core():
        stage(params, **values)


def addressable(folder: Path) -> None:
    """InputError where the checkout lies in a folder whose name breaks the address of MLflow's database."""
    if found := sorted(set(str(folder)) & {"?", "%"}):
        raise InputError(
            f"the path {folder} contains {found[0]}, which MLflow's database cannot have; rename the folder"
        )


def with_ledger(stage: Work, params: Params, **values: Any) -> None:
    """Does a stage's work; reads the ledger first, because the last stage may append to it."""
    ledger.read(paths.LEDGER)
    stage(params, **values)


def with_params(work: Work, **values: Any) -> None:
    """Does the work with params.yaml."""
    work(file.read(), **values)


def end_well(work: Callable[..., None], **values: Any) -> None:
    """Does the work; an InputError ends in one sentence and exit status 1."""
    if torch := sys.modules.get("torch"):  # stages that do not use torch need not import it
        torch.set_num_threads(1)  # as in the training processes: results must not depend on the number of cores
    bypass_proxy()
    try:
        addressable(Path.cwd())
        work(**values)
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command continues from here")
    except BrokenPipeError:  # the program that reads, such as head, has ended; Python would complain once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (InputError, OSError) as error:
        if "DIGITLINE_TRACEBACK" in os.environ:
            traceback.print_exc()
        sys.exit(f"error: {error}")
