"""How does a log line look, and what may stand in it? JSON lines or a console, never data of a person.

`configure` is called once by the command; until then logging stays as Python made it.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from app import personal_data

_FOREIGN = ("uvicorn", "uvicorn.error", "uvicorn.access", "grpc", "grpc._cython.cygrpc", "asyncio", "py.warnings")
_CHATTY = ("alembic", "elastic_transport", "kafka", "uvicorn.error")
# Written by structlog itself; everything else in a line is data.
_OWN_KEYS = frozenset({"timestamp", "level", "logger", "event", "exception"})


def configure(log_format: str = "auto", log_level: str = "info", stream: TextIO | None = None) -> None:
    """Send structlog and all standard loggers to `stream` (stderr), one line an event. May be called again."""
    stream = stream or sys.stderr
    if log_format == "auto":
        log_format = "console" if stream.isatty() else "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: Processor
    if log_format == "json":
        render = structlog.processors.JSONRenderer(
            ensure_ascii=False, default=lambda value: f"<{type(value).__name__}>"
        )
    else:
        render = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, take_out_personal_data, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(log_level.upper())
    for name in _FOREIGN:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    # What they say at every start, or of every call, tells nobody anything.
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET if log_level == "debug" else logging.WARNING)
    # An access line is one person's visit.
    logging.getLogger("uvicorn.access").disabled = True
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def log(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a part of the program: `log("auction").info("batch held", page_views=64)`."""
    return structlog.stdlib.get_logger(name)


def take_out_personal_data(_logger: object, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    """Structlog processor: the last one before a line is rendered, so nothing can be added after it."""
    failure = event.pop("exc_info", None)
    event.pop("stack_info", None)
    cleaned: EventDict = {
        key: value if key in _OWN_KEYS and key != "event" else personal_data.clean(value, key)
        for key, value in event.items()
    }
    if isinstance(failure, BaseException):
        cleaned["exception"] = described(failure)
    elif failure:
        error = failure[1] if isinstance(failure, tuple) else sys.exc_info()[1]
        if error is not None:
            cleaned["exception"] = described(error)
    return cleaned


def described(error: BaseException) -> str:
    """An exception with its causes: what it says and where it passed, without source lines and without locals."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(seen) < 8:
        seen.add(id(current))
        frames = traceback.extract_tb(current.__traceback__, limit=-30)
        where = [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        parts.append("\n".join([f"{type(current).__name__}: {personal_data.message_of(current)}", *where]))
        if isinstance(current, BaseExceptionGroup):
            parts += [f"  of which {type(e).__name__}: {personal_data.message_of(e)}" for e in current.exceptions[:8]]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\ncaused by ".join(parts)
