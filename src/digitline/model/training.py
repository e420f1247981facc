"""Training: one network and one seed; the same bits whatever else the machine runs."""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR

from digitline.base.errors import InputError
from digitline.data.dataset import Images, Part, Subset
from digitline.model import shards as sharded
from digitline.model import snapshot
from digitline.model.augmentation import warp
from digitline.model.evaluation import predict
from digitline.model.outliers import pool
from digitline.model.recipe import Count, Optimizer, Probability, Sampling
from digitline.model.scores import accuracy, nll

POOL = 4096  # outliers drawn for an epoch, each of which its batches use several times, augmented anew


class Epoch(NamedTuple):
    epoch: int  # from 1
    train_loss: float  # mean over the epoch, label smoothing and outliers included
    val_loss: float  # mean negative log-likelihood
    val_accuracy: float  # fraction
    seconds: float  # of training, since its beginning


def device() -> torch.device:
    """CUDA if there is a GPU, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bfloat16() -> bool:
    """Whether the hardware multiplies bfloat16 natively; if not, float32 is faster."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return any(torch.cpu.get_capabilities().get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def fit(
    model: nn.Module,
    training: Part | Subset,
    validation: Part | Subset,
    *,
    epochs: PositiveInt,
    seed: int,
    batch_size: PositiveInt,
    optimizer: Optimizer,
    learning_rate: PositiveFloat,
    momentum: Probability,
    weight_decay: NonNegativeFloat,
    warmup: Probability,
    label_smoothing: Probability,
    augmentation: dict[str, Any],
    bfloat16: bool,
    sampling: Sampling = "random",
    outliers: dict[str, Any] | None = None,
    shards: Count = 1,
    group: sharded.Group | None = None,
    keep: Path | None = None,
) -> Iterator[Epoch]:
    """Trains the model in place and yields each epoch; one cycle of the learning rate (Smith, 2018).

    With `outliers`, each batch has so many drawn images of no class beside its own, and the loss has so much of their
    cross entropy to equal probabilities (Hendrycks et al., 2019).
    `shards` divide each batch; the processes of `group` share them, and the first one alone yields and keeps.
    The file `keep` gets a snapshot after each epoch; the next call resumes from it and yields its epochs first.
    """
    place = device()
    model.to(place)
    labels = torch.from_numpy(training.labels).long().to(place)
    steps = len(labels) // batch_size
    if not steps:
        raise InputError(f"batch_size is {batch_size}, expected at most the {len(labels)} training images")
    generator = torch.Generator().manual_seed(seed)
    descent = descend(model, optimizer, learning_rate, momentum, weight_decay)
    schedule = OneCycleLR(descent, learning_rate, total_steps=epochs * steps, pct_start=warmup, cycle_momentum=False)
    state = snapshot.Training(model, descent, schedule, generator, place)
    learn = partial(backward, state, label_smoothing=label_smoothing, bfloat16=bfloat16, outliers=outliers)
    divided = sharded.divide(model, shards, seed, group) if shards > 1 else None

    def seen(order: Tensor, own: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        others = accompanying(training.images, own, shards, **outliers) if outliers else None
        return batches(training.images, labels, order, batch_size // shards, own, others=others, **augmentation)

    def once(epoch: int) -> float:
        order = drawn(labels, sampling, generator)[: steps * batch_size]
        if divided:
            ordered = order.view(steps, shards, -1)
            return sharded.run_through(state, divided, ordered, epoch=epoch, seen=seen, learn=learn) / steps
        return run_through(state, seen(order, generator), learn) / steps

    yield from followed(state, once, validation, epochs=epochs, seed=seed, keep=keep, group=group)


def followed(
    state: snapshot.Training,
    once: Callable[[int], float],
    validation: Part | Subset,
    *,
    epochs: int,
    seed: int,
    keep: Path | None,
    group: sharded.Group | None,
) -> Iterator[Epoch]:
    """Calls `once` for each epoch that the snapshot does not have; it returns the mean loss. Yields as fit does."""
    done = [Epoch(*record) for record in sharded.load(state, keep, group)] if keep else []
    first = not group or not group.rank()
    yield from done if first else ()
    began = time.perf_counter() - (done[-1].seconds if done else 0)
    for epoch in range(len(done) + 1, epochs + 1):
        loss = once(epoch)
        if not first:
            continue
        logits = predict(state.model, validation.images)
        measures = nll(logits, validation.labels), accuracy(logits, validation.labels)
        if not math.isfinite(measures[0]):
            raise InputError(f"the loss of seed {seed} became NaN or infinite in epoch {epoch}; lower learning_rate")
        done.append(Epoch(epoch, loss, *measures, time.perf_counter() - began))
        if keep:
            snapshot.save(state, keep, done)
        yield done[-1]


def drawn(labels: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    """The images of one epoch in random order: each once, or as many of each class, so that a rare one's come often."""
    if sampling == "random":
        return torch.randperm(len(labels), generator=generator)
    by_class, counts = labels.cpu().argsort(stable=True), torch.bincount(labels.cpu())
    present = counts.nonzero().flatten()
    of = present[torch.randint(len(present), (len(labels),), generator=generator)]
    place = (torch.rand(len(labels), dtype=torch.float64, generator=generator) * counts[of]).long()
    return by_class[counts.cumsum(0)[of] - counts[of] + place]


def batches(
    images: Images,
    labels: Tensor,
    order: Tensor,
    size: int,
    generator: torch.Generator,
    *,
    others: Iterator[Tensor] | None = None,
    **limits: Any,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented images and labels in that order, after them images of `others`; drops an incomplete last batch."""
    steps = len(order) // size
    for batch in order[: steps * size].view(steps, size):
        pixels = torch.from_numpy(images[batch.numpy()])
        if others:
            pixels = torch.cat([pixels, next(others)])
        yield vary(pixels.to(labels.device), generator, **limits), labels[batch.to(labels.device)]


def accompanying(
    like: Images, generator: torch.Generator, shards: int = 1, *, images: PositiveInt, **_: Any
) -> Iterator[Tensor]:
    """The outliers beside each batch of an epoch, of one shard [images / shards, H, W], of the size of those `like`."""
    drawn = pool(like, POOL // shards, generator)
    while True:
        yield drawn[torch.randint(len(drawn), (images // shards,), generator=generator)]


def run_through(
    state: snapshot.Training, seen: Iterator[tuple[Tensor, Tensor]], learn: Callable[[Tensor, Tensor], Tensor]
) -> float:
    """Takes one step per batch; returns the sum of the losses. `learn` adds a batch's gradients, returns its loss."""
    total = torch.zeros((), device=state.device)
    state.model.train()
    for images, labels in seen:
        state.optimizer.zero_grad()
        total += learn(images, labels)
        state.optimizer.step()
        state.schedule.step()
    return total.item()


def backward(
    state: snapshot.Training,
    images: Tensor,
    labels: Tensor,
    *,
    label_smoothing: float,
    bfloat16: bool,
    outliers: dict[str, Any] | None,
) -> Tensor:
    """Adds the gradients of a batch's loss, which it returns. Images without a label are outliers."""
    with torch.autocast(state.device.type, torch.bfloat16, enabled=bfloat16 and has_bfloat16()):
        outputs = state.model(images).float()
    loss = functional.cross_entropy(outputs[: len(labels)], labels, label_smoothing=label_smoothing)
    if outliers:
        loss = loss + outliers["weight"] * undecided(outputs[len(labels) :])
    torch.autograd.backward(loss)
    return loss.detach()


def undecided(logits: Tensor) -> Tensor:
    """The cross entropy of answers [N, classes] to equal probabilities, in nats; its mean."""
    return -functional.log_softmax(logits, 1).mean()


def descend(
    model: nn.Module, optimizer: Optimizer, learning_rate: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimiser of the model's parameters; biases and normalisation (one dimension) get no weight decay."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if optimizer == "SGD":
        return torch.optim.SGD(groups, learning_rate, momentum=momentum, nesterov=momentum > 0, fused=True)
    return torch.optim.AdamW(groups, learning_rate, betas=(momentum, 0.99), fused=True)


def vary(images: Tensor, generator: torch.Generator, **limits: Any) -> Tensor:
    """Augments the images if any limit is above zero."""
    return warp(images, generator, **limits) if any(limits.values()) else images
