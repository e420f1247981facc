"""Measures the time from a stroke to its answer on the screen, in Chromium, with a running service."""

import argparse
import json
import shutil
from statistics import median, quantiles

from playwright.sync_api import sync_playwright

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MOVES = 120  # of the pointer, each with an answer
# From the pointer's event to the frame after its answer was laid out.
WATCH = """() => {
  let moved = 0, asked = 0;
  window.took = [];
  addEventListener("pointermove", (event) => { moved = event.timeStamp; }, true);
  const ask = fetch;
  window.fetch = (path, ...rest) => { if (path.includes("explain?brief")) asked = moved; return ask(path, ...rest); };
  new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => took.push(performance.now() - asked))))
    .observe(document.getElementById("took"), { childList: true });
}"""


def main() -> None:
    """Draws, waits for each answer, prints the median and the 95th percentile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:3000")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{parser.parse_args().url}/ui/")
        page.wait_for_selector(".layer")
        page.evaluate(WATCH)
        page.mouse.move(200, 200)
        page.mouse.down()
        for move in range(MOVES):
            page.mouse.move(200 + move % 40 * 4, 200 + move // 40 * 60)
            page.wait_for_timeout(150)
        took = page.evaluate("took")[5:]
        browser.close()
    figures = {"answers": len(took), "median_ms": round(median(took), 1), "p95_ms": round(quantiles(took, n=20)[-1], 1)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
