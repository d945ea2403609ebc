"""Notices about questions: those that reviewers ask about an item, and those that an auditor asks about a review."""

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

from .audience import Message, Notifier, key


def _asked_about(event: Event) -> Iterator[Message]:
    """Tell the person asked and their out-of-office delegates of a question, and the person who asked of the answer."""
    people = ("asked_by", "asked_of", "answered_by")
    rows = ReviewQuestion.objects.select_related("item__campaign", "item__agent", *people)
    if (question := rows.filter(pk=event.key_uuid("question")).first()) is None:
        return
    item, about = question.item, f"question:{question.pk}"
    if event.action == Action.REVIEW_QUESTION_ASKED:
        sentence = _("%(who)s has a question for you about %(what)s, for an access review.")
        names = {"who": question.asked_by.name, "what": item.name}
        url = f"/review-questions/{question.pk}/"
        yield Message(Kind.REVIEW_WAITING, [question.asked_of], about, sentence % names, url)
        sentence = _("%(who)s has a question for %(of)s, whose out-of-office delegate you are, about %(what)s.")
        others = delegations.with_delegates(Person.objects.filter(pk=question.asked_of_id)).exclude(
            pk__in=[question.asked_of_id, *(account.pk for account in independence.accounts_of(question.asked_by))]
        )
        yield Message(Kind.REVIEW_WAITING, others, about, sentence % {**names, "of": question.asked_of.name}, url)
        return
    answerer = question.answerer or question.asked_of
    sentence = _("%(who)s answered your question about %(what)s.") % {"who": answerer.name, "what": item.name}
    url = f"/reviews/{item.campaign.slug}/items/{item.pk}/"
    yield Message(Kind.REVIEW_WAITING, [question.asked_by], about, sentence, url)


def _audited(event: Event) -> Iterator[Message]:
    """Tell a review's owner of an auditor's question, the auditor of the answer, and of evidence shared with them."""
    campaign = Campaign.objects.select_related("owner").filter(slug=key(event, "campaign")).first()
    if campaign is None:
        return
    about, url = f"campaign:{campaign.slug}", f"/reviews/{campaign.slug}/audit/"
    sentence, login = {
        Action.AUDIT_QUESTION_ASKED: (
            _("An auditor has a question about %(review)s. Answer within a working day."),
            None,
        ),
        Action.AUDIT_QUESTION_ANSWERED: (
            _("Your question about %(review)s was answered."),
            event.detail.text("asked_by"),
        ),
        Action.EVIDENCE_SHARED: (_("The evidence of %(review)s is shared with you."), key(event, "person")),
    }[Action(event.action)]
    people = [campaign.owner] if login is None else Person.objects.filter(login=login)
    yield Message(Kind.REVIEW_WAITING, people, about, sentence % {"review": campaign.name}, url)


NOTIFIERS: Final[Mapping[Action, Notifier]] = {
    Action.REVIEW_QUESTION_ASKED: _asked_about,
    Action.REVIEW_QUESTION_ANSWERED: _asked_about,
    **dict.fromkeys((Action.AUDIT_QUESTION_ASKED, Action.AUDIT_QUESTION_ANSWERED, Action.EVIDENCE_SHARED), _audited),
}
