"""The command line of `mandate`: what can be said, and how a command ends."""

from __future__ import annotations

import json
import os
import sys
import uuid
from argparse import ArgumentParser, Namespace
from argparse import _SubParsersAction as Commands
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import access, catalogue, commands, output
from .exits import Ended, Exit
from .server import Server

type _Run = Callable[[Server, Namespace], Exit]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    given = parser().parse_args(arguments)
    server = None
    try:
        if given.run is None:
            output.lines([access.make_key(Path(given.file))])
            return Exit.DONE
        key = given.idempotency_key or str(uuid.uuid4())
        server = Server(access.url(given), access.credentials(given), key, access.proof())
        return int(given.run(server, given))
    except Ended as ended:
        output.problem(ended, as_json=given.json)
        return ended.exits
    except KeyboardInterrupt:
        said = "Interrupted."
        if server is not None and server.sent:
            said += f" It may have been done: --idempotency-key {server.key} asks again, and does nothing twice."
        output.problem(Ended(Exit.INTERRUPTED, "interrupted", said), as_json=given.json)
        return Exit.INTERRUPTED
    except BrokenPipeError:  # whoever read us has enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE


def parser() -> ArgumentParser:
    """Describe everything that can be said."""
    common = ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON object a line, errors as well")
    common.add_argument("--url", help="the console's address (MANDATE_URL)")
    common.add_argument("--client", help="the client that signs (MANDATE_CLIENT)")
    common.add_argument("--key-file", help="its private key, a JSON Web Key of mode 0600 (MANDATE_KEY_FILE)")
    common.add_argument("--token-file", help="a personal token, of mode 0600 (MANDATE_TOKEN_FILE, MANDATE_TOKEN)")
    common.add_argument("--idempotency-key", default="", help="the key of a change that may have been sent before")
    made = ArgumentParser(prog="mandate", description="Requests, grants and revocations of Mandate, from scripts.")
    nouns = made.add_subparsers(required=True, metavar="COMMAND")

    def command(under: Commands[Any], name: str, run: _Run | None, about: str, **set_to: Any) -> ArgumentParser:  # noqa: ANN401 - defaults of any type
        added: ArgumentParser = under.add_parser(name, help=about, description=about, parents=[common])
        added.set_defaults(run=run, **set_to)
        return added

    command(nouns, "whoami", commands.whoami, "say as whom you act")
    command(nouns, "make-key", None, "make a private key, and print the key set to register").add_argument("file")
    for collection in commands.COLLECTIONS:
        noun = nouns.add_parser(collection, help=f"list, show and change {collection}")
        acts = noun.add_subparsers(required=True, metavar="ACT")
        _readings(lambda *said, acts=acts, **set_to: command(acts, *said, **set_to), collection)
        if collection == "requests":
            _requests(lambda *said, acts=acts, **set_to: command(acts, *said, collection="requests", **set_to))
        elif collection == "grants":
            added = command(acts, "revoke", commands.revoke_grants, "end one grant, or several, at once")
            added.add_argument("id", nargs="?")
            _stdin(added)
            _reason(added).add_argument("--wait", action="store_true", help="until every gateway node has obeyed")
            added = command(acts, "renew", commands.renew, "ask that one grant goes on, or several")
            added.add_argument("id", nargs="?")
            _stdin(_reason(added))
            added.add_argument("--lasts", required=True, help="for this long, as in P30D")
        elif collection == "agents":
            added = command(acts, "suspend", commands.suspend_agents, "stop agents at once")
            _reason(added).add_argument("slug", nargs="+")
    added = command(nouns, "revoke", commands.revoke, "stop anything at once, and print the receipt")
    added.add_argument(
        "target", help="KIND:ID - grant, session, token, tool, system, client, agent, person - or everything"
    )
    _reason(added).add_argument("--wait", action="store_true", help="until every gateway node has obeyed")
    kept = nouns.add_parser("catalogue", help="keep the catalogue in a file")
    acts = kept.add_subparsers(required=True, metavar="ACT")
    _catalogue(lambda *said, acts=acts: command(acts, *said))
    audit = nouns.add_parser("audit", help="read the record").add_subparsers(required=True, metavar="ACT")
    added = command(audit, "about", commands.about, "what the record holds about a thing")
    added.add_argument("link", help="as in grant:ID, agent:SLUG, trace:ID")
    _limit(added)
    return made


def _readings(command: Callable[..., ArgumentParser], collection: str) -> None:
    added = command("list", commands.listed, f"list {collection}", collection=collection)
    for name in commands.COLLECTIONS[collection].filters:
        added.add_argument(f"--{name.replace('_', '-')}")
    _limit(added)
    command("show", commands.show, f"show one of the {collection}", collection=collection).add_argument("id")


def _requests(command: Callable[..., ArgumentParser]) -> None:
    added = command("submit", commands.submit, "ask for access")
    for name in ("agent", "entitlement", "lasts"):
        added.add_argument(f"--{name}", required=True)
    for name in ("person", "group"):
        added.add_argument(f"--{name}", action="append", default=[])
    _less(_reason(added))
    added = command("narrowest", commands.narrowest, "say what to ask for: the fewest tools, the shortest time")
    added.add_argument("--entitlement", required=True)
    added.add_argument("--agent", default="", help="else your personal agent, or the agent that you are")
    added.add_argument("--tool", default="", help="the tool whose call was refused")
    for act in ("approve", "deny", "cancel"):
        added = command(act, commands.answer, f"{act} a request as it was read, or several", act=act)
        added.add_argument("id", nargs="?")
        added.add_argument("--etag", help="the etag of the request as it was read")
        _stdin(_reason(added, required=act == "deny"))
        if act == "approve":
            added.add_argument("--lasts", help="at most this long, as in P30D")
            _less(added)
    added = command("narrow", commands.change, "narrow a request", act="narrow")
    added.add_argument("id")
    added.add_argument("--etag", help="the etag of the request as it was read")
    _reason(added, required=False).add_argument("--lasts", help="at most this long, as in P30D")
    _less(added)


def _catalogue(command: Callable[..., ArgumentParser]) -> None:
    added = command("plan", catalogue.plan, "say what a file would change, and who would lose what")
    added.add_argument("file", help="a catalogue in YAML or JSON")
    added = command("apply", catalogue.apply, "carry out just the plan that was read")
    added.add_argument("file", help="as it was planned")
    _reason(added).add_argument("--plan", required=True, help="the plan's hash, as `catalogue plan` printed it")


def _less(to: ArgumentParser) -> None:
    to.add_argument("--tool", action="append", default=[], help="a tool to keep; all where none is named")
    to.add_argument("--limits", type=json.loads, default={}, help="limits by tool, as JSON")


def _reason(to: ArgumentParser, *, required: bool = True) -> ArgumentParser:
    to.add_argument("--reason", required=required, default="", help="why; the record keeps it")
    return to


def _stdin(to: ArgumentParser) -> None:
    to.add_argument("--stdin", action="store_true", help="several, one JSON object a line, as `list --json` prints")


def _limit(to: ArgumentParser) -> None:
    to.add_argument("--limit", type=int, default=0, help="the first so many")
