"""Prints a table of the study; with --readme puts them all into README.md."""

import sys
from pathlib import Path
from statistics import fmean

from digitline import leaderboard
from pipeline import stage

SHIFTS = ["fc", "conv1_unpooled", "conv1"]


def table(folder: Path) -> str:
    """The leaderboard of a run, or of the one committed."""
    rows, timings = (stage.read_json(folder / path.name) for path in (stage.LEADERBOARD, stage.TIMINGS))
    return leaderboard.text(rows, timings)


def ablation(folder: Path) -> str:
    """What each ingredient buys."""
    rows, pairs = (stage.read_json(folder / name) for name in (stage.LEADERBOARD.name, "comparisons.json"))
    return leaderboard.ablation(rows, pairs)


def shifts(folder: Path) -> str:
    """Accuracy by how far the test images are shifted: the mean of both directions of both axes."""
    found: dict[tuple[str, int], list[float]] = {}
    for variant, family, level, accuracy in stage.read_csv(folder / "plots/robustness.csv"):
        if variant in SHIFTS and family.startswith("shift"):
            found.setdefault((variant, abs(int(level))), []).append(100 * float(accuracy))
    pixels = sorted({distance for _, distance in found})
    lines = [["pixels", *map(str, pixels)], ["---"] * (len(pixels) + 1)]
    lines += [[name, *(f"{fmean(found[name, distance]):.1f}" for distance in pixels)] for name in SHIFTS]
    return leaderboard.markdown(lines)


def serving(folder: Path) -> str:
    """The servers by how many requests of one image they answer a second."""
    found = stage.read_json(folder / "serving.json")["servers"]
    lines = [["server", "requests a second, one image", "median ms", "99th of 100, ms", "images a second, 256"]]
    lines.append(["---"] * len(lines[0]))
    for name, sizes in sorted(found.items(), key=lambda pair: -pair[1]["1"]["requests_per_second"]):
        one, many = sizes["1"], sizes["256"]
        waits = [f"{one[key]:.1f}" if key in one else "" for key in ("p50_ms", "p99_ms")]
        lines.append([name, f"{one['requests_per_second']:,.0f}", *waits, f"{many['images_per_second']:,.0f}"])
    return leaderboard.markdown(lines)


TABLES = {
    "results": (table, Path("reports")),
    "record": (table, Path("reports/record")),
    "ablation": (ablation, Path("reports/ablation")),
    "shifts": (shifts, Path("reports/ablation")),
    "serving": (serving, Path("reports/bench")),
}


def marked(text: str, name: str) -> list[str]:
    """The text before, between and after the marks of a table."""
    before, start, rest = text.partition(f"<!-- {name} -->\n")
    within, end, after = rest.partition(f"<!-- /{name} -->")
    return [before + start, within, end + after]


def main() -> None:
    """Shows a table in the terminal or puts them all into README.md."""
    if sys.argv[1:] != ["--readme"]:
        draw, folder = TABLES[sys.argv[1] if sys.argv[1:] else "results"]
        print(draw(folder))
        return
    readme = Path("README.md")
    text = readme.read_text()
    for name, (draw, folder) in TABLES.items():
        if f"<!-- {name} -->" in text:
            before, _, after = marked(text, name)
            text = f"{before}{draw(folder)}\n{after}"
    readme.write_text(text)


if __name__ == "__main__":
    main()
