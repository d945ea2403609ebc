"""The agents, clients, tokens, credentials, entitlements and roles at a moment, from the audit log alone.

One function for each kind follows its events and keeps the values. Those that do not exist at that moment (retired,
disabled, expired) are left out at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from audit.actions import Action
from audit.export import timeline
from audit.models import Event
from governance.database import cursors
from governance.reviews.campaigns.models import Campaign

from . import past_grants

type Things = dict[str, dict[str, Any]]
"""Values by key, for one kind: those that a pack has too, and helper values whose names begin with `_`."""


@dataclass(frozen=True, slots=True)
class _FollowedKind:
    actions: tuple[Action, ...]
    apply: Callable[[Things, Event], None]


def as_of(kind: str, moment: datetime) -> dict[str, Things]:
    """Return the subjects that a review of a kind could include at a moment, by kind and key."""
    return {name: _existing(_FOLLOWED[name], moment) for name in _TAKEN[kind]}


@transaction.atomic
def _existing(followed: _FollowedKind, moment: datetime) -> Things:
    held: Things = {}
    events = Event.objects.filter(action__in=followed.actions, at__lte=moment).order_by(*timeline.ORDER)
    for event in cursors.in_parts(events):
        followed.apply(held, event)
    return {key: values for key, values in held.items() if values["_there"] and not _is_over(values, moment)}


def _is_over(values: Mapping[str, Any], moment: datetime) -> bool:
    return bool(values.get("expires_at")) and past_grants.read(values["expires_at"]) <= moment


_STATES: Final[Mapping[str, str]] = {Action.AGENT_ACTIVATED: "active", Action.AGENT_SUSPENDED: "suspended"}
_OFFICES: Final[Mapping[str, str]] = {
    Action.AGENT_SPONSOR_CHANGED: "sponsor",
    Action.AGENT_OWNER_CHANGED: "owner",
    Action.AGENT_BACKUP_CHANGED: "backup",
}


def _agent(held: Things, event: Event) -> None:
    key, detail = event.key("agent"), event.detail
    if event.action == Action.AGENT_REGISTERED:
        values = {name: detail.text(name) for name in ("purpose", "sponsor", "owner")}
        first = "staged" if detail.get("staged") else "active"
        held[key] = {**values, "agent_kind": detail.text("kind"), "backup": None, "state": first, "_first": first}
        held[key]["_there"] = True
    elif key not in held:
        return
    elif event.action in _OFFICES:
        held[key][_OFFICES[event.action]] = detail.text("to") or None
    elif event.action == Action.AGENT_EDITED:
        held[key]["purpose"] = detail.part("purpose").text("to", held[key]["purpose"])
    elif event.action == Action.AGENT_RETIRED:
        held[key]["_there"] = False
    else:
        held[key]["state"] = _STATES.get(event.action, held[key]["_first"])  # restored to its state before
        if event.action == Action.AGENT_ACTIVATED:
            held[key]["_first"] = "active"


def _client(held: Things, event: Event) -> None:
    key, detail = event.key("client"), event.detail
    if event.action == Action.CLIENT_REGISTERED:
        scopes = detail.texts("api_scopes")
        held[key] = {"agent": event.key("agent") or None, "auth": detail.text("auth"), "scopes": scopes, "_there": True}
    elif key in held:
        held[key]["_there"] = event.action == Action.CLIENT_ENABLED


def _token(held: Things, event: Event) -> None:
    if event.action == Action.AUDIT_LOG_RESTORED:  # ends every token of a person
        held.clear()
        return
    key, detail = event.detail.text("number"), event.detail
    if event.action == Action.API_TOKEN_MADE:
        values = {"label": detail.text("label"), "expires_at": detail.text("expires_at") or None}
        held[key] = {**values, "person": event.key("person"), "_there": True}
    else:
        held.pop(key, None)


def _upstream(held: Things, event: Event) -> None:
    system, detail = event.key("system"), event.detail
    if event.action == Action.SYSTEM_EDITED:  # elsewhere it is forgotten
        for is_certificate, word in ((False, "credential_forgotten"), (True, "client_certificate_forgotten")):
            if detail.get(word):
                _drop(held, system, is_certificate=is_certificate)
        return
    key = f"{system}:{detail.text('fingerprint')}"
    if event.action == Action.SECRET_SET:  # one at a time
        _drop(held, system, is_certificate=False)
        held[key] = {"system": system, "sent_as": detail.text("kind"), "header": detail.text("header"), "_there": True}
    elif event.action == Action.CLIENT_CERTIFICATE_SET:
        _drop(held, system, is_certificate=True)
        held[key] = {"system": system, "sent_as": _CERTIFICATE, "header": "", "_there": True}
    elif key in held:
        held[key]["_there"] = event.action == Action.SECRET_GIVEN_BACK


_CERTIFICATE: Final = "client_certificate"


def _drop(held: Things, system: str, *, is_certificate: bool) -> None:
    """Forget what a system was opened by: its credential, or its client certificate."""
    for key, values in list(held.items()):
        if values["system"] == system and (values["sent_as"] == _CERTIFICATE) is is_certificate:
            del held[key]


def _entitlement(held: Things, event: Event) -> None:
    key, detail = event.key("entitlement"), event.detail
    if event.action == Action.ENTITLEMENT_MADE:
        held[key] = {"system": event.key("system"), "_there": True}
    elif key not in held:
        return
    values = held[key]
    values["_there"] = bool(detail.get("enabled", values["_there"]))
    if "lines" in detail:
        values["limits"] = detail.parts("lines")
        values["tools"] = sorted(values["limits"])
    if "added" in detail:
        values["tools"] = sorted({*values.get("tools", ()), *detail.texts("added")} - {*detail.texts("removed")})
    if detail.get("rule") is not None:
        values.pop("limits", None)  # with a rule the limits follow each tool, and the log has only the rule


def _role(held: Things, event: Event) -> None:
    key = f"{event.key('person')}:{event.detail.text('role')}"
    is_assigned = event.action == Action.PERSON_ROLE_ASSIGNED
    held[key] = {"expires_at": event.detail.text("expires_at") or None, "_there": is_assigned}


_FOLLOWED: Final[Mapping[str, _FollowedKind]] = {
    "agent": _FollowedKind(
        (
            Action.AGENT_REGISTERED,
            Action.AGENT_ACTIVATED,
            Action.AGENT_SUSPENDED,
            Action.AGENT_RESTORED,
            Action.AGENT_RETIRED,
            Action.AGENT_EDITED,
            *(Action(action) for action in _OFFICES),
        ),
        _agent,
    ),
    "client": _FollowedKind(
        (
            Action.CLIENT_REGISTERED,
            Action.CLIENT_ENABLED,
            Action.CLIENT_DISABLED,
            Action.CLIENT_CLOSED,
            Action.CLIENT_DELETED,
        ),
        _client,
    ),
    "api_token": _FollowedKind((Action.API_TOKEN_MADE, Action.API_TOKEN_REVOKED, Action.AUDIT_LOG_RESTORED), _token),
    "upstream_secret": _FollowedKind(
        (
            Action.SECRET_SET,
            Action.SECRET_WITHHELD,
            Action.SECRET_GIVEN_BACK,
            Action.SECRET_FORGOTTEN,
            Action.CLIENT_CERTIFICATE_SET,
            Action.CLIENT_CERTIFICATE_FORGOTTEN,
            Action.SYSTEM_EDITED,
        ),
        _upstream,
    ),
    "entitlement": _FollowedKind((Action.ENTITLEMENT_MADE, Action.ENTITLEMENT_EDITED), _entitlement),
    "role": _FollowedKind((Action.PERSON_ROLE_ASSIGNED, Action.PERSON_ROLE_REMOVED, Action.PERSON_ROLE_ENDED), _role),
}
_TAKEN: Final[Mapping[str, tuple[str, ...]]] = {
    Campaign.Kind.OWNERSHIP: ("agent",),
    Campaign.Kind.CREDENTIAL: ("client", "api_token", "upstream_secret"),
    Campaign.Kind.ENTITLEMENT_DEFINITION: ("entitlement",),
    Campaign.Kind.CONSOLE_ACCESS: ("role", "api_token"),
}
KINDS: Final = frozenset(_TAKEN)
"""The kinds of reviews whose subjects are not grants."""
