"""What a row of a source says, by the vendor's documented form: an agent, its client identifier, owner and systems.

Everything in a row was written elsewhere. Only what is named here is taken; a row of another form is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MICROSOFT: Final = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
"""The tenant that owns Microsoft's own applications (https://learn.microsoft.com/troubleshoot/entra/entra-id/
governance/verify-first-party-apps-sign-in): each tenant lists hundreds of them."""
_MAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class FoundRow:
    """One row: how the source names it, what it is called, its client, mail of its owner, and a system it reaches."""

    external_id: str
    name: str
    client_id: str = ""
    owner: str = ""
    systems: tuple[tuple[str, str], ...] = ()
    """Pairs of name and address, of which either may be empty."""


def text(data: object, *names: str) -> str:
    """Return the first member that is a text with something in it; empty without one, or where this is no object."""
    if not isinstance(data, Mapping):
        return ""
    return next((data[name] for name in names if isinstance(data.get(name), str) and data[name].strip()), "")


def member(data: object, name: str) -> Mapping[str, Any]:
    """Return a member that is an object; an empty one where it is something else."""
    held = data.get(name) if isinstance(data, Mapping) else None
    return held if isinstance(held, Mapping) else {}


def items(data: object, name: str) -> list[Any]:
    """Return a member that is a list; an empty one where it is something else."""
    held = data.get(name) if isinstance(data, Mapping) else None
    return held if isinstance(held, list) else []


def client_of(app: object) -> str:
    """Return the client identifier of an application: Okta's in `credentials.oauthClient`, Entra's `appId`."""
    return text(member(member(app, "credentials"), "oauthClient"), "client_id") or text(app, "appId", "client_id")


def okta_application(row: object) -> FoundRow | None:
    """Read an application of Okta that acts on its own: an API service app, or one with client credentials.

    https://developer.okta.com/docs/api/openapi/okta-management/management/tag/Application/#tag/Application/operation/
    listApplications. All others sign people in, and are no agents.
    """
    settings = member(member(row, "settings"), "oauthClient")
    acts = text(settings, "application_type") == "service" or "client_credentials" in items(settings, "grant_types")
    if not acts or text(row, "status") not in {"", "ACTIVE"}:
        return None
    return _found(text(row, "id"), text(row, "label", "name"), client_of(row))


def okta_agent(row: object) -> FoundRow | None:
    """Read an AI agent of Okta that is not off, whose client identifier is its id where it names no other.

    https://developer.okta.com/docs/api/secures-ai/openapi/secures-ai-workload-principals/
    """
    if text(row, "status") == "INACTIVE":
        return None
    profile, client = member(row, "profile"), member(row, "oauthClient")
    return _found(text(row, "id"), text(profile, "name"), text(client, "clientId", "client_id") or text(row, "id"))


def entra_agent(row: object) -> FoundRow | None:
    """Read an agent identity of Entra, whose client identifier is its object id.

    https://learn.microsoft.com/graph/api/agentidentity-list
    """
    if isinstance(row, Mapping) and row.get("accountEnabled") is False:
        return None
    client = text(row, "appId", "agentAppId", "id")
    return _found(text(row, "id"), text(row, "displayName"), client, _owner(items(row, "sponsors")))


def entra_application(row: object) -> FoundRow | None:
    """Read a service principal of Entra: an application that is on, not Microsoft's, and not for SAML alone.

    https://learn.microsoft.com/graph/api/serviceprincipal-list
    """
    if not isinstance(row, Mapping) or text(row, "servicePrincipalType") != "Application":
        return None
    if row.get("accountEnabled") is False or text(row, "appOwnerOrganizationId") == MICROSOFT:
        return None
    if text(row, "preferredSingleSignOnMode") == "saml":
        return None
    return _found(text(row, "id"), text(row, "displayName"), client_of(row), _owner(items(row, "owners")))


def device_client(row: object) -> FoundRow | None:
    """Read an MCP client on a device from a row of a Fleet report: columns `client`, and `server`, `url`, `email`.

    https://fleetdm.com/docs/rest-api/rest-api#get-query-report
    """
    columns, host = member(row, "columns"), text(row, "host_name")
    number = row.get("host_id") if isinstance(row, Mapping) else None
    client = text(columns, "client")
    if not client or not isinstance(number, int) or isinstance(number, bool):
        return None
    server = (text(columns, "server"), text(columns, "url"))
    email = text(columns, "email")
    name = f"{client} on {host or number}"
    return _found(
        f"{number}:{client}", name, "", email if _MAIL.fullmatch(email) else "", (server,) if any(server) else ()
    )


def _owner(people: list[Any]) -> str:
    """Return the mail of the one person in a list of owners or sponsors; empty where there is none, or several."""
    mails = {mail for each in people if _MAIL.fullmatch(mail := text(each, "mail", "userPrincipalName"))}
    return mails.pop() if len(mails) == 1 else ""


def _found(
    external_id: str, name: str, client_id: str, owner: str = "", systems: tuple[tuple[str, str], ...] = ()
) -> FoundRow | None:
    if not external_id or len(external_id) > _LONGEST or not name or len(client_id) > _LONGEST:
        return None
    return FoundRow(external_id, name, client_id, owner, systems)
