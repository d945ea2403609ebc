"""Campaigns from templates: by hand, or automatically, one for each period however often the sweep runs.

The scope is evaluated anew each time. Recurring campaigns are made, staged and begun in the name of the template's
owner; items without a reviewer stay unassigned, visibly, as in any other campaign.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError, NotFound, Stale
from entitlements.people.models import Person
from governance.reviews.campaigns import pause
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import best_effort
from governance.reviews.items.errors import BadCadence, NameTaken, TemplateStopped
from governance.reviews.population import campaigns, other_subjects, scopes
from governance.reviews.population.campaigns import FULL, CampaignOptions
from governance.reviews.spot_checks import plan
from governance.reviews.staging import launch
from governance.reviews.templates.models import CampaignTemplate

_Cadence = CampaignTemplate.Cadence
MONTHS: Final[Mapping[str, int]] = {
    _Cadence.MONTHLY: 1,
    _Cadence.QUARTERLY: 3,
    _Cadence.HALF_YEARLY: 6,
    _Cadence.YEARLY: 12,
}
LONGEST: Final = 180
OWNER_LEFT: Final = "owner_left"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How often a template recurs, from which day on, and how many days its reviewers have.

    Another person checks `spot_share` per cent of their answers within `spot_days`; 0 for none.
    """

    cadence: str = _Cadence.NONE
    first_on: date | None = None
    days: int = 30
    spot_share: int = 0
    spot_days: int = plan.DAYS

    def check(self, kind: str) -> None:
        """Raise BadCadence for a bad recurrence, BadSpotChecks for spot checks that the kind cannot have."""
        if self.spot_share or self.spot_days != plan.DAYS:
            plan.check(self.spot_share or plan.SHARE, self.spot_days, kind)
        known = self.cadence in _Cadence and 1 <= self.days <= LONGEST
        if not known or (self.cadence == _Cadence.NONE) != (self.first_on is None):
            raise BadCadence


BY_HAND: Final = Recurrence()
_LOGGED: Final = ("cadence", "days", "spot_share", "spot_days")


def period(cadence: str, day: date) -> str:
    """Name the month, quarter, half-year or year in which a day lies."""
    match MONTHS[cadence]:
        case 1:
            return f"{day.year}-{day.month:02}"
        case 12:
            return str(day.year)
        case months:
            return f"{day.year}-{'q' if months < 6 else 'h'}{(day.month - 1) // months + 1}"  # noqa: PLR2004 - a half-year


def following(cadence: str, day: date) -> date:
    """Return the same day of the next period, or the last one of a shorter month."""
    ahead = day.month - 1 + MONTHS[cadence]
    year, month = day.year + ahead // 12, ahead % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


@transaction.atomic
def save(
    slug: str,
    *,
    name: str,
    scope: Mapping[str, Any] | None = None,
    options: CampaignOptions = FULL,
    recurrence: Recurrence = BY_HAND,
    by: Person,
    reason: str = "",
) -> CampaignTemplate:
    """Save a template.

    Raises NameTaken, BadScope, BadCampaignOptions, FallbackUnfit, BadCadence, BadSpotChecks.
    """
    checked = scopes.check(scope or {})
    options.check()
    other_subjects.check(checked, options.kind)
    recurrence.check(options.kind)
    try:
        with transaction.atomic():
            template = CampaignTemplate.objects.create(
                slug=slug,
                name=name,
                scope=checked,
                owner=by,
                cadence=recurrence.cadence,
                next_on=recurrence.first_on,
                days=recurrence.days,
                spot_share=recurrence.spot_share,
                spot_days=recurrence.spot_days,
                created_at=clock.now(),
                **options.columns(),
            )
    except IntegrityError as error:
        raise NameTaken from error
    settings = {**asdict(options), **{name: getattr(recurrence, name) for name in _LOGGED}}
    detail = {"name": name, **settings, "scope": checked, "first_on": str(recurrence.first_on or "")}
    log.record(Action.CAMPAIGN_TEMPLATE_SAVED, about=_about(template), by=by.principal, reason=reason, detail=detail)
    return template


@transaction.atomic
def edit(
    slug: str,
    *,
    name: str,
    scope: Mapping[str, Any],
    options: CampaignOptions,
    recurrence: Recurrence,
    version: int,
    by: Person,
    reason: str = "",
) -> CampaignTemplate:
    """Change what a template makes from now on; its earlier campaigns stay. `by` becomes its owner.

    Raises NotFound, TemplateStopped, Stale (it is another version than was read), BadScope, BadCampaignOptions,
    FallbackUnfit, BadCadence, BadSpotChecks.
    """
    template = _locked(slug)
    if template.version != version:
        raise Stale(version=template.version)
    checked = scopes.check(scope)
    options.check()
    other_subjects.check(checked, options.kind)
    recurrence.check(options.kind)
    before = _settings(template)
    for field, value in options.columns().items():
        setattr(template, field, value)
    template.name, template.scope, template.owner = name, checked, by
    template.cadence, template.next_on, template.days = recurrence.cadence, recurrence.first_on, recurrence.days
    template.spot_share, template.spot_days = recurrence.spot_share, recurrence.spot_days
    template.refused, template.version = "", template.version + 1
    template.save()
    after = _settings(template)
    changed = {field: {"before": before[field], "after": now} for field, now in after.items() if now != before[field]}
    log.record(
        Action.CAMPAIGN_TEMPLATE_CHANGED,
        about=_about(template),
        by=by.principal,
        reason=reason,
        detail={"changed": changed},
    )
    return template


def _settings(template: CampaignTemplate) -> dict[str, Any]:
    """Return the settings of a template for the detail of an event."""
    recurrence = {**{name: getattr(template, name) for name in _LOGGED}, "next_on": str(template.next_on or "")}
    return {
        "name": template.name,
        "owner": template.owner.login,
        "scope": template.scope,
        **asdict(CampaignOptions.of(template)),
        **recurrence,
    }


@transaction.atomic
def stop(slug: str, *, by: Person, reason: str = "") -> CampaignTemplate:
    """Stop a template: it makes no more campaigns, and its earlier ones go on. Raises NotFound, TemplateStopped."""
    template = _locked(slug)
    template.stopped_at = clock.now()
    template.save(update_fields=["stopped_at"])
    log.record(Action.CAMPAIGN_TEMPLATE_STOPPED, about=_about(template), by=by.principal, reason=reason)
    return template


@dataclass(frozen=True, slots=True)
class CampaignDraft:
    """A campaign that a person drafts from a template: its name and due date, and the scope and options as changed."""

    slug: str
    name: str
    due_at: datetime
    scope: Mapping[str, Any]
    options: CampaignOptions


@transaction.atomic
def start(slug: str, *, by: Person, reason: str = "", draft: CampaignDraft | None = None) -> Campaign:
    """Draft a campaign from a template, by hand; a `draft` changes what it has of the template.

    Raises NotFound, TemplateStopped and what `campaigns.make` raises.
    """
    template = _locked(slug)
    if template.refused:
        template.refused = ""
        template.save(update_fields=["refused"])
    if draft is None:
        count = Campaign.objects.filter(template=template).count() + 1
        draft = _as_it_is(template, f"{template.slug}-{count}-{clock.now():%Y%m%d}", template.name)
    return _make(template, draft, by=by, reason=reason)


def launch_due() -> int:
    """Make and stage the campaigns that recur today, and begin the staged ones; returns how many were made."""
    today = clock.now().astimezone(UTC).date()
    due = CampaignTemplate.objects.filter(stopped_at=None, refused="", next_on__lte=today)
    try:
        counts = best_effort.for_each(
            due.order_by("next_on", "pk").values_list("pk", flat=True), lambda pk: _recur(pk, today)
        )
    finally:
        ready = Campaign.objects.filter(state=Campaign.State.STAGED).exclude(period="")
        best_effort.for_each(ready.select_related("owner").order_by("created_at", "pk"), _launch)
    return sum(counts)


def _recur(pk: int, today: date) -> int:
    with transaction.atomic():
        template = CampaignTemplate.objects.select_for_update(of=("self",)).select_related("owner").get(pk=pk)
        if template.stopped_at or template.refused or template.next_on is None or template.next_on > today:
            return 0  # another worker was quicker
        now = period(template.cadence, template.next_on)
        template.next_on = following(template.cadence, template.next_on)
        try:
            with transaction.atomic():
                _begin(template, now)
        except DomainError as refusal:
            template.refused = refusal.code
        if not template.owner.is_active:
            template.refused = OWNER_LEFT
        template.save(update_fields=["next_on", "refused"])
        return int(not template.refused)


def _begin(template: CampaignTemplate, now: str) -> None:
    if not template.owner.is_active:
        return
    reason = f"It recurs: {template.get_cadence_display().lower()}."
    draft = _as_it_is(template, f"{template.slug}-{now}", f"{template.name} {now}")
    campaign = _make(template, draft, by=template.owner, reason=reason, now=now)
    launch.stage(campaign.pk, by=template.owner, reason=reason)


def _launch(campaign: Campaign) -> None:
    if not campaign.owner.is_active:
        return
    if launch.is_overdue(campaign, clock.now()):
        pause.cancel(campaign.pk, by=campaign.owner, reason="Its due date passed before it could begin.")
        return
    if launch.is_stale(campaign, clock.now()):
        launch.stage(campaign.pk, by=campaign.owner, reason="What was taken is too old.")
        return
    launch.activate(campaign.pk, by=campaign.owner, reason="It recurs.", acknowledged=True)


def _as_it_is(template: CampaignTemplate, slug: str, name: str) -> CampaignDraft:
    due = datetime.combine((clock.now() + timedelta(days=template.days)).date(), time.max, UTC)
    return CampaignDraft(slug, name, due, template.scope, CampaignOptions.of(template))


def _make(template: CampaignTemplate, draft: CampaignDraft, *, by: Person, reason: str, now: str = "") -> Campaign:
    campaign = campaigns.make(
        draft.slug,
        name=draft.name,
        due_at=draft.due_at,
        scope=draft.scope,
        options=draft.options,
        by=by,
        reason=reason,
    )
    Campaign.objects.filter(pk=campaign.pk).update(template=template, period=now)
    if template.spot_share:
        plan.switch_on(campaign.pk, by=by, share=template.spot_share, days=template.spot_days, reason=reason)
    return campaign


@transaction.atomic
def duplicate(campaign: Campaign, slug: str, *, name: str, due_at: datetime, by: Person, reason: str = "") -> Campaign:
    """Draft a campaign with the scope and options of another. Raises what `campaigns.make` raises."""
    same = {"scope": campaign.scope, "options": CampaignOptions.of(campaign)}
    return campaigns.make(slug, name=name, due_at=due_at, **same, by=by, reason=reason)


def _locked(slug: str) -> CampaignTemplate:
    template = (
        CampaignTemplate.objects.select_for_update(of=("self",)).select_related("owner").filter(slug=slug).first()
    )
    if template is None:
        raise NotFound
    if template.stopped_at:
        raise TemplateStopped
    return template


def _about(template: CampaignTemplate) -> list[str]:
    return [f"template:{template.slug}", f"person:{template.owner.login}"]
