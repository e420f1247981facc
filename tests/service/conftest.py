from pathlib import Path

import pytest

from tests.served import new_champion


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a champion for grey images of 28x28, for the app in this process."""
    folder = tmp_path_factory.mktemp("champion") / "champion"
    new_champion(folder, seed=0)
    return folder
