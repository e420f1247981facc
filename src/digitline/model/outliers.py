"""Images of no class, drawn to train with: outlier exposure (Hendrycks et al., 2019)."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional

from digitline.data.dataset import Images, shape

REACH = 20 / 28  # of the image, the longer side of what is drawn, as in MNIST
PEN = (1.6, 3.8)  # the width of a stroke in pixels of 28: a little more than MNIST's range
POINTS = 192  # of a line: at most about a pixel apart
AT_ONCE = 64  # images drawn together, so that their pixels stay in the processor's cache

Draw = Callable[[Images, int, Generator], Tensor]


def pool(images: Images, count: int, generator: Generator) -> Tensor:
    """That many grey images of no class [count, H, W], 0-255, of each kind as many; bytes.

    `images` [N, H, W] are the training images, of which two kinds are made and which give the others their size.
    """
    rounds = -(-count // len(KINDS))
    each = [kind(images, rounds, generator) for kind in KINDS]
    return torch.stack(each, 1).flatten(0, 1)[:count].round().clamp(0, 255).byte()


def scribbles(images: Images, count: int, generator: Generator) -> Tensor:
    """Smooth curves through six to fourteen random points."""
    knots = torch.rand(count, 2, 14, 1, generator=generator)
    each = [smooth(knots[:, :, :few], (POINTS, 1)).flatten(2) for few in (6, 9, 14)]
    chosen = torch.randint(3, (count,), generator=generator)
    return inked(placed(torch.stack(each)[chosen, torch.arange(count)].transpose(1, 2), images), images, generator)


def signs(images: Images, count: int, generator: Generator) -> Tensor:
    """Three to five strokes, straight or bent, between places of a grid of 3x3."""
    return strokes(places(count, generator), bends(count, generator), images, generator)


def stems(images: Images, count: int, generator: Generator) -> Tensor:
    """The same with an upright stroke at the left, and in every other image a second one at the right."""
    ends = places(count, generator)
    ends[:, 0] = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    ends[::2, 1] = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    return strokes(ends, bends(count, generator), images, generator)


def bowls(images: Images, count: int, generator: Generator) -> Tensor:
    """An upright stroke with a bowl at its right, over the whole height or the upper part, as D and P; half of these
    with another stroke, as R, and every other image upside down. With the bowl below it would be a 6.
    """
    along = torch.linspace(0, 1, POINTS // 4)
    upright = torch.stack([torch.zeros_like(along), along], 1).expand(count, -1, -1)
    foot = torch.where(torch.rand(count, 1, generator=generator) < 0.5, 1.0, uniform((count, 1), 0.4, 0.7, generator))
    deep, rounded = uniform((count, 1), 0.4, 1, generator), uniform((count, 1), 0.5, 1, generator)
    angle = torch.linspace(0, torch.pi, POINTS // 2)
    bowl = torch.stack([deep * angle.sin().clamp(min=0) ** rounded, foot * (1 - angle.cos()) / 2], 2)
    ends = places(count, generator)[:, 0]  # (count, 2, 2)
    other = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * along.view(-1, 1)
    other = torch.where(torch.rand(count, 1, 1, generator=generator) < 0.5, other, upright)
    lines = torch.cat([upright, bowl, other], 1)
    lines[:, :, 0] += uniform((count, 1), -0.2, 0.3, generator) * lines[:, :, 1]
    lines[::2] *= -1
    return inked(placed(lines, images), images, generator)


def places(count: int, generator: Generator) -> Tensor:
    """The ends of five strokes on a grid of 3x3: [N, 5, 2, 2], the last of them x and y from 0 to 1."""
    return torch.randint(3, (count, 5, 2, 2), generator=generator) / 2


def bends(count: int, generator: Generator) -> Tensor:
    """How far the middles of five strokes are off the straight line [N, 5, 1, 2]; most are not."""
    bent = torch.rand(count, 5, 1, 1, generator=generator) < 0.4
    return bent * uniform((count, 5, 1, 2), -1, 1, generator)


def strokes(ends: Tensor, bent: Tensor, images: Images, generator: Generator) -> Tensor:
    """The first three to five of those strokes, roughly, as Bézier's curves of second degree."""
    count = len(ends)
    ends = ends + uniform((count, 5, 2, 2), -0.1, 0.1, generator)
    first, middle, last = ends[:, :, :1], ends.mean(2, keepdim=True) + bent, ends[:, :, 1:]
    along = torch.linspace(0, 1, POINTS // 5).view(-1, 1)
    lines = (1 - along) ** 2 * first + 2 * along * (1 - along) * middle + along**2 * last  # (N, 5, points, 2)
    few = torch.arange(5).view(-1, 1, 1) < torch.randint(3, 6, (count, 1, 1, 1), generator=generator)
    lines = torch.where(few, lines, lines[:, :1])  # one too many lies on the first
    return inked(placed(lines.flatten(1, 2), images), images, generator)


def polygons(images: Images, count: int, generator: Generator) -> Tensor:
    """Outlines of four to seven corners, of which every other one is filled."""
    lines = outlines(count, generator)
    points = placed(lines.flatten(1, 2), images)
    ink = inked(points, images, generator)
    full = torch.where(inside(points[:, :: lines.shape[2]], images), 255.0, ink)
    return torch.where((torch.arange(count) % 2 == 0).view(-1, 1, 1), full, ink)


def clouds(images: Images, count: int, generator: Generator) -> Tensor:
    """Two polygons in soft random greys, some as large as the image."""
    greys = smooth(2 * torch.rand(count, 1, 5, 5, generator=generator), tuple(shape(images)[:2]))
    shapes = torch.zeros(count, *shape(images)[:2], dtype=torch.bool)
    for _ in range(2):
        corners = placed(outlines(count, generator)[:, :, 0], images)
        shapes |= inside(corners * uniform((count, 1, 1), 0.8, 1 / REACH, generator), images)
    return 255 * shapes * greys[:, 0].clamp(0, 1)


def outlines(count: int, generator: Generator) -> Tensor:
    """Points of the sides of polygons with four to seven corners: [N, 7, points, 2], each side from a corner on."""
    number = torch.randint(4, 8, (count, 1), generator=generator)
    place = torch.arange(7).minimum(number - 1)  # a corner too many lies on the last one
    angle = 2 * torch.pi * (place + uniform((count, 7), -0.3, 0.3, generator).gather(1, place)) / number
    away = uniform((count, 7), 0.5, 1, generator).gather(1, place)
    x, y = away * angle.cos(), away * angle.sin() * uniform((count, 1), 0.3, 1, generator)
    turn = uniform((count, 1), 0, 2 * torch.pi, generator)
    corners = torch.stack([x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos()], 2).unsqueeze(2)
    along = torch.linspace(0, 1, POINTS // 7).view(-1, 1)
    return (1 - along) * corners + along * corners.roll(-1, 1)


def halves(images: Images, count: int, generator: Generator) -> Tensor:
    """The halves of two images in the place of each other, left and right or above and below."""
    one, other = some(images, count, generator), some(images, count, generator)
    height, width = one.shape[1:]
    left, upper = torch.arange(width) < width // 2, (torch.arange(height) < height // 2).view(-1, 1)
    beside = torch.where(left, one.roll(width // 2, 2), other.roll(width // 2, 2))
    above = torch.where(upper, one.roll(height // 2, 1), other.roll(height // 2, 1))
    return torch.where(torch.rand(count, 1, 1, generator=generator) < 0.5, beside, above)


def shuffled(images: Images, count: int, generator: Generator) -> Tensor:
    """Images cut in 4x4 patches, each of which lies where another one was."""
    pixels = some(images, count, generator)
    height, width = (side // 4 for side in pixels.shape[1:])
    patches = pixels[:, : 4 * height, : 4 * width].reshape(count, 4, height, 4, width).transpose(2, 3).flatten(1, 2)
    order = torch.rand(count, 16, generator=generator).argsort(1)
    other = torch.empty_like(order).scatter_(1, order, order.roll(1, 1))
    mixed = patches[torch.arange(count).view(-1, 1), other].view(count, 4, 4, height, width)
    pixels[:, : 4 * height, : 4 * width] = mixed.transpose(2, 3).reshape(count, 4 * height, 4 * width)
    return pixels


KINDS: tuple[Draw, ...] = (scribbles, signs, stems, bowls, polygons, clouds, halves, shuffled)


def some(images: Images, count: int, generator: Generator) -> Tensor:
    """Random ones of the images [count, H, W]."""
    places = torch.randint(len(images), (count,), generator=generator)
    return torch.from_numpy(images[places.numpy()]).float()


def uniform(size: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    """Random numbers from low to high."""
    return low + (high - low) * torch.rand(size, generator=generator)


def smooth(values: Tensor, size: tuple[int, ...]) -> Tensor:
    """The values [N, C, h, w] at that size, by cubic interpolation."""
    return functional.interpolate(values, size, mode="bicubic", align_corners=True)


def placed(points: Tensor, images: Images) -> Tensor:
    """Points (x, y) [N, P, 2] at the images' scale, in pixels from the middle, with their mean there."""
    reach = REACH * min(shape(images)[:2]) - sum(PEN) / 2
    long = (points.amax(1) - points.amin(1)).amax(1).view(-1, 1, 1)
    return (points - points.mean(1, keepdim=True)) * reach / long.clamp(min=0.01)


def inked(points: Tensor, images: Images, generator: Generator) -> Tensor:
    """A pen's way along the points [N, P, 2]: [N, H, W], 0-255."""
    across, down = axes(images)
    pen = uniform((len(points), 1, 1), *PEN, generator) * min(shape(images)[:2]) / 28
    nearest = []
    for few in torch.split(points, AT_ONCE):
        x = (few[:, :, 0].T.unsqueeze(2) - across).square().unsqueeze(2)  # (P, n, 1, W)
        y = (few[:, :, 1].T.unsqueeze(2) - down).square().unsqueeze(3)  # (P, n, H, 1)
        distance = torch.full((len(few), len(down), len(across)), torch.inf)
        for right, below in zip(x, y, strict=True):
            torch.minimum(distance, right + below, out=distance)
        nearest.append(distance)
    return 255 * (pen / 2 + 0.5 - torch.cat(nearest).sqrt()).clamp(0, 1)


def inside(corners: Tensor, images: Images) -> Tensor:
    """Which pixels lie within the polygons [N, P, 2]: [N, H, W], by counting how often each row crosses a side."""
    across, down = axes(images)
    found = torch.zeros(len(corners), len(down), len(across), dtype=torch.bool)
    for ax, ay, bx, by in torch.cat([corners, corners.roll(-1, 1)], 2).permute(1, 2, 0).unsqueeze(3):  # (N, 1) each
        crosses = (ay > down) != (by > down)  # (N, H)
        at = ax + (bx - ax) * (down - ay) / torch.where(crosses, by - ay, 1.0)
        found ^= crosses.unsqueeze(2) & (across < at.unsqueeze(2))
    return found


def axes(images: Images) -> tuple[Tensor, Tensor]:
    """The pixels' places across and down, from the middle."""
    height, width = shape(images)[:2]
    return torch.arange(width) - (width - 1) / 2, torch.arange(height) - (height - 1) / 2
