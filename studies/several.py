"""Tests the champion with pictures of whole numbers, which it reads as the service does."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from digitline.base.slots import cores
from digitline.config import paths
from digitline.data import lines
from digitline.data.dataset import Part
from digitline.measure import numerals
from digitline.registry import bento
from digitline.serving import reading
from digitline.serving.runtime import Exported

NUMBERS = 200  # pictures of each kind
SEED = 0  # of these; no setting was chosen with it


def shares(part: Part, doubt_above: float, *, many: int = NUMBERS) -> dict[str, dict[str, float]]:
    """Of each kind of picture the shares that are read rightly, doubted or not, and wrongly without doubt.

    A picture is right if the digits of all its lines are.
    """
    run = Exported((paths.CHAMPION / bento.EXPORTED).read_bytes())

    def one(kind: numerals.Kind, seed: list[int]) -> tuple[bool, bool]:
        written = numerals.write(part, kind, np.random.default_rng(seed))
        found = lines.page(written.picture).lines
        numbers = reading.numbers(found, run(reading.images(found)), doubt_above)
        read = ["".join(str(digit.probabilities.argmax()) for digit in number.digits) for number in numbers]
        return read == written.numbers, any(digit.doubtful for number in numbers for digit in number.digits)

    found = {}
    with ThreadPoolExecutor(cores()) as pool:
        for place, (name, kind) in enumerate(numerals.KINDS.items()):
            results = pool.map(partial(one, kind), [[SEED, place, number] for number in range(many)])
            right, doubtful = np.array(list(results)).T
            found[name] = {
                "numbers": many,
                "right": float(right.mean()),
                "right_undoubted": float((right & ~doubtful).mean()),
                "doubted": float(doubtful.mean()),
                "wrong_undoubted": float((~right & ~doubtful).mean()),
            }
            print(f"{name}: {found[name]['right']:.1%} right", flush=True)
    return found
