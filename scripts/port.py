"""Checks that a port of this machine is free."""

import argparse
import socket
import sys


def main() -> None:
    """Ends with exit status 1 if another program uses the port."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("target")
    parser.add_argument("port", type=int)
    words = parser.parse_args()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            listener.bind(("127.0.0.1", words.port))
        except OSError as error:
            other = f"make {words.target} PORT={words.port + 1}"
            sys.exit(f"error: port {words.port}: {error.strerror}; stop the program that uses it, or run {other}")


if __name__ == "__main__":
    main()
