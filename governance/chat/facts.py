"""What a message may say about the thing that waits: who and what by name, the risk level, the due date.

The thing is found by the page that its notice leads to, and is read as it is when the message leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.clients.models import ClientCredential
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.break_glass.models import BreakGlassGrant
from governance.notices.models import Kind, Notice
from governance.ownership.models import OwnershipProposal
from governance.proposals import facts as changes
from governance.requests.models import AccessRequest
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment

WITHOUT_NAMES: Final[Mapping[str, Any]] = {
    Kind.REQUEST_WAITING: gettext_lazy("A request waits for you."),
    Kind.REVIEW_WAITING: gettext_lazy("An access review waits for you."),
    Kind.CREDENTIAL: gettext_lazy("A client waits for your decision."),
    Kind.OFFICE_PROPOSED: gettext_lazy("Ownership of an agent is proposed to you."),
    Kind.EMERGENCY: gettext_lazy("Break-glass access waits for your review."),
    Kind.TOOL_QUARANTINED: gettext_lazy("A quarantined tool waits for your review."),
    Kind.CHANGE_WAITING: gettext_lazy("A change waits for your decision."),
}
"""What a message says of each kind where names are hidden."""
OTHERWISE: Final = gettext_lazy("Something waits for your decision.")


@dataclass(frozen=True, slots=True)
class Facts:
    """`names` are pairs of a label and a name, which another person may have chosen; `risk` is "" where there is none.

    With `waits` false it was decided or ended meanwhile, and no message is needed.
    """

    names: tuple[tuple[str, str], ...] = ()
    risk: str = ""
    due: datetime | None = None
    waits: bool = True


_DONE: Final = Facts(waits=False)


def about(notice: Notice) -> Facts:
    """Return what is known about the thing that a notice leads to; nothing for a page that is not known here."""
    if notice.kind == Kind.CHANGE_WAITING:
        return _change(notice.about)
    try:
        page = resolve(notice.url.partition("?")[0].partition("#")[0])
    except Resolver404:
        return Facts()
    read = _READ.get(page.url_name or "")
    return read(notice.person, page.kwargs) if read else Facts()


def _request(_person: Person, page: Mapping[str, Any]) -> Facts:
    rows = AccessRequest.objects.select_related("agent", "entitlement", "requested_by")
    request = rows.filter(**page, state=AccessRequest.State.IN_APPROVAL).first()
    if request is None:
        return _DONE
    names = [(_("Agent"), request.agent.name), (_("Entitlement"), request.entitlement.name)]
    if request.requested_by is not None:
        names.append((_("Requested by"), request.requested_by.name))
    return Facts(tuple(names), request.risk, request.answer_by)


def _review(person: Person, page: Mapping[str, Any]) -> Facts:
    campaign = Campaign.objects.filter(slug=page["slug"]).first()
    if campaign is None:
        return _DONE
    mine = Assignment.objects.filter(
        item__campaign=campaign, item__state=ReviewItem.State.IN_REVIEW, state=Assignment.State.ASSIGNED
    )
    risks = {Risk(risk) for risk in mine.filter(reviewer=person).values_list("item__risk", flat=True).distinct()}
    risk = max(risks, key=lambda each: each.rank).value if risks else ""
    return Facts(((_("Review"), campaign.name),), risk, campaign.due_at, waits=mine.exists())


def _change(link: str) -> Facts:
    change = changes.find(link)
    return _DONE if change is None else Facts(((_("Change"), change.what), (_("Proposed by"), change.proposed_by)))


def _proposal(_person: Person, page: Mapping[str, Any]) -> Facts:
    rows = OwnershipProposal.objects.select_related("agent")
    proposal = rows.filter(**page, state=OwnershipProposal.State.WAITING).first()
    return _DONE if proposal is None else Facts(((_("Agent"), proposal.agent.name),), "", proposal.answer_by)


def _credential(_person: Person, page: Mapping[str, Any]) -> Facts:
    credential = ClientCredential.objects.select_related("agent").filter(**page).first()
    if credential is None or not credential.is_open:
        return _DONE
    names = ((_("Agent"), credential.agent.name), (_("Client"), credential.client_id))
    return Facts(names, "", credential.answer_by)


def _break_glass(_person: Person, page: Mapping[str, Any]) -> Facts:
    rows = BreakGlassGrant.objects.select_related("grant__agent", "grant__entitlement", "given_by")
    given = rows.filter(**page, verdict="").first()
    if given is None:
        return _DONE
    names = (
        (_("Agent"), given.grant.agent.name),
        (_("Entitlement"), given.grant.entitlement.name),
        (_("Given by"), given.given_by.name),
    )
    return Facts(names, Risk.CRITICAL.value, given.review_by)


_READ: Final[Mapping[str, Callable[[Person, Mapping[str, Any]], Facts]]] = {
    "request-page": _request,
    "review-work": _review,
    "review-one": _review,
    "proposal-page": _proposal,
    "credential-page": _credential,
    "emergency-page": _break_glass,
}
