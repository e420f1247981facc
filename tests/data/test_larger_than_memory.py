"""A data set larger than the memory that a process may allocate is checked, trained on and evaluated."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digitline.data import dataset

SHAPE = (128, 128, 3)
TRAIN, TEST = 4000, 100  # images: 201 MB
# Allocates nothing but what is measured: imports first, then the limit, in MB above what the imports took.
SCRIPT = """
import resource, sys
from pathlib import Path
import numpy, pandas, torch, scipy.special
from digitline.data import dataset, expectations
from digitline.data.entry import Shape
from digitline.model import networks
from digitline.model.evaluation import predict
from digitline.model.training import fit

torch.set_num_threads(1)
def train(part, held):
    model = networks.build("plain", classes=2, filters=[], hidden=2, image=Shape(128, 128, 3)._asdict())
    recipe = dict(epochs=1, batch_size=8, optimizer="SGD", learning_rate=0.01, momentum=0.9, weight_decay=0.0,
                  warmup=0.2, label_smoothing=0.0, augmentation={}, bfloat16=False)
    list(fit(model, part, held, seed=1, **recipe))
    return model

few = dataset.split(dataset.Part(numpy.zeros((64, 128, 128, 3), numpy.uint8), numpy.arange(64, dtype=numpy.uint8) % 2),
                    validation=8, seed=0)
train(*few)  # what the first use of each library allocates
page = resource.getpagesize()
data = int(Path("/proc/self/statm").read_text().split()[5]) * page
resource.setrlimit(resource.RLIMIT_DATA, (data + int(sys.argv[2]) * 2**20,) * 2)
path = Path(sys.argv[1])
table = expectations.features(dataset.load(path))
parts = dataset.divide(path, validation=200, seed=0)
model = train(parts.training, parts.validation)
print(len(table), len(predict(model, parts.test.images)))
try:
    numpy.array(dataset.load(path).train.images)
except MemoryError:
    print("a copy does not fit")
"""


@pytest.mark.slow
def test_a_set_four_times_as_large_as_the_memory_allowed_is_used(tmp_path: Path) -> None:
    """The limit is on allocated memory, RLIMIT_DATA, because mapped pages are the file's; a copy of the set fails."""
    path = tmp_path / "large.safetensors"
    forms = {
        f"{part}_{key}": (np.uint8, (size, *rest))
        for part, size in (("train", TRAIN), ("test", TEST))
        for key, rest in (("images", SHAPE), ("labels", ()))
    }
    with dataset.writing(path, forms) as places:
        for name in ("train_labels", "test_labels"):
            places[name][:] = np.arange(len(places[name])) % 2
        places["train_images"][:, 0, 0, 0] = np.arange(TRAIN) % 251
    allowed = path.stat().st_size // 4 // 2**20
    words = [sys.executable, "-c", SCRIPT, str(path), str(allowed)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == f"{TRAIN + TEST} {TEST}\na copy does not fit\n", done.stderr
