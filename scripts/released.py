"""Whether an image carries the champion of the committed ledger: what is released is what was decided and reviewed."""

import argparse
import sys
import tempfile
from pathlib import Path

from digitline.base.errors import InputError
from digitline.config import paths
from digitline.registry import ledger, lineage
from scripts import engine


def main() -> None:
    """Ends with exit status 1 where the image has another model."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("image")
    check(parser.parse_args().image)


def check(image: str) -> None:
    """InputError where the image's model is not the committed champion."""
    committed = champion(engine.answer("git", "show", f"HEAD:{paths.LEDGER}"))
    held, _ = lineage.named(image)
    if held != committed:
        raise InputError(
            f"the image {image} carries the model {held[:16]}, expected {committed[:16]}, the champion of the "
            f"committed {paths.LEDGER}; commit the ledger, or dvc pull and make container again"
        )
    print(f"{image} carries {held}, the champion of the committed {paths.LEDGER}")


def champion(text: str) -> str:
    """The SHA-256 of the champion by a ledger's text."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / paths.LEDGER
        file.write_text(text)
        entry = ledger.latest(ledger.read(file))
    if not entry:
        raise InputError(f"the committed {paths.LEDGER} has no champion")
    return entry["to"]


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
