"""Pushes an image to a registry where the engine is logged in; prints its name and digest there."""

import argparse
import sys
import tempfile
from pathlib import Path

from digitline.base.errors import InputError
from scripts import engine


def main() -> None:
    """Pushes the image to registry/name:tag."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("image")
    parser.add_argument("to")
    words = parser.parse_args()
    name, _, tag = words.to.rpartition(":")
    if "/" not in name or not tag:
        raise InputError(f"TO is {words.to or 'missing'}, expected registry/name:tag; run make push TO=...")
    print(f"name={name}\ndigest={push(engine.find(), words.image, words.to)}")


def push(name: str, image: str, to: str) -> str:
    """Pushes the image and returns its digest, which podman and buildah know only after the push compresses it."""
    if name == "docker":
        engine.answer(name, "tag", image, to)
        engine.answer(name, "push", "--quiet", to)
        return engine.answer(name, "image", "inspect", "--format", "{{index .RepoDigests 0}}", to).partition("@")[2]
    with tempfile.TemporaryDirectory() as folder:
        digest = Path(folder) / "digest"
        engine.answer(name, "push", "--quiet", "--digestfile", str(digest), image, f"docker://{to}")
        return digest.read_text().strip()


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
