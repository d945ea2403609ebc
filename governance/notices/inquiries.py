"""What those are told who are asked about a review or an item of it, and who asked: by its auditor, by a reviewer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from django.utils.translation import gettext as _

from audit.actions import Action
from audit.models import Event
from entitlements.conflicts import independence
from entitlements.people.models import Person
from governance.notices.models import Kind
from governance.out_of_office import delegations
from governance.reviews.campaigns.models import Campaign
from governance.reviews.discussion.models import ReviewQuestion

from .audience import Teller, Told, key


def _asked_about(event: Event) -> Iterator[Told]:
    """Tell whoever is asked, and who stands in for her, of the question, and whoever put it of the answer."""
    people = ("asked_by", "asked_of", "answered_by")
    rows = ReviewQuestion.objects.select_related("item__campaign", "item__agent", *people)
    if (question := rows.filter(pk=key(event, "question")).first()) is None:
        return
    item, about = question.item, f"question:{question.pk}"
    if event.action == Action.REVIEW_QUESTION_ASKED:
        said = _("%(who)s asks you about %(what)s before answering a review.")
        told = {"who": question.asked_by.name, "what": item.name}
        url = f"/review-questions/{question.pk}/"
        yield Told(Kind.REVIEW_WAITING, [question.asked_of], about, said % told, url)
        said = _("%(who)s asks %(of)s, in whose place you answer, about %(what)s.")
        others = delegations.with_delegates(Person.objects.filter(pk=question.asked_of_id)).exclude(
            pk__in=[question.asked_of_id, *(each.pk for each in independence.accounts_of(question.asked_by))]
        )
        yield Told(Kind.REVIEW_WAITING, others, about, said % {**told, "of": question.asked_of.name}, url)
        return
    who = question.answerer or question.asked_of
    said = _("%(who)s answered your question about %(what)s.") % {"who": who.name, "what": item.name}
    url = f"/reviews/{item.campaign.slug}/items/{item.pk}/"
    yield Told(Kind.REVIEW_WAITING, [question.asked_by], about, said, url)


def _audited(event: Event) -> Iterator[Told]:
    """Tell the owner of a review what its auditor asks, the auditor the answer, and whom evidence is shared with."""
    campaign = Campaign.objects.select_related("owner").filter(slug=key(event, "campaign")).first()
    if campaign is None:
        return
    about, url = f"campaign:{campaign.slug}", f"/reviews/{campaign.slug}/audit/"
    said, people = {
        Action.AUDIT_QUESTION_ASKED: (_("An auditor asks about %(review)s; answer within a working day."), None),
        Action.AUDIT_QUESTION_ANSWERED: (
            _("Your question about %(review)s was answered."),
            event.detail.get("asked_by"),
        ),
        Action.EVIDENCE_SHARED: (_("The evidence of %(review)s is shared with you."), key(event, "person")),
    }[Action(event.action)]
    told = [campaign.owner] if people is None else Person.objects.filter(login=people)
    yield Told(Kind.REVIEW_WAITING, told, about, said % {"review": campaign.name}, url)


TELLERS: Final[Mapping[Action, Teller]] = {
    Action.REVIEW_QUESTION_ASKED: _asked_about,
    Action.REVIEW_QUESTION_ANSWERED: _asked_about,
    **dict.fromkeys((Action.AUDIT_QUESTION_ASKED, Action.AUDIT_QUESTION_ANSWERED, Action.EVIDENCE_SHARED), _audited),
}
