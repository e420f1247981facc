"""Fashion-MNIST, a second real data set, through the pipeline: as IDX files, and as pictures with a manifest."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from digitline.base.digest import digest
from digitline.data import pictures
from digitline.data.dataset import Dataset
from tests import example
from tests.checkout import SUBSET, Checkout, edit

pytestmark = pytest.mark.slow

MADE = ["data/dataset.safetensors", "models/variants/fc/seed-1.safetensors", "reports/curves/fc.csv"]


def drawn(folder: Path, fashion: Dataset, classes: list[str]) -> list[pictures.Line]:
    """Writes the images as PNG files; returns the lines of their manifest, in the same order."""
    lines = []
    for split, part in fashion._asdict().items():
        for place, (image, label) in enumerate(zip(part.images, part.labels[: SUBSET[split]], strict=False)):
            path = f"{split}/{classes[label].replace('/', ' or ')} {place}.png"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / path)
            sha256 = hashlib.sha256((folder / path).read_bytes()).hexdigest()
            lines.append(pictures.Line(path, classes[label], split, "", sha256))
    return lines


def test_idx_files_and_pictures_of_the_same_images_give_the_same_content_and_the_same_model(fashion, tables, tmp_path):
    """The first 1,000 training and 300 test images by the entry's own bounds; one variant, one epoch, one seed."""
    checkout = Checkout(tmp_path / "clone").make(fashion).store(tables)

    def begin(tree):
        own, few = example.entry("fashion"), tree["datasets"]["few"]
        few["bounds"] = {**own["bounds"], **few["bounds"], "class_share": [0.05, 0.15]}
        few.update({key: own[key] for key in ("classes", "preparation", "outliers")})
        tree["seeds"][:] = [1]
        tree["variants"]["fc"]["epochs"] = 1

    edit(checkout.folder, begin)
    assert checkout.repro("train@fc") == ["fetch", "validate", "train@fc"]
    before = [digest(checkout.folder / name) for name in MADE]
    assert checkout.json("reports/validation.json")["success"]

    def again(tree):
        few = tree["datasets"]["few"]
        lines = drawn(checkout.folder / "data/clothes", fashion, few["classes"])
        pictures.keep(checkout.folder / "data/clothes.csv", lines)
        source = {"manifest": "data/clothes.csv", "pictures": "data/clothes", "sha256": before[0]}
        tree["datasets"]["clothes"] = {**few, "source": source}
        tree["dataset"] = "clothes"

    edit(checkout.folder, again)
    assert checkout.repro("-s", "fetch", "train@fc") == ["fetch", "train@fc"]
    assert [digest(checkout.folder / name) for name in MADE] == before
