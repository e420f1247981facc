"""The page in a real browser, before a real server: strokes are drawn, and what then stands there is looked at."""

import base64
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.serving import Server, new_clone, new_study, started, stopped

pytestmark = pytest.mark.slow

ANSWERED = re.compile("probability|nearest")
SEVEN = [(0.3, 0.25), (0.5, 0.22), (0.7, 0.25), (0.6, 0.45), (0.5, 0.65), (0.45, 0.8)]  # of the sheet's sides


class Shown(NamedTuple):
    page: Page
    troubles: list[str]  # what the browser's console said


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    clone = new_clone(tmp_path_factory.mktemp("page"))
    new_study(clone.folder / "models/study")
    server = started(clone)
    yield server
    stopped(server)


@pytest.fixture(params=[(1440, 900, "light"), (390, 844, "dark")], ids=["desktop", "phone"])
def shown(request: pytest.FixtureRequest, server: Server, browser: Browser) -> Iterator[Shown]:
    width, height, scheme = request.param
    with browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme) as context:
        page, troubles = context.new_page(), []
        page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(f"{server.url}/ui/")
        page.wait_for_selector(".layer")
        yield Shown(page, troubles)


def draw(page: Page, stroke: list[tuple[float, float]]) -> None:
    """Draws with the mouse and waits for the answer to all of it."""
    box: Any = page.locator("#pad").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
    settle(page)
    expect(page.locator("#said")).to_have_text(ANSWERED)


def settle(page: Page) -> None:
    """Waits until what is drawn is what was answered."""
    expect(page.locator("body")).to_have_attribute("aria-busy", "false")


def test_a_stroke_is_answered_as_the_service_answers_its_picture(shown: Shown, server: Server) -> None:
    page = shown.page
    draw(page, SEVEN)
    picture = page.evaluate("document.getElementById('pad').toDataURL('image/png')").split(",")[1]
    answer = httpx.post(f"{server.url}/classify", files={"image": base64.b64decode(picture)}).json()
    assert page.locator("#bars .first b").text_content() == answer["digit"]
    bars = page.locator("#bars output").all_text_contents()
    assert [float(bar.rstrip("%")) for bar in bars] == pytest.approx(
        [100 * share for share in answer["probabilities"]], abs=0.06
    )
    pixels = page.evaluate("[...document.getElementById('image').getContext('2d').getImageData(0, 0, 28, 28).data]")
    assert pixels[::4] == [value for row in answer["image"] for value in row]
    assert not shown.troubles


def test_the_layers_show_their_maps_filters_and_fields(shown: Shown) -> None:
    page = shown.page
    draw(page, SEVEN)
    assert page.locator(".layer h3").all_text_contents() == ["convolution 1", "pooling 1", "ReLU 1"]
    tile = page.locator(".maps canvas").nth(1)
    values = tile.evaluate("map => [...map.getContext('2d').getImageData(0, 0, map.width, map.height).data]")
    assert len(set(values[::4])) > 10
    assert page.locator("#field").is_hidden()
    tile.hover()
    field: Any = page.locator("#field").bounding_box()
    image: Any = page.locator("#image").bounding_box()
    assert field["width"] == pytest.approx(image["width"] * 5 / 28, abs=1)
    assert page.locator(".layer .filter canvas").count() == 1
    assert not shown.troubles


def test_a_slider_moves_what_the_variants_get(shown: Shown) -> None:
    page = shown.page
    draw(page, SEVEN)
    assert page.locator("#variants li > span:first-child").all_text_contents() == ["wide", "narrow", "none"]
    ink = "[...document.getElementById('moved').getContext('2d').getImageData(0, 0, 28, 28).data]"
    before = page.evaluate(ink)[::4]
    page.locator("#right").fill("3")
    page.wait_for_load_state("networkidle")
    after = page.evaluate(ink)[::4]
    rows = [before[at : at + 28] for at in range(0, 784, 28)]
    assert after == [value for row in rows for value in ([0] * 3 + row[:25])]


def test_what_is_drawn_is_undone_and_cleared(shown: Shown) -> None:
    page = shown.page
    draw(page, SEVEN)
    draw(page, [(0.4, 0.5), (0.7, 0.5)])
    both = page.locator("#image").evaluate("map => map.toDataURL()")
    page.keyboard.press("Control+z")
    settle(page)
    assert page.locator("#image").evaluate("map => map.toDataURL()") != both
    page.keyboard.press("Escape")
    assert page.locator("#said").text_content() == "Nothing is drawn yet."
    assert not shown.troubles


def test_nothing_is_wider_than_the_screen_and_all_that_acts_has_a_name(shown: Shown) -> None:
    page = shown.page
    draw(page, SEVEN)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    unnamed = """[...document.querySelectorAll('button, input, canvas')].filter(one =>
        !one.ariaHidden && !one.ariaLabel && !one.textContent && !one.closest('label')?.textContent.trim()).length"""
    assert page.evaluate(unnamed) == 0


def test_a_picture_is_opened(shown: Shown) -> None:
    page = shown.page
    draw(page, SEVEN)
    drawn = page.locator("#image").evaluate("map => map.toDataURL()")
    picture = base64.b64decode(page.evaluate("document.getElementById('pad').toDataURL('image/png')").split(",")[1])
    page.keyboard.press("Escape")
    page.locator("#file").set_input_files({"name": "seven.png", "mimeType": "image/png", "buffer": picture})
    expect(page.locator("#said")).to_have_text(ANSWERED)
    assert page.locator("#image").evaluate("map => map.toDataURL()") == drawn
    page.locator("#file").set_input_files({"name": "text.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.locator("#said")).to_contain_text("no picture")
