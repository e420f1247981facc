"""What git says of a repository."""

import os
import subprocess
from pathlib import Path

from digitline.base.errors import InputError

# Answers, not refusals: there is no repository, commit or file of that name.
NOTHING = ("not a git repository", "any commits yet", "does not exist", "exists on disk", "revision", "invalid object")


def ask(folder: Path, *words: str) -> str | None:
    """The output of git; None without git or if it has no such thing. InputError with its words if git refuses."""
    command, environment = ["git", "-C", str(folder), *words], {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError:
        return None
    if done.returncode == 0:
        return done.stdout
    if any(words in done.stderr for words in NOTHING):
        return None
    raise InputError(f"git refuses: {' '.join(done.stderr.split())}")


def shallow(folder: Path) -> bool:
    """Whether the clone has only the last part of the history."""
    return ask(folder, "rev-parse", "--is-shallow-repository") == "true\n"
