"""Console pages of campaign templates, and duplicating a review."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.errors import DomainError, Malformed, NotFound
from governance.console import choices, doors
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
    if request.method == "POST":
        try:
            _change(request, template, keeps_scope=fields is None)
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
    agents = visibility.agents(doors.caller(request)).order_by("name")
    context = {
        "template": template,
        "problem": problem,
        "given": request.POST or filled,
        "ticked": request.POST.getlist("system") if request.POST else filled.get("systems", []),
        "agents": agents.filter(
            slug__in=request.POST.getlist("agent") if request.POST else filled.get("agents", [])
        ).values_list("slug", "name"),
        "keeps_scope": fields is None,
        "scope": json.dumps(template.scope, indent=1, ensure_ascii=False),
        "kinds": template_queries.KINDS,
        "systems": visibility.systems(doors.caller(request)).order_by("name"),
        "choices": template_queries.choices(
            template_queries.read(request.POST).options.strategies if request.POST else template.strategies
        ),
        "cadences": CampaignTemplate.Cadence.choices,
        "groups": choices.groups(),
    }
    return render(
        request, "console/reviews/templates/template.html", context, status=problem.status if problem else None
    )


def _change(request: HttpRequest, template: CampaignTemplate, *, keeps_scope: bool) -> None:
    form, sent = template_queries.read(request.POST), request.POST
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
