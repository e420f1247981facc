"""A worker of pytest's: runs the code of pytest-xdist in a fork of the process that has imported what it needs."""

import sys

if __name__ == "__main__":
    sys.executable = f"{sys.prefix}/bin/python"  # what a test starts, it starts as a user does
    exec(sys.argv[-1])  # noqa: S102  # of pytest-xdist
