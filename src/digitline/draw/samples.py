"""Pictures as they were sent, as the model saw them and what it answered, as one picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from digitline.draw.palette import INK, ORANGE, PAPER, SOFT

SENT, IMAGE, GAP, HEAD = 84, 56, 6, 16  # pixels
ACROSS = 4  # kinds in a row

Entry = tuple[Image.Image, Image.Image, str, bool]  # sent, the model's image, the answer, whether it is doubted


def samples(kinds: Mapping[str, Sequence[Entry]]) -> Image.Image:
    """Each kind's entries side by side beneath its name; a doubted answer is a question mark."""
    most = max(map(len, kinds.values()))
    wide, high = most * (SENT + IMAGE + 2 * GAP) + GAP, HEAD + SENT + 2 * GAP
    rows = -(-len(kinds) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * wide, rows * high), PAPER)
    for place, (name, entries) in enumerate(kinds.items()):
        left, top = place % ACROSS * wide + GAP, place // ACROSS * high
        ImageDraw.Draw(sheet).text((left, top + 2), name, SOFT, font(11))
        for entry in entries:
            put(sheet, entry, left, top + HEAD)
            left += SENT + IMAGE + 2 * GAP
    return sheet


def put(sheet: Image.Image, entry: Entry, left: int, top: int) -> None:
    """Draws one entry: the picture, to its right the model's image and beneath that the answer."""
    sent, image, answer, doubted = entry
    small = sent.convert("RGBA").resize((SENT, SENT), Image.Resampling.BOX)
    ground = Image.new("RGBA", small.size, "#b8b8b8")  # so that light strokes on a transparent picture are seen
    ground.alpha_composite(small)
    sheet.paste(ground.convert("RGB"), (left, top))
    aside = left + SENT + 2
    sheet.paste(image.resize((IMAGE, IMAGE), Image.Resampling.NEAREST), (aside, top))
    words = ("?", ORANGE) if doubted else (answer, INK)
    ImageDraw.Draw(sheet).text((aside + IMAGE / 2, top + (IMAGE + SENT) / 2), *words, font(20), anchor="mm")


def font(size: int) -> ImageFont.FreeTypeFont:
    """matplotlib's own font."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)
