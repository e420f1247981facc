"""digitline leaderboard: prints the table of the study, its record, the ablation or the servers."""

from pathlib import Path
from statistics import fmean

from digitline.base import files
from digitline.base.errors import InputError
from digitline.config import paths, times
from digitline.config.params import Params
from digitline.measure import leaderboard

SHIFTS = ["fc", "conv1_unpooled", "conv1"]


def table(folder: Path) -> str:
    """The leaderboard of this run or of the committed one."""
    rows, timings = (files.read_json(folder / path.name) for path in (paths.LEADERBOARD, paths.REPORTED))
    return leaderboard.text(rows, timings)


def ablation(folder: Path) -> str:
    """What each ingredient gains."""
    rows, pairs = (files.read_json(folder / name) for name in (paths.LEADERBOARD.name, "comparisons.json"))
    return leaderboard.ablation(rows, pairs)


def shifts(folder: Path) -> str:
    """Accuracy by how far the test images are shifted: the mean of both directions of both axes."""
    found: dict[tuple[str, int], list[float]] = {}
    for variant, family, level, accuracy in files.read_csv(folder / "plots/robustness.csv"):
        if variant in SHIFTS and family.startswith("shift"):
            found.setdefault((variant, abs(int(level))), []).append(100 * float(accuracy))
    pixels = sorted({distance for _, distance in found})
    lines = [["pixels", *map(str, pixels)], ["---"] * (len(pixels) + 1)]
    lines += [[name, *(f"{fmean(found[name, distance]):.1f}" for distance in pixels)] for name in SHIFTS]
    return leaderboard.markdown(lines)


def serving(folder: Path) -> str:
    """The servers, ordered by requests of one image per second."""
    found = files.read_json(folder / "serving.json")["servers"]
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
    "fashion": (table, Path("reports/fashion")),
    "shifts": (shifts, Path("reports/ablation")),
    "serving": (serving, Path("reports/bench")),
}


MAKES = {"results": "make", "serving": "make bench-serve"}  # the others, make record


def show(params: Params, *, table: str) -> None:
    """Prints a table; the results have this machine's times where it has run. InputError if there are none yet."""
    draw, folder = TABLES[table]
    if not (folder / ("serving.json" if table == "serving" else paths.LEADERBOARD.name)).exists():
        raise InputError(f"{folder} has no such results yet; run {MAKES.get(table, 'make record')} for them")
    if table != "results":
        print(draw(folder))
        return
    print(leaderboard.text(files.read_json(paths.LEADERBOARD), times.known(), params.select_by))
