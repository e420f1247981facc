"""One JSON object a line: on standard output, or in a file that is kept short."""

import logging
import os
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import orjson

FILE_BYTES, FILES = 16 * 2**20, 4  # of the file that DIGITLINE_LOG names, and of how many before it


class Line(logging.Formatter):
    """A record's time, level, words and fields; none of it can break out of its line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "message": record.getMessage().rstrip(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def configure(worker: int = 1) -> None:
    """Gives all of the process's records this form and one place: a file of its own for each worker."""
    handler: logging.Handler = logging.StreamHandler(sys.stdout)
    if "DIGITLINE_LOG" in os.environ:
        path = Path(os.environ["DIGITLINE_LOG"])
        own = path if worker == 1 else path.with_stem(f"{path.stem}-{worker}")  # two cannot turn one file over
        handler = RotatingFileHandler(own, maxBytes=FILE_BYTES, backupCount=FILES)
    handler.setFormatter(Line())
    # What no line shows need not be looked up for each.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging.getLogger().handlers = [handler]
    logging.getLogger("service").setLevel(logging.INFO)
    for name in ("bentoml", "uvicorn.error", "circus"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").propagate = False  # a request has its line from front.py
