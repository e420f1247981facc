import numpy as np
import pytest

from digitline.measure import strangers, trials


@pytest.mark.parametrize("kind", strangers.KINDS)
def test_each_kind_is_the_same_again_dark_on_a_light_sheet_and_whole_on_it(kind):
    sheets = [np.asarray(strangers.KINDS[kind](np.random.default_rng(seed))) for seed in range(12)]
    again = [np.asarray(strangers.KINDS[kind](np.random.default_rng(seed))) for seed in range(12)]
    assert np.array_equal(sheets, again)
    assert len({sheet.tobytes() for sheet in sheets}) > 9
    for sheet in sheets:
        assert sheet.shape == (trials.SHEET, trials.SHEET)
        assert 0.001 < (sheet < 128).mean() < 0.5
        assert sheet[[0, -1]].min() == sheet[:, [0, -1]].min() == 255


def test_an_ellipse_is_filled_and_a_triangle_is_open():
    ellipse, triangle = (np.asarray(make(np.random.default_rng(3))) for make in (strangers.ellipse, strangers.triangle))
    rows, columns = np.nonzero(ellipse < 128)
    assert ellipse[int(rows.mean()), int(columns.mean())] == 0
    rows, columns = np.nonzero(triangle < 128)
    assert triangle[int(rows.mean()), int(columns.mean())] == 255
