"""The queue as the worker reads it: a message that none of our processes can have written is refused, and ends nothing.

Celery checks what a task is called with, its transport checks nothing: what is no JSON, or JSON of another form, raises
in the middle of the worker's loop and ends the worker. Here every message is looked at before anything acts on it.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from typing import Any, Final

from kombu.transport import redis

from governance.worker import queues

_TEXTS: Final = ("content-type", "content-encoding", "body")
_MAY_BE: Final[dict[str, type]] = {
    **dict.fromkeys(("id", "task", "lang", "shadow", "eta", "expires", "group", "root_id", "parent_id"), str),
    **dict.fromkeys(("argsrepr", "kwargsrepr", "origin"), str),
    **dict.fromkeys(("retries", "group_index", "replaced_task_nesting"), int),
    "stamped_headers": list,
    "sent_at": float,
    "ignore_result": bool,
    "stamps": dict,
}
"""The types of a task's headers, each of which may be null."""
_NO_LIMITS: Final = [None, None]
_ARGUMENTS: Final = 3
_SHOWN: Final = 200

logger = logging.getLogger(__name__)


class Channel(redis.Channel):
    """Reads messages; what cannot be read is logged once and left out."""

    def _brpop_read(self, **options: Any) -> bool | None:  # noqa: ANN401 - the transport's
        try:
            read: bool | None = super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (ValueError, RecursionError) as why:
            refuse("", f"it is no JSON: {why}")
            return True
        return read


class Transport(redis.Transport):
    """Hands on messages that have the form of ours."""

    Channel = Channel
    brpop_timeout = 15
    """Seconds after which a reader that got no message asks anew; a message comes at once all the same."""

    # In every other queue workers talk to each other.
    def _deliver(self, message: Any, queue: str) -> None:  # noqa: ANN401 - whatever lay in the queue
        if wrong := fault(message, is_task=queue in queues.ALL):
            refuse(queue, wrong)
            return
        try:
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]
        except (*self.connection_errors, *self.channel_errors):
            raise
        except Exception as why:  # noqa: BLE001 - whatever Celery makes of it, it is one message
            refuse(queue, f"it cannot be taken: {why!r}")
            self._let_go(message["properties"]["delivery_tag"])

    def _let_go(self, tag: str) -> None:
        """Take a message off those that are being worked on, for good: else it comes again, and takes a place."""
        for channel in self.channels:
            if tag in channel.qos._delivered:  # noqa: SLF001 - there is no other way to ask
                channel.basic_reject(tag, requeue=False)


def refuse(queue: str, why: str) -> None:
    """Log a message that is left out."""
    logger.error("message_refused", extra={"queue": queue, "reason": why[:_SHOWN]})


def fault(message: object, *, is_task: bool) -> str:
    """Say what about a message is not as our processes write it (Celery's protocol 2, as JSON); empty if nothing."""
    if not isinstance(message, dict):
        return "it is no object"
    properties, headers = message.get("properties"), message.get("headers")
    if not isinstance(properties, dict) or not isinstance(headers, dict) or not _has_come(properties):
        return "it does not say what it is or where it came from"
    if not all(_text(message.get(name)) for name in _TEXTS) or message["content-type"] != "application/json":
        return "its body is no JSON"
    body = _body(message["body"], properties.get("body_encoding"))
    if is_task and not (_names_a_task(headers) and _is_call(body)):
        return "it is no call of a task"
    return "" if is_task or isinstance(body, dict) else "its body is no object"


def _has_come(properties: dict[str, Any]) -> bool:
    where = properties.get("delivery_info")
    if not _text(properties.get("delivery_tag")) or not isinstance(where, dict):
        return False
    return all(_text(where.get(name), may_be_empty=True) for name in ("exchange", "routing_key"))


def _names_a_task(headers: dict[str, Any]) -> bool:
    if not _text(headers.get("task")) or not _text(headers.get("id")):
        return False
    limits = headers.get("timelimit") or _NO_LIMITS
    if not isinstance(limits, list) or len(limits) != len(_NO_LIMITS):
        return False
    if not all(limit is None or isinstance(limit, int | float) for limit in limits):
        return False
    return all(headers.get(name) is None or isinstance(headers[name], kind) for name, kind in _MAY_BE.items())


def _text(value: object, *, may_be_empty: bool = False) -> bool:
    return isinstance(value, str) and (may_be_empty or bool(value))


def _body(text: str, encoding: object) -> object:
    """Return what the body holds, None where it cannot be read."""
    try:
        return json.loads(base64.b64decode(text, validate=True) if encoding == "base64" else text)
    except (binascii.Error, ValueError, RecursionError):
        return None


def _is_call(body: object) -> bool:
    """Whether a body is what a task is called with: a list of arguments, named ones, and what comes after."""
    return (
        isinstance(body, list)
        and len(body) == _ARGUMENTS
        and isinstance(body[0], list)
        and all(isinstance(part, dict) for part in body[1:])
    )
