"""The list of tokens: how long each lives, how much it opens, and what stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from audit import clock
from entitlements.clients.models import Client
from entitlements.tokens.models import IssuedToken
from governance.console import doors, tags
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Choice, Column, Facet, Layout, View
from governance.token_health import api, rules
from governance.token_health.queries import tokens
from governance.token_health.queries.tokens import TokenHealth


def _agent(row: TokenHealth) -> SafeString:
    if row.token.agent is None:
        return cells.nothing(_("no agent"))
    return _AGENT(row)


_AGENT: Final = cells.link("token__agent__name", "agent-page", "token__agent__slug", query="?tab=tokens")


def _person(row: TokenHealth) -> SafeString:
    return cells.person("token__person", gettext_lazy("itself"))(row)


def _system(row: TokenHealth) -> SafeString:
    return cells.text(
        "token__system__name", lambda row: row.token.get_kind_display() if row.token.kind == "id_jag" else ""
    )(row)


def _opened(row: TokenHealth) -> str:
    return _("%(opened)d of %(held)d") % {"opened": row.width.opened, "held": row.width.held}


def _used(row: TokenHealth) -> object:
    if row.width.used is None:
        return cells.nothing(_("not seen"))
    words = _("%(used)d of %(opened)d") % {"used": row.width.used, "opened": row.width.opened}
    if row.width.used < row.width.opened:
        return format_html('<span class="status warn">{}{}</span>', tags.shape("triangle"), words)
    return words


def _binding(row: TokenHealth) -> SafeString:
    words = _("DPoP key") if row.binding == "dpop" else _("Bearer")
    return cells.text(lambda _row: words, lambda row: row.token.client.get_auth_display())(row)


def _sign_in_age(row: TokenHealth) -> object:
    if row.auth_age is None and row.token.person is not None:
        return _("unknown")
    return cells.plain(row.auth_age)


def _state(row: TokenHealth) -> object:
    if row.state == "live":
        return format_html('<span class="status good">{}{}</span>', tags.shape("check"), _("Live"))
    return _("Revoked") if row.token.revoked_at else cells.nothing(_("Expired"))


_BINDINGS: Final = tuple(
    Choice(binding, label, Q(jkt="") if binding == "bearer" else ~Q(jkt="")) for binding, label in api.BINDINGS
)


def _states(_request: HttpRequest) -> Sequence[Choice]:
    live = tokens.is_live(clock.now())
    conditions = {"live": live, "ended": ~live}
    return [Choice(state, label, conditions[state]) for state, label in api.STATES]


def _described(_request: HttpRequest, rows: Sequence[IssuedToken]) -> Sequence[TokenHealth]:
    return tokens.described(rows, clock.now())


LAYOUT: Final[Layout[IssuedToken, TokenHealth]] = Layout(
    name="tokens",
    label=gettext_lazy("Tokens"),
    columns=(
        Column("agent", gettext_lazy("Agent"), "token__agent__slug", cell=_agent, main=True),
        Column("person", gettext_lazy("For"), "token__person__login", cell=_person),
        Column(
            "client",
            gettext_lazy("Client"),
            "token__client__client_id",
            cell=cells.code("token__client__client_id"),
            usual=False,
        ),
        Column("system", gettext_lazy("System"), "token__system__slug", cell=_system),
        Column("kind", gettext_lazy("Kind"), "token__kind", cell=lambda row: row.token.get_kind_display(), usual=False),
        Column(
            "issued",
            gettext_lazy("Issued"),
            "token__issued_at",
            sorts="issued_at",
            greatest_first=True,
            usual=False,
        ),
        Column(
            "expires",
            gettext_lazy("Expires"),
            "token__expires_at",
            sorts="expires_at",
            greatest_first=True,
            usual=False,
        ),
        Column(
            "life",
            gettext_lazy("Lives"),
            "lifetime",
            sorts="life",
            greatest_first=True,
            cell=cells.text("lifetime", "token__issued_at"),
        ),
        Column("scope", gettext_lazy("Scopes"), "token__scope", cell=cells.code("token__scope"), usual=False),
        Column("opened", gettext_lazy("Opens"), "width__opened", cell=_opened),
        Column("held", gettext_lazy("Tools held"), "width__held", number=True, usual=False),
        Column("used", gettext_lazy("Called"), "width__used", cell=_used),
        Column("binding", gettext_lazy("Binding"), "binding", cell=_binding),
        Column(
            "method",
            gettext_lazy("Client method"),
            "token__client__auth",
            cell=lambda row: row.token.client.get_auth_display(),
            usual=False,
        ),
        Column("auth", gettext_lazy("Sign-in age"), "auth_age", cell=_sign_in_age),
        Column(
            "called",
            gettext_lazy("Last call"),
            "last_call_at",
            cell=cells.moment("last_call_at", gettext_lazy("no call")),
        ),
        Column("family", gettext_lazy("Family"), "family__started_at", cell=cells.text("family_age")),
        Column("state", gettext_lazy("State"), "state", cell=_state),
        Column("jti", gettext_lazy("Identifier"), "token__jti", cell=cells.code("token__jti"), usual=False),
    ),
    order="-issued",
    unique="jti",
    facets=(
        Facet("state", gettext_lazy("State"), choices=_states),
        Facet("kind", gettext_lazy("Kind"), "kind", choices=IssuedToken.Kind.choices),
        Facet("binding", gettext_lazy("Binding"), choices=_BINDINGS),
        Facet("method", gettext_lazy("Client method"), "client__auth", choices=Client.Auth.choices),
        Facet("system", gettext_lazy("System"), "system__slug", reference="system"),
        Facet("agent", gettext_lazy("Agent"), "agent__slug", reference="agent"),
        Facet("person", gettext_lazy("For"), "person__login", reference="person"),
        Facet("client", gettext_lazy("Client"), "client__client_id", offered=False),
        Facet("family", gettext_lazy("Family"), "family", offered=False),
    ),
    search=tokens.named,
    search_label=gettext_lazy("Agent, client, person or identifier"),
    views=(
        View("live", gettext_lazy("Live"), "state=live"),
        View("longest", gettext_lazy("Longest lives"), "sort=-life"),
        View("bearer", gettext_lazy("Live and bound to no key"), "binding=bearer&state=live"),
        View(
            "credentials",
            gettext_lazy("By credential"),
            "columns=agent,client,system,method,binding,issued,life,state",
        ),
    ),
    describe=_described,
    key="jti",
    size=120,
    empty="console/token_health/no_tokens.html",
)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List tokens, live and recent."""
    caller = doors.caller(request)
    context = {"days": rules.RECENT.days, "may_connect": doors.may(caller, "clients", None, "GET")}
    rows = tokens.rows(caller, clock.now())
    return lists.show(request, LAYOUT, rows, "console/token_health/tokens.html", context)
