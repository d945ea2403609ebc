"""What a requester does with a request that was made: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.api.actions import Action
from entitlements.grants.actions import GRANT
from governance.request_changes import appeal, edit, renewal
from governance.requests.actions import REQUEST, in_session, may_request

EDIT = Action(
    "request", REQUEST, edit.edit, input=None, method="PATCH", done=_("Changed. All approvers must decide again.")
)
APPEAL = Action(
    "request-appeal",
    REQUEST,
    in_session(appeal.appeal),
    input=None,
    by=may_request,
    done=_("Appealed. Other approvers decide now, security among them."),
)
GIVE_BACK = Action(
    "request-give-back", REQUEST, appeal.give_back, input=None, done=_("Given back. The access has ended.")
)
RENEW = Action(
    "grant-renew",
    GRANT,
    in_session(renewal.renew),
    input=None,
    by=may_request,
    done=_("Requested. The access continues without a gap once all approvers have approved."),
)
ASK_AGAIN = Action(
    "request-again",
    REQUEST,
    in_session(renewal.ask_again),
    input=None,
    by=may_request,
    done=_("Requested again with the same terms. This page shows who must approve."),
)
