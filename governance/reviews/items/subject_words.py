"""Sentences about review items that are not access, from their frozen population."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from entitlements.people.models import Group, Person, Role
from governance.conflicts_of_interest.routing import GROUP
from governance.reviews.items.models import ReviewItem
from governance.reviews.population.models import PopulationRow

QUESTIONS: Final[Mapping[str, Any]] = {
    "delegation": gettext_lazy("May this agent still act for this person?"),
    "ownership": gettext_lazy("Attestation: is it still yours, and is its purpose still true?"),
    "credential": gettext_lazy("Is this credential still in use?"),
    "entitlement_definition": gettext_lazy("Should this entitlement still contain all of its tools?"),
    "console_access": gettext_lazy("Does this person still need this admin role?"),
}
"""The question about each item by kind of review; about access it is whether it is still needed."""
_PERSON: Final = "person:"
_AUTH: Final = {
    "client_secret_basic": gettext_lazy("Signs in with a shared secret."),
    "private_key_jwt": gettext_lazy("Signs in with its own key."),
    "none": gettext_lazy("Signs in without a secret."),
}


def sentences(items: Iterable[ReviewItem]) -> dict[UUID, list[str]]:
    """Return for each item that is not access what was frozen of it, and what Revoke does."""
    others = {item.pk: item for item in items if item.subject_kind != ReviewItem.Subject.ACCESS}
    if not others:
        return {}
    by_item: dict[UUID, list[str]] = {}
    for pk, payload in PopulationRow.objects.filter(item__in=others).order_by("seq").values_list("item", "payload"):
        by_item.setdefault(pk, _WORDS[others[pk].subject_kind](json.loads(payload)))
    return by_item


def title(item: ReviewItem) -> str:
    """Return what an item is about, with its system."""
    return _("%(name)s at %(system)s") % {"name": item.name, "system": item.system.name} if item.system else item.name


def display_names(items: Iterable[ReviewItem]) -> dict[str, str]:
    """Return the display name of each person and group for whom an agent acts, by subject."""
    subjects = {subject for item in items for subject in item.subjects}
    people = [subject.removeprefix(_PERSON) for subject in subjects if subject.startswith(_PERSON)]
    groups = [subject.removeprefix(GROUP) for subject in subjects if subject.startswith(GROUP)]
    named = Person.objects.filter(login__in=people).values_list("login", "name") if people else ()
    called = Group.objects.filter(slug__in=groups).values_list("slug", "name") if groups else ()
    return {f"{_PERSON}{key}": name for key, name in named} | {f"{GROUP}{key}": name for key, name in called}


def _day(text: str | None) -> str:
    return date_format(datetime.fromisoformat(text), "j M Y") if text else ""


def _since(text: str | None) -> str:
    if text is None:
        return _("It never received a token.")
    return _("It last received a token on %(day)s.") % {"day": _day(text)}


def _delegation(facts: Mapping[str, Any]) -> list[str]:
    others = ngettext(
        "The same access serves %(n)d other person or group, who keeps it.",
        "The same access serves %(n)d others, who keep it.",
        facts["others"],
    )
    after = others % {"n": facts["others"]} if facts["others"] else _("Revoke ends the access.")
    return [_("%(sponsor)s is the sponsor of the agent.") % {"sponsor": facts["sponsor"]}, after]


def _agent(facts: Mapping[str, Any]) -> list[str]:
    held = ngettext("It holds %(n)d access.", "It holds %(n)d accesses.", facts["grants"]) % {"n": facts["grants"]}
    purpose = _("Its purpose: “%(text)s”") % {"text": facts["purpose"]} if facts["purpose"] else _("It has no purpose.")
    after = _("Revoke suspends the agent at once, and retires it. If it is not yours, choose Don't know.")
    return [purpose, f"{held} {_since(facts['last_token_at'])}", after]


def _client(facts: Mapping[str, Any]) -> list[str]:
    renewing = facts["refresh_tokens"]
    live = ngettext("%(n)d refresh token is live.", "%(n)d refresh tokens are live.", renewing) % {"n": renewing}
    since = _("Created on %(made)s, changed on %(day)s.") % {
        "made": _day(facts["made_at"]),
        "day": _day(facts["changed_at"]),
    }
    whose = (
        _("Client of the agent %(agent)s.") % {"agent": facts["agent"]}
        if facts["agent"]
        else _("A script, not an agent.")
    )
    how = f"{_AUTH[facts['auth']]} {live if renewing else ''}".strip()
    return [
        f"{whose} {how}",
        f"{since} {_since(facts['last_token_at'])}",
        _("Revoke disables the client at once."),
    ]


def _token(facts: Mapping[str, Any]) -> list[str]:
    days = {"made": _day(facts["made_at"]), "ends": _day(facts["expires_at"])}
    return [
        _("An API token, created on %(made)s; it ends on %(ends)s.") % days,
        _("Revoke ends it for good at once. A new one takes a minute."),
    ]


_USED_FOR: Final = {
    "oauth_client": gettext_lazy("Gets the access tokens that are sent with each call; stored on %(day)s."),
    "jwt_bearer": gettext_lazy("Signs for the access tokens that are sent with each call; stored on %(day)s."),
    "oauth_user": gettext_lazy("People connect their own accounts through it; stored on %(day)s."),
    "aws_sigv4": gettext_lazy("Signs each call; stored on %(day)s."),
    "client_certificate": gettext_lazy("Signs Mandate in to the system over TLS; stored on %(day)s."),
}
"""What a credential is used for that is not itself sent to its system."""


def _upstream(facts: Mapping[str, Any]) -> list[str]:
    used = facts["last_call_at"]
    last = _("It was last used on %(day)s.") % {"day": _day(used)} if used else _("It was never used.")
    used_for = _USED_FOR.get(
        facts["sent_as"], _("Sent to the system with each call, as %(header)s; stored on %(day)s.")
    )
    stored = used_for % {"header": facts["header"], "day": _day(facts["changed_at"])}
    after = _("Revoke deletes it: it is never sent again. Change it at the system too.")
    if facts["sent_as"] == "client_certificate":
        after = _("Revoke deletes it at once, for good. Revoke it at its certificate authority too.")
    return [f"{stored} {last}", after]


def _role(facts: Mapping[str, Any]) -> list[str]:
    since = _("%(role)s in Mandate since %(day)s.") % {"role": Role(facts["role"]).label, "day": _day(facts["since"])}
    lines = [f"{since} {'' if facts['active'] else _('The account is disabled.')}".strip()]
    if facts["group"]:
        group = _("The group %(group)s assigns it at each sign-in: remove it from the group mapping too.") % {
            "group": facts["group"]
        }
        lines.append(group)
    return [*lines, _("Revoke removes the admin role at once. An administrator can assign it again.")]


def _entitlement(facts: Mapping[str, Any]) -> list[str]:
    held = ngettext("%(n)d access holds it.", "%(n)d accesses hold it.", facts["grants"]) % {"n": facts["grants"]}
    after = _("Keep some removes the unticked tools from it and from all access by it. Revoke ends all access by it.")
    return [*([facts["sentence"]] if facts["sentence"] else []), held, after]


_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], list[str]]]] = {
    ReviewItem.Subject.DELEGATION: _delegation,
    ReviewItem.Subject.AGENT: _agent,
    ReviewItem.Subject.CLIENT: _client,
    ReviewItem.Subject.API_TOKEN: _token,
    ReviewItem.Subject.UPSTREAM_SECRET: _upstream,
    ReviewItem.Subject.ROLE: _role,
    ReviewItem.Subject.ENTITLEMENT: _entitlement,
}
