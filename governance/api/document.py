"""What the OpenAPI document says as a whole: its introduction, its capabilities as tags, and examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from . import tags

_PREFIX: Final = "/api/v1/"
_JSON: Final = "application/json"
INTRODUCTION: Final = """\
Mandate governs what AI agents may do. Everything that the console does can be done here as well.

## Authentication

| who calls | how |
|---|---|
| a person | `Authorization: Bearer mdt_...`, a personal API token, shown once in the console |
| a script or an agent | an access token of `/as/mandate`: client credentials with `private_key_jwt`, and scopes |
| the console | its session, with a CSRF token |

Each operation names who may call it, and the scopes that open it to scripts and agents. A scope for all kinds of things
(`mandate:read`) has a narrower one for each kind (`mandate:grants:read`). Operations that weigh much ask for
re-authentication: send `Mandate-Proof` with the code of your authenticator app.

## Errors

Every error is a problem document (RFC 9457, `application/problem+json`). `code` is stable, so decide by it; `detail`
says what happened, why, and what to do next; `errors` names the fields. What you may not see answers 404, as if it did
not exist.

## Idempotency

Send `Idempotency-Key` with a POST. If you send the same request again with the same key within 24 hours, you get the
first answer (`Idempotent-Replayed: true`), and nothing happens twice. The same key with another body is refused (422,
`idempotency_mismatch`).

## Versions

What can be edited has an `ETag`. Send it back as `If-Match`: if it changed since you read it, you get
412 (`stale`), and where `If-Match` is missing 428 (`precondition_required`).

## Lists

Lists come in pages: `limit` rows (50, at most 200) and `next`, the `cursor` of the next page, or null on the last one.
A cursor is opaque and belongs to one list. Unknown query parameters are refused.

## Rate limits

Each caller has a number of requests a minute (3,000 unless your administrator set another). Above it you get 429
(`rate_limited`) with `Retry-After` in seconds.

## Several at once

Operations on several things answer 207 with a result for each: its `status`, and its new state or a `code`.
"""
_ANSWERS: Final = {
    "200": "Done.",
    "201": "Created.",
    "202": "Accepted: it waits for a decision, or is still being carried out.",
    "204": "Done; there is nothing to show.",
    "207": "Each on its own, with its own result.",
}


def complete(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Postprocess: add the introduction, the tag of each operation, what each status means, and the examples."""
    result["info"]["description"] = INTRODUCTION
    found = examples()
    for path, operation in operations(result):
        operation["tags"] = [tags.of(path.removeprefix(_PREFIX))]
        for status, answer in operation["responses"].items():
            answer["description"] = answer["description"] or _ANSWERS[status]
        _add(operation, found.get(operation["operationId"], {}))
    used = {operation["tags"][0] for _, operation in operations(result)}
    result["tags"] = [{"name": name, "description": text} for name, text in tags.TAGS.items() if name in used]
    return result


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each operation with its path."""
    for path, item in document["paths"].items():
        yield from ((path, operation) for operation in item.values())


def examples() -> dict[str, dict[str, Any]]:
    """Return the examples by operation: `request`, if it has a body, `status` and `response`."""
    read: dict[str, dict[str, Any]] = json.loads(files(__package__).joinpath("examples.json").read_text("utf-8"))
    return read


def _add(operation: dict[str, Any], example: Mapping[str, Any]) -> None:
    if "request" in example:
        operation["requestBody"]["content"][_JSON]["example"] = example["request"]
    if "response" in example:
        operation["responses"][example["status"]]["content"][_JSON]["example"] = example["response"]
