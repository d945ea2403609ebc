"""What people do with campaign templates: each action declared once, for API and console."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from entitlements.api.actions import NEW, Action, Subject
from governance.reviews.campaigns.actions import CAMPAIGN, MaybeWhy, reviewer
from governance.reviews.campaigns.models import Campaign
from governance.reviews.templates import templates
from governance.reviews.templates.models import CampaignTemplate


def _edit(template: CampaignTemplate, **values: Any) -> CampaignTemplate:  # noqa: ANN401 - the fields
    return templates.edit(template.slug, **values)


def _start(template: CampaignTemplate, **values: Any) -> Campaign:  # noqa: ANN401 - as above
    return templates.start(template.slug, **values)


def _stop(template: CampaignTemplate, **values: Any) -> CampaignTemplate:  # noqa: ANN401 - as above
    return templates.stop(template.slug, **values)


TEMPLATE = Subject(
    lambda _caller: CampaignTemplate.objects.select_related("owner", "fallback_group"),
    lambda template: [f"template:{template.slug}"],
    ("slug",),
    by=reviewer,
)

SAVE = Action("campaign-templates", NEW, templates.save, input=None, by=reviewer)
EDIT = Action("campaign-template", TEMPLATE, _edit, input=None, method="PATCH", done=_("The template is saved."))
START = Action("campaign-template-start", TEMPLATE, _start, input=MaybeWhy)
STOP = Action(
    "campaign-template-stop",
    TEMPLATE,
    _stop,
    input=MaybeWhy,
    done=_("The template is retired. It makes no more reviews."),
)
DUPLICATE = Action("campaign-duplicate", CAMPAIGN, templates.duplicate, input=None, by_key=False)
