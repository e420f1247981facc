from dvc.utils.serialize import modify_yaml
from ruamel.yaml import YAML

from digitline.config import ranges

MODEL = {"network": "plain", "filters": [20, 40], "hidden": 100, "activation": "relu", "dropout": 0.5}


def test_other_values_leave_the_keys_that_they_were_given_for_as_they_are():
    keys = {"model": MODEL, "epochs": 3, "outliers": None}
    found = ranges.given(keys, {"model.dropout": 0.1, "outliers.images": 32, "epochs": 4})
    assert found == {"model": MODEL | {"dropout": 0.1}, "epochs": 4, "outliers": {"images": 32}}
    assert keys == {"model": MODEL, "epochs": 3, "outliers": None}


def test_lines_to_paste_have_what_differs_in_the_form_that_dvc_s_writer_leaves_alone(tmp_path):
    before = {"model": MODEL, "epochs": 3, "weight_decay": 0.1}
    after = {"model": MODEL | {"activation": "sigmoid"}, "epochs": 3, "weight_decay": 1.56e-06}
    text = ranges.lines("conv2", before, after)
    assert YAML(typ="safe").load(text) == {"variants": {"conv2": {"model": after["model"], "weight_decay": 1.56e-06}}}
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with modify_yaml(file):
        pass
    assert file.read_text() == text
