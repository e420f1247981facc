"""The sheet under several pointers at once, with the browser's own input: pen, palm, fingers, mouse and keyboard."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests import fuzz, warm
from tests.shown import ANSWERED, PHONE, SEVEN, on_the_sheet, opened, settle, sheet

pytestmark = pytest.mark.slow

Place = tuple[float, float]  # fractions of the sheet's sides
CORNER, NEARBY, ASIDE = (0.85, 0.9), (0.87, 0.92), (0.2, 0.9)


@dataclass
class Hand:
    """Sends input at times of its own, so that a busy machine changes nothing."""

    page: Page
    session: CDPSession
    troubles: list[str]
    now: float  # seconds

    def touch(self, kind: str, *fingers: Place, after: float = 0.01) -> None:
        """Starts, moves or ends the touches of some fingers, all that there are."""
        self.now += after
        places = enumerate(on_the_sheet(self.page, list(fingers)))
        points = [{"id": finger, "x": x, "y": y} for finger, (x, y) in places]
        self.session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points, **self.time})

    def pen(self, kind: str, place: Place, *, down: bool, after: float = 0.01) -> None:
        """Presses, moves or releases a pen."""
        self.now += after
        [(x, y)] = on_the_sheet(self.page, [place])
        force = {"button": "left", "clickCount": 1, "buttons": 1, "force": 0.5} if down or kind == "Released" else {}
        point = {"type": f"mouse{kind}", "x": x, "y": y, "pointerType": "pen", **force}
        self.session.send("Input.dispatchMouseEvent", {**point, "buttons": int(down), **self.time})

    @property
    def time(self) -> dict[str, float]:
        return {"timestamp": self.now}


@pytest.fixture(scope="module")
def opened_once(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Hand]:
    folder = tmp_path_factory.mktemp("pad")
    with (
        fuzz.service(folder, f"{warm.folder()}/python") as server,
        opened(browser, server, PHONE) as (page, troubles),
    ):
        yield Hand(page, page.context.new_cdp_session(page), troubles, time.time())


@pytest.fixture
def hand(opened_once: Hand) -> Iterator[Hand]:
    """A hand over an empty sheet, seconds after whatever was there before."""
    clear(opened_once)
    yield opened_once
    assert not opened_once.troubles


def clear(hand: Hand) -> None:
    hand.now += 10
    hand.page.locator("#pad").focus()
    hand.page.keyboard.press("Escape")


def nothing(step: int) -> None:
    """Beside a stroke."""


def by_pen(hand: Hand, beside: Callable[[int], None] = nothing) -> bytes:
    """The sheet with a pen's 7; `beside` is called before each of its moves."""
    hand.pen("Pressed", SEVEN[0], down=True)
    for step, place in enumerate(SEVEN[1:]):
        beside(step)
        hand.pen("Moved", place, down=True)
    hand.pen("Released", SEVEN[-1], down=False)
    return sheet(hand.page)


def by_finger(hand: Hand, beside: Callable[[int], None] = nothing) -> bytes:
    """The sheet with a finger's 7."""
    hand.touch("Start", SEVEN[0])
    for step, place in enumerate(SEVEN[1:]):
        beside(step)
        hand.touch("Move", place)
    hand.touch("End")
    return sheet(hand.page)


def by_mouse(hand: Hand, beside: Callable[[int], None] = nothing) -> bytes:
    """The sheet with the mouse's 7."""
    first, *rest = on_the_sheet(hand.page, SEVEN)
    hand.page.mouse.move(*first)
    hand.page.mouse.down()
    for step, place in enumerate(rest):
        beside(step)
        hand.page.mouse.move(*place)
    hand.page.mouse.up()
    return sheet(hand.page)


def test_a_pen_s_seven_beside_a_resting_palm_is_the_seven_alone(hand: Hand) -> None:
    """The palm lies down first, moves while the pen draws, and leaves after it."""
    alone = by_pen(hand)
    clear(hand)
    hand.touch("Start", CORNER)
    assert by_pen(hand, lambda step: hand.touch("Move", (CORNER, NEARBY)[step % 2])) == alone
    hand.touch("Move", ASIDE)
    hand.touch("End")
    assert sheet(hand.page) == alone
    settle(hand.page)
    expect(hand.page.locator("#said")).to_have_text(ANSWERED)


def test_a_palm_s_taps_before_during_and_after_a_pen_s_stroke_change_nothing(hand: Hand) -> None:
    def tap(step: int = 1) -> None:
        if step == 1:
            hand.touch("Start", CORNER)
            hand.touch("End")

    alone = by_pen(hand)
    clear(hand)
    tap()
    by_pen(hand, tap)
    tap()
    assert sheet(hand.page) == alone
    hand.now += 1
    tap()
    assert sheet(hand.page) != alone  # after a while it is a finger's dot


def test_a_pen_that_hovers_adds_no_line_and_keeps_the_palm_away(hand: Hand) -> None:
    def hover(step: int) -> None:
        hand.pen("Moved", (CORNER, ASIDE)[step % 2], down=False)

    hover(0)
    hand.touch("Start", CORNER)
    hand.touch("End")
    empty = sheet(hand.page)
    clear(hand)
    assert sheet(hand.page) == empty
    alone = by_pen(hand)
    hover(0)
    hover(1)
    assert sheet(hand.page) == alone
    clear(hand)
    finger = by_finger(hand)
    clear(hand)
    assert by_finger(hand, hover) == finger


def test_a_mouse_that_hovers_beside_the_lowered_pen_of_the_keyboard_draws_nothing(hand: Hand) -> None:
    """Once it draws itself, the keyboard's pen is lifted."""
    mouse, keyboard = hand.page.mouse, hand.page.keyboard
    alone = by_mouse(hand)
    clear(hand)
    keyboard.press("Space")
    dot = sheet(hand.page)
    for place in on_the_sheet(hand.page, [CORNER, ASIDE]):
        mouse.move(*place)
    assert sheet(hand.page) == dot
    expect(hand.page.locator(".cursor.down")).to_have_count(1)
    both = by_mouse(hand)
    expect(hand.page.locator(".cursor.down")).to_have_count(0)
    keyboard.press("ArrowDown")
    assert sheet(hand.page) == both
    keyboard.press("Control+z")
    assert sheet(hand.page) == dot
    clear(hand)
    assert by_mouse(hand, lambda step: keyboard.press(("ArrowDown", "Space")[step % 2])) == alone


def test_a_space_bar_that_is_held_lowers_the_pen_once(hand: Hand) -> None:
    for _ in range(2):
        hand.page.keyboard.down("Space")
    dot = sheet(hand.page)
    hand.page.keyboard.up("Space")
    hand.page.keyboard.press("ArrowDown")
    assert sheet(hand.page) != dot
    hand.page.keyboard.press("Space")


def test_a_second_finger_adds_nothing(hand: Hand) -> None:
    alone = by_finger(hand)
    clear(hand)
    hand.touch("Start", SEVEN[0])
    hand.touch("Start", SEVEN[0], ASIDE)
    for step, place in enumerate(SEVEN[1:]):
        hand.touch("Move", place, (ASIDE, CORNER)[step % 2])
    hand.touch("End")
    assert sheet(hand.page) == alone
    settle(hand.page)
    expect(hand.page.locator("#said")).to_have_text(ANSWERED)


def test_a_touch_that_the_system_takes_away_leaves_nothing(hand: Hand) -> None:
    empty = sheet(hand.page)
    hand.touch("Start", SEVEN[0])
    hand.touch("Move", SEVEN[1])
    assert sheet(hand.page) != empty
    hand.touch("Cancel")
    assert sheet(hand.page) == empty
    expect(hand.page.locator("#said")).to_have_text("Nothing is drawn yet.")
    alone = by_finger(hand)
    hand.touch("Start", CORNER)
    hand.touch("Cancel")
    assert sheet(hand.page) == alone


@pytest.mark.parametrize("key", ["Escape", "Control+z"])
def test_undoing_a_stroke_lifts_the_pen_that_draws_it(hand: Hand, key: str) -> None:
    keyboard, empty = hand.page.keyboard, sheet(hand.page)
    keyboard.press("Space")
    dot = sheet(hand.page)
    keyboard.press(key)
    keyboard.press("ArrowDown")
    keyboard.press("ArrowUp")
    assert sheet(hand.page) == empty
    keyboard.press("Space")
    assert sheet(hand.page) == dot


def test_the_left_button_released_while_another_is_held_ends_the_stroke(hand: Hand) -> None:
    mouse = hand.page.mouse
    start, end, away = on_the_sheet(hand.page, [SEVEN[0], SEVEN[1], CORNER])
    mouse.move(*start)
    mouse.down()
    mouse.move(*end)
    drawn = sheet(hand.page)
    mouse.down(button="right")
    mouse.up()
    mouse.move(*away)
    mouse.up(button="right")
    assert sheet(hand.page) == drawn
