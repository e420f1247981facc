"""Tests the champion with pictures like those of users; writes reports/trials.json and docs/images/paper.png."""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from digitline.base import files
from digitline.base.errors import InputError
from digitline.config import params, paths
from digitline.data import dataset, entry, sources
from digitline.data.dataset import Part
from digitline.draw.samples import samples
from digitline.measure import photographs, scenes, sheets, strangers, trials, unseen
from digitline.model import checkpoint, evaluation, scores
from digitline.registry import bento
from studies import several

FASHION = Path("data/fashion")
STRANGERS = 1000  # pictures of each kind without a digit
SHEETS = 200  # of each kind of paper, and as many pictures of each kind without
SEED = 2027  # of these; no setting was chosen with it
SHOWN = 2  # sheets of a kind in the picture
PICTURE = Path("docs/images/paper.png")
LIMIT = 300_000  # bytes of it


def main() -> None:
    """Tests the champion and prints the results."""
    torch.set_num_threads(1)
    card = bento.verified(paths.CHAMPION)
    model, test = checkpoint.load(paths.CHAMPION / bento.MODEL), dataset.load(paths.DATASET).test
    raw, sheets = trials.parity(model, test)
    small = scikit()
    makers = {"letters": trials.letter, "scribbles": trials.scribble, **strangers.KINDS}
    found = {
        "model": card["sha256"],
        "mnist": {"images": len(test.labels), "raw": raw, "sheets": sheets},
        "corrupted": trials.corrupted(model, test),
        "scikit_learn": {
            "images": len(small.labels),
            "sheets": scores.accuracy(evaluation.predict(model, trials.from_sheets(small.images)), small.labels),
        },
        "paper": on_paper(model, test, card["doubt_above"]),
        "doubted": {
            "digits": trials.doubted(model, test.images, card["doubt_above"]),
            **photographs.doubts(model, makers, STRANGERS, above=card["doubt_above"], seed=SEED),
            **{name: trials.doubted(model, images, card["doubt_above"]) for name, images in clothes().items()},
        },
    }
    found["numbers"] = several.shares(test, card["doubt_above"])
    text = json.dumps(found, indent=2)
    files.write(Path("reports/trials.json"), f"{text}\n".encode())
    print(text)
    show(model, test, card["doubt_above"])


def on_paper(model: torch.nn.Module, test: Part, above: float) -> dict[str, Any]:
    """How digits on each kind of paper are read, also on kinds that no setting was chosen on, and without paper."""
    part = photographs.evenly(test, SHEETS)
    groups: dict[str, dict[str, sheets.Make]] = {
        "kinds": {**sheets.makers(), "two kinds at once": sheets.mixed},
        "held_out": unseen.HELD_OUT,
    }
    found: dict[str, Any] = {"images": SHEETS}
    for group, kinds in groups.items():
        found[group] = {}
        for name, make in kinds.items():
            found[group][name] = photographs.shares(model, make, part, above=above, seed=SEED)
            print(f"{name}: {found[group][name]['right']:.1%} right", flush=True)
    return {**found, "scenes": photographs.doubts(model, scenes.SCENES, SHEETS, above=above, seed=SEED)}


def show(model: torch.nn.Module, test: Part, above: float) -> None:
    """Writes the picture of a few sheets of each kind."""
    kinds: dict[str, sheets.Make] = {**sheets.makers(), **unseen.HELD_OUT}
    kinds |= {name: photographs.without(make) for name, make in scenes.SCENES.items()}
    part = photographs.evenly(test, SHOWN * len(kinds))
    entries = {}
    for place, (name, make) in enumerate(kinds.items()):
        few = Part(*(array[place * SHOWN : (place + 1) * SHOWN] for array in part))
        found = photographs.sample(model, make, few, above=above, seed=SEED)
        entries[name] = [(one.sent, Image.fromarray(one.image), str(one.label), one.doubtful) for one in found]
    files.write(PICTURE, smallest(samples(entries)))
    print(f"wrote {PICTURE}")


def smallest(picture: Image.Image) -> bytes:
    """A PNG with as many colours as its limit allows."""
    for colours in (256, 128, 64, 32, 16):
        file = io.BytesIO()
        picture.quantize(colours).save(file, "PNG", optimize=True)
        if file.tell() <= LIMIT:
            break
    return file.getvalue()


def clothes() -> dict[str, dataset.Bytes]:
    """The test images of Fashion-MNIST; none where no folder has its files, which is printed."""
    source = params.loaded(params.text(params.FILE), params.FILE).datasets.get("fashion", {}).get("source", {})
    folders = [Path(os.environ.get("DIGITLINE_DATA", FASHION)), FASHION]
    try:
        found = sources.fetch(folders, 10, entry.MNIST, name="fashion", **{**source, "mirrors": []})
    except InputError as error:
        print(f"clothes are left out: {error}; DIGITLINE_DATA may name their folder")
        return {}
    return {"clothes of Fashion-MNIST": found.test.images}


def scikit() -> Part:
    """scikit-learn's 1,797 digits of 8x8 pixels."""
    bunch = load_digits()
    images: dataset.Bytes = np.minimum(16 * bunch.images, 255).astype(np.uint8)
    return Part(images, bunch.target.astype(np.uint8))


if __name__ == "__main__":
    main()
