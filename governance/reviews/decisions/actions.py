"""What people do with one review item: each action declared once, for API and console."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from entitlements.access.caller import Caller
from entitlements.api.actions import Action, Performed, Sentence, Subject
from entitlements.api.fields import EmptyInputSerializer
from entitlements.people.models import Person
from governance.reviews.campaigns.actions import CAMPAIGN, ITEM, MaybeWhy, Why, reviewer
from governance.reviews.deadlines import restore
from governance.reviews.decisions import bulk, recall, submission
from governance.reviews.remediation import exceptions, remediation
from governance.reviews.remediation.models import Remediation
from governance.reviews.reviewers import assignment, claim


def _cuts(caller: Caller) -> QuerySet[Remediation]:
    return Remediation.objects.filter(decision__item__in=ITEM.rows(caller))


def _verify(decision_id: UUID, *, by: Person) -> Remediation:  # noqa: ARG001 - a look, which changes no decision
    return remediation.verify(decision_id)


def _restored(performed: Performed) -> Sentence:
    if performed.result:
        return _("This review no longer suspends the access. Another suspension is still in force.")
    return _("The access is restored.")


def _verified(performed: Performed) -> Sentence:
    is_verified = performed.result.state == Remediation.State.VERIFIED
    return _("The remediation is verified.") if is_verified else _("The verification failed again.")


CUT = Subject(_cuts, lambda cut: [f"decision:{cut.pk}"], by=reviewer, by_key=True)

SAVE_DRAFT = Action("review-item-draft", ITEM, submission.save_draft, input=None, method="PUT")
SUBMIT = Action("campaign-submissions", CAMPAIGN, submission.submit, input=None)
DRAFT_MANY = Action("campaign-bulk", CAMPAIGN, bulk.commit, input=None, by_key=False)
CLAIM = Action("review-item-claim", ITEM, claim.claim, input=MaybeWhy, done=_("The item is assigned to you."))
HAND_ON = Action(
    "review-item-hand-on",
    ITEM,
    assignment.hand_on,
    input=None,
    done=lambda performed: _("%(name)s is the reviewer now.") % {"name": performed.values["to"].name},
)
RECALL = Action(
    "review-item-recall",
    ITEM,
    recall.recall,
    input=MaybeWhy,
    done=_("The decision is recalled: it is a draft again, and the access it changed is restored."),
)
REOPEN = Action("review-item-reopen", ITEM, recall.reopen, input=Why, done=_("The item is open again."))
RESTORE = Action("review-item-restore", ITEM, restore.restore, input=Why, done=_restored)
RETRY = Action("review-cut-retry", CUT, _verify, input=EmptyInputSerializer, done=_verified)
EXCEPT = Action(
    "review-cut-except", CUT, exceptions.make, input=None, done=_("The exception is in force until that day.")
)
