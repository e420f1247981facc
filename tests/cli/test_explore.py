import shutil

import pytest

from digitline.cli.main import main
from digitline.config import own, params
from tests import example


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    shutil.copy(example.SETTINGS, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)


def test_explore_explains_the_variant_named_or_all(capsys):
    main(["explore", "conv1"])
    assert capsys.readouterr().out.splitlines()[0] == "conv1"
    main(["explore"])
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line and not line.startswith(" ")] == list(example.read().variants)


def test_explore_takes_images_of_the_data_set_in_use(capsys):
    own.use(params.FILE, "cifar10")
    main(["explore", "conv1"])
    first = next(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  image "))
    assert first == ["image", "3", "x", "32", "x", "32"]


def test_explore_refuses_an_unknown_variant_in_one_sentence():
    with pytest.raises(SystemExit) as refused:
        main(["explore", "conv3"])
    assert refused.value.code == "error: the variant is 'conv3'; did you mean 'conv2'?"
