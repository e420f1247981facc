"""Runs commands of digitline one after another in one process: importing what they need takes longer than they do.

Reads a line of JSON a command, the words; prints a line of JSON for each: exit status, and what it printed.
"""

import contextlib
import io
import json
import sys

from digitline.cli.main import main


def run(words: list[str]) -> tuple[int, str]:
    """The exit status, and all that the command printed, its last sentence included."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            main(words)
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code)
            return (1 if isinstance(end.code, str) else int(end.code or 0)), told.getvalue()
    return 0, told.getvalue()


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
