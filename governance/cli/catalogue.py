"""Files of YAML, of which is taken what JSON can express: a catalogue, to plan and apply, and bodies to propose."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from . import output
from .exits import Ended, Exit
from .server import Server

_LARGEST: Final = 1024 * 1024
_COLUMNS: Final = ("act", "about", "loses", "change")
_PROPOSED: Final = ("sod-policies", "policy-proposals", "auto-approval-rules", "campaign-templates")
_LOSSES: Final = ("about", "grant", "agent", "people", "groups", "tools")


def plan(server: Server, arguments: Namespace) -> Exit:
    """Print what the file would change, who would lose what, and the hash of just that."""
    return _print(server.change("POST", "catalog/plan", read(Path(arguments.file))), arguments)


def apply(server: Server, arguments: Namespace) -> Exit:
    """Carry out the plan of this hash, all of it or nothing."""
    body = {**read(Path(arguments.file)), "plan": arguments.plan, "reason": arguments.reason}
    return _print(server.change("POST", "catalog/apply", body), arguments)


def propose(server: Server, arguments: Namespace) -> Exit:
    """Send each body of a file to the address that its list is named for, in their order.

    A template that repeats begins on `first_on`. Raises Ended for the first that is refused: those before it are made.
    """
    declared = read(Path(arguments.file))
    if unknown := sorted(declared.keys() - {*_PROPOSED}):
        raise Ended(Exit.USAGE, "file_malformed", f"Only {', '.join(_PROPOSED)} are proposed, not {unknown[0]}.")
    for address, bodies in declared.items():
        if not isinstance(bodies, list) or not all(isinstance(body, dict) for body in bodies):
            raise Ended(Exit.USAGE, "file_malformed", f"{address} is no list of objects.")
    for address, bodies in declared.items():
        for body in bodies:
            begins = {} if body.get("cadence", "none") == "none" else {"first_on": arguments.first_on}
            made = server.change("POST", address, {**body, **begins, "reason": arguments.reason})
            output.card({"proposed": address, **made}, as_json=arguments.json)
    return Exit.DONE


def read(file: Path) -> dict[str, Any]:
    """Read a file as one object. Raises Ended for what cannot be read, names something twice, or uses aliases."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise Ended(Exit.USAGE, "file_too_large", f"{file} is larger than 1 MB.")
        declared = yaml.load(text, Loader=_Plain)  # noqa: S506 - a safe loader, and narrower than the usual one
    except OSError as error:
        raise Ended(Exit.USAGE, "file_unreadable", f"{file} cannot be read.") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Ended(Exit.USAGE, "file_malformed", f"{file} is not such a file: {error}") from error
    if not isinstance(declared, dict):
        raise Ended(Exit.USAGE, "file_malformed", f"{file} is not such a file: it holds no object.")
    return declared


class _Plain(yaml.SafeLoader):
    """Takes what JSON has: texts, numbers, yes and no as true and false, nothing. No aliases, and no name twice."""

    yaml_implicit_resolvers: Any = {}  # noqa: RUF012 - the library's own way

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - the library's signature
        """Refuse aliases, by which a small file becomes a large one."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(problem="aliases are not taken")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - as above
        """Refuse a name that is written twice: others would see only the last one."""
        names = [key.value for key, _value in node.value]
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise yaml.constructor.ConstructorError(None, None, "a name is written here twice", node.start_mark)
        return super().construct_mapping(node, deep)


for _tag, _form, _first in (
    ("null", r"null|~|", ["n", "~", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"-?(?:0|[1-9][0-9]*)", [*"-0123456789"]),
    ("float", r"-?(?:0|[1-9][0-9]*)\.[0-9]+", [*"-0123456789"]),
):
    _Plain.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form})$"), _first)


def _print(plan: Mapping[str, Any], arguments: Namespace) -> Exit:
    if arguments.json:
        output.lines([plan])
        return Exit.DONE
    output.table(_rows(plan), _COLUMNS)
    output.table(_losses(plan), _LOSSES)
    output.table(plan["unready"], ("about", "code"))
    output.card({"plan": plan["plan"], "applied": plan["applied"]})
    return Exit.DONE


def _rows(plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for step in plan["steps"]:
        changes = [f"{name}: {_short(it['from'])} -> {_short(it['to'])}" for name, it in step["change"].items()]
        yield {**step, "loses": len(step["loses"]) + step["others"], "change": "; ".join(changes)}


def _losses(plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for step in plan["steps"]:
        yield from ({"about": step["about"], **loss} for loss in step["loses"])


def _short(value: object) -> str:
    return output.plain(sorted(value) if isinstance(value, dict) else value)
