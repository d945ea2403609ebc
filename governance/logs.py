"""One line of JSON per log event, on standard error, with the values of telling keys taken out."""

import re
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

# Keys, never values: what a secret looks like cannot be known, where it would be put can.
TELLING = re.compile(
    r"pass(word|phrase)|secret|token|assertion|authorization|cookie|credential|private|api_?key|dpop|session",
    re.IGNORECASE,
)


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the value of each telling key by ***, at any depth."""
    return {key: "***" if TELLING.search(key) else _hide(value) for key, value in event.items()}


def _hide(value: Any) -> Any:  # noqa: ANN401 - a log event holds anything
    if isinstance(value, dict):
        return {key: "***" if TELLING.search(str(key)) else _hide(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hide(inner) for inner in value]
    return value


# Where a secret can be in an address: in the link of an invitation, or in a query parameter, against all rules.
_IN_ADDRESS = re.compile(
    rf"(/welcome/|[?&][\w.-]*(?:{TELLING.pattern}|code)[\w.-]*=)[^/&\s\\\"'<>]+",
    re.IGNORECASE,
)


def hide_in_addresses(_logger: WrappedLogger, _method: str, line: str) -> str:
    """Replace secrets in the addresses that a finished line quotes: Django logs that of each request that failed."""
    return _IN_ADDRESS.sub(lambda match: f"{match[1]}***", line)


BEFORE = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    hide_secrets,
)


def configure() -> None:
    """Send structlog's own loggers through the standard library, so that both kinds look alike."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *BEFORE,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def formatter() -> structlog.stdlib.ProcessorFormatter:
    """Return what turns a log event into a line of JSON; `logs.json` gives it to granian and uvicorn."""
    to_line: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.JSONRenderer(),
        hide_in_addresses,
    ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=list(BEFORE), processors=to_line)


ROUTINE = ("celery.app.trace", "celery.beat", "celery.worker.request", "celery.worker.strategy")
"""Celery's loggers that say of each tick at INFO that it was sent, taken and done: that is for DEBUG."""


def dictionary(level: str) -> dict[str, Any]:
    """Return Django's LOGGING for one level."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": formatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        # Django's own handlers (mail to admins, console with DEBUG) would write each line twice.
        "loggers": {name: {"handlers": [], "propagate": True} for name in ("django", "django.server")}
        | ({} if level == "DEBUG" else {name: {"level": "WARNING"} for name in ROUTINE}),
    }
