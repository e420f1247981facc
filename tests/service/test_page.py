"""The page in a real browser with a real server: draws strokes and checks what the page shows."""

import base64
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Browser, Page, expect
from scipy.special import softmax

from digitline.data import corrections, dataset
from digitline.data.entry import Shape
from digitline.explain import activations
from digitline.measure.trials import encoded
from digitline.model import checkpoint
from tests import warm
from tests.served import CLASSES, Server, new_clone, new_study, started, stopped
from tests.shown import ANSWERED, DESKTOP, PHONE, SEVEN, Shown, on_the_sheet, opened, settle, sheet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    clone = new_clone(tmp_path_factory.mktemp("page"))
    new_study(clone.folder / "models/study")
    server = started(clone, python=f"{warm.folder()}/python", DIGITLINE_FEEDBACK="kept")
    yield server
    stopped(server)


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def shown(request: pytest.FixtureRequest, server: Server, browser: Browser) -> Iterator[Shown]:
    with opened(browser, server, request.param) as found:
        yield found


def draw(page: Page, stroke: list[tuple[float, float]]) -> None:
    """Draws with the mouse and waits for the answer to the whole drawing."""
    places = on_the_sheet(page, stroke)
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
    settle(page)
    expect(page.locator("#said")).to_have_text(ANSWERED)


def test_a_stroke_is_answered_as_the_service_answers_its_picture(shown: Shown, server: Server) -> None:
    """The page shows /classify's answer to the same sheet, including the image."""
    page = shown.page
    draw(page, SEVEN)
    answer = classified(server, sheet(page))
    assert page.locator("#bars .first b").text_content() == answer["label"]
    bars = page.locator("#bars output").all_text_contents()
    assert [float(bar.rstrip("%")) for bar in bars] == pytest.approx(
        [100 * share for share in answer["probabilities"]], abs=0.06
    )
    assert image(page).tolist() == answer["image"]
    assert not shown.troubles


def classified(server: Server, picture: bytes) -> Any:
    return httpx.post(f"{server.url}/classify", files={"image": picture}).raise_for_status().json()


def test_the_page_shows_the_service_s_evidence(shown: Shown, server: Server) -> None:
    """The coloured squares have the strength and the sign of /explain's evidence."""
    page = shown.page
    draw(page, SEVEN)
    png = {"Content-Type": "image/png"}
    answer = httpx.post(f"{server.url}/explain", content=sheet(page), headers=png).raise_for_status().json()
    evidence = np.array(answer["evidence"])
    shades = pixels(page, "evidence")
    assert shades[..., 3] == pytest.approx(np.abs(evidence) * 230 / max(1, np.abs(evidence).max()), abs=1)
    strong = shades[..., 3] > 100
    assert strong.any()
    red, blue = shades[strong][:, 0], shades[strong][:, 2]
    assert ((red > blue) == (evidence[strong] > 0)).all()
    assert not shown.troubles


def test_the_layers_show_their_maps_filters_and_fields(shown: Shown) -> None:
    """Every layer has its name; pointing at a unit frames its receptive field."""
    page = shown.page
    draw(page, SEVEN)
    names = ["image", "convolution 1", "pooling 1", "ReLU 1", "neurons 2", "ReLU 2", "output"]
    assert page.locator(".layer h3").all_text_contents() == names
    maps = page.locator(".maps canvas").nth(1)
    values = maps.evaluate("map => [...map.getContext('2d').getImageData(0, 0, map.width, map.height).data]")
    assert len(set(values[::4])) > 10
    maps.hover(position={"x": 20, "y": 20})
    field, whole = (page.locator(place).bounding_box() for place in ("#field", "#image"))
    assert field is not None
    assert whole is not None
    assert field["width"] == pytest.approx(whole["width"] * 5 / 28, abs=1)
    assert page.locator(".layer .filters").count() == 1
    assert not shown.troubles


def test_the_close_up_s_numbers_add_up_to_the_model_s(shown: Shown, server: Server) -> None:
    """The sums shown for one unit of each layer give the network's own values."""
    page = shown.page
    draw(page, SEVEN)
    adds_up(page, server, image(page))
    assert not shown.troubles


def adds_up(page: Page, server: Server, seen: dataset.Bytes) -> None:
    """Points at one unit of each layer and checks the numbers in the close-up."""
    model = checkpoint.load(server.clone.folder / "models/champion/model.safetensors")
    layers = activations.layers(model, seen)
    for index, layer in enumerate(layers):
        page.locator(".maps canvas").nth(index).hover(position={"x": 14, "y": 12})
        place = [int(number) - 1 for number in re.findall(r"(?:map|unit|row|column) (\d+)", which(page))]
        maps = layer.maps if len(layer.maps) > 1 else layer.maps[0]
        value = maps[tuple(place)].item() if maps.shape[-1] > 1 else maps[place[0], 0, 0].item()
        sentence = minus(page.locator("#work .said").first.text_content())
        assert float(sentence.split()[-1]) == pytest.approx(value, abs=0.006)
        if "(bias)" in sentence:
            added, _, _ = re.sub(r"\(.*?\)", "", sentence).partition("=")
            terms = re.findall(r"[-+]?[\d.]+", added.replace(" ", ""))
            assert sum(map(float, terms)) == pytest.approx(value, abs=0.005 * (len(terms) + 1))
    probabilities = softmax(layers[-1].maps.ravel())
    share = float(re.findall(r"([\d.]+)%", page.locator("#work .said").nth(1).text_content() or "")[0])
    assert share == pytest.approx(100 * probabilities[place[0]], abs=0.06)


def image(page: Page) -> dataset.Bytes:
    """The model's image as the page shows it."""
    return pixels(page, "image")[..., 0]


def pixels(page: Page, canvas: str) -> dataset.Bytes:
    """The content of a canvas: [H, W, 4]."""
    shown = """map => {
        const copy = new OffscreenCanvas(map.width, map.height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(map, 0, 0);  // the browser warns about a canvas that is read more than once
        return [map.height, map.width, ...copy.getImageData(0, 0, map.width, map.height).data];
    }"""
    height, width, *values = page.locator(f"#{canvas}").evaluate(shown)
    return np.array(values, np.uint8).reshape(height, width, 4)


def which(page: Page) -> str:
    """The name of the unit in the close-up."""
    return page.locator("#which").text_content() or ""


def minus(text: str | None) -> str:
    return (text or "").replace("\N{MINUS SIGN}", "-")


def test_sliding_visits_the_units_of_the_map_in_order(shown: Shown) -> None:
    """The animation visits the units row by row, from the first to the last."""
    page = shown.page
    draw(page, SEVEN)
    page.locator(".maps canvas").nth(2).hover(position={"x": 10, "y": 10})
    page.evaluate("""() => {
        window.units = [];
        const which = document.getElementById("which");
        new MutationObserver(() => units.push(which.textContent)).observe(which, { childList: true });
    }""")
    page.clock.install()  # from here on the test decides how time passes
    page.locator("#slide").click()
    page.clock.run_for(100)
    expect(page.locator("#slide")).to_have_text("Stop")
    page.clock.run_for(30_000)
    expect(page.locator("#slide")).to_have_text("Slide it over the map")
    units = [[int(number) for number in re.findall(r"(?:row|column) (\d+)", name)] for name in page.evaluate("units")]
    assert units == sorted(units)
    assert units[0][0] == 1
    assert units[-1][0] == 12
    assert not shown.troubles


def test_the_keyboard_draws_and_goes_from_unit_to_unit(shown: Shown) -> None:
    """Without a mouse: keys draw a stroke, and the arrow keys move over units and maps."""
    page = shown.page
    page.locator("#pad").focus()
    for key in ["Space", *["ArrowDown"] * 9, "Space"]:
        page.keyboard.press(key)
    settle(page)
    expect(page.locator("#said")).to_have_text(ANSWERED)
    page.locator(".maps canvas").nth(2).focus()
    assert which(page) == "pooling 1, map 1 of 4, row 7, column 7"
    for key in [*["ArrowRight"] * 6, "ArrowUp"]:
        page.keyboard.press(key)
    assert which(page) == "pooling 1, map 2 of 4, row 6, column 1"
    assert not shown.troubles


def test_a_wrong_answer_is_corrected_with_a_click(shown: Shown, server: Server) -> None:
    """A click keeps the image on disk with the class, or as none; clearing the drawing hides the buttons."""
    page = shown.page
    expect(page.locator("#correct")).to_be_hidden()
    draw(page, SEVEN)
    seen = image(page)
    for name, label in [("class 7", "class 7"), ("none of these", "")]:
        page.get_by_role("button", name=name).click()
        expect(page.locator("#kept")).to_have_text(f"Kept as {name}. Thank you.")
        kept = corrections.read(server.clone.folder / "kept", CLASSES)
        assert label in [one.label for one in kept if np.array_equal(one.image, seen)]
    page.keyboard.press("Escape")
    expect(page.locator("#correct")).to_be_hidden()
    assert not shown.troubles


MOVES: list[tuple[str, str, Callable[[dataset.Bytes], Any]]] = [
    ("right", "3", lambda seen: np.pad(seen, ((0, 0), (3, 0)))[:, :28]),
    ("down", "-3", lambda seen: np.pad(seen, ((0, 3), (0, 0)))[3:]),
    ("turn", "90", lambda seen: np.rot90(seen, -1)),
    ("scale", "0.5", lambda seen: np.pad(np.asarray(Image.fromarray(seen).reduce(2)), 7)),
    ("thick", "1", lambda seen: np.asarray(Image.fromarray(seen).filter(ImageFilter.MaxFilter(3)))),
]


def test_each_slider_changes_the_variants_image(shown: Shown) -> None:
    """Each slider changes the image by its name, and exactly that image is sent to /compare."""
    page = shown.page
    draw(page, SEVEN)
    expect(page.locator("#variants li > span:first-child")).to_have_text(["wide", "narrow", "none"])
    for slider, value, moved in MOVES:
        rest = page.locator(f"#{slider}").input_value()
        with page.expect_request("**/compare") as asked:
            page.locator(f"#{slider}").fill(value)
        body: Any = asked.value.post_data_json
        [sent] = np.array(body["images"])
        assert np.array_equal(sent, pixels(page, "moved")[..., 0]), slider
        assert np.abs(sent - moved(image(page)).astype(int)).max() <= 3, slider
        with page.expect_response("**/compare"):
            page.locator(f"#{slider}").fill(rest)
    assert not shown.troubles


def test_strokes_are_undone_and_cleared(shown: Shown) -> None:
    """Ctrl-Z undoes a stroke, Escape clears all."""
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


def test_nothing_is_wider_than_the_screen_and_every_control_has_a_name(shown: Shown) -> None:
    """No horizontal scrolling on a phone, and every control has a name for screen readers."""
    page = shown.page
    draw(page, SEVEN)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("screen.width")
    unnamed = """[...document.querySelectorAll('button, input, canvas')].filter(one =>
        !one.ariaHidden && !one.ariaLabel && !one.textContent && !one.closest('label')?.textContent.trim()).length"""
    assert page.evaluate(unnamed) == 0


def test_a_wider_pen_leaves_more_ink(shown: Shown) -> None:
    """A wider pen changes the model's image."""
    page, ink = shown.page, []
    for width in ("10", "40"):
        page.keyboard.press("Escape")
        page.locator("#size").fill(width)
        draw(page, SEVEN)
        ink.append(int(image(page).sum()))
    assert ink[1] > 1.5 * ink[0]


@pytest.mark.parametrize(("way", "form"), [("open", "jpeg"), ("paste", "png"), ("drop", "tiff")])
def test_a_picture_is_answered_as_its_file_by_the_service(shown: Shown, server: Server, way: str, form: str) -> None:
    """An opened, pasted or dropped file gives the image and answer of /classify, also where Chromium cannot show it."""
    picture = dark_seven(form)
    hand(shown.page, way, picture, form)
    expect(shown.page.locator(".sheet.unseen")).to_have_count(int(form == "tiff"))
    expect(shown.page.locator("#said")).to_have_text(ANSWERED)
    answer = classified(server, picture)
    assert image(shown.page).tolist() == answer["image"]
    assert shown.page.locator("#bars .first b").text_content() == answer["label"]
    assert not shown.troubles


def dark_seven(form: str) -> bytes:
    """A picture with light ink on dark paper, wider than high."""
    paper = Image.new("RGB", (640, 480), (40, 44, 52))
    ImageDraw.Draw(paper).line([(640 * x, 480 * y) for x, y in SEVEN], (230, 225, 200), 30, "curve")
    return encoded(paper, form)


def hand(page: Page, way: str, picture: bytes, form: str) -> None:
    """Opens, pastes or drops a picture."""
    if way == "open":
        page.locator("#file").set_input_files({"name": f"1.{form}", "mimeType": f"image/{form}", "buffer": picture})
    else:
        page.evaluate(
            """([way, form, text]) => {
                const parcel = new DataTransfer(), bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
                parcel.items.add(new File([bytes], `1.${form}`, { type: `image/${form}` }));
                document.body.dispatchEvent(way === "paste"
                    ? new ClipboardEvent("paste", { clipboardData: parcel, bubbles: true })
                    : new DragEvent("drop", { dataTransfer: parcel, bubbles: true, cancelable: true }));
            }""",
            [way, form, base64.b64encode(picture).decode()],
        )


def test_several_digits_are_framed_in_their_places_and_read(shown: Shown) -> None:
    """Two strokes apart have a box each around them; one stroke alone has none."""
    page = shown.page
    draw(page, [(0.2, 0.3), (0.2, 0.7)])
    expect(page.locator("#several")).to_be_hidden()
    draw(page, [(0.7, 0.25), (0.7, 0.75)])
    expect(page.locator("#boxes i")).to_have_count(2)
    expect(page.locator("#numbers li")).to_have_count(1)
    marks = [mark.bounding_box() for mark in page.locator("#boxes i").all()]
    for mark, (x, top, bottom) in zip(marks, [(0.2, 0.3, 0.7), (0.7, 0.25, 0.75)], strict=True):
        (across, above), (_, below) = on_the_sheet(page, [(x, top), (x, bottom)])
        assert mark is not None
        assert mark["x"] + mark["width"] / 2 == pytest.approx(across, abs=4)
        assert 0 < above - mark["y"] < 20
        assert 0 < mark["y"] + mark["height"] - below < 20
    page.keyboard.press("Escape")
    expect(page.locator("#several")).to_be_hidden()
    expect(page.locator("#boxes i")).to_have_count(0)
    assert not shown.troubles


def test_digits_that_are_all_doubtful_are_not_listed(shown: Shown, server: Server) -> None:
    """The page says nothing of several digits where none of them is certain."""
    page = shown.page
    for seed in range(20):  # until the server's small model doubts both
        scribbles, random = Image.new("L", (500, 300), 255), np.random.default_rng(seed)
        for left in (60, 300):
            path = [(left + float(x), 60 + float(y)) for x, y in random.uniform(0, 140, (30, 2))]
            ImageDraw.Draw(scribbles).line(path, 0, 5)
        file = encoded(scribbles, "PNG")
        numbers = httpx.post(f"{server.url}/read", files={"image": file}).raise_for_status().json()["numbers"]
        digits = [digit for number in numbers for digit in number["digits"]]
        if len(digits) > 1 and all(digit["doubtful"] for digit in digits):
            break
    else:
        pytest.fail("no two scribbles were doubted")
    page.locator("#file").set_input_files({"name": "1.png", "mimeType": "image/png", "buffer": file})
    expect(page.locator("#said")).to_have_text(ANSWERED)
    settle(page)
    expect(page.locator("#several")).to_be_hidden()
    assert not shown.troubles


def test_on_a_dark_picture_the_pen_is_light_and_its_surroundings_are_no_ink(shown: Shown) -> None:
    """On dark paper the pen is light, and the same stroke gives nearly the same image."""
    page = shown.page
    draw(page, SEVEN)
    on_white = image(page).astype(int)
    page.keyboard.press("Escape")
    hand(page, "drop", encoded(Image.new("RGB", (640, 480), (12, 14, 16)), "webp"), "webp")
    expect(page.locator("#said")).to_contain_text("blank")
    draw(page, SEVEN)
    assert np.abs(image(page) - on_white).max() <= 3


def test_a_file_that_is_not_a_picture_is_reported(shown: Shown) -> None:
    """The page shows the service's sentence."""
    heic = bytes([0, 0, 0, 16]) + b"ftypheic" + bytes(400)
    for name, kind, data, sentence in [
        ("1.png", "image/png", b"text", "the file is not a picture"),
        ("1.heic", "image/heic", heic, "HEIC is not read"),
    ]:
        shown.page.locator("#file").set_input_files({"name": name, "mimeType": kind, "buffer": data})
        expect(shown.page.locator("#said")).to_contain_text(sentence)


# A champion of colour pictures, which are not square, with many classes that have long names

NAMES = [
    f"{first} {second}" for first in ("Rufous-bellied", "Azure", "Great") for second in ["woodpecker", "gull", "tit"]
]
NAMES += [f"Lesser-known bird {number}" for number in range(21)]


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    known: dict[str, Any] = {"classes": NAMES, "dataset": "birds", "preparation": "crop"}
    clone = new_clone(tmp_path_factory.mktemp("birds"), image=Shape(20, 24, 3), **known)
    new_study(clone.folder / "models/study", dataset="mnist")
    server = started(clone, python=f"{warm.folder()}/python", DIGITLINE_FEEDBACK="kept")
    yield server
    stopped(server)


def photograph() -> bytes:
    """Colours that differ everywhere."""
    across, down = np.meshgrid(np.linspace(0, 255, 300), np.linspace(0, 255, 200))
    return encoded(Image.fromarray(np.stack([across, down, 255 - across], 2).astype(np.uint8)), "png")


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_colour_picture_is_opened_explained_and_corrected(browser: Browser, birds: Server, screen: Any) -> None:
    """One picture of the whole way: opened, answered as by /classify, ten classes of thirty, colours, a correction.

    On a phone its own camera takes the picture. Nothing is drawn, and a study of another data set is not shown.
    """
    with opened(browser, birds, screen) as (page, troubles):
        expect(page.locator("#title")).to_have_text("Show a picture")
        expect(page.locator("#task")).to_contain_text("30 classes of birds")
        for hidden in ("#undo", "#size", ".moved"):
            expect(page.locator(hidden)).to_be_hidden()
        expect(page.locator("#invitation")).to_contain_text("of the data set mnist, the champion of birds")
        taken = page.locator("#file" if screen is DESKTOP else "#shot")
        expect(page.locator("#phone")).to_be_visible(visible=screen is PHONE)
        taken.set_input_files({"name": "1.png", "mimeType": "image/png", "buffer": photograph()})
        expect(page.locator("#said")).to_have_text(ANSWERED)
        settle(page)
        answer = classified(birds, photograph())
        seen = pixels(page, "image")[..., :3]
        assert seen.tolist() == answer["image"]
        assert pixels(page, "evidence").shape == (10, 12, 4)
        rows = page.locator("#bars li")
        assert [rows.nth(place).is_visible() for place in (0, 9, 10, 29)] == [True, True, False, False]
        assert rows.first.locator("b").text_content() == answer["label"]
        page.locator("#more").click()
        expect(rows.nth(29)).to_be_visible()
        adds_up(page, birds, seen)
        colourful(page, birds)
        assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("screen.width")
        page.locator("#labels select").select_option("Azure gull")
        expect(page.locator("#kept")).to_have_text("Kept as Azure gull. Thank you.")
        kept = corrections.read(birds.clone.folder / "kept", NAMES)
        assert np.array_equal(kept[0].image, seen)
        assert not troubles


def colourful(page: Page, server: Server) -> None:
    """The first layer's filters are drawn in the colours of their weights."""
    model = checkpoint.load(server.clone.folder / "models/champion/model.safetensors")
    weights = activations.layers(model, np.zeros((20, 24, 3), np.uint8))[1].filters
    assert weights is not None
    drawn = page.locator(".filters").evaluate("""map => {
        const copy = new OffscreenCanvas(map.width, map.height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(map, 0, 0);
        const side = map.height, cell = side / 5;  // the first filter of one row of filters, its upper left weight
        return [...copy.getImageData(cell / 2, cell / 2, 1, 1).data].slice(0, 3);
    }""")
    assert drawn == pytest.approx(127.5 + 127.5 * weights[0, :, 0, 0] / np.abs(weights).max(), abs=2)


def test_the_camera_s_picture_is_the_one_that_is_answered(browser: Browser, birds: Server) -> None:
    """The shutter takes a picture of Chromium's own camera, which is shown and answered; then the camera is off."""
    with opened(browser, birds, DESKTOP) as (page, troubles):
        page.locator("#camera").click()
        expect(page.locator("#viewfinder")).to_be_visible()
        expect(page.locator("#video")).to_have_js_property("readyState", 4)
        page.locator("#shutter").click()
        expect(page.locator("#viewfinder")).to_be_hidden()
        expect(page.locator("#said")).to_have_text(ANSWERED)
        settle(page)
        taken = sheet(page)
        assert Image.open(io.BytesIO(taken)).size == (640, 480)
        shown = pixels(page, "image")[..., :3].astype(int)
        assert np.abs(shown - classified(birds, taken)["image"]).mean() < 4  # sent as a JPEG
        assert shown[..., 1].mean() > 2 * shown[..., 0].mean()  # the camera is green
        assert page.evaluate("document.getElementById('video').srcObject.getTracks()[0].readyState") == "ended"
        assert not troubles
