"""digitline results: writes the results that git keeps: this machine's times, the machine, the tables of the pages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from digitline.base import files
from digitline.cli.leaderboard import TABLES
from digitline.config import paths, times
from digitline.config.params import Params
from digitline.measure.leaderboard import markdown, percent

Draw = Callable[[Path], str]  # of the folder that holds the reports


def results(params: Params) -> None:
    """Writes the times, the machine and the tables of README and docs/."""
    files.write_json(paths.MACHINE, files.read_json(paths.MADE_ON))
    files.write_json(paths.REPORTED, {name: times.known().get(name, {}) for name in [*params.rows, times.WHOLE]})
    for page, tables in PAGES.items():
        text = page.read_text()
        for name, (draw, folder) in tables.items():
            if f"<!-- {name} -->" in text:  # a project of one's own keeps only some
                before, _, after = marked(text, name)
                text = f"{before}{draw(folder)}\n{after}"
        files.write(page, text.encode())


def marked(text: str, name: str) -> list[str]:
    """The text before, between and after the marks of a table."""
    before, start, rest = text.partition(f"<!-- {name} -->\n")
    within, end, after = rest.partition(f"<!-- /{name} -->")
    return [before + start, within, end + after]


def table(titles: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return markdown([titles, ["---"] * len(titles), *rows])


def summary(folder: Path) -> str:
    """The leaderboard in five columns."""
    rows = []
    for row in files.read_json(folder / paths.LEADERBOARD.name):
        test = row["test_accuracy"]
        low, high = (100 * end for end in test["images95"])
        cells = [
            row["variant"],
            percent(row["val_accuracy"]),
            f"{test['mean']:.2%}"[:-1] + f" ({low:.2f} to {high:.2f})",
        ]
        rows.append([*cells, f"{row['parameters']:,}", f"{row['macs'] / 1e6:.2f} M"])
    return table(["variant", "validation %", "test % (95% interval)", "parameters", "multiply-adds"], rows)


def duration(folder: Path) -> str:
    """How long digitline run took for all stages, if it ran them, else the trainings; and on which machine."""
    timings, machine = (files.read_json(folder / path.name) for path in (paths.REPORTED, paths.MACHINE))
    where = f"{machine['cores']} cores ({machine['processor']})"
    if seconds := timings.get(times.WHOLE, {}).get("seconds"):
        return f"The pipeline took {seconds / 60:.0f} minutes on {where}."
    longest = [max(timing["train_seconds"].values()) for timing in timings.values() if timing.get("train_seconds")]
    return f"Training all variants took {sum(longest) / 60:.0f} minutes on {where}."


def machines(folder: Path) -> str:
    """Which machine measured what."""
    study = files.read_json(folder / paths.MACHINE.name)
    words = f"{study['processor']}, {study['cores']} cores, torch {study['torch']}"
    record = files.read_json(folder / "record/origin.json")
    rows = [["study", words], ["record", f"{record['machine']}, commit {record['commit'][:12]}"]]
    names = ("training", "serving", "pictures", "gpu")
    benchmarks = {name: files.read_json(folder / f"bench/{name}.json") for name in names}
    rows += [[f"benchmark, {name}", found["machine"]] for name, found in benchmarks.items()]
    return table(["results", "machine"], rows)


def training(folder: Path) -> str:
    """How long each script trains to 99% on test."""
    found = files.read_json(folder / "training.json")
    seconds = found["seconds"]
    rows = [
        ["digitline, a small network", f"{seconds['ours']:.1f}", "1.0"],
        ["the usual PyTorch script", f"{seconds['usual']:.1f}", f"{found['times_faster']:.1f}"],
        ["multiply-adds alone", f"{found['floor_seconds']:.1f}", f"{1 / found['times_the_floor']:.2f}"],
    ]
    return table(["training to 99% on test", f"seconds, median of {found['repeats']}", "times digitline"], rows)


def runtimes(folder: Path) -> str:
    """How fast each runtime answers with the champion's model, and how many labels it changes."""
    rows: dict[str, dict[Any, Any]] = {}
    for each in files.read_json(folder / "serving.json")["runtimes"]:
        if each["model"] == "champion":
            rows.setdefault(each["runtime"], {})[each["batch"], each["threads"]] = each
    shown = [(1, 1), (256, 2)]
    lines = [
        [name, *(f"{each[key]['images_per_second']:,.0f}" for key in shown), str(each[256, 2]["other_labels"])]
        for name, each in rows.items()
    ]
    titles = ["runtime", "images a second, one at a time, one thread", "256 at a time, two threads", "labels changed"]
    return table(titles, lines)


def gpu(folder: Path) -> str:
    """The service on a GPU and on the processor beside it."""
    found = files.read_json(folder / "gpu.json")["devices"]
    counts = [1, 256, 4096]
    rows = [
        [
            name,
            *(f"{each[f'images_per_second_at_{count}']:,.0f}" for count in counts),
            f"{each['ready_seconds']:.1f}",
            str(each["other_labels"]),
        ]
        for name, each in found.items()
    ]
    titles = ["one worker", "images a second, one a request", *(f"{count:,} a request" for count in counts[1:])]
    return table([*titles, "seconds to ready", "labels changed"], rows)


def limits(folder: Path) -> str:
    """How the service behaves at its start, with many callers, and beyond its capacity."""
    found = files.read_json(folder / "serving.json")
    steady, over, memory = found["at_70_percent"], found["at_150_percent"], found["memory"]
    most = max(row["callers"] for row in found["batching"])
    alone, batched = (row["images_per_second"] for row in found["batching"] if row["callers"] == most)
    rows = [
        ["seconds from start to ready", f"{found['ready']['seconds']:.1f}"],
        [f"{most} callers: answers with batching / without", f"{batched / alone:.1f}"],
        ["at 70% of capacity: p50, p99", f"{steady['p50_ms']:.1f} ms, {steady['p99_ms']:.1f} ms"],
        ["at 150% of capacity: requests answered, of capacity", f"{over['answered_of_capacity']:.0%}"],
        ["at 150% of capacity: p50, p99 of the answers", f"{over['p50_ms']:.0f} ms, {over['p99_ms']:.0f} ms"],
        ["at 150% of capacity: p50 of the refusals", f"{over['refused_p50_ms']:.0f} ms"],
        [f"growth of memory over {memory['requests']:,} requests", f"{memory['grown_bytes'] / 1e6:.1f} MB"],
    ]
    return table(["one worker", "measured"], rows)


DOUBTED = {"digits": "MNIST test images", "letters": "printed letters", "scribbles": "random scribbles"}


def pictures(folder: Path) -> str:
    """How long it takes to prepare a picture."""
    found = files.read_json(folder / "pictures.json")
    rows = []
    for what, wanted in (("a sheet of paper", True), ("a picture without paper", False)):
        means = {name: each["mean_ms"] for name, each in found["kinds"].items() if (name in found["paper"]) == wanted}
        for which, extreme in (("quickest", min), ("slowest", max)):
            name = extreme(means, key=lambda each: means[each])
            rows.append([f"{what}, the {which} kind: {name}", f"{means[name]:.0f}"])
    rows.append(["a photograph of 12 megapixels, JPEG", f"{found['photograph_ms']:.0f}"])
    return table(["decoding and preparing, one thread", "milliseconds"], rows)


def trials(folder: Path) -> str:
    """The champion on pictures as users send them."""
    found = files.read_json(folder / "trials.json")
    mnist, scikit, doubted = found["mnist"], found["scikit_learn"], found["doubted"]
    low, high = found["corrupted"]["interval"]
    rows = [
        [f"correct: {mnist['images']:,} MNIST test images", f"{mnist['raw']:.2%}"],
        ["correct: the same, enlarged and off-centre on a sheet, as PNG or JPEG", f"{mnist['sheets']:.2%}"],
        ["correct: the same, with 17 corruptions", f"{found['corrupted']['mean']:.1%} ({low:.1%} to {high:.1%})"],
        [f"correct: {scikit['images']:,} digits of scikit-learn, never trained on", f"{scikit['sheets']:.1%}"],
        *([f"doubtful: {DOUBTED.get(name, name)}", f"{share:.1%}"] for name, share in doubted.items()),
    ]
    return table(["pictures", "share"], rows)


def numbers(folder: Path) -> str:
    """The champion on pictures of whole numbers."""
    found = files.read_json(folder / "trials.json").get("numbers", {})
    shares = ("right", "right_undoubted", "doubted", "wrong_undoubted")
    rows = [[kind, *(f"{each[share]:.1%}" for share in shares)] for kind, each in found.items()]
    titles = ["numbers", "right", "right without doubt", "doubted", "wrong without doubt"]
    return table(titles, rows) if found else ""  # measured before there were numbers


def paper(folder: Path) -> str:
    """The champion on each kind of paper, and on pictures without any."""
    found = files.read_json(folder / "trials.json").get("paper")
    if not found:  # measured before there were sheets
        return ""
    rows = [
        [f"{name}{mark}", *(f"{shares[key]:.1%}" for key in ("right", "doubted", "wrong"))]
        for group, mark in (("kinds", ""), ("held_out", " *"))
        for name, shares in found[group].items()
    ]
    rows += [[name, "", f"{doubted:.1%}", f"{1 - doubted:.1%}"] for name, doubted in found["scenes"].items()]
    return table(["picture", "right", "doubted", "wrong without doubt"], rows)


REPORTS, BENCH = Path("reports"), Path("reports/bench")
PAGES: dict[Path, dict[str, tuple[Draw, Path]]] = {  # the tables of each page, by the name in their marks
    Path("README.md"): {"summary": (summary, REPORTS), "duration": (duration, REPORTS)},
    Path("docs/results.md"): {
        **TABLES,
        "machines": (machines, REPORTS),
        "training": (training, BENCH),
        "runtimes": (runtimes, BENCH),
        "gpu": (gpu, BENCH),
        "limits": (limits, BENCH),
        "pictures": (pictures, BENCH),
        "trials": (trials, REPORTS),
        "numbers": (numbers, REPORTS),
        "paper": (paper, REPORTS),
    },
}
