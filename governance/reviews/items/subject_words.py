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

from entitlements.people.models import Role
from governance.reviews.items.models import ReviewItem
from governance.reviews.population.models import PopulationRow

QUESTIONS: Final[Mapping[str, Any]] = {
    "delegation": gettext_lazy("May this agent still act for this person?"),
    "ownership": gettext_lazy("Still yours? Is its purpose still true?"),
    "credential": gettext_lazy("Is this credential still in use?"),
    "entitlement_definition": gettext_lazy("Should it still contain all of this?"),
    "console_access": gettext_lazy("Is this still their job in Mandate?"),
}
"""The question about each item by kind of review; about access it is whether it is still needed."""
_AUTH: Final = {
    "client_secret_basic": gettext_lazy("Signs in with a shared secret."),
    "private_key_jwt": gettext_lazy("Signs in with its own key."),
    "none": gettext_lazy("Signs in without a secret."),
}


def sentences(items: Iterable[ReviewItem]) -> dict[UUID, list[str]]:
    """Return for each item that is not access what was frozen of it, and what removing it does."""
    others = {item.pk: item for item in items if item.subject_kind != ReviewItem.Subject.ACCESS}
    if not others:
        return {}
    by_item: dict[UUID, list[str]] = {}
    for pk, payload in PopulationRow.objects.filter(item__in=others).order_by("seq").values_list("item", "payload"):
        by_item.setdefault(pk, _WORDS[others[pk].subject_kind](json.loads(payload)))
    return by_item


def _day(text: str | None) -> str:
    return date_format(datetime.fromisoformat(text), "j M Y") if text else ""


def _since(text: str | None) -> str:
    if text is None:
        return _("It never got a token.")
    return _("It last got a token on %(day)s.") % {"day": _day(text)}


def _delegation(facts: Mapping[str, Any]) -> list[str]:
    others = ngettext(
        "The same access serves %(n)d other; for them it goes on.",
        "The same access serves %(n)d others; for them it goes on.",
        facts["others"],
    )
    after = others % {"n": facts["others"]} if facts["others"] else _("Removing it ends the access.")
    return [_("%(sponsor)s answers for the agent.") % {"sponsor": facts["sponsor"]}, after]


def _agent(facts: Mapping[str, Any]) -> list[str]:
    held = ngettext("It holds %(n)d access.", "It holds %(n)d accesses.", facts["grants"]) % {"n": facts["grants"]}
    purpose = _("Its purpose: “%(text)s”") % {"text": facts["purpose"]} if facts["purpose"] else _("It has no purpose.")
    after = _("Removing it stops it at once, and retires it. If it is not yours, choose “I can't judge”.")
    return [purpose, f"{held} {_since(facts['last_token_at'])}", after]


def _client(facts: Mapping[str, Any]) -> list[str]:
    renewing = facts["refresh_tokens"]
    live = ngettext("%(n)d refresh token is live.", "%(n)d refresh tokens are live.", renewing) % {"n": renewing}
    since = _("Made on %(made)s, changed on %(day)s.") % {
        "made": _day(facts["made_at"]),
        "day": _day(facts["changed_at"]),
    }
    whose = _("Of the agent %(agent)s.") % {"agent": facts["agent"]} if facts["agent"] else _("Of no agent: a script.")
    how = f"{_AUTH[facts['auth']]} {live if renewing else ''}".strip()
    return [
        f"{whose} {how}",
        f"{since} {_since(facts['last_token_at'])}",
        _("Removing it disables the client at once."),
    ]


def _token(facts: Mapping[str, Any]) -> list[str]:
    days = {"made": _day(facts["made_at"]), "ends": _day(facts["expires_at"])}
    return [
        _("A personal token for scripts, made on %(made)s; it ends on %(ends)s.") % days,
        _("Removing it ends it at once and for good; another is made in a minute."),
    ]


def _upstream(facts: Mapping[str, Any]) -> list[str]:
    used = facts["last_call_at"]
    last = _("It was last used on %(day)s.") % {"day": _day(used)} if used else _("No call was ever sent with it.")
    stored = _("Sent to the system with each call, as %(header)s; stored on %(day)s.") % {
        "header": facts["header"],
        "day": _day(facts["changed_at"]),
    }
    after = _("After its removal it is never sent again, and it is deleted later. Change it at the system too.")
    return [f"{stored} {last}", after]


def _role(facts: Mapping[str, Any]) -> list[str]:
    since = _("%(role)s in Mandate since %(day)s.") % {"role": Role(facts["role"]).label, "day": _day(facts["since"])}
    lines = [f"{since} {'' if facts['active'] else _('The account is disabled.')}".strip()]
    if facts["group"]:
        group = _("The group %(group)s gives it at each sign-in: take it away there too.") % {"group": facts["group"]}
        lines.append(group)
    return [*lines, _("Removing it takes the role at once and for good; who may give it can give it again.")]


def _entitlement(facts: Mapping[str, Any]) -> list[str]:
    held = ngettext("%(n)d access holds it.", "%(n)d accesses hold it.", facts["grants"]) % {"n": facts["grants"]}
    after = _("Tools that you untick go from it and from all that hold it. Removing it stops every access by it.")
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
