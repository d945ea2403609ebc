"""Token health: what to fix about tokens and credentials, how long they live, and each token by itself."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from audit import clock
from entitlements.access import visibility
from entitlements.clients.models import Client
from entitlements.tokens.models import IssuedToken
from governance.console import doors, lists, paging
from governance.console.lists import Column, Layout
from governance.token_health import api, rules, token_health
from governance.token_health.queries import findings, tokens
from governance.token_health.queries.tokens import TokenHealth

SIZE: Final = 120
"""Rows of a page."""
_FACETS: Final = ("q", "agent", "person", "client", "system", "kind", "method", "family", "state", "binding")
_COLUMNS: Final[tuple[Column[TokenHealth], ...]] = (
    Column("agent", _("Agent"), lambda row: row.token.agent.slug if row.token.agent else None),
    Column("person", _("For"), lambda row: row.token.person.login if row.token.person else None),
    Column("client", _("Client"), lambda row: row.token.client.client_id),
    Column("system", _("System"), lambda row: row.token.system.slug),
    Column("kind", _("Kind"), lambda row: row.token.kind),
    Column("issued", _("Issued"), lambda row: row.token.issued_at, "issued_at"),
    Column("expires", _("Expires"), lambda row: row.token.expires_at, "expires_at"),
    Column("life", _("Lives"), lambda row: row.lifetime, "life"),
    Column("scope", _("Scopes"), lambda row: row.token.scope),
    Column("opened", _("Opens"), lambda row: row.width.opened),
    Column("held", _("Tools held"), lambda row: row.width.held),
    Column("used", _("Called"), lambda row: row.width.used),
    Column("binding", _("Binding"), lambda row: row.binding),
    Column("method", _("Client method"), lambda row: row.token.client.auth),
    Column("auth", _("Sign-in age"), lambda row: row.auth_age),
    Column("called", _("Last call"), lambda row: row.last_call_at),
    Column("family", _("Family"), lambda row: row.family.started_at if row.family else None),
    Column("state", _("State"), lambda row: row.state),
    Column("jti", _("Identifier"), lambda row: row.token.jti),
)
LAYOUT: Final[Layout[IssuedToken, TokenHealth]] = Layout(
    columns=_COLUMNS,
    usual=("agent", "person", "system", "life", "opened", "used", "binding", "auth", "called", "family", "state"),
    order="-issued",
    unique="jti",
    describe=lambda rows: tokens.described(rows, clock.now()),
    views={
        "live": {"state": "live"},
        "longest": {"sort": "-life"},
        "bearer": {"binding": "bearer", "state": "live"},
        "credentials": {"columns": "agent,client,system,method,binding,issued,life,state"},
    },
)
VIEWS: Final = (
    ("", _("Recent")),
    ("live", _("Live")),
    ("longest", _("Longest lives")),
    ("bearer", _("Live and bound to no key")),
    ("credentials", _("By credential")),
)


@require_safe
@doors.page
def page(request: HttpRequest) -> HttpResponse:
    """Show the findings and the plots, of what the person sees."""
    caller = doors.caller(request)
    context = {
        "findings": findings.findings(caller),
        "lifetimes": token_health.lifetimes(caller),
        "ages": token_health.ages(caller),
        "sign_ins": token_health.sign_ins(caller),
        "at": clock.now(),
        "may_connect": doors.may(caller, "clients", None, "GET"),
    }
    return render(request, "console/token_health/token_health.html", context)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List tokens, live and recent; the address holds filters, order, columns and view, and asks for a file."""
    caller, now = doors.caller(request), clock.now()
    asked = lists.asked(request, LAYOUT)
    wanted = {name: value for name, value in asked.facets.items() if name in _FACETS}
    filtered = api.TokenHealthFilter(wanted, tokens.rows(caller, now))
    rows = filtered.qs if filtered.is_valid() else filtered.queryset.none()
    if asked.export:
        return lists.export(asked, rows, "tokens")
    shown = paging.page(request, rows, asked.ordering, SIZE)
    context: dict[str, Any] = {
        "page": shown,
        "rows": tokens.described(shown.rows, now),
        "columns": lists.headings(request, asked),
        "kept": [(name, request.GET[name]) for name in (lists.SORT, lists.COLUMNS) if name in request.GET],
        "filters": asked.facets,
        "filtered": any(request.GET.get(name) for name in (*_FACETS, "view")),
        "view": request.GET.get("view", ""),
        "views": VIEWS,
        "kinds": IssuedToken.Kind.choices,
        "methods": Client.Auth.choices,
        "states": api.STATES,
        "bindings": api.BINDINGS,
        "systems": visibility.systems(caller).order_by("slug")[:500],
        "days": rules.RECENT.days,
        "may_connect": doors.may(caller, "clients", None, "GET"),
    }
    return render(request, "console/token_health/tokens.html", context)
