"""The container engine: the first of Docker, podman and buildah that answers."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from digitline.base.errors import InputError
from digitline.registry import lineage

ENGINES = list(lineage.ENGINES)


def find() -> str:
    """The engine in the variable ENGINE, or else the first that answers; InputError if none does."""
    named = os.environ.get("ENGINE")
    names = [named] if named else ENGINES
    for name in names:
        if answers(name, "info"):
            return name
    raise InputError(
        f"no container engine answers ({', '.join(names)}); install podman, or install Docker and start it"
    )


def build(
    engine: str, folder: Path, base: str, tags: Sequence[str], labels: Mapping[str, str], *, file: str = "Containerfile"
) -> None:
    """Builds the folder into an image on that base; InputError if the engine fails."""
    # Podman and buildah keep a health check only in Docker's format.
    form = [] if engine == "docker" else ["--format", "docker"]
    named = [word for tag in tags for word in ("--tag", tag)]
    labelled = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
    words = [*form, "--build-arg", f"BASE={base}", *named, *labelled, "--file", file]
    follow([engine, "build", *words, str(folder)])


def size(engine: str, image: str) -> int:
    """The size of an image's unpacked layers in bytes."""
    if engine != "buildah":
        return int(answer(engine, "image", "inspect", "--format", "{{.Size}}", image))
    container = answer(engine, "from", image)
    try:
        root = answer(engine, "mount", container)
        return 1024 * int(answer("du", "-sk", root).split()[0])
    finally:
        answer(engine, "rm", container)


def inside(engine: str, image: str, *command: str) -> str:
    """The output of a command in the image, run without a network."""
    if engine != "buildah":
        entry = ["--network", "none", "--entrypoint", command[0]]
        return answer(engine, "run", "--rm", *entry, image, *command[1:])
    container = answer(engine, "from", image)
    try:
        return answer(engine, "run", "--network", "none", container, "--", *command)
    finally:
        answer(engine, "rm", container)


def answer(*words: str) -> str:
    """The output of a command; InputError with its last line if it fails."""
    done = asked(*words)
    if done.returncode:
        raise failure(words, done.stderr)
    return done.stdout.strip()


def answers(*words: str) -> bool:
    """Whether the command exists and succeeds."""
    return shutil.which(words[0]) is not None and asked(*words).returncode == 0


def asked(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


def follow(words: Sequence[str]) -> None:
    """Runs a command and prints its output line by line; InputError with the line of the error if it fails."""
    lines: list[str] = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise failure(words, "".join(lines))


def failure(words: Sequence[str], text: str) -> InputError:
    """The error of a failed command in one sentence."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it printed nothing"]
    name = " ".join(Path(word).name for word in words[:2])
    if any("no space left" in line.lower() for line in lines):
        return InputError(f"{name} failed: the disk is full; free some space and run this again")
    return InputError(f"{name} failed: {lines[-1].removeprefix('Error: ')}")
