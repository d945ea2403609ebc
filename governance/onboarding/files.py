"""Files of access that exists, read into sightings: tables, client configurations, exports of providers, logs of calls.

Everything in a file was written by strangers. Each row is judged alone; a bad one is refused with a stable code. Only
names, tools and moments are taken: what else a row holds is left out, so that no secret of it is ever kept.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from entitlements import strict
from entitlements.agent_discovery import sightings
from entitlements.agent_discovery.shapes import client_of, items, member, text
from entitlements.agent_discovery.sightings import Contents, Sighting, Source, TooMuch, bounded, key_of, moment, take
from entitlements.catalog_files import offers
from entitlements.errors import DomainError

LARGEST: Final = 8 * 1024 * 1024
EVERYTHING: Final = frozenset({"*", "all", "everything", "any"})
"""What a file writes for all tools: nothing that could be adopted, since only listed tools are."""


class NotReadable(DomainError):
    """The file has no known form, or a column is missing. See the list of forms in the documentation."""

    code, status = "onboarding_not_readable", HTTPStatus.UNPROCESSABLE_ENTITY


class AgentNotNamed(DomainError):
    """The client configuration does not name its agent. Name the agent."""

    code, status = "onboarding_agent_not_named", HTTPStatus.UNPROCESSABLE_ENTITY


def read(content: bytes, *, agent: str = "") -> Contents:
    """Read a file. `agent` names whose a client configuration is. Raises NotReadable, TooMuch, AgentNotNamed."""
    if len(content) > LARGEST:
        raise TooMuch(largest=LARGEST)
    content = content.removeprefix(b"\xef\xbb\xbf")
    first = content.lstrip()[:1]
    if first not in (b"{", b"[", b"/"):
        return _table(content)
    try:
        value = strict.loads(content, largest=LARGEST)
    except strict.NotStrictJson:
        return _log(content) if first == b"{" and _is_log(content) else _client(content, agent)
    if isinstance(value, dict) and _is_call(value):
        return _log(content)
    if (apps := _apps(value)) is not None:
        return _provider(apps)
    return _client(content, agent)


# A table: one row for each access, the first row names the columns


_COLUMNS: Final = {
    "agent": ("agent", "agent_name", "client", "client_name", "application", "application_name", "app", "app_name"),
    "client_id": ("client_id", "clientid", "application_id", "appid", "app_id"),
    "sponsor": ("sponsor", "owner", "owner_login", "sponsor_login"),
    "system": ("system", "server", "mcp_server", "resource"),
    "tools": ("tools", "tool", "scopes", "scope"),
    "person": ("person", "user", "username", "user_name", "login", "user_principal_name", "userprincipalname", "email"),
    "group": ("group", "group_name"),
    "last_used": ("last_used", "last_used_at", "last_seen", "last_sign_in", "lastsignin"),
}
_PROVIDER_COLUMNS: Final = frozenset({"application", "application_name", "app", "app_name"})


def _table(content: bytes) -> Contents:
    try:
        decoded = content.decode()
    except UnicodeDecodeError as why:
        raise NotReadable("The file is not UTF-8.") from why
    head = decoded.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        rows = csv.reader(io.StringIO(decoded), delimiter=delimiter)
        names = [re.sub(r"[^a-z]+", "_", name.lower()).strip("_") for name in next(rows, [])]
        columns = {
            part: next((names.index(heading) for heading in known if heading in names), -1)
            for part, known in _COLUMNS.items()
        }
        if columns["agent"] < 0 and columns["client_id"] < 0:
            raise NotReadable("The table has no column for the agent.")
        source = Source.PROVIDER if _PROVIDER_COLUMNS & set(names) else Source.TABLE
        contents = Contents(source)
        for _count, cells in bounded(rows):
            if any(cell.strip() for cell in cells):
                _row(contents, rows.line_num, {part: cells[at] for part, at in columns.items() if 0 <= at < len(cells)})
    except csv.Error as why:
        raise NotReadable("The table is not well-formed.") from why
    return contents


def _row(contents: Contents, number: int, cells: Mapping[str, str]) -> None:
    tools = filter(None, re.split(r"[;|,\s]+", cells.get("tools", "")))
    sighting = Sighting(
        number,
        cells.get("agent", ""),
        cells.get("client_id", ""),
        cells.get("sponsor", ""),
        cells.get("system", ""),
        tools=tuple(dict.fromkeys(tools)),
        person=cells.get("person", ""),
        group=cells.get("group", ""),
        last_used=moment(cells.get("last_used", "")),
    )
    take(contents, sighting)


# The configuration of one client: the systems that it reaches, without tools


def _client(content: bytes, agent: str) -> Contents:
    try:
        catalogue = offers.read(content)
    except (DomainError, strict.NotStrictJson) as why:
        raise NotReadable(str(why)) from why
    if catalogue.form is not offers.Form.CLIENT:
        raise NotReadable
    if not agent.strip():
        raise AgentNotNamed
    contents = Contents(Source.CLIENT, problems=catalogue.problems)
    for offer in catalogue.offers:
        take(contents, Sighting(offer.row, agent, system=offer.slug, address=offer.address))
    return contents


# The applications of an identity provider, with the people and groups that they are assigned to


def _apps(value: object) -> list[Any] | None:
    """Return the applications or assignments of an export (Okta's, Entra's), None when it is something else."""
    listed = value.get("value", value.get("apps", value.get("applications"))) if isinstance(value, dict) else value
    if not isinstance(listed, list):
        return None
    known = ("label", "appDisplayName", "displayName", "resourceDisplayName", "signOnMode")
    return listed if any(isinstance(item, dict) and any(name in item for name in known) for item in listed) else None


def _provider(apps: list[Any]) -> Contents:
    contents = Contents(Source.PROVIDER)
    for number, app in bounded(apps):
        if not isinstance(app, dict):
            contents.refuse(number, "row_malformed", "An application is an object.")
            continue
        if "principalDisplayName" in app or "principalType" in app:
            take(contents, _assignment(number, app))
        else:
            _application(contents, number, app)
    return contents


def _assignment(number: int, data: Mapping[str, Any]) -> Sighting:
    """Read one assignment of Entra: who may use which application."""
    is_group = data.get("principalType") == "Group"
    who = text(data, "principalName", "userPrincipalName", "principalDisplayName")
    return Sighting(
        number,
        text(data, "resourceDisplayName", "appDisplayName"),
        text(data, "appId"),
        person="" if is_group else who,
        group=who if is_group else "",
        **_reach(data),
    )


def _application(contents: Contents, number: int, app: Mapping[str, Any]) -> None:
    """Read one application with its `users` and `groups` (Okta's, or Entra's with `appRoleAssignedTo`)."""
    name = text(app, "label", "displayName", "appDisplayName", "name")
    sighting = Sighting(number, name, client_of(app), **_reach(app))
    people = [_login(assignment) for assignment in items(app, "users")]
    groups = [_login(assignment, "profile", "name") for assignment in items(app, "groups")]
    for assignment in items(app, "appRoleAssignedTo"):
        if isinstance(assignment, dict):
            (groups if assignment.get("principalType") == "Group" else people).append(
                _assignment(number, assignment).person or _assignment(number, assignment).group
            )
    lines = [replace(sighting, person=who) for who in people if who] + [
        replace(sighting, group=who) for who in groups if who
    ]
    if len(contents.sightings) + len(lines) > sightings.MOST_ROWS:
        raise TooMuch("The file has too many rows.", most=sightings.MOST_ROWS)
    for line in lines or [sighting]:
        take(contents, line)


def _reach(data: Mapping[str, Any]) -> dict[str, Any]:
    """Read what an application reaches, where the export has the added columns `system` and `tools`."""
    tools = tuple(tool for tool in items(data, "tools") if isinstance(tool, str))
    used = moment(data.get("lastSignInDateTime") or data.get("last_used"))
    return {
        "system": text(data, "system"),
        "tools": tools,
        "sponsor": text(data, "owner", "sponsor"),
        "last_used": used,
    }


def _login(value: object, inside: str = "credentials", name: str = "userName") -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return ""
    return text(member(value, inside), name) or text(value, "login", "userPrincipalName", "name")


# The log of a gateway: one call a line; those of one agent, system and person become one sighting


_AGENT: Final = ("agent", "client_name", "client")
_SYSTEM: Final = ("system", "server", "mcp_server", "resource")
_PERSON: Final = ("user", "person", "login", "sub", "subject")
_TOOL: Final = ("tool", "tool_name", "name")


def _is_call(value: Mapping[str, Any]) -> bool:
    return bool(text(value, *_AGENT, "client_id") and text(value, *_SYSTEM) and text(value, *_TOOL))


def _is_log(content: bytes) -> bool:
    try:
        first = strict.loads(content.lstrip().split(b"\n", 1)[0])
    except strict.NotStrictJson:
        return False
    return isinstance(first, dict) and ("tool" in first or "tool_name" in first or _is_call(first))


def _log(content: bytes) -> Contents:
    contents = Contents(Source.LOG)
    seen: dict[tuple[str, str, str], Sighting] = {}
    for number, line in bounded(content.splitlines()):
        if not line.strip():
            continue
        try:
            call = strict.loads(line)
        except strict.NotStrictJson as why:
            contents.refuse(number, "row_not_json", why.message)
            continue
        if not isinstance(call, dict) or not _is_call(call):
            contents.refuse(number, "row_malformed", "A call names an agent, a system and a tool.")
            continue
        sighting = Sighting(
            number,
            text(call, *_AGENT) or text(call, "client_id"),
            text(call, "client_id"),
            system=text(call, *_SYSTEM),
            tools=(text(call, *_TOOL),),
            person=text(call, *_PERSON),
            last_used=moment(call.get("time", call.get("timestamp", call.get("ts", call.get("at"))))),
        )
        at = (key_of(sighting.agent, sighting.client_id), sighting.system, sighting.person)
        seen[at] = _joined(seen[at], sighting) if at in seen else sighting
    for joined in seen.values():
        take(contents, joined)
    return contents


def _joined(before: Sighting, later: Sighting) -> Sighting:
    used = max((at for at in (before.last_used, later.last_used) if at), default=None)
    tools = before.tools if later.tools[0] in before.tools else before.tools + later.tools
    return replace(before, tools=tools, last_used=used, calls=before.calls + 1)
