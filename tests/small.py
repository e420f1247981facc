"""Runs the whole pipeline on a small data set and writes its dvc.lock: `python -m tests.small FILE`.

CI does this with every tested version of Python and compares the results.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from digitline.data import sources
from tests import example
from tests.checkout import Checkout

if __name__ == "__main__":
    read = example.read()
    mnist = sources.fetch([Path("data/mnist")], len(read.classes), read.image, name=read.dataset, **read.source)
    with tempfile.TemporaryDirectory() as folder:
        checkout = Checkout(Path(folder) / "clone", cold=True).make(mnist)
        checkout.repro()
        shutil.copy(checkout.folder / "dvc.lock", sys.argv[1])
