"""What approvers do with a request: each action declared once, for API and console."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext_lazy as _

from entitlements.access import reauthentication
from entitlements.api.actions import Action, Performed, Sentence
from entitlements.people.models import Person
from governance.approvals import approvals, questions, reassign
from governance.requests.actions import REQUEST, approver
from governance.requests.models import AccessRequest


def _reassign(request_id: UUID, *, by: Person, to: str, reason: str, expected_version: int | None) -> AccessRequest:
    """Pass an answer on to a login. The refusal does not reveal which logins exist."""
    person = Person.objects.filter(login=to).first()
    if person is None:
        raise reassign.NotEligible
    return reassign.reassign(request_id, by=by, to=person, reason=reason, expected_version=expected_version)


def _approved(performed: Performed) -> Sentence:
    if performed.result.grant_id:
        return _("Approved. The access is in force until it ends.")
    return _("Approved. Other approvers must decide before the access is in force.")


APPROVE = Action(
    "request-approve",
    REQUEST,
    approvals.approve,
    input=None,
    by=approver,
    weighs=lambda request: request.risk in reauthentication.HIGH,
    done=_approved,
)
DENY = Action(
    "request-deny", REQUEST, approvals.deny, input=None, by=approver, done=_("Denied. The requester sees why.")
)
ASK = Action(
    "request-question",
    REQUEST,
    questions.ask,
    input=None,
    by=approver,
    done=_("Question sent. You get a notice when it is answered; the request is still due at the same time."),
)
ANSWER = Action("request-question-answer", REQUEST, questions.answer, input=None, done=_("Answered."))
REASSIGN = Action(
    "request-reassign", REQUEST, _reassign, input=None, by=approver, done=_("Reassigned. It no longer waits for you.")
)
