import pytest
from jinja2 import Environment, FileSystemLoader

from digitline.data.entry import Shape
from digitline.report.pages import TEMPLATES


@pytest.mark.parametrize(("channels", "first"), [(1, "orange is positive"), (3, "a mix of red, green and blue")])
def test_a_caption_says_how_weights_are_coloured(channels, first):
    page = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True).from_string(
        '{% from "macros.html.jinja" import weights with context %}{{ weights(true) }}|{{ weights(false) }}'
    )
    colours, later = page.render(image=Shape(8, 8, channels)).split("|")
    assert first in colours
    assert later == "orange is positive, blue negative"
