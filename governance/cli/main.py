"""The command line of `mandate`: its commands, and how one ends."""

from __future__ import annotations

import json
import os
import sys
import uuid
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction, Namespace, RawDescriptionHelpFormatter
from argparse import _SubParsersAction as Commands
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from . import access, catalogue, commands, decisions, demo, evidence, operations, output, overview
from .exits import Ended, Exit
from .operations import Operation
from .server import Server

type _Run = Callable[[Server, Namespace], Exit]
type _Command = Callable[..., ArgumentParser]
_COMMON: Final = {
    "--url": "the console's address (MANDATE_URL)",
    "--client": "the client that signs (MANDATE_CLIENT)",
    "--key-file": "its private key, a JSON Web Key of mode 0600 (MANDATE_KEY_FILE)",
    "--token-file": "a personal token, of mode 0600 (MANDATE_TOKEN_FILE, MANDATE_TOKEN)",
    "--idempotency-key": "the key of a change that may have been sent before",
    "--as": "in the demo: the login of the person whose token is used, instead of ana",
}
"""The options of every command: a field of one of these names is `--field-NAME`."""
_REASON: Final = "why; the audit log keeps it"
_WAIT: Final[dict[str, Any]] = {"action": "store_true", "help": "until every gateway node has obeyed"}
_LIMIT: Final[dict[str, Any]] = {"type": int, "default": 0, "help": "the first so many"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not any(word in {"-h", "--help"} or not word.startswith("-") for word in words[:1]):
        words.insert(0, "status")
    parsed = parser(words).parse_args(words)
    server = None
    try:
        if parsed.run is None:
            output.lines([access.make_key(Path(parsed.file))])
            return Exit.DONE
        server = _server(parsed)
        if server is None:
            output.text(f"{overview.CONFIGURE}\n\n{overview.commands(parsed.resources)}")
            return Exit.DONE
        return int(parsed.run(server, parsed))
    except Ended as ended:
        output.problem(ended, as_json=parsed.json)
        return ended.exits
    except KeyboardInterrupt:
        sentence = "Interrupted."
        if server is not None and server.sent:
            sentence += f" It may have been done: --idempotency-key {server.key} asks again, and does nothing twice."
        output.problem(Ended(Exit.INTERRUPTED, "interrupted", sentence), as_json=parsed.json)
        return Exit.INTERRUPTED
    except BrokenPipeError:  # the reader has enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE


def _server(parsed: Namespace) -> Server | None:
    """Return the server that is configured, else that of a demo on this machine; None if `status` finds neither."""
    key = parsed.idempotency_key or str(uuid.uuid4())
    login = getattr(parsed, "as") or ""
    is_configured = access.is_configured(parsed)
    if is_configured and login:
        raise Ended(Exit.USAGE, "demo_only", "--as is for the demo; here your own credentials say who you are.")
    if not is_configured and (written := demo.file()) is not None:
        found = demo.read(written, login)
        if not parsed.json:
            others = ", ".join(name for name in found.others if name != found.login)
            print(f"The demo, as {found.login}. Others: --as {others}.", file=sys.stderr)  # noqa: T201 - for people
        return Server(found.url, access.PersonalToken(found.token), key, access.proof())
    if not is_configured and parsed.run is overview.show:
        return None
    return Server(access.url(parsed), access.credentials(parsed), key, access.proof())


def parser(words: Sequence[str]) -> ArgumentParser:
    """Describe the commands; the verbs of a resource only where a word names it."""
    common = _common()
    resources = operations.resources()
    program = ArgumentParser(
        prog="mandate",
        description="Mandate on the command line: everything that the REST API can do.",
        epilog=overview.commands(resources),
        formatter_class=RawDescriptionHelpFormatter,
    )
    nouns = program.add_subparsers(required=True, metavar="COMMAND")

    def command(under: Commands[Any], name: str, about: str, run: _Run | None, **defaults: object) -> ArgumentParser:
        text = about.replace("%", "%%")
        added: ArgumentParser = under.add_parser(name, help=text, description=text, parents=[common])
        added.set_defaults(run=run, keys=[], **defaults)
        return added

    command(nouns, "status", "print as whom you act, and what waits for you", overview.show, resources=resources)
    command(nouns, "whoami", "print as whom you act", commands.call, operation=resources["me"]["show"])
    command(nouns, "make-key", "make a private key, and print the key set to register", None).add_argument("file")
    added = command(nouns, "revoke", "revoke access at once, and print the receipt", commands.revoke, operation=None)
    kinds = "grant, session, token, token_family, sign_ins, tool, system, client, agent, person"
    target = f"KIND:ID - {kinds} - or everything"
    added.add_argument("target", help=target)
    added.add_argument("--reason", dest=f"{commands.OPTION}reason", required=True, help=_REASON)
    added.add_argument("--ticket", dest=f"{commands.OPTION}ticket", help="the ticket that it belongs to")
    added.add_argument("--wait", **_WAIT)
    added = command(nouns, "propose", "propose what a file holds, such as a starter pack", catalogue.propose)
    added.add_argument("file", help="a file in YAML or JSON, of deploy/starter-packs or of your own")
    added.add_argument("--reason", required=True, help=_REASON)
    added.add_argument("--first-on", metavar="DATE", help="the day of the first campaign of templates that repeat")
    for resource, verbs in resources.items():
        aliases = operations.ALIASES.get(resource, [])
        noun = nouns.add_parser(
            resource, aliases=aliases, description=", ".join(sorted({o.group for o in verbs.values()}))
        )
        if not {resource, *aliases} & {*words}:
            continue
        under = noun.add_subparsers(required=True, metavar="VERB")
        for verb, operation in verbs.items():
            if resource != "catalog":
                run = commands.revoke if (resource, verb) == ("grants", "revoke") else commands.call
                _options(command(under, verb, operation.help, run, operation=operation), operation)
                if run is commands.revoke:
                    under.choices[verb].add_argument("--wait", **_WAIT)
        if (more := _MORE.get(resource)) is not None:
            more(partial(command, under), verbs)
    return program


def _catalog(command: _Command, _verbs: Mapping[str, Operation]) -> None:
    added = command("plan", "Print what a file would change, and who would lose what.", catalogue.plan)
    added.add_argument("file", help="a catalogue in YAML or JSON")
    added = command("apply", "Apply the plan that was read.", catalogue.apply)
    added.add_argument("file", help="as it was planned")
    added.add_argument("--reason", required=True, help=_REASON)
    added.add_argument("--plan", required=True, help="the hash, as `catalog plan` printed it")


def _items(command: _Command, _verbs: Mapping[str, Operation]) -> None:
    for verb, text in decisions.VERBS.items():
        decisions.describe(command(verb, text, decisions.decide), verb)


def _audit(command: _Command, verbs: Mapping[str, Operation]) -> None:
    evidence.describe(command("verify", "Verify that the audit log is as it was signed.", evidence.verify))
    added = command("about", "Print the timeline of a thing.", commands.call, operation=verbs["list"])
    added.add_argument(f"{commands.OPTION}about", metavar="LINK", help="as in grant:ID, agent:SLUG, trace:ID")
    added.add_argument("--limit", **_LIMIT)


_MORE: Final[Mapping[str, Callable[[_Command, Mapping[str, Operation]], None]]] = {
    "catalog": _catalog,
    "items": _items,
    "audit": _audit,
}
"""The resources with commands that do more than one operation."""


def _common() -> ArgumentParser:
    common = ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON object a line, errors as well")
    for flag, text in _COMMON.items():
        common.add_argument(flag, help=text)
    return common


def _options(to: ArgumentParser, operation: Operation) -> None:
    if operation.bulk and (operation.keys or len(operation.items) == 1):
        to.add_argument("keys", nargs="*", metavar="ID", help="what it is done to")
    elif operation.keys:
        to.add_argument("keys", nargs=len(operation.keys), metavar="ID", help=" ".join(operation.keys))
    if operation.bulk:
        text = f"several, one JSON object a line, as `list --json` prints: {', '.join(operation.items)}"
        to.add_argument("--stdin", action="store_true", help=text)
    if operation.has_etag:
        to.add_argument("--etag", help="its etag, as it was read")
    if operation.is_paged:
        to.add_argument("--limit", **_LIMIT)
    for name, kind in {**operation.bulk_options, **operation.options}.items():
        is_required = name in operation.required and (not operation.bulk or name in operation.bulk_options)
        to.add_argument(_flag(name, kind), dest=commands.OPTION + name, required=is_required, **_KINDS[kind])


def _flag(name: str, kind: str) -> str:
    """Return a field's option: of a list in the singular, since it is written once for each value."""
    if kind in {"strings", "integers"}:
        name = "person" if name == "people" else name.removesuffix("s")
    flag = f"--{name.replace('_', '-')}"
    return f"--field-{flag[2:]}" if flag in _COMMON else flag


def _secret(text: str) -> str:
    if text != "-":
        raise ArgumentTypeError("every process can read the command line: write -, and send it on standard input")
    return sys.stdin.read().removesuffix("\n")


_KINDS: Final[Mapping[str, dict[str, Any]]] = {
    "string": {"metavar": "TEXT"},
    "boolean": {"action": BooleanOptionalAction, "default": None},
    "integer": {"type": int, "metavar": "NUMBER"},
    "integers": {"type": int, "action": "append", "metavar": "NUMBER", "help": "may be repeated"},
    "strings": {"action": "append", "metavar": "TEXT", "help": "may be repeated"},
    "json": {"type": json.loads, "metavar": "JSON"},
    "secret": {"type": _secret, "metavar": "-", "help": "read from standard input"},
}
"""How an option of each kind is read."""
