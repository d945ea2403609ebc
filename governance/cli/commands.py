"""What each command asks of the API and prints."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import batched
from typing import Any, Final
from urllib.parse import quote

from . import output
from .exits import Ended, Exit
from .server import Server

MOST: Final = 200
"""How many things the API takes at once."""


@dataclass(frozen=True)
class Collection:
    """A list of the API: its filters, and the columns that people see."""

    filters: tuple[str, ...]
    columns: tuple[str, ...]


COLLECTIONS: Final[Mapping[str, Collection]] = {
    "requests": Collection(
        ("agent", "entitlement", "system", "state", "waiting_for"),
        ("id", "etag", "state", "agent", "entitlement", "risk", "lasts", "requested_by"),
    ),
    "grants": Collection(
        ("agent", "person", "system", "entitlement", "state"),
        ("id", "state", "agent", "entitlement", "people", "expires_at"),
    ),
    "agents": Collection(("status", "kind", "sponsor", "owner"), ("slug", "status", "kind", "sponsor", "owner")),
    "systems": Collection(("kind", "status", "owner"), ("slug", "status", "kind", "owner", "upstream_url")),
}
_EVENT: Final = ("at", "actor", "action", "outcome", "code", "reason")


def whoami(server: Server, given: Namespace) -> Exit:
    """Say as whom the API knows the caller."""
    return _one(server.get("me"), given)


def listed(server: Server, given: Namespace) -> Exit:
    """Print a list, from all its pages or the first `--limit` rows."""
    collection = COLLECTIONS[given.collection]
    query = {name: getattr(given, name) or "" for name in collection.filters}
    return _many(server.rows(given.collection, most=given.limit, **query), collection.columns, given)


def show(server: Server, given: Namespace) -> Exit:
    """Print one thing."""
    return _one(server.get(_at(given.collection, given.id)), given)


def about(server: Server, given: Namespace) -> Exit:
    """Print what the record holds about a thing, in order."""
    rows = server.rows("audit-events", most=given.limit, about=given.link)
    return _many(rows, _EVENT, given)


def submit(server: Server, given: Namespace) -> Exit:
    """Ask for access."""
    body: dict[str, Any] = {name: getattr(given, name) for name in ("agent", "entitlement", "lasts", "reason")}
    body |= {"people": given.person, "groups": given.group, "tools": given.tool or None, "limits": given.limits}
    return _one(server.post("requests", body), given)


def narrowest(server: Server, given: Namespace) -> Exit:
    """Print the fewest tools and the shortest time that a request could begin with, and why."""
    return _one(
        server.get("requests/narrowest", agent=given.agent, entitlement=given.entitlement, tool=given.tool), given
    )


def renew(server: Server, given: Namespace) -> Exit:
    """Ask that grants go on: one, or those that come in on standard input, each for itself."""
    if bool(given.id) == given.stdin:
        raise Ended(Exit.USAGE, "which", "Name one grant, or send several with --stdin.")
    said = {"lasts": given.lasts}
    if given.stdin:
        return _bulk(server, "grants/renew", ({"id": row.get("id")} for row in _stdin()), given, **said)
    return _one(server.post(f"{_at('grants', given.id)}/renew", {**said, "reason": given.reason}), given)


def answer(server: Server, given: Namespace) -> Exit:
    """Answer or withdraw one request as it was read, or those that come in on standard input as `list --json` wrote."""
    if bool(given.id) == given.stdin:
        raise Ended(Exit.USAGE, "which", "Name one request, or send several with --stdin.")
    if given.stdin:
        items = ({"id": row.get("id"), "etag": row.get("etag")} for row in _stdin())
        return _bulk(server, f"requests/{given.act}", items, given)
    if given.act == "approve" and not given.etag:
        raise Ended(Exit.USAGE, "etag_needed", "What is approved is what was read: send its --etag.")
    return change(server, given)


def change(server: Server, given: Namespace) -> Exit:
    """Do something to one thing, with a reason."""
    body: dict[str, Any] = {"reason": given.reason}
    if given.act in {"approve", "narrow"}:
        body |= {"tools": given.tool or None, "limits": given.limits, "lasts": given.lasts or None}
    path = f"{_at(given.collection, given.id)}/{given.act}"
    return _one(server.post(path, body, etag=getattr(given, "etag", None) or ""), given)


def revoke(server: Server, given: Namespace) -> Exit:
    """Stop a thing of any kind; with --wait, until every gateway node has obeyed, and print the receipt."""
    kind, _, name = given.target.partition(":")
    return _revoke(server, given, kind, name)


def revoke_grants(server: Server, given: Namespace) -> Exit:
    """End grants: one with its receipt, or those that come in on standard input, each for itself."""
    if bool(given.id) == given.stdin or (given.stdin and given.wait):
        raise Ended(Exit.USAGE, "which", "Name one grant, or send several with --stdin, which does not --wait.")
    if given.stdin:
        return _bulk(server, "grants/revoke", ({"id": row.get("id")} for row in _stdin()), given)
    return _revoke(server, given, "grant", given.id)


def suspend_agents(server: Server, given: Namespace) -> Exit:
    """Stop agents, each for itself."""
    return _bulk(server, "bulk/agents/suspend", ({"slug": slug} for slug in given.slug), given)


def _revoke(server: Server, given: Namespace, kind: str, name: str) -> Exit:
    body = {"target": {"type": kind, "id": name}, "reason": given.reason, "wait": given.wait}
    made = server.post("revocations", body)
    _one(made, given)
    return Exit.PARTIAL if given.wait and (made["missing"] or not made["receipt"]) else Exit.DONE


def _bulk(server: Server, path: str, items: Iterable[Mapping[str, Any]], given: Namespace, **more: str) -> Exit:
    """Send things in as many parts as it takes; print what became of each."""
    ended, columns = Exit.DONE, ("id", "slug", "status", "state", "request", "code", "detail")
    for part in batched(items, MOST):
        results = server.post(path, {"items": part, "reason": given.reason, **more})["results"]
        shown = tuple(column for column in columns if column in results[0])
        _many(results, shown, given)
        if any(each["status"] != HTTPStatus.OK for each in results):
            ended = Exit.PARTIAL
    return ended


def _stdin() -> Iterator[Mapping[str, Any]]:
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise Ended(Exit.USAGE, "stdin_malformed", "Standard input is not one JSON object a line.")
        yield row


def _at(collection: str, name: str) -> str:
    return f"{collection}/{quote(name, safe='')}"


def _one(row: Mapping[str, Any], given: Namespace) -> Exit:
    if given.json:
        output.lines([row])
    else:
        output.card(row)
    return Exit.DONE


def _many(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...], given: Namespace) -> Exit:
    if given.json:
        output.lines(rows)
    else:
        output.table(rows, columns)
    return Exit.DONE
