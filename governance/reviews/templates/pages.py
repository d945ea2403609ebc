"""Console pages of campaign templates, and duplicating a review."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access.caller import Caller
from entitlements.errors import DomainError, Malformed, NotFound
from governance.blast_radius.queries import departments
from governance.console import doors
from governance.console.kit import combobox
from governance.reviews.campaigns.pages.campaigns import find_campaign, may, permit
from governance.reviews.templates import actions, templates
from governance.reviews.templates import queries as template_queries
from governance.reviews.templates.models import CampaignTemplate


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List templates with the day of their next campaign."""
    permit(request, "campaign-templates", "GET")
    rows = CampaignTemplate.objects.select_related("owner").order_by("stopped_at", "slug")
    context = {"templates": rows, "may_run": may(request, "campaign-template-start")}
    return render(request, "console/reviews/templates/templates.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Edit a template."""
    doors.about(request, f"template:{slug}")
    permit(request, "campaign-template", "PATCH")
    rows = CampaignTemplate.objects.select_related("owner", "fallback_group")
    template = rows.filter(slug=slug, stopped_at=None).first()
    if template is None:
        raise NotFound
    fields, problem = template_queries.form_values(template), None
    sent = resolved(doors.caller(request), request.POST)
    if request.method == "POST":
        try:
            _change(request, sent, template, keeps_scope=fields is None)
        except DomainError as refusal:
            doors.record(request, refusal)
            problem = refusal
        else:
            return redirect("review-templates")
    named = ("version", "name", "kind", "mode", "framework", "cadence", "days", "spot_share", "spot_days")
    own = {name: getattr(template, name) for name in named}
    next_on = template.next_on.isoformat() if template.next_on else ""
    own |= {
        "fallback_group": template.fallback_group.slug if template.fallback_group else "",
        "asks_owner": "yes" if template.asks_owner else "",
    }
    filled = {**(fields or {}), **own, "carry_days": template.carry_days or "", "next_on": next_on}
    context = {
        "template": template,
        "problem": problem,
        "given": sent or filled,
        "named": shown(doors.caller(request), sent or filled),
        "departments": departments.names(),
        "of_departments": sent.getlist("department") if sent else filled.get("department", []),
        "keeps_scope": fields is None,
        "scope": json.dumps(template.scope, indent=1, ensure_ascii=False),
        "kinds": template_queries.KINDS,
        "choices": template_queries.choices(
            template_queries.read(sent).options.strategies if sent else template.strategies
        ),
        "cadences": CampaignTemplate.Cadence.choices,
    }
    return render(
        request, "console/reviews/templates/template.html", context, status=problem.status if problem else None
    )


def _change(request: HttpRequest, sent: QueryDict, template: CampaignTemplate, *, keeps_scope: bool) -> None:
    form = template_queries.read(sent)
    version, days = (template_queries.number(sent, name) or 0 for name in ("version", "days"))
    share, until = (template_queries.number(sent, name) for name in ("spot_share", "spot_days"))
    checked = template.spot_share if share is None else share, template.spot_days if until is None else until
    try:
        next_on = parse_date(sent.get("next_on", ""))
    except ValueError:
        next_on = None
    values = {
        "name": form.name[:180] or template.name,
        "scope": template.scope if keeps_scope else form.scope,
        "options": form.options,
        "recurrence": templates.Recurrence(sent.get("cadence", "none"), next_on, days, *checked),
        "version": version,
        "reason": sent.get("reason", "").strip()[:500],
    }
    doors.perform(request, actions.EDIT, template, values)


@require_POST
@doors.page
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """Draft a review from a template."""
    made = doors.perform(request, actions.START, doors.find_subject(request, actions.TEMPLATE, slug))
    return redirect("review-page", made.result.slug)


stop = doors.post(actions.STOP, lambda _template: reverse("review-templates"))


@require_POST
@doors.page
def duplicate(request: HttpRequest, slug: str) -> HttpResponse:
    """Draft a review with the scope and options of another."""
    campaign = find_campaign(request, slug)
    name = request.POST.get("name", "").strip()[:200]
    try:
        day = parse_date(request.POST.get("due", ""))
    except ValueError:
        day = None
    if not slugify(name) or day is None:
        raise Malformed(_("Enter a name and a due date."))
    due = datetime.combine(day, time.max, UTC)
    values = {"slug": slugify(name)[:64], "name": name, "due_at": due}
    copy = doors.perform(request, actions.DUPLICATE, campaign, values).result
    return redirect("review-page", copy.slug)


def resolved(caller: Caller, sent: QueryDict) -> QueryDict:
    """Return the form with the short names behind what its comboboxes name; what is unknown stays, and is refused."""
    data = sent.copy()
    for name in template_queries.REFERENCES.keys() & data.keys():
        if name in template_queries.NAMED.values():
            data.setlist(name, combobox.keys(caller, template_queries.REFERENCES[name], data.getlist(name)))
        elif name == "left_out":
            data[name] = ", ".join(combobox.keys(caller, template_queries.REFERENCES[name], [data.get(name, "")]))
        else:
            data[name] = combobox.key_of(caller, template_queries.REFERENCES[name], data, name)
    for name in template_queries.NAMED.values():
        if name in data and not data.getlist(name):
            del data[name]
    return data


def shown(caller: Caller, given: QueryDict | Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of the comboboxes of a form that is filled in with short names."""

    def keys(name: str) -> list[str]:
        found = given.getlist(name) if isinstance(given, QueryDict) else given.get(name, "")
        texts = [found] if isinstance(found, str) else found
        return [key.strip() for text in texts for key in text.split(",") if key.strip()]

    return {name: combobox.names(caller, kind, keys(name)) for name, kind in template_queries.REFERENCES.items()}
