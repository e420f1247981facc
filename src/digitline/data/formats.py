"""The formats of pictures: which are read, what to do about others, and what would cost too much to decode."""

import io
import struct

from PIL import Image, TiffImagePlugin

from digitline.base.errors import InputError

READ = {  # Pillow's names and the media types
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
TITLE = "PNG, JPEG, WebP, GIF, BMP or TIFF"
ADVICE = {  # for formats that people have and that are not read
    "HEIC": "save it as a JPEG, or let an iPhone do so: Settings > Camera > Formats > Most Compatible",
    "AVIF": "save it as a PNG or JPEG",
    "PDF": "save its page as a PNG",
    "SVG": "save it as a PNG",
    "BigTIFF": "save it as a PNG",
}
HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # brands (ISO/IEC 23008-12)

MAX_LOOPED = 4 * 2**20  # pixels of a BMP that Pillow decodes in a loop of Python
MAX_PARTS = 2**18  # reads of a file, and strips or tiles of a TIFF; each costs Pillow some steps in Python


class Parts(io.BytesIO):
    """A file in memory that refuses to be read in too many parts: a PNG's chunks, a GIF's blocks, a BMP's runs."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_PARTS:
            raise InputError(f"the picture has too many parts, expected at most {MAX_PARTS}")
        return super().read(size)


def refuse_unread(data: bytes) -> None:
    """InputError with what to do if a file is of a known format that is not read, or of too many parts."""
    if found := unread(data):
        raise InputError(f"{found} is not read, expected a {TITLE}; {ADVICE[found]}")
    if (parts := strips(data)) > MAX_PARTS:
        raise InputError(f"the picture has {parts} strips or tiles, expected at most {MAX_PARTS}")


def unread(data: bytes) -> str | None:
    """The format of such a file; None for any other."""
    if data[4:8] == b"ftyp":
        brands = {data[at : at + 4] for at in range(8, min(int.from_bytes(data[:4]), 256), 4)}
        return "AVIF" if brands & {b"avif", b"avis"} else "HEIC" if brands & HEIF else None
    if data.startswith((b"II+\0", b"MM\0+")):
        return "BigTIFF"
    if data.startswith(b"%PDF-"):
        return "PDF"
    return "SVG" if data.lstrip()[:1] == b"<" and b"<svg" in data[:4096] else None


def strips(data: bytes) -> int:
    """How many strips or tiles a TIFF states, for each of which Pillow makes an object when it opens the file."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if not order or len(data) < 8:
        return 0
    (start,) = struct.unpack_from(f"{order}L", data, 4)
    number = int.from_bytes(data[start : start + 2], "little" if order == "<" else "big")
    entries = data[start + 2 :][: 12 * number]
    found = struct.iter_unpack(f"{order}HHL4x", entries[: len(entries) // 12 * 12])
    offsets = (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.TILEOFFSETS)
    return max((count for tag, _, count in found if tag in offsets), default=0)


def refuse_costly(picture: Image.Image, *, most: int) -> None:
    """InputError if the opened picture has more than so many pixels, or would take too much to decode."""
    width, height = picture.size
    if width * height > most:
        raise InputError(f"the picture is {width}x{height}, expected at most {most} pixels")
    if picture.mode in ("I", "F"):
        raise InputError(f"the picture has 32 bits a pixel (mode {picture.mode}), expected 8 or 16 bits a channel")
    if picture.format == "BMP" and picture.info["compression"] in (1, 2) and width * height > MAX_LOOPED:
        raise InputError(f"the picture is a run-length encoded BMP, expected at most {MAX_LOOPED} pixels in one")
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        tile = [picture.tag_v2.get(tag, 0) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)]
        if not all(isinstance(side, int) for side in tile) or tile[0] * tile[1] > most:
            raise InputError(f"the picture's tiles are {str(tile)[:40]}, expected two sides and at most {most} pixels")
