"""Decisions explained in the console: why one was made, who can call a tool, what a change would have denied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from audit.actions import Action
from audit.export import timeline
from audit.models import Event
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.catalog.models import Entitlement, Tool
from entitlements.decisions import limits
from entitlements.errors import DomainError, NotFound
from entitlements.grants import actions as grant_actions
from entitlements.grants.models import Grant
from entitlements.people.role_limits import NOTHING
from governance.audit_log.queries import events as events_queries
from governance.audit_log.queries import names
from governance.console import doors, tags
from governance.console.kit import combobox
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Column, Layout
from governance.console.limits import narrowing_fields
from governance.decisions import api, history
from governance.decisions.pages import answers
from governance.decisions.queries import readable, who_can, why
from governance.decisions.queries.who_can import Access
from governance.eligibility import narrowing
from governance.grants.pages import grants as grant_pages
from governance.guardrails import queries
from governance.search.queries import search
from governance.what_if import actions
from governance.what_if.models import WhatIf

_PAGE: Final = "console/decisions/ask.html"
_MOST_DENIED: Final = 10
_MOST_NAMED: Final = 3
_MOST_PEOPLE: Final = 50
DAYS: Final = (7, 30, 90)
UNKNOWN: Final = {
    "argument_values": gettext_lazy(
        "the values of its arguments: the log keeps a digest, and the numbers under a bound"
    ),
    "policy_version": gettext_lazy("which release of the product decided"),
    "further_reasons": gettext_lazy("reasons beyond the first eight"),
    "token": gettext_lazy("what its token carried"),
    "grant_terms": gettext_lazy("the terms of the grant at that time: shown are those of now"),
    "last_use_of_session": gettext_lazy("when its session was last used before"),
    "client_documents": gettext_lazy("clients that a changed metadata document stopped"),
    "client_authentication": gettext_lazy("how clients proved who they are"),
    "delegation_permissions": gettext_lazy("which agent could act for another"),
    "definitions": gettext_lazy("the approved definitions of tools"),
    "guardrails": gettext_lazy("guardrails"),
    "session_policies": gettext_lazy("session policies"),
}
"""What is not known, in words."""


@require_safe
@doors.page
def why_page(request: HttpRequest) -> HttpResponse:
    """Explain one decision; of another event, lead to its page."""
    caller, asked = doors.caller(request), request.GET.get("evaluation", "").strip()
    if not asked:
        return _ask(request, {})
    try:
        event = readable.find(caller, asked)
    except why.NotADecision:
        return redirect(f"{reverse('audit')}?{urlencode({'about': f'event:{asked}'})}")
    except DomainError as refusal:
        doors.record(request, refusal)
        return _ask(request, {"problem": refusal, "evaluation": asked}, refusal.status)
    found = why.explain(event)
    links = [f"{kind}:{key}" for kind, keys in found.by_kind.items() for key in keys]
    known = names.of(links, caller)
    things = [
        (events_queries.link_to(link, known), link.partition(":")[0], found.status.get(link, "")) for link in links
    ]
    about = {**found.by_kind, "denied_call": [str(event.uuid)], "session": [event.session] if event.session else []}
    context = {
        "why": found,
        "things": things,
        "unknown": [UNKNOWN[name] for name in found.unknown],
        "answer": answers.of(found.code, about, event.at, caller),
    }
    return render(request, "console/decisions/why.html", context)


def _agent(access: Access) -> SafeString:
    return cells.link("grant__agent__name", "agent-page", "grant__agent__slug")(access)


def _people(access: Access) -> SafeString:
    """Name the first people, and each group with its number of members."""
    named = [tags.foreign(login) for login in access.people[:_MOST_NAMED]]
    parts: list[Any] = [format_html_join(", ", "{}", [(name,) for name in named])] if named else []
    if (more := len(access.people) - _MOST_NAMED) > 0:
        parts.append(_("and %(n)d more") % {"n": more})
    for group in access.groups:
        shown = _("group %(name)s, %(active)d of %(members)d active")
        words = {"name": group.slug, "active": group.active, "members": group.members}
        parts.append(format_html('<span class="sub">{}</span>', tags.foreign(shown % words)))
    return format_html_join(" ", "{}", [(part,) for part in parts]) if parts else cells.nothing(_("no person"))


def _tools(access: Access) -> SafeString:
    """Name the tools of an entitlement that can be called, and each other one with what keeps it from passing."""
    open_now = ", ".join(each.tool for each in access.tools if each.is_callable)
    parts = [tags.foreign(open_now)] if open_now else []
    parts += [
        format_html('<span class="sub">{}: {}</span>', tags.foreign(each.tool), tags.foreign(each.verdict.sentence))
        for each in access.tools
        if not each.is_callable
    ]
    return format_html_join(" ", "{}", [(part,) for part in parts])


def _limits(access: Access) -> str:
    try:
        return " ".join(limits.describe(access.limits))
    except limits.LimitMalformed as why_not:
        return why_not.message


def _answer(access: Access) -> SafeString:
    """Say whether a call can pass, and what keeps it from passing."""
    word = tags.status("allowed" if access.is_callable else "denied")
    if access.verdict.allowed:
        return word
    return format_html('{} <span class="sub">{}</span>', word, tags.foreign(access.verdict.sentence))


WHO_CAN: Final[Layout[Grant, Access]] = Layout(
    name="who-can",
    label=gettext_lazy("Who can call it"),
    columns=(
        Column("agent", gettext_lazy("Agent"), "grant__agent__slug", cell=_agent, main=True),
        Column(
            "through",
            gettext_lazy("Through"),
            "grant__entitlement__scope",
            cell=cells.link("grant__entitlement__name", "grant-page", "grant__pk"),
        ),
        Column("people", gettext_lazy("For"), lambda access: ", ".join(access.people), cell=_people),
        Column(
            "groups",
            gettext_lazy("Groups"),
            lambda access: ", ".join(group.slug for group in access.groups),
            usual=False,
        ),
        Column("active", gettext_lazy("Active people"), lambda access: len(access.served), number=True),
        Column("limits", gettext_lazy("Limits"), _limits),
        Column("expires", gettext_lazy("Expires"), "expires_at"),
        Column("answer", gettext_lazy("Answer"), lambda access: access.verdict.code.value, cell=_answer),
        Column("granted", gettext_lazy("Granted"), "grant__created_at", sorts="created_at", usual=False),
        Column("grant", gettext_lazy("Identifier"), lambda access: str(access.grant.pk), usual=False),
    ),
    order="-granted",
    kept=("tool", "agent", "person", "at"),
    complete=True,
    empty=gettext_lazy("No grant in force that you may see gives this tool."),
)
_TOOLS: Final = Column(
    "tools", gettext_lazy("Tools"), lambda access: ", ".join(each.tool for each in access.tools), cell=_tools
)
OF_ENTITLEMENT: Final[Layout[Grant, Access]] = replace(
    WHO_CAN,
    columns=tuple(_TOOLS if column.name == "limits" else column for column in WHO_CAN.columns),
    kept=("entitlement", "agent", "person", "at"),
    empty=gettext_lazy("No grant in force that you may see gives this entitlement."),
)


@require_safe
@doors.page
def who_can_page(request: HttpRequest) -> HttpResponseBase:
    """List who can call a tool, or the tools of an entitlement, now or at a past moment."""
    caller, asked, scope = doors.caller(request), *(request.GET.get(x, "").strip() for x in ("tool", "entitlement"))
    try:
        moment = api.moment_of(_moment(request))
        agent, person = _chosen(request, "agent", visibility.agents), _chosen(request, "person", visibility.people)
    except api.BadMoment as refusal:
        doors.record(request, refusal)
        return _ask(request, {"problem": refusal, "asked": asked or scope}, refusal.status)
    except combobox.Unresolved as problem:
        return _ask(request, {"problem": problem, "asked": asked or scope}, HTTPStatus.NOT_FOUND)
    if not asked and not scope:
        return _named(request, caller, request.GET.get("q", "").strip())
    tool: Tool | None = None
    entitlement: Entitlement | None = None
    try:
        if asked:
            rows = who_can.rows(caller, tool := api.tool_of(caller, asked), moment)
        else:
            rows = who_can.rows_of(caller, entitlement := api.entitlement_of(caller, scope), moment)
    except (api.BadTool, NotFound):
        return _named(request, caller, asked or scope)

    def describe(_request: HttpRequest, page: Sequence[Grant]) -> Sequence[Access]:
        return who_can.describe(page, tool, moment, person) if tool else who_can.describe_all(page, moment)

    context = {
        "asked": asked or scope,
        "tool": tool,
        "entitlement": entitlement,
        "agent": agent,
        "person": person,
        "moment": moment,
        "unknown": [UNKNOWN[name] for name in history.NOT_RECONSTRUCTED] if moment else [],
        "answer": answers.of_agent(caller, tool, agent, person, moment) if tool and agent else None,
    }
    layout = replace(OF_ENTITLEMENT if entitlement else WHO_CAN, describe=describe)
    return lists.show(request, layout, who_can.narrowed(rows, agent, person, moment), _PAGE, context)


def _chosen(request: HttpRequest, kind: str, seen: Callable[[Caller], QuerySet[Any]]) -> Any:  # noqa: ANN401 - a row of that kind
    """Return what a field of the form names, of what the caller sees; None where it is empty. Raises Unresolved."""
    caller = doors.caller(request)
    row = combobox.chosen(caller, kind, request.GET, kind)
    if row is not None and not seen(caller).filter(pk=row.pk).exists():
        raise combobox.Unresolved(_("You may not see it."), "not_found")
    return row


def _ask(request: HttpRequest, context: dict[str, Any], status: int = HTTPStatus.OK) -> HttpResponse:
    """Show the form, and the newest denied calls that the reader may read."""
    caller = doors.caller(request)
    reads_log = caller.is_script or caller.reach(*visibility.READERS) != NOTHING
    of_reader = Event.objects.all() if reads_log else timeline.about(str(caller.principal))
    denied = of_reader.filter(action__in=[Action.CALL_DENIED, Action.EVALUATION_DENIED])
    seen = visibility.log_events(caller, denied) if reads_log else visibility.events(caller, denied)
    newest = list(seen.order_by(*(f"-{name}" for name in timeline.ORDER))[:_MOST_DENIED])
    given = {name: request.GET.get(name, "") for name in ("agent", "person")}
    context = {**given, **context, "entries": events_queries.entries(newest, caller)}
    return render(request, _PAGE, context, status=status)


def _named(request: HttpRequest, caller: Caller, text: str) -> HttpResponseBase:
    """Offer the tools and entitlements that a text names; where it is one, lead to who can call it."""
    hits = list(search.who_can(caller, text)) if text else []
    kept = {name: value for name in ("agent", "person", "at") if (value := request.GET.get(name))}
    then = f"&{urlencode(kept)}" if kept else ""
    if len(hits) == 1:
        return redirect(hits[0].address + then)
    return _ask(request, {"asked": text, "hits": hits, "then": then})


def _moment(request: HttpRequest) -> str:
    """Return the moment of the address; one without an offset, as the form writes it, is in UTC."""
    text = request.GET.get("at", "").strip()
    try:
        has_offset = not text or datetime.fromisoformat(text.replace(" ", "+")).tzinfo is not None
    except ValueError:
        return text
    return text if has_offset else f"{text}+00:00"


REPLAYS: Final[Layout[WhatIf, WhatIf]] = Layout(
    name="what-if",
    label=gettext_lazy("What if"),
    columns=(
        Column(
            "change",
            gettext_lazy("Change"),
            lambda row: words_of(row.change),
            cell=cells.link(lambda row: words_of(row.change), "what-if-page", "pk"),
            main=True,
        ),
        Column("days", gettext_lazy("Days"), "days", number=True),
        Column("state", gettext_lazy("State"), "state", cell=cells.status("state")),
        Column("denied", gettext_lazy("Would be denied"), lambda row: row.figure("denied"), number=True),
        Column("unknown", gettext_lazy("Unknown"), lambda row: row.figure("unknown"), number=True),
        Column("by", gettext_lazy("Asked by"), "asked_by__login", cell=cells.person("asked_by")),
        Column("asked", gettext_lazy("Asked"), "asked_at", sorts="asked_at"),
    ),
    order="-asked",
    empty=gettext_lazy(
        "Nothing was replayed yet. Begin on the page of a grant, or where a guardrail or session policy is proposed."
    ),
)


@require_safe
@doors.page
def what_if_list(request: HttpRequest) -> HttpResponseBase:
    """List the replays."""
    rows = actions.WHAT_IF.rows(doors.caller(request))
    return lists.show(request, REPLAYS, rows, "console/decisions/what_ifs.html")


@require_safe
@doors.page
def what_if_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one replay; while it is not finished, the page reads itself again."""
    row = doors.find(actions.WHAT_IF.rows(doors.caller(request)), pk=pk)
    context = {
        "row": row,
        "words": words_of(row.change),
        "grant": row.change.get("grant"),
        "terms": queries.terms_of(row.change) if row.change["kind"] == "guardrail" else None,
        "people": (row.figure("people") or [])[:_MOST_PEOPLE],
        "counts": [(label, row.figure(name)) for name, label in COUNTS],
        "unseen": row.figure("unseen") or [],
        "by": row.figure("by") or [],
    }
    return render(request, "console/decisions/what_if.html", context)


COUNTS: Final = (
    ("calls", gettext_lazy("Recorded calls")),
    ("denied", gettext_lazy("Would be denied")),
    ("denied_anyway", gettext_lazy("Denied without it, too")),
    ("over_budget", gettext_lazy("Of these, by a budget that is used up")),
    ("unknown", gettext_lazy("Unknown")),
)


def words_of(change: dict[str, Any]) -> str:
    """Say a change in words."""
    rule = {"guardrail": _("Guardrail %(name)s"), "session_policy": _("Session policy %(name)s")}.get(change["kind"])
    if rule is not None:
        return rule % {"name": change["name"]}
    if change.get("kind") == "limits":
        return _("Limits of %(tool)s") % {"tool": change["tool"]}
    if change.get("revoke"):
        return _("Revoke a grant")
    parts = {"tools": _("fewer tools"), "limits": _("tighter limits"), "ends_at": _("an earlier end")}
    return _("Narrow a grant: %(parts)s") % {"parts": ", ".join(text for name, text in parts.items() if name in change)}


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def of_grant(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask what revoking or narrowing a grant would have denied."""
    grant: Grant = doors.find_subject(request, grant_actions.GRANT, pk)
    problem: DomainError | None = None
    if request.method == "POST":
        try:
            values = {"change": _change(request, grant), "days": doors.number(request.POST.get("days", ""))}
            performed = doors.perform(request, actions.BEGIN, None, values)
        except NotFound:
            raise
        except DomainError as refusal:
            doors.record(request, refusal)
            problem = refusal
        else:
            return redirect(reverse("what-if-page", args=[performed.result.pk]))
    data = request.POST if request.method == "POST" else None
    shown = narrowing_fields.shown(grant_pages.given(grant), data)
    context = {"grant": grant, "problem": problem, "days": DAYS, **shown}
    return render(request, "console/decisions/of_grant.html", context, status=problem.status if problem else 200)


def _change(request: HttpRequest, grant: Grant) -> dict[str, Any]:
    """Read what is to be replayed: all of the grant taken away, or what the form narrows. Raises as its fields do."""
    change: dict[str, Any] = {"kind": "grant", "grant": str(grant.pk)}
    if "revoke" in request.POST:
        return {**change, "revoke": True}
    given = grant_pages.given(grant)
    narrow = narrowing_fields.read(given.fields(), request.POST.getlist)
    held = {tool.name: caps for tool, caps in given.lines}
    left = narrowing.left(held, given.lasts, narrow)
    if {*left.lines} != {*held}:
        change["tools"] = sorted(left.lines)
    if tighter := {name: dict(caps) for name, caps in left.lines.items() if dict(caps) != held[name]}:
        change["limits"] = tighter
    if left.lasts < given.lasts:
        change["ends_at"] = (grant.expires_at - (given.lasts - left.lasts)).isoformat()
    return change
