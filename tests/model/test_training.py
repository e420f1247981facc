from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from digitline.base.errors import InputError
from digitline.data import dataset
from digitline.data.entry import MNIST
from digitline.measure import novelties
from digitline.measure.uncertainty import entropy
from digitline.model import networks, training
from digitline.model.augmentation import warp
from digitline.model.evaluation import predict
from digitline.model.training import accompanying, batches, drawn, fit, has_bfloat16, undecided

RECIPE: dict[str, Any] = {
    "optimizer": "SGD",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "batch_size": 32,
    "warmup": 0.2,
    "label_smoothing": 0.05,
    "augmentation": {"rotation": 10.0, "scale": 0.1, "shift": 1.0},
    "bfloat16": True,
}


@pytest.fixture(autouse=True)
def small_pool(monkeypatch):
    """Of outliers, so that no test waits for thousands."""
    monkeypatch.setattr(training, "POOL", 256)


def trained(digits, *, seed=1, epochs=2, **changes):
    torch.manual_seed(seed)
    model = networks.build(network="plain", filters=[4, 4], hidden=16, activation="relu", dropout=0.2, classes=10)
    kept, validation = dataset.split(digits.train, validation=100, seed=0)
    return model, list(fit(model, kept, validation, seed=seed, epochs=epochs, **{**RECIPE, **changes}))


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_training_learns(digits, optimizer):
    rate = {"SGD": 0.1, "AdamW": 0.01}[optimizer]
    _, epochs = trained(digits, epochs=8, optimizer=optimizer, learning_rate=rate)
    assert [epoch.epoch for epoch in epochs] == list(range(1, 9))
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert epochs[-1].val_accuracy > 0.5


def test_the_same_seed_gives_the_same_bits_and_another_does_not(digits):
    (a, first), (b, second), (c, _) = trained(digits), trained(digits), trained(digits, seed=2)
    assert [epoch[:-1] for epoch in first] == [epoch[:-1] for epoch in second]
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not all(torch.equal(p, q) for p, q in zip(a.parameters(), c.parameters(), strict=True))


OUTLIERS: dict[str, Any] = {"images": 8, "weight": 0.5}


@pytest.mark.parametrize(("optimizer", "outliers"), [("SGD", None), ("AdamW", None), ("SGD", OUTLIERS)])
def test_an_interrupted_training_resumes_to_the_same_bits(digits, tmp_path, optimizer, outliers):
    whole, epochs = trained(digits, epochs=3, optimizer=optimizer, outliers=outliers)
    torch.manual_seed(1)
    model = networks.build(network="plain", filters=[4, 4], hidden=16, activation="relu", dropout=0.2, classes=10)
    parts = dataset.split(digits.train, validation=100, seed=0)
    recipe = {**RECIPE, "optimizer": optimizer, "outliers": outliers, "epochs": 3, "seed": 1}
    recipe["keep"] = tmp_path / "state"
    list(islice(fit(model, *parts, **recipe), 2))
    torch.manual_seed(99)  # as in a new process
    again = networks.build(network="plain", filters=[4, 4], hidden=16, activation="relu", dropout=0.2, classes=10)
    resumed = list(fit(again, *parts, **recipe))
    assert [epoch[:-1] for epoch in resumed] == [epoch[:-1] for epoch in epochs]
    assert resumed[-1].seconds > resumed[0].seconds > 0
    assert all(torch.equal(p, q) for p, q in zip(whole.parameters(), again.parameters(), strict=True))
    assert [epoch.epoch for epoch in fit(again, *parts, **recipe)] == [1, 2, 3]


def test_without_outliers_a_training_draws_its_images_and_takes_its_steps_as_ever(digits):
    """Written out here: no draw is added, and the loss is that of the labels alone."""
    model, _ = trained(digits, epochs=1)
    torch.manual_seed(1)
    same = networks.build(network="plain", filters=[4, 4], hidden=16, activation="relu", dropout=0.2, classes=10)
    kept, _ = dataset.split(digits.train, validation=100, seed=0)
    generator, size = torch.Generator().manual_seed(1), RECIPE["batch_size"]
    weights, biases = ([p for p in same.parameters() if (p.ndim > 1) is many] for many in (True, False))
    groups = [{"params": weights, "weight_decay": RECIPE["weight_decay"]}, {"params": biases, "weight_decay": 0.0}]
    steps = len(kept.labels) // size
    descent = torch.optim.SGD(groups, RECIPE["learning_rate"], momentum=0.9, nesterov=True, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        descent, RECIPE["learning_rate"], total_steps=steps, pct_start=0.2, cycle_momentum=False
    )
    order = torch.randperm(len(kept.labels), generator=generator)
    same.train()
    for batch in order[: steps * size].view(steps, size):
        images = warp(torch.from_numpy(kept.images[batch.numpy()]), generator, **RECIPE["augmentation"])
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            outputs = same(images)
        labels = torch.from_numpy(kept.labels).long()[batch]
        descent.zero_grad()
        torch.nn.functional.cross_entropy(outputs.float(), labels, label_smoothing=0.05).backward()
        descent.step()
        schedule.step()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), same.parameters(), strict=True))


def test_outliers_come_after_the_images_of_each_batch_and_are_augmented_with_them(digits):
    labels, generator = torch.from_numpy(digits.train.labels).long(), torch.Generator().manual_seed(0)
    others = accompanying(digits.train.images, generator, **OUTLIERS)
    seen = list(batches(digits.train.images, labels, torch.arange(96), 32, generator, others=others, rotation=9.0))
    assert [(len(images), len(of)) for images, of in seen] == [(40, 32)] * 3
    plain = list(batches(digits.train.images, labels, torch.arange(32), 32, generator, others=others, rotation=0.0))
    images, of = plain[0]
    assert torch.equal(of, labels[:32])
    assert torch.equal(images[:32], torch.from_numpy(digits.train.images[:32]))
    assert not any(torch.equal(one, digit) for one in images[32:] for digit in images[:32])


def test_the_loss_of_outliers_is_least_at_equal_probabilities_and_leads_there():
    logits = torch.tensor([[4.0, 0.0, -1.0], [0.0, 0.0, 0.0]], requires_grad=True)
    assert undecided(logits[1:]).item() == pytest.approx(np.log(3))
    loss = undecided(logits)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] > 0 > logits.grad[0, 2]  # descent lowers the largest and raises the others
    assert logits.grad[1].abs().max() < 1e-7
    assert undecided(logits - logits.grad) < loss


def test_a_training_with_outliers_doubts_kinds_that_it_has_not_seen(digits):
    stars = np.stack([novelties.one(novelties.star, seed, MNIST) for seed in range(50)])

    def doubt(outliers):
        torch.manual_seed(1)
        model = networks.build(network="plain", filters=[], hidden=64, activation="relu", classes=10)
        own = {"augmentation": {}, "label_smoothing": 0.0, "outliers": outliers, "epochs": 4}
        list(fit(model, digits.train, digits.test, seed=1, **{**RECIPE, **own}))
        return entropy(softmax(predict(model, stars), 1)).mean()

    assert doubt({"images": 16, "weight": 1.0}) > doubt(None) + 0.2


def test_with_an_invalid_snapshot_training_starts_over(digits, tmp_path):
    (tmp_path / "state").write_bytes(b"cut short")
    _, epochs = trained(digits, keep=tmp_path / "state")
    assert len(epochs) == 2


def test_validation_is_never_trained_on(digits):
    kept, validation = dataset.split(digits.train, validation=100, seed=0)
    shuffled = validation._replace(labels=np.roll(validation.labels, 1))
    models_ = []
    for held in (validation, shuffled):
        torch.manual_seed(0)
        model = networks.build(network="plain", filters=[], hidden=8, classes=10)
        list(fit(model, kept, held, seed=0, epochs=1, **RECIPE))
        models_.append(model)
    assert all(torch.equal(p, q) for p, q in zip(*(m.parameters() for m in models_), strict=True))


def test_random_sampling_draws_each_image_once_and_nothing_else():
    own, other = (torch.Generator().manual_seed(3) for _ in range(2))
    labels = torch.arange(100) % 10
    assert torch.equal(drawn(labels, "random", own), torch.randperm(100, generator=other))
    assert torch.equal(own.get_state(), other.get_state())


def test_balanced_sampling_draws_as_many_of_each_class_that_there_is():
    labels = torch.tensor([0] * 10 + [2] * 10_000 + [5] * 990)
    order = drawn(labels, "balanced", torch.Generator().manual_seed(0))
    counts = torch.bincount(labels[order])
    assert len(order) == len(labels)
    assert counts[[1, 3, 4]].tolist() == [0, 0, 0]
    assert (counts[[0, 2, 5]] / len(labels) - 1 / 3).abs().max() < 0.02
    assert set(order[labels[order] == 0].tolist()) == set(range(10))
    assert len(order[labels[order] == 2].unique()) > 2500  # others of the common class, not the same ones


def test_balanced_sampling_finds_more_of_a_rare_class(digits):
    few = np.flatnonzero((digits.train.labels % 2 == 0) | (np.arange(len(digits.train.labels)) % 25 == 0))
    rare, odd = dataset.Part(digits.train.images[few], digits.train.labels[few]), digits.test.labels % 2 == 1

    def recall(**changes):
        torch.manual_seed(1)
        model = networks.build(network="plain", filters=[], hidden=32, activation="relu", classes=10)
        list(fit(model, rare, digits.test, seed=1, epochs=6, **{**RECIPE, "augmentation": {}, **changes}))
        return (predict(model, digits.test.images).argmax(1) == digits.test.labels)[odd].mean()

    assert recall() == recall(sampling="random") < recall(sampling="balanced") - 0.1


def test_a_diverging_run_is_reported(digits):
    with pytest.raises(InputError, match=r"seed 1 .* lower learning_rate"):
        trained(digits, learning_rate=1e30, bfloat16=False)


def test_a_batch_larger_than_the_data_is_refused(digits):
    with pytest.raises(InputError, match="batch_size is 1000000"):
        trained(digits, batch_size=1_000_000)


@pytest.mark.parametrize("warmup", [0.0, 0.99])
def test_any_warmup_gives_a_schedule(digits, warmup):
    _, epochs = trained(digits, warmup=warmup, epochs=1)
    assert np.isfinite(epochs[0].train_loss)


def test_without_limits_an_image_is_unchanged(digits):
    images = torch.from_numpy(digits.train.images[:4])
    assert torch.allclose(warp(images, torch.Generator()), images.float(), atol=0.05)


def test_a_shift_stays_within_its_limit(digits):
    images = torch.from_numpy(digits.train.images[:64]).float()
    moved = warp(images, torch.Generator().manual_seed(0), shift=2.0)

    def centre(batch):
        columns = batch.sum(1)
        return (columns * torch.arange(28)).sum(1) / columns.sum(1)

    distance = (centre(moved) - centre(images)).abs()
    assert distance.max() <= 2.05
    assert distance.max() > 1.5


def test_elastic_displaces_an_image_by_about_that_many_pixels():
    ramp = torch.arange(28.0).expand(256, 28, 28)  # an image whose brightness is its column
    bent = warp(ramp, torch.Generator().manual_seed(0), elastic=1.0)[:, 6:-6, 6:-6] - ramp[:, 6:-6, 6:-6]
    assert 0.5 < bent.std() < 1.2
    assert (bent[:, :, 1:] - bent[:, :, :-1]).abs().mean() < 0.5


def test_mirror_flips_that_share_of_the_images():
    ramp = torch.arange(24.0).expand(400, 20, 24)
    seen = warp(ramp, torch.Generator().manual_seed(0), mirror=0.25)
    flipped = [torch.allclose(image, ramp[0].flip(1), atol=0.01) for image in seen]
    assert all(flip or torch.allclose(image, ramp[0], atol=0.01) for flip, image in zip(flipped, seen, strict=True))
    assert 0.18 < np.mean(flipped) < 0.32


def test_crop_enlarges_a_window_within_the_image():
    ramp = torch.arange(24.0).expand(400, 20, 24)  # an image whose brightness is its column
    seen = warp(ramp, torch.Generator().manual_seed(0), crop=0.5)[:, 5:-5, 5:-5]
    slope = (seen[:, :, 1:] - seen[:, :, :-1]).mean((1, 2))
    assert slope.min() == pytest.approx(0.5, abs=0.02)
    assert slope.max() == pytest.approx(1, abs=0.02)
    assert 0 <= seen.min() <= seen.max() <= 23


def test_colour_changes_brightness_contrast_and_saturation(photos):
    images = torch.from_numpy(photos.train.images)
    seen = warp(images, torch.Generator().manual_seed(0), colour=0.3)
    ratio = seen.mean((1, 2, 3)) / images.float().mean((1, 2, 3))
    assert 0.65 < ratio.min() < 0.8
    assert 1.2 < ratio.max() < 1.35
    assert seen.shape == images.shape


@pytest.mark.parametrize("network", [{"network": "residual", "widths": [8, 8]}, {"network": "plain", "filters": [8]}])
def test_colour_pictures_are_learned(photos, network):
    torch.manual_seed(0)
    model = networks.build(**network, classes=3, image={"height": 20, "width": 24, "channels": 3})
    varied = {"rotation": 5, "shift": 1, "erase": 0.1, "mirror": 0.5, "crop": 0.1, "colour": 0.1}
    own = {"augmentation": varied, "epochs": 6, "batch_size": 20, "optimizer": "AdamW", "learning_rate": 0.01}
    *_, last = fit(model, photos.train, photos.test, seed=1, **{**RECIPE, **own})
    assert last.val_accuracy > 0.9


def test_erase_covers_a_rectangle_in_that_share_of_the_images():
    blank = torch.zeros(400, 28, 28)
    covered = warp(blank, torch.Generator().manual_seed(0), erase=0.5)
    changed = covered[covered.flatten(1).any(1)]
    assert 0.4 < len(changed) / len(blank) < 0.55
    for image in changed:
        rows, columns = image.any(1).nonzero().flatten(), image.any(0).nonzero().flatten()
        box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert max(box.shape) <= 14
        assert box.unique().numel() == 1
        assert 0 < box.max() <= 255


def test_the_split_is_stratified_whole_and_fixed(digits):
    kept, validation = dataset.split(digits.train, validation=100, seed=0)
    again = dataset.split(digits.train, validation=100, seed=0)[1]
    assert np.array_equal(validation.images[:], again.images[:])
    assert len(kept.labels) + len(validation.labels) == len(digits.train.labels)
    together = np.concatenate([kept.images[:], validation.images[:]]).reshape(-1, 784)
    assert sorted(map(bytes, together)) == sorted(map(bytes, digits.train.images.reshape(-1, 784)))
    expected = np.bincount(digits.train.labels) * 100 / len(digits.train.labels)
    assert np.abs(np.bincount(validation.labels) - expected).max() < 1


def test_a_validation_set_larger_than_the_data_is_refused(digits):
    with pytest.raises(InputError, match=r"split.validation is 70000, expected less than"):
        dataset.split(digits.train, validation=70_000, seed=0)
