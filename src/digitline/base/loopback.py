"""Requests to this machine itself, which no proxy can answer."""

import os

HOSTS = "localhost,127.0.0.1,::1"


def bypass_proxy() -> None:
    """Exempts this machine from the proxy that http_proxy names, here and in the processes started from here."""
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    for name in ("no_proxy", "NO_PROXY"):  # some libraries read the one, some the other
        os.environ[name] = ",".join(filter(None, [given, HOSTS]))
