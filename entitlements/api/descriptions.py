"""What the OpenAPI document says of an operation: a summary, a description, and who may call it.

The words are the docstring of the view. Its first sentence is the summary, and the rest the description; a view with
several methods has a paragraph for each, which begins with the method (`get: List agents.`), as Django REST framework
reads them. Who may call it comes from the matrix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from entitlements.people.models import Role
from entitlements.permissions.matrix import ALWAYS, WEIGHTY, Row

_METHOD: Final = re.compile(r"(?m)^(get|post|put|patch|delete): ")
_SENTENCE: Final = re.compile(r"(?s)(.+?[.])(?:\s+(.+))?$")
_ROLES: Final = {
    Role.ANALYST: "analysts",
    Role.APPROVER: "approvers",
    Role.SECURITY: "security approvers",
    Role.RESPONDER: "responders",
    Role.AUDITOR: "auditors",
    Role.ADMIN: "platform admins",
}
_RELATIONS: Final = {
    "sponsor": "the agent's sponsor",
    "owner": "its technical owner",
    "backup": "its backup owner",
    "itself": "the agent itself",
    "system_owner": "the owner of the system",
    "person": "the person that it acts for",
    "confirmer": "the person who confirms it",
}
_PROVEN: Final = {
    ALWAYS: "Re-authentication: always.",
    WEIGHTY: "Re-authentication: where the risk level is high.",
}


def parts(docstring: str, method: str) -> tuple[str, str]:
    """Return the summary of a method and the rest, from the docstring of its view, unindented."""
    pieces = _METHOD.split(docstring.strip())
    texts = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    text = texts.get(method.lower(), pieces[0]).strip()
    found = _SENTENCE.match(text)
    summary, rest = found.groups("") if found else (text, "")
    return _line(summary).removesuffix("."), "\n\n".join(map(_line, rest.split("\n\n")))


def callers(row: Row) -> str:
    """Return who may call an operation with this row, its scopes, and when re-authentication is asked for."""
    if row.public:
        return "Allowed for everybody, without signing in."
    groups = [*_named(_ROLES, row.roles), *_named(_RELATIONS, row.related)]
    allowed = "every signed-in person, for what they can see" if row.anybody else ", ".join(groups)
    scopes = " or ".join(f"`{scope}`" for scope in dict.fromkeys((row.scope, row.finer)) if scope)
    scoped = f"Scope: {scopes}." if scopes else "No scope opens it: it is for people alone."
    return " ".join(filter(None, (f"Allowed for {allowed}.", scoped, _PROVEN.get(row.proven, ""))))


def _named(names: Mapping[Any, str], given: Iterable[str]) -> list[str]:
    held = set(given)
    return [text for name, text in names.items() if name in held]


def _line(text: str) -> str:
    return " ".join(text.split())
