"""What the tests of the page share: the page in a browser, and places on its sheet."""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page, expect

from tests.served import Server

ANSWERED = re.compile("probability|nearest")
SEVEN = [(0.3, 0.25), (0.5, 0.22), (0.7, 0.25), (0.6, 0.45), (0.5, 0.65), (0.45, 0.8)]  # fractions of the sheet's sides
DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "color_scheme": "dark",
    "has_touch": True,
    "is_mobile": True,
}


class Shown(NamedTuple):
    page: Page
    troubles: list[str]  # messages of the browser's console


@contextmanager
def opened(browser: Browser, server: Server, screen: dict[str, Any]) -> Iterator[Shown]:
    """The page on that screen."""
    with browser.new_context(**screen) as context:
        page, troubles = context.new_page(), []
        page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(f"{server.url}/ui/")
        page.wait_for_selector(".layer")
        yield Shown(page, troubles)


def on_the_sheet(page: Page, places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Converts fractions of the sheet's sides to places in the window."""
    box: Any = page.locator("#pad").bounding_box()
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]


def settle(page: Page) -> None:
    """Waits until the answer is that for the current drawing."""
    expect(page.locator("body")).to_have_attribute("aria-busy", "false")


def sheet(page: Page) -> bytes:
    """The sheet as a PNG."""
    return base64.b64decode(page.evaluate("document.getElementById('pad').toDataURL('image/png')").split(",")[1])
