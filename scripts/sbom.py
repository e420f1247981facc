"""An image's bill of materials in CycloneDX: Python packages, model, Python and the base's Debian packages."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from digitline.base.errors import InputError
from digitline.registry.bento import Card
from scripts import engine

DEBIAN = "${Package}\t${Version}\t${Architecture}\n"


def bill(name: str, image: str, libraries: Path, card: Card) -> dict[str, Any]:
    """The bill of materials of an image with these libraries and this champion."""
    found = packages(libraries)
    found["metadata"]["component"] = {"type": "container", "bom-ref": image, "name": "digitline", "version": image}
    found["components"] += [model(card), python(name, image), *debian(name, image)]
    return found


def packages(folder: Path) -> dict[str, Any]:
    """The Python packages in a folder, with licences and dependencies."""
    words = [sys.executable, "-m", "cyclonedx_py", "environment", "-S", sys.executable, "--output-reproducible"]
    alone = {**os.environ, "PYTHONPATH": str(folder.resolve())}
    done = subprocess.run(words, env=alone, capture_output=True, text=True, check=False)
    if done.returncode:
        raise engine.failure(["cyclonedx-py", "environment"], done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    if not found.get("components"):
        raise InputError(f"cyclonedx-py found no package in {folder}; delete it and run make container again")
    return found


def model(card: Card) -> dict[str, Any]:
    """The champion, identified by its content."""
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{card['sha256']}",
        "name": str(card["variant"]),
        "version": card["sha256"][:16],
        "hashes": [{"alg": "SHA-256", "content": card["sha256"]}],
    }


def python(name: str, image: str) -> dict[str, Any]:
    """The Python interpreter, which is not from a Debian package."""
    version = engine.inside(name, image, "python3", "--version").split()[-1]
    return {"type": "platform", "bom-ref": f"python:{version}", "name": "python", "version": version}


def debian(name: str, image: str) -> list[dict[str, Any]]:
    """The base's Debian packages."""
    listed = engine.inside(name, image, "dpkg-query", "--show", "--showformat", DEBIAN)
    rows = [line.split("\t") for line in listed.splitlines()]
    return [
        {"type": "library", "bom-ref": purl, "name": package, "version": version, "purl": purl}
        for package, version, machine in rows
        for purl in [f"pkg:deb/debian/{package}@{version.replace(':', '%3A')}?arch={machine}"]
    ]
