"""Failures of MLflow, its server, its database or its files, as one sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import Timeout
from mlflow.exceptions import MlflowException

from digitline.base.errors import InputError

SENTENCE = 600  # characters shown of MLflow's messages


@contextmanager
def answering() -> Iterator[None]:
    """Turns a failure of MLflow, its server, its database or its files into one sentence."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a database's driver and a store of files raise errors of their own
        raise InputError(f"MLflow failed: {sentence(error)}") from error


def sentence(error: Exception) -> str:
    """What failed, without SQL and passwords."""
    text = re.sub(r"\s*(\[SQL: |\(Background on this error).*", "", str(error), flags=re.DOTALL)
    if isinstance(error, Timeout):
        return "another command is logging to it for more than a minute; try again when that has ended"
    if "database is locked" in text:
        return "another process has locked its database; try again when that has ended"
    return " ".join(without_password(text or repr(error)).split())[:SENTENCE]


def without_password(text: str) -> str:
    """The text without users and passwords in its addresses."""
    return re.sub("//[^/@ ]*@", "//", text)


@contextmanager
def unless_there() -> Iterator[None]:
    """Ignores the error that something already exists, perhaps made by another process just now."""
    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
