import base64
import io
import re

import numpy as np
from PIL import Image

from digitline.draw import mosaics


def pictures(svg: str) -> list[np.ndarray]:
    found = re.findall(r'href="data:image/png;base64,([^"]+)"', svg)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


def test_a_planted_pixel_shows_up_at_its_place():
    values = np.zeros((2, 3, 4, 4))
    values[1, 2, 3, 0], values[0, 0, 1, 1] = 1, -1
    (sheet,) = pictures(mosaics.svg(mosaics.signed(values, (0, 1, 2, 3)), alt="planted"))
    times, step = 7, 30  # a tile of 4 pixels enlarged to 28, and a gap of 2
    orange = sheet[step + 3 * times + 1, 2 * step + 1]
    blue = sheet[times + 1, times + 1]
    assert orange.tolist() == [213, 94, 0, 255]
    assert blue.tolist() == [0, 114, 178, 255]
    assert sheet[29, 5, 3] == 0  # the gap is transparent
    assert (sheet[:4, :4, :3] > 250).all()


def test_each_picture_is_scaled_over_the_axes_named():
    values = np.zeros((2, 1, 1, 2))
    values[:, 0, 0, 1] = 1, 100
    each, both = mosaics.heatmap(values, (2, 3)), mosaics.heatmap(values, (0, 2, 3))
    assert np.array_equal(each[0, 0, 0, 1], each[1, 0, 0, 1])
    assert not np.array_equal(both[0, 0, 0, 1], both[1, 0, 0, 1])


def test_labels_are_escaped():
    svg = mosaics.svg(mosaics.ink(np.zeros((2, 1, 3, 3), np.uint8)), columns=["<b>"], rows=["0", "1"], alt='a "b"')
    assert "&lt;b&gt;" in svg
    assert 'aria-label="a &quot;b&quot;"' in svg


def test_the_second_half_stands_beside_the_first():
    tiles = mosaics.ink(np.zeros((4, 1, 3, 3), np.uint8))
    size = [re.findall(r'viewBox="0 0 (\S+) (\S+)"', mosaics.svg(tiles, halves=h, alt=""))[0] for h in (False, True)]
    assert float(size[1][0]) > float(size[0][0])
    assert float(size[1][1]) < float(size[0][1])
    assert len(pictures(mosaics.svg(tiles, halves=True, alt=""))) == 2
    assert len(pictures(mosaics.pairs(mosaics.ink(np.zeros((5, 2, 3, 3), np.uint8)), list("abcde"), alt=""))) == 5


def test_fillers_of_the_last_row_are_transparent():
    filled = mosaics.wrapped(mosaics.signed(np.ones((3, 2, 2)), (1, 2)), 2)
    assert filled.shape == (2, 2, 2, 2, 4)
    assert filled[1, 0, 0, 0].tolist() == [213, 94, 0, 255]
    assert not filled[1, 1].any()
