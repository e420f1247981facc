"""Takes the pictures in docs/images: the page of the service with a digit drawn on it, and the report."""

import io
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Error, Page, expect, sync_playwright

from digitline.base.loopback import bypass_proxy

IMAGES, CHAMPION, REPORT = Path("docs/images"), Path("models/champion/model.json"), Path("reports/site/index.html")
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
LIMIT = 200_000  # bytes of a picture
TWO = [(0.3, 0.36), (0.35, 0.23), (0.5, 0.17), (0.64, 0.23), (0.68, 0.37), (0.58, 0.55), (0.3, 0.8), (0.73, 0.8)]


def draw(page: Page, url: str) -> None:
    """Opens the page as soon as the service answers, draws a 2 and waits for all of the answer."""
    for _ in range(120):
        try:
            page.goto(url)
            break
        except Error:  # not ready yet
            page.wait_for_timeout(500)
    page.wait_for_selector(".layer")
    box = "(({ x, y, width }) => [x, y, width])(document.getElementById('pad').getBoundingClientRect())"
    left, top, side = page.evaluate(box)
    for place, (x, y) in enumerate(TWO):
        page.mouse.move(left + side * x, top + side * y, steps=6)
        if place == 0:
            page.mouse.down()
    page.mouse.up()
    expect(page.locator("#took")).not_to_be_empty()
    expect(page.locator("body")).to_have_attribute("aria-busy", "false")


def save(png: bytes, path: Path) -> None:
    """Writes a picture with as many colours as its limit allows."""
    for colours in (256, 128, 64, 32, 16):
        file = io.BytesIO()
        Image.open(io.BytesIO(png)).convert("RGB").quantize(colours).save(file, "PNG", optimize=True)
        if file.tell() <= LIMIT:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.getvalue())
    print(f"{path}: {file.tell():,} bytes, {colours} colours")


def main() -> None:
    """Takes both; one sentence where there is nothing to show, or no browser."""
    bypass_proxy()
    if missing := [str(path) for path in (CHAMPION, REPORT) if not path.exists()]:
        sys.exit(f"error: no {' and no '.join(missing)}; dvc repro makes the champion, make report the report")
    if not (browser := next(filter(None, map(shutil.which, BROWSERS)), None)):
        sys.exit(f"error: no browser, expected one of {', '.join(BROWSERS)}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    words = [sys.executable, "-m", "bentoml", "serve", "--port", str(port)]
    with sync_playwright() as playwright, subprocess.Popen(words, stdout=subprocess.DEVNULL) as server:
        try:
            window = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = window.new_page(viewport={"width": 1280, "height": 960}, color_scheme="light")
            draw(page, f"http://127.0.0.1:{port}/ui/")
            save(page.screenshot(), IMAGES / "page.png")
            page.goto(REPORT.resolve().as_uri())
            save(page.screenshot(), IMAGES / "report.png")
            window.close()
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
