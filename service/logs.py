"""Logs one JSON object per line, to standard output or a rotated file."""

import logging
import os
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import orjson

FILE_BYTES, FILES = 16 * 2**20, 4  # the size of the file DIGITLINE_LOG, and the number of older ones


class Line(logging.Formatter):
    """A record as one line of JSON: time, level, message and fields."""

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
    """Sends all of the process's records to one place in this format; each worker has its own file."""
    handler: logging.Handler = logging.StreamHandler(sys.stdout)
    if "DIGITLINE_LOG" in os.environ:
        path = Path(os.environ["DIGITLINE_LOG"])
        own = path if worker == 1 else path.with_stem(f"{path.stem}-{worker}")  # two workers cannot rotate one file
        handler = RotatingFileHandler(own, maxBytes=FILE_BYTES, backupCount=FILES)
    handler.setFormatter(Line())
    # Not looked up for each record, because no line shows them.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging.getLogger().handlers = [handler]
    logging.getLogger("service").setLevel(logging.INFO)
    for name in ("bentoml", "uvicorn.error", "circus"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").propagate = False  # front.py logs the requests
