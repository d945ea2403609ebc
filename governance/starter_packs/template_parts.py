"""Review templates of a pack: what is there under their short names, and what a review of each would have today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit import clock
from entitlements.people.models import Person
from governance.reviews.population import scope_words, scopes, snapshot
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.staging import preview as staging_preview
from governance.reviews.staging.preview import Preview
from governance.reviews.templates.models import CampaignTemplate
from governance.reviews.templates.templates import Recurrence, following

from .packs import TemplatePart
from .planned import Act, Planned, Standing, differences


def plan(part: TemplatePart) -> Planned:
    """Hold a template against the one with its short name; a retired one blocks it."""
    row = CampaignTemplate.objects.select_related("fallback_group", "owner").filter(slug=part.slug).first()
    values: dict[str, Any] = {"name": part.name, "scope": scopes.check(part.scope), "options": part.options}
    now, pack = _texts(row) if row else {}, _pack_texts(part)
    if row is None:
        standing, act, values = Standing.NEW, Act.SAVE_TEMPLATE, {"slug": part.slug, **values}
    else:
        standing = Standing.CHANGED if _settings(row) != _pack_settings(part) else Standing.IN_PLACE
        standing = Standing.BLOCKED if row.stopped_at else standing
        act, values = Act.EDIT_TEMPLATE, {**values, "version": row.version}
    return Planned(
        f"review-template:{part.slug}",
        part.name,
        part,
        standing,
        act,
        {**values, "recurrence": _recurrence(part, row)},
        row=row,
        existing=row,
        differences=differences(now, pack) if row else (),
    )


def preview(part: TemplatePart, *, by: Person) -> Preview:
    """Preview a review from the template as if it began now, as New review does."""
    return staging_preview.preview(part.scope, part.options, by=by)


def size(part: TemplatePart) -> int:
    """Count the rows that the population of a review from the template would have now."""
    return snapshot.count(scopes.check(part.scope), part.options.kind, clock.now())


def _recurrence(part: TemplatePart, row: CampaignTemplate | None) -> Recurrence:
    """Return how the template recurs: next when it did before, else a period from today."""
    if part.cadence == CampaignTemplate.Cadence.NONE:
        first_on = None
    elif row is not None and row.cadence == part.cadence:
        first_on = row.next_on
    else:
        first_on = following(part.cadence, clock.now().date())
    return Recurrence(part.cadence, first_on, part.days, part.spot_share)


def _settings(row: CampaignTemplate) -> tuple[object, ...]:
    return (row.name, row.scope, CampaignOptions.of(row), row.cadence, row.days, row.spot_share)


def _pack_settings(part: TemplatePart) -> tuple[object, ...]:
    return (part.name, scopes.check(part.scope), part.options, part.cadence, part.days, part.spot_share)


def _texts(row: CampaignTemplate) -> dict[str, str]:
    return _said(row.name, row.scope, CampaignOptions.of(row), row.cadence, row.days, row.spot_share)


def _pack_texts(part: TemplatePart) -> dict[str, str]:
    return _said(part.name, part.scope, part.options, part.cadence, part.days, part.spot_share)


def _said(
    name: str, scope: Mapping[str, Any], options: CampaignOptions, cadence: str, days: int, share: int
) -> dict[str, str]:
    strategies = ", ".join(f"{risk}: {strategy}" for risk, strategy in sorted(options.strategies.items()))
    return {
        _("Name"): name,
        _("Scope"): scope_words.sentence(scope, options.kind),
        _("Repeats"): str(CampaignTemplate.Cadence(cadence).label),
        _("Days to decide"): ngettext("%(n)d day", "%(n)d days", days) % {"n": days},
        _("Spot checks"): f"{share} %",
        _("Framework"): options.framework,
        _("Mode"): options.mode,
        _("Reviewers by risk level"): strategies or _("as the product sets"),
        _("Fallback group"): options.fallback_group or _("none"),
        _("Its owner reviews items without a reviewer"): _("yes") if options.asks_owner else _("no"),
    }
