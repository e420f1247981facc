import numpy as np
import pytest

from digitline.measure import classes
from digitline.measure.classes import Answers
from digitline.measure.statistics import mcnemar
from digitline.registry import gate
from digitline.registry.gate import Candidate, Labelled
from digitline.registry.verdict import page, report

LIMITS = {"minimum_accuracy": 0.98, "margin": 0.002, "latency_ms": 5.0, "size_mb": 1.0}
ON = Labelled(np.arange(5000) % 2, ["a", "b"])


def judge(challenger, champion, **changes):
    return gate.judge(challenger, champion, ON, **{"select_by": "accuracy", **LIMITS, **changes})


def right(*wrong: range) -> Answers:
    """Right answers on all images except those."""
    missed = np.zeros(len(ON.labels), bool)
    for each in wrong:
        missed[each.start : each.stop] = True
    return Answers(np.where(missed, 1 - ON.labels, ON.labels), np.where(missed, 3.0, 0.01))


GOOD = Candidate(right(range(50)), latency_ms=1.0, size_mb=0.5)


def test_a_good_model_passes_with_and_without_a_champion():
    assert judge(GOOD, None)[:2] == (True, [])
    assert judge(GOOD, right(range(45), range(50, 55))).passed


@pytest.mark.parametrize(
    ("challenger", "champion", "reason"),
    [
        (GOOD._replace(answers=right(range(150))), None, "97.00% is below gate.minimum_accuracy, 98.00%"),
        (
            GOOD,
            right(range(40)),
            "99.00% may be 0.20% or more below the champion's 99.20%: only it got 0 images",
        ),
        (GOOD._replace(latency_ms=6.0), None, "latency is above gate.latency_ms, 5 ms"),
        (GOOD._replace(size_mb=2.0), None, "size 2.00 MB is above gate.size_mb, 1 MB"),
    ],
)
def test_each_limit_is_enforced_and_named(challenger, champion, reason):
    verdict = judge(challenger, champion)
    assert not verdict.passed
    assert len(verdict.reasons) == 1
    assert reason in verdict.reasons[0]


DOUBTFUL = GOOD._replace(doubted={"stars": 1.0, "letters": 0.5})


def test_a_model_that_takes_what_is_of_no_class_for_one_does_not_pass():
    verdict = judge(DOUBTFUL, None, minimum_doubted=0.9)
    assert verdict.reasons == [
        "75.00% of drawn images of no class are doubted, below gate.minimum_doubted, 90.00%; least of letters, 50.00%"
    ]
    text = page(report(verdict, MODELS["fc"], None), LIMITS | {"minimum_doubted": 0.9})
    assert "| drawn images of no class, doubted | 75.00% | at least 90.00% |" in text


def test_doubt_is_no_condition_without_its_key_or_without_images_of_no_class():
    assert judge(DOUBTFUL, None, minimum_doubted=0.75).passed
    for verdict in (judge(DOUBTFUL, None), judge(GOOD, None, minimum_doubted=0.9)):
        assert verdict.passed
        assert "outliers_doubted" not in verdict.figures
        assert "no class" not in page(report(verdict, MODELS["fc"], None), LIMITS | {"minimum_doubted": 0.9})


def test_every_reason_is_given():
    assert len(judge(Candidate(right(range(2500)), 9.0, 9.0), right()).reasons) == 4


def test_equal_accuracies_with_different_errors_do_not_pass_because_they_prove_little():
    verdict = judge(GOOD, right(range(50, 100)))
    assert not verdict.passed
    assert verdict.figures["val_accuracy"] == verdict.figures["champion_val_accuracy"] == 0.99
    assert verdict.figures["p_inferior"] > 0.05


def test_the_images_are_paired():
    figures = judge(GOOD, right(range(10, 53))).figures
    assert (figures["better"], figures["worse"]) == (3, 10)
    assert figures["p_equal"] == pytest.approx(mcnemar(3, 10), rel=1e-5)


MODELS = {name: {"variant": name, "sha256": name * 8} for name in ("fc", "conv1")}


def test_the_report_is_flat_names_both_models_and_has_no_timings():
    champion = right(range(45), range(50, 55))
    verdict = judge(GOOD, champion)
    found = report(verdict, MODELS["fc"], MODELS["conv1"])
    assert (found["challenger"], found["challenger_sha256"]) == ("fc", "fc" * 8)
    assert (found["champion"], found["champion_sha256"]) == ("conv1", "conv1" * 8)
    assert (found["passed"], found["val_accuracy"], found["worse"]) == (True, 0.99, 5)
    assert not any(isinstance(value, dict) for value in found.values())
    assert found == report(judge(GOOD._replace(latency_ms=2.0), champion), *MODELS.values())
    slow = [judge(GOOD._replace(latency_ms=ms), None) for ms in (6.0, 7.0)]
    assert report(slow[0], MODELS["fc"], None) == report(slow[1], MODELS["fc"], None)


def test_the_page_shows_the_verdict_its_reasons_and_the_figures_beside_their_limits():
    verdict = judge(GOOD._replace(size_mb=2.0), right(range(45)))
    text = page(report(verdict, MODELS["fc"], MODELS["conv1"]), LIMITS)
    assert text.startswith("# fc does not pass the gate\n")
    assert f"- {verdict.reasons[0]}\n" in text
    assert "| size | 2.00 MB | at most 1 MB |" in text
    assert "| right by the champion alone | 5 images | |" in text
    alone = page(report(judge(GOOD, None), MODELS["fc"], None), LIMITS)
    assert alone.startswith("# fc passes the gate\n")
    assert "There was no champion" in alone


def test_a_verdict_by_accuracy_has_the_keys_that_it_always_had():
    found = report(judge(GOOD, right(range(45)), margin=0.5), *MODELS.values())
    sides = ["challenger", "challenger_sha256", "champion", "champion_sha256"]
    pair = ["champion_val_accuracy", "better", "worse", "p_equal", "p_inferior"]
    assert list(found) == ["passed", *sides, "images", "val_accuracy", *pair, "size_mb", "reasons"]


# Rare classes

RARE = Labelled(np.repeat([0, 1, 2], [4900, 93, 7]), ["daisy", "rose", "anthurium", "lotus"])  # none of lotus


def of_rare(*missed: int, loss: float = 0.1) -> Answers:
    """Right answers but for so many images of each class, which are given to another one."""
    predicted = RARE.labels.copy()
    for label, count in enumerate(missed):
        predicted[np.flatnonzero(RARE.labels == label)[:count]] = (label + 1) % 3
    return Answers(predicted, np.full(len(predicted), loss))


def judge_rare(own: Answers, champion: Answers | None = None, **changes):
    return gate.judge(Candidate(own, 1.0, 0.5), champion, RARE, **{"select_by": "accuracy", **LIMITS, **changes})


def test_a_class_below_the_recall_of_every_class_is_named_with_its_count():
    verdict = judge_rare(of_rare(10, 9, 2), minimum_recall=0.95)
    assert verdict.reasons == [
        "class lotus has no validation image, so gate.minimum_recall cannot be judged for it",
        "class anthurium has a recall of 71.43% on validation, 5 of 7 images, below gate.minimum_recall, 95.00%",
        "class rose has a recall of 90.32% on validation, 84 of 93 images, below gate.minimum_recall, 95.00%",
    ]
    assert (verdict.figures["lowest_recall"], verdict.figures["lowest_recall_class"]) == (0.714286, "anthurium")


def test_only_the_named_classes_are_held_to_a_recall_by_name():
    named = {"rose": 0.9, "anthurium": 0.8}
    assert [reason[:15] for reason in judge_rare(of_rare(10, 9, 2), minimum_recall=named).reasons] == [
        "class anthurium"
    ]
    assert judge_rare(of_rare(10, 9, 1), minimum_recall=named).passed
    text = page(
        report(judge_rare(of_rare(10, 9, 1), minimum_recall=named), MODELS["fc"], None),
        LIMITS | {"minimum_recall": named},
    )
    assert "| lowest recall, of class anthurium | 85.71% | at least 80.00% |" in text


def test_of_a_hundred_classes_below_the_recall_the_worst_are_named_and_the_others_counted():
    on = Labelled(np.repeat(np.arange(100), 20), [f"c{name}" for name in range(100)])
    wrong = Answers((on.labels + 1) % 100, np.ones(len(on.labels)))
    floors: dict = {"select_by": "accuracy", **LIMITS, "minimum_accuracy": 0, "minimum_recall": 0.5}
    verdict = gate.judge(Candidate(wrong, 1.0, 0.5), None, on, **floors)
    assert len(verdict.reasons) == 6
    assert verdict.reasons[-1] == "95 more classes are below gate.minimum_recall"


def test_the_verdict_says_how_little_is_known_of_rare_classes():
    lotus, anthurium = judge_rare(of_rare(10, 9, 2), select_by="balanced_accuracy").notes
    assert lotus == "class lotus has no validation image: nothing is known of its recall"
    assert anthurium == (
        "class anthurium has 7 validation images: its recall, 71.43%, is known to within ±28 points (36% to 92%), "
        "and a smaller loss on it cannot be ruled out"
    )
    assert judge_rare(of_rare(10, 9, 2)).notes == []


@pytest.mark.parametrize(("by", "worse"), [("balanced_accuracy", "below"), ("macro_f1", "below"), ("nll", "above")])
def test_another_measure_is_judged_by_paired_resampling_and_the_verdict_says_so(monkeypatch, by, worse):
    for module in (gate, classes):
        monkeypatch.setattr(module, "RESAMPLES", 500)
    same = judge_rare(of_rare(10, 9, 1), of_rare(10, 9, 1), select_by=by, margin=0.2)
    assert same.passed
    assert f" or more {worse} the champion's" in same.notes[0]
    assert "is ruled out by paired resampling of the images within their classes, 500 times, p 0.002" in same.notes[0]
    lost = judge_rare(of_rare(10, 9, 3, loss=0.2), of_rare(10, 9, 1), select_by=by)
    assert f" or more {worse} the champion's" in lost.reasons[0]
    assert "paired resampling of the images within their classes" in lost.reasons[0]
    assert lost.figures["p_inferior"] > 0.05
    assert lost.figures["loss_high"] > 0.002
    text = page(report(lost, MODELS["fc"], MODELS["conv1"]), LIMITS)
    assert f"or more {worse}, paired resampling |" in text
    assert "exact" not in text
    assert report(lost, MODELS["fc"], MODELS["conv1"])["select_by"] == by


def test_a_loss_on_a_rare_class_alone_stops_a_model_that_accuracy_lets_pass():
    champion, own = of_rare(10, 9, 0), of_rare(5, 9, 5)
    assert judge_rare(own, champion, margin=0.1).passed
    assert judge_rare(champion, champion, margin=0.1, select_by="balanced_accuracy").passed
    assert not judge_rare(own, champion, margin=0.1, select_by="balanced_accuracy").passed


def test_equal_answers_to_seven_images_of_a_class_do_not_rule_out_a_small_loss():
    verdict = judge_rare(of_rare(10, 9, 1), of_rare(10, 9, 1), select_by="balanced_accuracy")
    assert "may be 0.20% or more below the champion's" in verdict.reasons[0]
    assert any("class anthurium has 7 validation images" in note for note in verdict.notes)
