"""Access requests in the back office: approve, with narrowing, and deny."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.access.caller import Caller
from entitlements.catalog.models import Tool
from entitlements.errors import Malformed
from governance.approvals import actions as approval_actions
from governance.approvals.models import Approval
from governance.console import doors
from governance.console.limits.narrowing_fields import Given
from governance.requests import actions, queries, requests
from governance.requests.models import AccessRequest
from governance.sod import check

from .act_admin import ActAdmin
from .acts import Act
from .narrow_form import NarrowingForm


class WaitsForMe(admin.SimpleListFilter):
    """The requests that wait for the person at the page."""

    title, parameter_name = gettext_lazy("waits for"), "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ANN401, ARG002 - Django's
        """Offer the person themselves."""
        return [("me", gettext_lazy("Me"))]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Keep what waits for the person."""
        if self.value() != "me":
            return rows
        return rows.filter(pk__in=requests.stages_for(doors.person(request)).values("request"))


class DenyForm:
    """Why in a word, and the version that was read."""

    template = "admin/deny.html"

    def fields(self, row: AccessRequest, prefix: str, data: QueryDict | None) -> dict[str, Any]:  # noqa: ARG002 - as others
        """Return the words to choose from."""
        return {"words": Approval.Because.choices, "because": data.get(f"{prefix}because", "") if data else ""}

    def read(self, row: AccessRequest, prefix: str, data: QueryDict) -> dict[str, Any]:  # noqa: ARG002 - as others
        """Return the word, the reason and the version. Raises Malformed for another word."""
        because = data.get(f"{prefix}because", "")
        if because and because not in Approval.Because.values:
            raise Malformed
        return {
            "because": because,
            "reason": data.get("reason", "").strip()[:500],
            "expected_version": doors.number(data.get(f"{prefix}version", "")),
        }


def _asked(request: AccessRequest) -> Given:
    lines = [(line.tool, line.row.limits) for line in queries.lines(request) if line.row.kept]
    return Given(lines, request.lasts)


def _waits(request: AccessRequest) -> bool:
    return request.state == AccessRequest.State.IN_APPROVAL


def _may_answer(_act: Act, caller: Caller, request: AccessRequest) -> bool:
    """Whether the request waits for the caller: no admin role answers one."""
    return caller.human is not None and queries.waits_for(request, caller.human)


APPROVE = Act(
    "approve",
    approval_actions.APPROVE,
    gettext_lazy("Approve"),
    gettext_lazy("The access begins once all approvers have agreed. Take away what is not needed first."),
    gettext_lazy("Approved"),
    _waits,
    form=NarrowingForm(_asked, "expected_version"),
    needs_reason=False,
    may=_may_answer,
)
DENY = Act(
    "deny",
    approval_actions.DENY,
    gettext_lazy("Deny"),
    gettext_lazy("The request ends, and the requester reads the reason."),
    gettext_lazy("Denied"),
    _waits,
    form=DenyForm(),
    is_last=True,
    may=_may_answer,
)


class AccessRequestAdmin(ActAdmin):
    """Requests."""

    subject, console_page, acts = actions.REQUEST, "request-page", (APPROVE, DENY)
    list_display = ("label", "requester", "risk", "state", "asked_at", "decided_at")
    ordering = ("-asked_at", "-id")
    list_filter = (WaitsForMe, "state", "risk")
    search_fields = ("id", "agent__slug", "entitlement__scope")
    list_select_related = ("agent__sponsor", "agent__owner", "entitlement__system__owner", "requested_by")
    more = ("id", "agent", "entitlement", "reason", "asked_lasts", "lasts", "answer_by", "grant_id", "trace")

    @admin.display(description=gettext_lazy("requested by"), ordering="requested_as")
    def requester(self, row: AccessRequest) -> str:
        """Return the name of the person who asked, or which agent did."""
        return row.requested_by.name if row.requested_by else row.requested_as

    @admin.display(description=gettext_lazy("What"))
    def label(self, row: AccessRequest) -> str:
        """Say who asks for what."""
        return _("%(agent)s asks for %(entitlement)s") % {"agent": row.agent.name, "entitlement": row.entitlement.name}

    def facts(self, row: AccessRequest) -> list[tuple[str, Any]]:
        """Return what an approver must know."""
        people = [person.name for person in row.people.all()] + [group.name for group in row.groups.all()]
        violated = [each.rule.sentence for each in check.violations_of_request(row)] if _waits(row) else []
        return [
            (_("State"), row.get_state_display()),
            (_("Risk level"), Tool.Risk(row.risk).label),
            (_("Requested by"), self.requester(row)),
            (_("Acts for"), ", ".join(people) or _("no person")),
            (_("Business justification"), row.reason),
            *((_("Violates the SoD policy"), sentence) for sentence in violated),
        ]

    def has_relations(self, caller: Caller, act: Act) -> bool:
        """Whether any request waits for the person."""
        return caller.human is not None and bool(act) and requests.stages_for(caller.human).exists()
