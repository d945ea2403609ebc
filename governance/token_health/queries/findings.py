"""What to fix about tokens, gathered by client, agent and system: a token of minutes is no finding by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, F, Min, Q, Sum
from django.db.models.lookups import GreaterThan
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.token_families import person_sign_ins
from entitlements.tokens.models import IssuedToken
from governance.reviews.usage import usage
from governance.token_health import rules, token_health
from governance.token_health.models import TokenGroup
from governance.token_health.rules import Kind
from governance.token_health.token_health import MOST, Finding

from . import tokens

KINDS: Final = (*token_health.KINDS[:3], *(kind.value for kind in Kind), *token_health.KINDS[3:])
"""Every kind of finding, the gravest first."""


def findings(caller: Caller) -> list[Finding]:
    """Return what to fix about tokens and credentials that a caller sees, the gravest first; fifty of each kind."""
    now = clock.now()
    found = [*token_health.findings(caller), *_of_live_tokens(caller, now), *_of_groups(caller)]
    found += [*_of_sessions(caller, now), *_of_families(caller, now)]
    return sorted(found, key=lambda finding: KINDS.index(finding.kind))


@dataclass(frozen=True, slots=True)
class _Row:
    """One client's tokens for an agent, at a system or at all; `part` and `whole` are the numbers of the sentence."""

    kind: Kind
    agent: Agent | None
    client: Client
    system: System | None
    tokens: int
    part: int
    whole: int


def _of_groups(caller: Caller) -> list[Finding]:
    """Return what is wrong with what clients fetch for their agents, as the worker counted it."""
    groups = TokenGroup.objects.all()
    if not caller.sees_everything:
        at_mine = Q(system__owner=caller.human) if caller.human else Q(pk=None)
        groups = groups.filter(Q(agent__in=visibility.agents(caller).values("pk")) | at_mine)
    wider = groups.filter(used__lt=F("opened")).order_by("-tokens", "pk")
    unbound = groups.filter(unbound__gt=0, privileged__gt=0).order_by("-unbound", "pk")
    by_secret = groups.filter(client__auth=Client.Auth.CLIENT_SECRET_BASIC).order_by().values_list("agent", "client")
    named = ("agent", "client", "system", "tokens")
    found = [
        *((Kind.WIDER_THAN_USED, *row) for row in wider.values_list(*named, "used", "opened")[:MOST]),
        *((Kind.UNBOUND, *row) for row in unbound.values_list(*named, "unbound", "privileged")[:MOST]),
        *(
            (Kind.STATIC_SECRET, agent, client, None, tokens, systems, 0)
            for agent, client, tokens, systems in by_secret.annotate(n=Sum("tokens"), systems=Count("pk")).order_by(
                "-n", "client"
            )[:MOST]
        ),
    ]
    return [_finding(row) for row in _named(found)]


def _of_live_tokens(caller: Caller, now: datetime) -> list[Finding]:
    """Return the tokens that live at this moment and for longer than their system allows now."""
    live = tokens.rows(caller, now).filter(issued_at__gt=now - token_health.LONGEST, expires_at__gt=now)
    is_longer = GreaterThan(F("life"), F("system__token_seconds"))
    longer = live.filter(is_longer, revoked_at=None, kind=IssuedToken.Kind.ACCESS_TOKEN)
    counted = longer.order_by().values("agent", "client", "system").annotate(n=Count("pk")).order_by("-n", "client")
    found = [
        (Kind.OVER_POLICY, each["agent"], each["client"], each["system"], each["n"], each["n"], 0)
        for each in counted[:MOST]
    ]
    return [_finding(row) for row in _named(found)]


def _named(found: Iterable[tuple[Any, ...]]) -> Iterator[_Row]:
    found = list(found)
    agents = Agent.objects.in_bulk({row[1] for row in found if row[1]})
    clients = Client.objects.select_related("agent").in_bulk({row[2] for row in found})
    systems = System.objects.in_bulk({row[3] for row in found if row[3]})
    for kind, agent, client, system, *numbers in found:
        yield _Row(Kind(kind), agents.get(agent), clients[client], systems.get(system), *numbers)


def _finding(row: _Row) -> Finding:
    match row.kind:
        case Kind.OVER_POLICY:
            why = ngettext(
                "%(n)d of its tokens lives longer than the system allows now.",
                "%(n)d of its tokens live longer than the system allows now.",
                row.part,
            ) % {"n": row.part}
            return _made(row, why, _("Show tokens"), _tokens_of(row, state="live"))
        case Kind.WIDER_THAN_USED:
            why = _("Its tokens are wider than used: %(used)d of %(opened)d tools in %(days)d days.") % {
                "used": row.part,
                "opened": row.whole,
                "days": usage.WINDOW.days,
            }
            return _made(row, why, _("Reduce access"), _agent(row))
        case Kind.STATIC_SECRET:
            why = _("Its client sends a shared secret for each token. A key of its own is never sent.")
            return _made(row, why, _("Register a key"), _client(row))
        case Kind.NO_REAUTHENTICATION:
            why = ngettext(
                "The person of %(n)d session signed in longer ago than is allowed, or at an unknown time.",
                "The people of %(n)d sessions signed in longer ago than is allowed, or at an unknown time.",
                row.part,
            ) % {"n": row.part}
            return _made(row, why, _("Show sessions"), f"{_agent(row)}?tab=tokens")
        case Kind.FAMILY_TOO_OLD:
            why = ngettext(
                "%(n)d sign-in lasts for too long; the oldest for %(days)d days.",
                "%(n)d sign-ins last for too long; the oldest for %(days)d days.",
                row.part,
            ) % {"n": row.part, "days": row.whole}
            return _made(row, why, _("Show sessions"), f"{_agent(row)}?tab=tokens")
        case Kind.UNBOUND:
            why = ngettext(
                "%(part)d of its tokens is bound to no key: any holder can call high-risk tools (%(whole)d).",
                "%(part)d of its tokens are bound to no key: any holder can call high-risk tools (%(whole)d).",
                row.part,
            ) % {"part": row.part, "whole": row.whole}
            return _made(row, why, _("Bind to a key"), _client(row))


def _made(row: _Row, why: str, fix: str, address: str) -> Finding:
    agent = row.agent.name if row.agent else row.client.name or row.client.client_id
    about = f"{agent}: {row.system.name}" if row.system else agent
    return Finding(
        about,
        why,
        address,
        fix,
        row.kind.value,
        row.agent.slug if row.agent else "",
        row.client.client_id,
        row.system.slug if row.system else "",
        row.tokens,
    )


def _of_sessions(caller: Caller, now: datetime) -> list[Finding]:
    """Return the agents whose people should have signed in again; a sign-in that lasts has a rule of its own."""
    late = Q(auth_time=None) | Q(auth_time__lt=now - settings.SIGN_IN_MAX_AGE)
    going_on = person_sign_ins.open_sessions(visibility.sessions(caller).select_related(None), now)
    counted = going_on.filter(late, person__isnull=False).order_by().values("agent", "client").annotate(n=Count("pk"))
    rows = counted.order_by("-n", "agent", "client").values_list("agent", "client", "n")[:MOST]
    found = [(Kind.NO_REAUTHENTICATION, agent, client, None, 0, n, 0) for agent, client, n in rows]
    return [_finding(row) for row in _named(found)]


def _of_families(caller: Caller, now: datetime) -> list[Finding]:
    old = Q(started_at__lt=now - rules.oldest_family(is_proven=True)) | Q(
        started_at__lt=now - rules.oldest_family(is_proven=False), client__auth=Client.Auth.NONE
    )
    signed_in = person_sign_ins.open_families(visibility.token_families(caller).select_related(None), now)
    grouped = signed_in.filter(old).order_by().values("agent", "client", "system")
    counted = grouped.annotate(n=Count("pk"), oldest=Min("started_at")).order_by("oldest")[:MOST]
    found = [
        (Kind.FAMILY_TOO_OLD, each["agent"], each["client"], each["system"], 0, each["n"], (now - each["oldest"]).days)
        for each in counted
    ]
    return [_finding(row) for row in _named(found)]


def _agent(row: _Row) -> str:
    return reverse("agent-page", args=[row.agent.slug]) if row.agent else _client(row)


def _client(row: _Row) -> str:
    agent = row.client.agent
    return reverse("client-page", args=[agent.slug, row.client.client_id]) if agent else _tokens_of(row)


def _tokens_of(row: _Row, **more: str) -> str:
    named = {"client": row.client.client_id, "system": row.system.slug if row.system else "", **more}
    return f"{reverse('token-list')}?{urlencode({name: value for name, value in named.items() if value})}"
