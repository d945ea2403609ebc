"""Access reviews in the back office: launch and close."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.api.actions import Performed
from governance.reviews.campaigns import actions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.pages import lifecycle
from governance.reviews.items.models import ReviewItem
from governance.reviews.staging.queries import launch

from .act_admin import ActAdmin
from .acts import Act


class LaunchForm:
    """What a person confirms who begins a campaign: its name where it is large, and that items are unassigned."""

    template = "admin/launch.html"

    def fields(self, row: Campaign, prefix: str, data: QueryDict | None) -> dict[str, Any]:
        """Return what its page in the console says before it begins."""
        seen = launch.context(row, count=False)
        typed = data.get(f"{prefix}typed", "") if data else ""
        return {"unresolved": seen.get("unresolved_now", 0), "must_type": seen.get("must_type", False), "typed": typed}

    def read(self, row: Campaign, prefix: str, data: QueryDict) -> dict[str, Any]:  # noqa: ARG002 - as others
        """Return what was confirmed, and why it begins."""
        return {
            "acknowledged": f"{prefix}acknowledged" in data,
            "typed": data.get(f"{prefix}typed", ""),
            "reason": data.get("reason", "").strip()[:500],
        }


class CloseForm:
    """Whether open items stay unanswered."""

    template = "admin/close.html"

    def fields(self, row: Campaign, prefix: str, data: QueryDict | None) -> dict[str, Any]:
        """Return how many items are open."""
        still_open = ReviewItem.objects.filter(campaign=row, state=ReviewItem.State.IN_REVIEW).count()
        return {"open": still_open, "without_answer": bool(data and f"{prefix}without_answer" in data)}

    def read(self, row: Campaign, prefix: str, data: QueryDict) -> dict[str, Any]:  # noqa: ARG002 - as others
        """Return the reason, and whether open items stay unanswered."""
        return {
            "reason": data.get("reason", "").strip()[:500],
            "without_answer": f"{prefix}without_answer" in data,
        }


def _launch(request: HttpRequest, _act: Act, campaign: Campaign, values: dict[str, Any] | None) -> Performed:
    """Begin a campaign as its page in the console does."""
    return lifecycle.begin(request, campaign, **(values or {}), say=False)


LAUNCH = Act(
    "launch",
    actions.ACTIVATE,
    gettext_lazy("Launch"),
    gettext_lazy("The list is frozen and hashed, and each item goes to its reviewer. Nobody's access changes by it."),
    gettext_lazy("Launched"),
    lambda campaign: campaign.state in (Campaign.State.DRAFT, Campaign.State.STAGED),
    form=LaunchForm(),
    needs_reason=False,
    run=_launch,
)
CLOSE = Act(
    "close",
    actions.CLOSE,
    gettext_lazy("Close"),
    gettext_lazy("No decision can be recalled any more. It is closed once every removal is verified."),
    gettext_lazy("Closed"),
    lambda campaign: campaign.state == Campaign.State.ACTIVE,
    form=CloseForm(),
)


class CampaignAdmin(ActAdmin):
    """Access reviews."""

    subject, console_page, acts = actions.CAMPAIGN, "review-page", (LAUNCH, CLOSE)
    list_display = ("slug", "name", "state", "owner", "due_at", "snapshot_at", "population_rows", "closed_at")
    list_filter = ("state",)
    search_fields = ("slug", "name")
    list_select_related = ("owner",)
    more = ("kind", "scope", "scope_sha256", "population_sha256", "state_reason")

    def facts(self, row: Campaign) -> list[tuple[str, Any]]:
        """Return who runs it and until when."""
        return [
            (_("State"), row.get_state_display()),
            (_("Owner"), row.owner.name),
            (_("Due"), row.due_at),
            (_("Accesses"), row.population_rows if row.population_rows is not None else _("not counted yet")),
        ]
