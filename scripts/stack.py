"""Starts deploy/compose.yaml with docker compose or podman-compose: MLflow, the service, Prometheus and Grafana."""

import argparse
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from digitline.base import files
from digitline.base.errors import InputError
from scripts import container, engine

COMPOSE = Path("deploy/compose.yaml")
SECRETS = Path(".stack")
ENVIRONMENT = SECRETS / "env"
IMAGE = re.compile(r"image: (digitline[\w-]*:[\w.]+)")


def main() -> None:
    """Starts the stack in the background; words are passed to Compose instead, for example ps, logs -f or down."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("words", nargs=argparse.REMAINDER, help="for Compose, without them: up --detach")
    words = parser.parse_args().words
    command = compose()
    write_secrets(SECRETS)
    if not words:
        build_missing("docker" if command[0] == "docker" else "podman")
    os.execvp(command[0], [*command, *(words or ["up", "--detach"])])  # noqa: S606


def compose() -> list[str]:
    """The command of Compose with its file and its secrets; InputError if there is none."""
    given = ["--file", str(COMPOSE), "--env-file", str(ENVIRONMENT)]
    if engine.answers("docker", "compose", "version") and engine.answers("docker", "info"):
        return ["docker", "compose", *given]
    if shutil.which("podman-compose") and engine.answers("podman", "info"):
        return ["podman-compose", *given]
    raise InputError("neither docker compose nor podman-compose answers; install Docker and start it, or podman")


def write_secrets(folder: Path) -> None:
    """Generates what is missing: passwords, the service's keys, and Prometheus's own key among them."""
    folder.mkdir(mode=0o700, exist_ok=True)  # within, the users of the containers have to read the two files of keys
    keys, scraper, environment = (folder / name for name in ("keys", "scraper", "env"))
    if not keys.exists():
        own, others = secrets.token_hex(32), secrets.token_hex(32)
        files.write(scraper, own.encode())
        files.write(keys, f"{others}\n{own}\n".encode())
        for path in (keys, scraper):
            path.chmod(0o444)
    if not environment.exists():
        passwords = {name: secrets.token_hex(24) for name in ("POSTGRES_PASSWORD", "STORE_KEY", "GRAFANA_PASSWORD")}
        given = {**passwords, "KEYS_FILE": str(keys.resolve()), "SCRAPER_FILE": str(scraper.resolve())}
        files.write(environment, lines(given).encode())
        environment.chmod(0o600)
        print(f"{folder}/ now has the secrets: the passwords in env, the service's key in keys", flush=True)


def lines(given: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in given.items())


def build_missing(name: str) -> None:
    """Builds the images of ours that the engine lacks."""
    builders: dict[str, Callable[[str, str], None]] = {"digitline": build_service, "digitline-mlflow": build_mlflow}
    for image in IMAGE.findall(COMPOSE.read_text()):
        if not engine.answers(name, "image", "inspect", image):
            builders[image.partition(":")[0]](name, image)


def build_service(name: str, image: str) -> None:
    """As make container does."""
    os.environ["ENGINE"] = name
    engine.follow([sys.executable, "-m", "scripts.container", image.partition(":")[2]])


def build_mlflow(name: str, image: str) -> None:
    """MLflow at the lock's versions, with its drivers."""
    container.require_room(3)
    context = container.FOLDER / "mlflow"
    container.libraries("mlflow", context)
    engine.build(name, context, container.BASE, [image], {}, file="deploy/mlflow/Containerfile")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; make stack continues from here")
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")
