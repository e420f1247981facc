"""Files written whole or not at all."""

import contextlib
import os
from pathlib import Path

from digitline.errors import InputError


def write(path: Path, content: bytes) -> None:
    """Writes the file, and its folder where there is none; InputError names it where the disk will not take it."""
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a power loss could leave the name without the content
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise InputError(f"{path} could not be written: {error.strerror}") from None
