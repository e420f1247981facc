"""The example that the tests work with: MNIST's settings, and the results that digitline's own repository has of it.

A project begun with `digitline start` has these settings in tests/params.yaml, its own in params.yaml, and its
own results.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from digitline.config import params
from digitline.config.params import Params

HERE = Path(__file__).parents[1]
SETTINGS = next(path for path in (HERE / "tests/params.yaml", HERE / "params.yaml") if path.exists())
WHOLE = SETTINGS.read_text(encoding="utf-8")
ALONE = WHOLE[: WHOLE.index("  fashion:")]  # without the other data sets, which take most of the time to read
STUDIED = (HERE / "reports/record").exists()
REASON = "this project does not have the results of digitline's MNIST study"

studied = pytest.mark.skipif(not STUDIED, reason=REASON)


@cache
def read() -> Params:
    """MNIST's parameters."""
    return params.read(SETTINGS)


@cache
def entry(name: str) -> Any:
    """The entry of a data set."""
    return YAML(typ="safe").load(WHOLE)["datasets"][name]
