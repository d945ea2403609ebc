"""The answer of a REST API as the result of a tool: JSON as such, text as text, all else as an embedded resource."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Any, Final

from entitlements.gateway.http import encode
from entitlements.gateway.rest.dispatch import JSON, RestAnswer

HTTP: Final = "mandate/http"
"""The `_meta` key under which the status and the headers of the answer stand."""
_TEXTS: Final = ("text/", "application/xml", "application/x-www-form-urlencoded", "application/yaml")


def result(answer: RestAnswer, system: str, evaluation: str) -> bytes:
    """Return the tool result, as JSON. A status from 300 on is an error: we follow no redirect."""
    passed = {name.decode(): value.decode("latin-1") for name, value in answer.headers}
    written: dict[str, Any] = {
        "content": [_content(answer, f"mandate://{system}/{evaluation}")],
        "resultType": "complete",
        "_meta": {HTTP: {"status": answer.status, "headers": passed}},
    }
    is_error = answer.status >= HTTPStatus.MULTIPLE_CHOICES
    if is_error:
        written["isError"] = True
        written["content"].insert(0, _text(f"The system answered with the status {answer.status}."))
    elif answer.json is not None:
        written["structuredContent"] = answer.structured
    return encode(written)


def _content(answer: RestAnswer, uri: str) -> dict[str, Any]:
    if not answer.body:
        return _text(f"Status {answer.status}, without a body.")
    kind = answer.content_type
    if kind.endswith(JSON) or kind.startswith(_TEXTS):
        try:
            return _text(answer.body.decode("utf-8"))
        except UnicodeDecodeError:
            pass
    blob = base64.b64encode(answer.body).decode()
    named = kind or "application/octet-stream"
    return {"type": "resource", "resource": {"uri": uri, "mimeType": named, "blob": blob}}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
