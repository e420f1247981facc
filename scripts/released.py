"""Checks that an image contains the champion of the committed ledger, so that a release was reviewed."""

import argparse
import sys
import tempfile
from pathlib import Path

from digitline.base.errors import InputError
from digitline.config import paths
from digitline.registry import ledger, lineage
from scripts import engine


def main() -> None:
    """Ends with exit status 1 if the image has another model."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("image")
    check(parser.parse_args().image)


def check(image: str) -> None:
    """InputError if the image's model is not the committed champion."""
    committed = champion(engine.answer("git", "show", f"HEAD:{paths.LEDGER}"))
    held, _ = lineage.named(image)
    if held != committed:
        raise InputError(
            f"the image {image} has the model {held[:16]}, expected {committed[:16]}, the champion of the "
            f"committed {paths.LEDGER}; commit the ledger, or run dvc pull and make container"
        )
    print(f"{image} has the model {held}, the champion of the committed {paths.LEDGER}")


def champion(text: str) -> str:
    """The SHA-256 of the champion in a ledger's text."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / paths.LEDGER
        file.write_text(text)
        entry = ledger.latest(ledger.read(file))
    if not entry:
        raise InputError(f"the committed {paths.LEDGER} has no champion; run make and commit the ledger")
    return entry["to"]


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
