"""What each command asks of the API and prints."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import batched
from typing import Any, Final

from . import output
from .exits import Ended, Exit
from .operations import Operation
from .server import Server

MOST: Final = 200
"""How many things the API takes at once."""
OPTION: Final = "option "
"""What the names of an operation's options begin with among the arguments, so that none is taken for another."""
_BULK_COLUMNS: Final = ("id", "slug", "status", "state", "request", "code", "detail")


def call(server: Server, arguments: Namespace) -> Exit:
    """Do what the command's verb does, to one thing or to several."""
    operation: Operation = arguments.operation
    if _is_bulk(operation, arguments):
        return _bulk(server, operation, arguments)
    values = _values(operation.options, arguments)
    if missing := [name for name in operation.required if name not in values]:
        raise Ended(Exit.USAGE, "option_needed", f"The command also needs {', '.join(missing)}.")
    path = operation.at(arguments.keys)
    if operation.media:
        server.download(path, values, sys.stdout.buffer)
    elif operation.is_paged:
        output.table(server.rows(path, values, most=arguments.limit), operation.columns, as_json=arguments.json)
    elif operation.method == "GET":
        output.card(server.get(path, values), as_json=arguments.json)
    else:
        etag = (operation.has_etag and arguments.etag) or ""
        if operation.resource == "requests" and operation.verb == "approve" and not etag:
            raise Ended(Exit.USAGE, "etag_needed", "You approve a request as you read it: send its --etag.")
        output.card(server.change(operation.method, path, values, etag=etag), as_json=arguments.json)
    return Exit.DONE


def revoke(server: Server, arguments: Namespace) -> Exit:
    """Stop a thing of any kind and print the receipt, with --wait once every gateway node has obeyed; or end grants."""
    operation: Operation | None = arguments.operation
    if operation is not None and _is_bulk(operation, arguments):
        if arguments.wait:
            raise Ended(Exit.USAGE, "which", "You cannot --wait for several grants: leave it out.")
        return _bulk(server, operation, arguments)
    kind, _, name = (f"grant:{arguments.keys[0]}" if operation else arguments.target).partition(":")
    body = {"target": {"type": kind, "id": name}, "wait": arguments.wait, **_values(["reason", "ticket"], arguments)}
    revocation = server.change("POST", "revocations", body)
    output.card(revocation, as_json=arguments.json)
    return Exit.PARTIAL if arguments.wait and (revocation["missing"] or not revocation["receipt"]) else Exit.DONE


def _is_bulk(operation: Operation, arguments: Namespace) -> bool:
    """Return whether the command names several things. Raises Ended where it names none, or is not clear."""
    if not operation.bulk:
        return False
    if operation.path and not operation.keys:
        return bool(arguments.stdin)
    wanted = len(operation.keys) or len(arguments.keys) or 1
    if len(arguments.keys) != (0 if arguments.stdin else wanted):
        raise Ended(Exit.USAGE, "which", "Name one thing, or send several with --stdin.")
    return arguments.stdin or not operation.path


def _bulk(server: Server, operation: Operation, arguments: Namespace) -> Exit:
    """Send things in as many parts as it takes; print what became of each."""
    body, ended = _values(operation.bulk_options, arguments), Exit.DONE
    if ignored := _values(operation.options, arguments).keys() - body.keys():
        raise Ended(Exit.USAGE, "option_for_one", f"For several at once there is no {', '.join(sorted(ignored))}.")
    rows: Iterable[Mapping[str, Any]] = [{operation.items[0]: key} for key in arguments.keys]
    for part in batched(rows or _stdin(operation.items), MOST):
        results = server.change("POST", operation.bulk, {**body, "items": part})["results"]
        columns = [column for column in _BULK_COLUMNS if column in results[0]]
        output.table(results, columns, as_json=arguments.json)
        if any(result["status"] != HTTPStatus.OK for result in results):
            ended = Exit.PARTIAL
    return ended


def _values(options: Iterable[str], arguments: Namespace) -> dict[str, Any]:
    values = {name: getattr(arguments, OPTION + name, None) for name in options}
    return {name: value for name, value in values.items() if value is not None}


def _stdin(names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the fields with these names from each line of standard input."""
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise Ended(Exit.USAGE, "stdin_malformed", "Standard input is not one JSON object a line.")
        yield {name: row[name] for name in names if name in row}
