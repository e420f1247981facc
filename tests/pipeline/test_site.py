"""The report of a pipeline that has run, opened from disk in a real browser."""

import json
import re
import shutil
from pathlib import Path

import pytest

from digitline.config import code
from tests.checkout import HERE, Checkout, edit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(copied) -> Path:
    """The site of a study in which one row of the leaderboard differs from the last commit."""
    checkout: Checkout = copied()
    board = checkout.json("reports/leaderboard.json")
    board[0]["test_accuracy"]["mean"] -= 0.01
    committed = json.dumps(board[:-1]), (checkout.folder / "reports/leaderboard.json").read_text()
    (checkout.folder / "reports/leaderboard.json").write_text(committed[0])
    checkout.commit()
    (checkout.folder / "reports/leaderboard.json").write_text(committed[1])
    checkout.digitline("report")
    return Path(checkout.folder, "reports/site")


def page(checkout: Checkout) -> str:
    """The words of the first page, after the command that writes it."""
    checkout.digitline("report")
    return " ".join(re.sub("<[^>]*>", "", (checkout.folder / "reports/site/index.html").read_text()).split())


def test_a_study_of_which_nothing_passes_the_gate_has_its_report(copied):
    """Without any champion dvc repro ends with 0, and the report says why there is none."""
    checkout: Checkout = copied()
    edit(checkout.folder, lambda tree: tree["gate"].update(minimum_accuracy=1.0))
    shutil.rmtree(checkout.folder / "models/champion")
    for name in ("promotions.jsonl", "models/champion.dvc", "reports/promotion.json", "reports/promotion.md"):
        (checkout.folder / name).unlink()
    assert checkout.repro() == ["promote"]
    text = page(checkout)
    assert "none passed the gate: there is no champion" in text
    assert "did not pass the gate: validation accuracy" in text
    assert "There is no champion. The pipeline" in text


def test_a_champion_of_another_data_set_is_named_as_such_and_not_measured_on_this_one(copied):
    """Nor are this study's figures compared with the last commit's, of the other data set."""
    checkout: Checkout = copied()
    edit(checkout.folder, lambda tree: tree["datasets"].update(more=dict(tree["datasets"]["few"])))
    edit(checkout.folder, lambda tree: tree.update(dataset="more"))
    edit(checkout.folder, lambda tree: tree["gate"].update(minimum_accuracy=1.0))
    report = checkout.json("reports/validation.json")
    (checkout.folder / "reports/validation.json").write_text(json.dumps(report | {"dataset": "more"}))
    said = checkout.digitline("promote")
    assert said.startswith("there is no champion of more: ")
    assert " of the data set few  since" in checkout.digitline("status", "--mend")
    text = page(checkout)
    assert (
        f"none of more passed the gate: the champion is {checkout.json('models/champion/model.json')['variant']} of few"
        in text
    )
    assert "The champion is of another data set than this study." in text
    assert "Weakest on" not in text
    assert "are of another data set, few: there is nothing to compare" in text
    done = checkout.run("python", "-m", "scripts.difference")
    assert "are of another data set, few: no figure of more is compared with them." in done.stdout
    assert "line in" not in done.stdout
    assert "### Metrics" not in done.stdout


def test_numbers_stand_with_words_that_fit_them(site):
    """The training images used, not those that params.yaml allows; one seed, two seeds."""
    text = " ".join((site / "index.html").read_text().split())
    assert "2 variants on few</h1>" in text
    assert "short trainings on 300 images for 1 epoch;" in text
    assert "from 2 variants, 2 seeds each" in text
    assert not re.search(r"\b1 (seeds|variants|images|epochs)|digits", text)


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_site_opens_from_disk_asks_for_nothing_and_fits_the_screen(site, browser, width, scheme):
    with browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme) as context:
        page, troubles, asked = context.new_page(), [], []
        page.on("console", lambda said: troubles.append(said.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        for path in (site / "index.html", site / "variants/conv1.html", site / "variants/conv1_vote.html"):
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
            broken = "[...document.images].filter(one => one.loading != 'lazy' && !one.naturalWidth).length"
            assert page.evaluate(broken) == 0
            empty = "[...document.querySelectorAll('figure svg')].filter(one => !one.getBBox().width).length"
            assert page.evaluate(empty) == 0
        assert not troubles
        assert [url for url in asked if not url.startswith((site.as_uri(), "data:"))] == []


def test_a_variant_is_highlighted_in_every_curve(site, browser):
    with browser.new_context(viewport={"width": 1000, "height": 800}) as context:
        page = context.new_page()
        page.goto((site / "index.html").as_uri())
        page.locator("label", has_text="conv1_vote").click()
        shades = page.evaluate(
            "[...document.querySelectorAll('.of')].map(one => [one.classList[1], getComputedStyle(one).opacity])"
        )
        assert {name for name, opacity in shades if opacity == "1"} == {"conv1_vote"}
        assert {name for name, _ in shades} == {"fc", "conv1", "conv1_vote"}


def test_the_numbers_on_the_page_are_those_of_the_reports(origin, site, browser):
    board, ideas = origin.json("reports/leaderboard.json"), origin.json("reports/ideas/ideas.json")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto((site / "index.html").as_uri())
        for row in board:
            cells = page.locator(f"#leaderboard tr[data-variant={row['variant']}] td").all_inner_texts()
            assert cells[0].strip() == row["variant"]
            assert cells[1].split()[0] == f"{100 * row['val_accuracy']['mean']:.2f}"
            assert cells[2].split()[0] == f"{100 * row['test_accuracy']['mean']:.2f}"
            assert cells[4:6] == [row["group"], f"{100 * row['test_corrupted']:.1f}"]
            assert cells[6:8] == [f"{100 * row['outliers_doubted']:.1f}", f"{row['parameters']:,}"]
        lines = [
            cell.strip() for cell in page.locator("table.classes").first.locator("td:first-child").all_inner_texts()
        ]
        worst = sorted(board[0]["test_classes"], key=lambda line: (line["f1"], line["images"]))
        assert lines == [line["name"] for line in worst]
        text = " ".join(page.locator("main").inner_text().split())
        assert f"Balanced accuracy {100 * board[0]['test_balanced_accuracy']['mean']:.2f} %" in text
        assert f"right in {ideas['pooling']['convolution and pooling']['2']:.1f} %" in text
        assert origin.json("models/champion/model.json")["sha256"] in text
        changed = page.locator("#difference ~ .scroll tr").all_inner_texts()
        assert [line.split()[0] for line in changed[1:]] == [board[0]["variant"], board[-1]["variant"]]
        assert "+1.00" in changed[1]
        assert "new" in changed[2]


def test_every_link_of_a_page_leads_to_a_file_of_the_site(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        links = [link for link in re.findall(r'(?:href|src)="([^"]+)"', text) if not link.startswith(("#", "data:"))]
        if page.name != "data_docs.html":
            assert len(links) > 5
        for link in links:
            target = (page.parent / link.split("#")[0]).resolve()
            assert target.is_file(), link
            assert target.is_relative_to(site.resolve())
        assert not re.search(r"(?:url\(|@import |src=)[\"']?https?:", text)


def test_every_chart_has_its_numbers(site):
    for page in (site / "index.html", site / "variants/conv1.html"):
        for figure in re.findall(r"<figure>.*?</figure>", page.read_text(), re.DOTALL):
            if "Accuracy by " not in figure:  # the small charts share a file, which is linked below them
                assert re.search(r'href="[^"]+\.csv"', figure), figure[:300]
    assert all(len(path.read_text().splitlines()) > 1 for path in site.rglob("*.csv"))


def test_the_page_names_the_machine_that_made_the_results(origin, site):
    made = origin.json("models/machine.json")
    text = " ".join((site / "index.html").read_text().split())
    assert f"what the pipeline found on {made['processor']}, {made['instructions']}, " in text


def test_the_page_names_every_stage(site):
    text = (site / "index.html").read_text()
    [stages] = re.findall('class="stages">(.*?)</p>', text)
    assert set(re.findall(r"\b[a-z]+\b", stages)) - {"beside", "them", "and"} == set(code.stages(HERE / "dvc.yaml"))


def test_results_that_lack_what_a_page_shows_are_refused_and_the_site_stays(site):
    """The sentence names what is missing and the command that makes it, as for results of an older version."""
    checkout, page = Checkout(site.parents[1]), (site / "index.html").read_text()
    path = checkout.folder / "reports/leaderboard.json"
    text = path.read_text()
    path.write_text(text.replace('"test_ece"', '"something else"'))
    output = checkout.digitline("report", status=1)
    assert "reports lacks what the report shows: 'dict object' has no attribute 'test_ece'; run dvc repro" in output
    assert (site / "index.html").read_text() == page
    assert not site.with_suffix(".new").exists()
    path.write_text(text)
