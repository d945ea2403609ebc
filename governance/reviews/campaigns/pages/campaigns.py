"""Console pages of campaigns: the list, a new one, and one campaign with its progress."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit import clock
from entitlements.access import visibility
from entitlements.errors import DomainError, Forbidden, Malformed
from entitlements.people.models import Person
from governance.api.matrix import MATRIX
from governance.charts import geometry
from governance.console import choices, doors, form_fields, paging
from governance.home_page.queries import overview
from governance.reviews.campaigns import actions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.queries import campaigns as read
from governance.reviews.deadlines import deadlines
from governance.reviews.event_triggered import follow_up
from governance.reviews.event_triggered import queries as event_triggered_queries
from governance.reviews.items import visibility as visibility_actions
from governance.reviews.population import campaigns, scope_words
from governance.reviews.quality import care, measures, timings
from governance.reviews.reports.queries import plots as plots_queries
from governance.reviews.reports.queries import results as results_queries
from governance.reviews.reports.queries import trends as trends_queries
from governance.reviews.reviewers import claim
from governance.reviews.reviewers.models import Assignment
from governance.reviews.spot_checks import plan as plan_actions
from governance.reviews.spot_checks import spot_checks
from governance.reviews.spot_checks.models import SpotCheckPlan
from governance.reviews.staging import preview
from governance.reviews.staging.queries import launch
from governance.reviews.templates import queries as template_queries
from governance.reviews.templates import templates
from governance.reviews.usage import coverage
from governance.reviews.workbench.queries import rows as item_rows

_USUAL: Final = timedelta(days=30)
"""How long a review usually runs."""
_MOST_LOADS: Final = 12


def may(request: HttpRequest, name: str, method: str = "POST") -> bool:
    """Whether the person's admin roles allow an action."""
    return bool(MATRIX[name, method].roles & doors.caller(request).roles)


def permit(request: HttpRequest, name: str, method: str = "POST") -> None:
    """Raise Forbidden unless the person's admin roles allow an action."""
    if not may(request, name, method):
        raise Forbidden


def find_campaign(request: HttpRequest, slug: str) -> Campaign:
    """Find a campaign that the person sees, and note what a refusal is about. Raises NotFound."""
    campaign: Campaign = doors.find_subject(request, actions.CAMPAIGN, slug)
    return campaign


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List campaigns, each with how many items wait for the person."""
    person, is_small = doors.person(request), request.GET.get("kind") == Campaign.Kind.MICRO
    rows, small = visibility_actions.campaigns_visible_to(person), Q(kind=Campaign.Kind.MICRO)
    page = paging.page(request, rows.filter(small if is_small else ~small), ("-created_at", "-id"))
    waits = visibility_actions.waiting_for(person).order_by().values_list("item__campaign")
    counts = dict(waits.annotate(n=Count("pk")))
    lines: Sequence[overview.CampaignLine | event_triggered_queries.EventTriggeredLine]
    lines = (
        event_triggered_queries.lines(page.rows) if is_small else [overview.campaign_line(each) for each in page.rows]
    )
    context = {
        "page": page,
        "campaigns": [{"line": each, "waits": counts.get(each.campaign.pk, 0)} for each in lines],
        "may_make": may(request, "campaigns"),
        "may_run": may(request, "campaign-pause"),
        "sees_care": may(request, "campaign-evidence", "GET"),
        "is_small": is_small,
        "small_open": rows.filter(small, state=Campaign.State.ACTIVE).count(),
    }
    return render(
        request,
        "console/reviews/campaigns/list.html",
        context if is_small else {**context, **_coverage_context(request)},
    )


def _coverage_context(request: HttpRequest) -> dict[str, Any]:
    """Return the review coverage for people who may read evidence."""
    if not may(request, "campaign-evidence", "GET"):
        return {}
    rates = {"cut_rates": trends_queries.cut_rates(), "trends": True}
    access = coverage.access()
    if access is None:
        return {"is_counting": True, **rates}
    seen = access.coverage
    shares = [("", 100 * kept // held, "fine" if kept == held else "many") for _risk, held, kept in seen.risks]
    bars = geometry.bars(shares, 100)
    rows = [(*row, bar) for row, bar in zip(seen.risks, bars, strict=True)]
    return {
        "access": access,
        "coverage": seen,
        "coverage_rows": rows,
        "trend": trends_queries.coverage(access),
        **rates,
    }


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def new(request: HttpRequest) -> HttpResponse:
    """Draft a campaign or save a template; or preview it, as the form changes and by a button."""
    permit(request, "campaigns")
    problem: DomainError | None = None
    seen: preview.Preview | None = None
    form = template_queries.Form("", "", (clock.now() + _USUAL).date().isoformat(), {}, campaigns.CampaignOptions())
    try:
        if request.method == "POST":
            form = template_queries.read(request.POST)
            if "template" in request.POST:
                _keep(request, form)
                return redirect("/reviews/templates/")
            if "preview" not in request.POST:
                return redirect(f"/reviews/{_make(request, form).slug}/")
        seen = preview.preview(form.scope, form.options, by=doors.person(request))
    except DomainError as refusal:
        doors.record(request, refusal)
        problem = refusal
    context = {
        "problem": problem,
        "form": form,
        "kinds": template_queries.KINDS,
        "systems": visibility.systems(doors.caller(request)).order_by("name"),
        "given": request.POST or {"due": form.due, "kind": form.options.kind},
        "ticked": request.POST.getlist("system"),
        "choices": template_queries.choices(form.options.strategies),
        "groups": choices.groups(),
        **_preview_context(seen),
    }
    return render(request, "console/reviews/campaigns/new.html", context)


def _keep(request: HttpRequest, form: template_queries.Form) -> None:
    if not form.slug:
        raise Malformed(_("Give the review a name with letters or digits."))
    recurrence = template_queries.recurrence(request.POST, clock.now())
    by = doors.person(request)
    templates.save(
        form.slug[:48], name=form.name[:180], scope=form.scope, options=form.options, recurrence=recurrence, by=by
    )


def _make(request: HttpRequest, form: template_queries.Form) -> Campaign:
    if not form.slug:
        raise Malformed(_("Give the review a name with letters or digits."))
    values = {name: getattr(form, name) for name in ("slug", "name", "due_at", "scope", "options")}
    made: Campaign = doors.perform(request, actions.MAKE, None, values).result
    return made


def _preview_context(seen: preview.Preview | None) -> dict[str, Any]:
    """Return what the preview panel shows."""
    if seen is None:
        return {"preview": None}
    loads = [(load.name or _("Unassigned"), load.items, load.level) for load in seen.loads[:_MOST_LOADS]]
    bars = geometry.bars(loads, preview.MANY)
    return {"preview": seen, "bars": bars, "loads": list(zip(seen.loads, bars, strict=False)), "width": geometry.WIDTH}


@require_safe
@doors.page
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the progress of a campaign, its reviewers, and what the person may do next."""
    campaign, person = find_campaign(request, slug), doors.person(request)
    parts = read.progress(campaign)
    sees_all = may(request, "campaign-evidence", "GET") or campaign.owner == person
    reviewers, others = read.reviewers(campaign) if sees_all else ([], 0)
    context: dict[str, Any] = {
        "campaign": campaign,
        "covers": scope_words.describe(campaign),
        "person": person,
        "parts": parts,
        "width": read.WIDTH,
        "answered": read.answered(parts),
        "items": sum(part.count for part in parts),
        "open": parts[-1].count,
        "sees_all": sees_all,
        "strategies": template_queries.strategy_rows(campaign) if sees_all else [],
        "grace_ends": deadlines.grace_ends(campaign),
        "reviewers": reviewers,
        "other_reviewers": others,
        "unresolved": (unresolved := read.unresolved(campaign) if sees_all else []),
        "unassigned": campaigns.unresolved(campaign) if unresolved else 0,
        "people": form_fields.people() if reviewers and campaign.state == Campaign.State.ACTIVE else [],
        "asked_twice": sum(row["all"] for row in reviewers) > sum(part.count for part in parts) and not others,
        "claimable": claim.may_claim(unresolved, person) if campaign.state == Campaign.State.ACTIVE else set(),
        "over": read.ended_grants(campaign) if sees_all else [],
        "mine": item_rows.assigned(campaign, person).exists(),
        "waits": visibility_actions.waiting_for(person).filter(item__campaign=campaign).count(),
        "may_run": may(request, "campaign-close"),
        "may_evidence": may(request, "campaign-evidence", "GET") or visibility_actions.shared_with(person, campaign),
    }
    context |= _spot_check_context(campaign, person, sees_all=sees_all, may_run=context["may_run"])
    if campaign.state in Campaign.BEGAN:
        context |= _plot_context(request, campaign, reviewers, person, sees_all=sees_all)
    if campaign.state in Campaign.BEFORE:
        context |= launch.context(campaign, count="differ" in request.GET)
        context |= _preview_context(context.get("seen")) if sees_all else {}
    return render(request, "console/reviews/campaigns/campaign.html", context)


def _spot_check_context(campaign: Campaign, person: Person, *, sees_all: bool, may_run: bool) -> dict[str, Any]:
    """Return the spot checks of a campaign, to a reviewer only of their own answers; and whether they may begin."""
    plan = SpotCheckPlan.objects.filter(campaign=campaign).first()
    context: dict[str, Any] = {
        "spot_plan": plan,
        "own_spot": spot_checks.own_agreement(campaign, person) if plan else None,
    }
    if plan is None or not sees_all:
        return context | {"may_spot": may_run and plan is None and plan_actions.may_begin(campaign)}
    disagree = spot_checks.to_follow_up(campaign)
    again = {check.pk for check in disagree if follow_up.may_ask_again(check.item)}
    return context | {"spot": spot_checks.result(campaign), "disagree": disagree, "may_ask": again}


def _plot_context(
    request: HttpRequest, campaign: Campaign, reviewers: list[dict[str, Any]], person: Person, *, sees_all: bool
) -> dict[str, Any]:
    """Return the plots of a campaign and measures of its answers; to a reviewer only their own."""
    own = care.measure(campaign, person)
    context: dict[str, Any] = {
        "own": own if own.answers else None,
        "own_seconds": care.seconds(campaign, person),
        "together": timings.summary(campaign),
    }
    if not sees_all:
        return context
    cared = {**care.context(campaign), "measured": measures.known(campaign)}
    answering = cared.pop("reviewers")
    is_asked = "blast" in request.GET or not care.is_many(campaign)
    return context | {
        "burn": plots_queries.burn_down(campaign),
        "proven": plots_queries.remediation(campaign),
        "heat": plots_queries.heat(campaign),
        "reviewers": [{**row, "bar": bar} for row, bar in zip(reviewers, plots_queries.loads(reviewers), strict=True)],
        **cared,
        "careful": results_queries.care_of_reviewers(answering, named=settings.REVIEW_CARE_BY_NAME),
        "blast": results_queries.blast_radius(campaign) if is_asked else None,
        "may_count_blast": not is_asked,
    }


@require_POST
@doors.page
def close(request: HttpRequest, slug: str) -> HttpResponse:
    """Close a campaign."""
    campaign = find_campaign(request, slug)
    permit(request, "campaign-close")
    values = {"reason": doors.reason(request), "without_answer": "without_answer" in request.POST}
    doors.perform(request, actions.CLOSE, campaign, values)
    return redirect(f"/reviews/{slug}/")


@require_POST
@doors.page
def reassign(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Assign an item to a reviewer."""
    campaign = find_campaign(request, slug)
    permit(request, "review-item-reassign")
    open_items = Assignment.objects.filter(item__campaign=campaign).select_related("item__campaign")
    row = doors.find(open_items, item=item, state=Assignment.State.ASSIGNED).item
    to = doors.find(Person.objects.all(), login=request.POST.get("to", "").strip())
    doors.perform(request, actions.REASSIGN, row, {"to": to, "reason": doors.reason(request)})
    return redirect(f"/reviews/{slug}/")
