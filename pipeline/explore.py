"""Prints what each layer of a variant makes of an image, and what it costs: of params.yaml, trained or not."""

import argparse
import sys

from digitline import arithmetic, models
from digitline.errors import InputError
from digitline.params import choose
from pipeline import stage


def main() -> None:
    """Explains the variant named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variant", nargs="?")
    name = parser.parse_args().variant
    try:
        params = stage.read()
        chosen = {name: choose("the variant", name, params.variants)} if name else params.variants
        networks = {name: models.build(**one.model, classes=len(params.classes)) for name, one in chosen.items()}
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")
    print("\n\n".join(arithmetic.text(name, network) for name, network in networks.items()))


if __name__ == "__main__":
    main()
