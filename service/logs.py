"""One JSON object a line: on standard output, or in a file that is kept short."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler

FILE_BYTES, FILES = 16 * 2**20, 4  # of the file that DIGITLINE_LOG names, and of how many before it


class Line(logging.Formatter):
    """A record's time, level, words and fields; none of it can break out of its line."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname.lower(), "message": record.getMessage().rstrip()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure() -> None:
    """Gives all of the process's records this form and one place."""
    path = os.environ.get("DIGITLINE_LOG")
    handler: logging.Handler = (
        RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILES) if path else logging.StreamHandler(sys.stdout)
    )
    handler.setFormatter(Line())
    # What no line shows need not be looked up for each.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging.getLogger().handlers = [handler]
    logging.getLogger("service").setLevel(logging.INFO)
    for name in ("bentoml", "uvicorn.error", "circus"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").propagate = False  # a request has its line from front.py
