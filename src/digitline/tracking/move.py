"""A checkout that was moved or copied: its MLflow store's absolute paths follow it.

The files are changed first, then the database in one transaction, and each step can be repeated: if it is interrupted,
the next command completes it. MLflow has no public call that changes a location, so this writes to its tables.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from mlflow.models import Model
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digitline.base import files
from digitline.base.errors import InputError

LOCATIONS = [  # the columns of MLflow's tables that hold the path of a file or folder
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
]


def follow(root: Path) -> None:
    """Changes the paths in the checkout's mlflow.db and mlruns if they name another place, after a backup.

    InputError if a file cannot be written.
    """
    path = root / "mlflow.db"
    if not path.exists():
        return
    with closing(sqlite3.connect(path, timeout=10)) as database:
        places = former(database, root)
        if not places:
            return
        try:
            backup = keep(database, path)
            describe_again(root)
            with database:
                for place in places:
                    rebase(database, place, root)
        except (sqlite3.Error, OSError) as error:
            raise InputError(f"its paths could not be changed from {places[0]} to {root}: {error}") from error
    print(f"MLflow's paths to {places[0]} now name {root}; the database as it was is {backup}", file=sys.stderr)


def former(database: sqlite3.Connection, root: Path) -> list[str]:
    """The other checkouts in which digitline's experiments were created; none if MLflow cannot read this either.

    sqlite3.OperationalError while another process has locked the database.
    """
    try:
        found = database.execute("select name, artifact_location from experiments").fetchall()
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise
        return []
    places = {
        location.removesuffix(end)
        for name, location in found
        if (end := name.replace("digitline-", "/mlruns/", 1)) != name
        and str(location).startswith("/")
        and location.endswith(end)
    }
    return sorted(places - {str(root)})


def columns(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Those of LOCATIONS that the database has; an older MLflow's lacks some."""
    query = "select 1 from pragma_table_info(?) where name = ?"
    return [each for each in LOCATIONS if database.execute(query, each).fetchone()]


def keep(database: sqlite3.Connection, path: Path) -> Path:
    """Copies the database beside it, in place of an earlier copy; returns the copy's path."""
    new, backup = path.with_name("mlflow.db.backup.new"), path.with_name("mlflow.db.backup")
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new)) as copy:
        database.backup(copy)
    return new.replace(backup)


def describe_again(root: Path) -> None:
    """Changes the path in the description of each logged model, its MLmodel, to the folder that the file is in."""
    for path in sorted((root / "mlruns").rglob("MLmodel")):
        found, here = description(path), path.parent
        if str(found.get("artifact_path")).endswith(f"/{here.relative_to(root)}"):
            files.write(path, Model.from_dict(found | {"artifact_path": str(here)}).to_yaml().encode())


def description(path: Path) -> dict[str, Any]:
    """What an MLmodel says; empty if it is damaged, because then MLflow cannot load the model wherever it is."""
    try:
        found = YAML(typ="safe").load(path)
    except YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def rebase(database: sqlite3.Connection, place: str, root: Path) -> None:
    """Changes every path below `place`/mlruns in the database to the one below `root`."""
    old, new = f"{place}/mlruns", f"{root}/mlruns"
    for table, column in columns(database):
        change = f"update {table} set {column} = ? || substr({column}, ?)"  # noqa: S608  # names of this file
        values = (new, len(old) + 1, f"{old}/", len(old) + 1)
        database.execute(f"{change} where ? = substr({column} || '/', 1, ?)", values)
