"""What a bare `mandate` prints: as whom you act, what waits for you, and what the commands are for."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from . import output
from .exits import Exit
from .operations import Operation
from .server import MOST_ROWS, Server

CONFIGURE: Final = """\
Nothing is configured. Name the console and who you are:

  export MANDATE_URL=https://mandate.example.com
  export MANDATE_TOKEN_FILE=~/.mandate-token     a personal API token from the console, mode 0600

or, for a script, MANDATE_CLIENT and MANDATE_KEY_FILE. Where `make demo` runs, the demo is found by itself."""


class _Queue(NamedTuple):
    """What waits for a person: its name, the list, the filter by person, and the command that shows it."""

    what: str
    path: str
    by: str
    command: str
    also: Mapping[str, str] = MappingProxyType({})


_QUEUES: Final = (
    _Queue("access requests", "requests", "waiting_for", "mandate requests list --waiting-for {}"),
    _Queue("review items", "review-items", "waiting_for", "mandate items list --waiting-for {}"),
    _Queue(
        "ownership proposals",
        "ownership-proposals",
        "person",
        "mandate ownership-proposals list --person {} --state waiting",
        {"state": "waiting"},
    ),
)


def show(server: Server, arguments: Namespace) -> Exit:
    """Print as whom the caller acts and what waits for them; then what the commands are for."""
    me = server.get("me")
    kind, _, name = str(me["principal"]).partition(":")
    waiting = [_waiting(server, name, queue) for queue in _QUEUES] if kind == "person" else []
    if arguments.json:
        output.lines([{"url": server.url, **me, "waiting": waiting}])
        return Exit.DONE
    output.text(f"{server.url}, as {_named(server, me, kind, name)}")
    output.text("")
    for queue in waiting:
        more = " or more" if queue["more"] else ""
        output.text(f"  {queue['count']:>3}{more} {queue['what']:<20} {queue['command']}")
    if waiting:
        output.text("")
    output.text(commands(arguments.resources))
    return Exit.DONE


def commands(resources: Mapping[str, Mapping[str, Operation]]) -> str:
    """Return the resources by capability, as a text for people."""
    groups: dict[str, list[str]] = {}
    for resource, verbs in resources.items():
        usual = verbs.get("list") or verbs.get("show") or next(iter(verbs.values()))
        groups.setdefault(usual.group, []).append(resource)
    width = max(map(len, groups))
    rows = [f"  {group:<{width}}  {', '.join(sorted(names))}" for group, names in sorted(groups.items())]
    first = "Commands: `mandate RESOURCE VERB`; `mandate RESOURCE --help` lists the verbs of a resource."
    others = [
        "  whoami    print as whom you act",
        "  revoke    revoke access at once, and print the receipt",
        "  make-key  make a private key for a script",
    ]
    return "\n".join([first, "", *rows, "", *others])


def _named(server: Server, me: Mapping[str, Any], kind: str, name: str) -> str:
    if kind != "person":
        return f"the {kind} {name} (scopes: {', '.join(me['scopes']) or 'none'})"
    person = server.get(f"people/{quote(name, safe='')}")
    return f"{person['name']} ({name}; admin roles: {', '.join(me['roles']) or 'none'})"


def _waiting(server: Server, login: str, queue: _Queue) -> dict[str, Any]:
    page = server.get(queue.path, {**queue.also, queue.by: login, "limit": str(MOST_ROWS)})
    return {
        "what": queue.what,
        "count": len(page["results"]),
        "more": page["next"] is not None,
        "command": queue.command.format(login),
    }
