"""Events in sentences: what the actor did, in the words of the vocabulary. Its name stands beside."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

_NOUNS: Final = {
    "grant": gettext_lazy("access"),
    "request": gettext_lazy("access request"),
    "campaign": gettext_lazy("access review"),
    "campaign_template": gettext_lazy("review template"),
    "break_glass": gettext_lazy("break-glass access"),
    "api_token": gettext_lazy("API token"),
    "sod_policy": gettext_lazy("SoD policy"),
    "sod_exception": gettext_lazy("SoD exception"),
    "token_family": gettext_lazy("sign-in"),
    "evaluation": gettext_lazy("call"),
    "issuer": gettext_lazy("trusted issuer"),
    "path": gettext_lazy("path to a system"),
    "auto_approval_rule": gettext_lazy("auto-approval rule"),
    "audit_log": gettext_lazy("audit log"),
    "out_of_office": gettext_lazy("out-of-office delegate"),
}
_PHRASES: Final = {
    "request.submitted": gettext_lazy("requested access"),
    "request.cancelled": gettext_lazy("withdrew the access request"),
    "request.narrowed": gettext_lazy("narrowed the access request"),
    "request.expired": gettext_lazy("closed the access request without a decision"),
    "request.question_asked": gettext_lazy("asked about the access request"),
    "request.question_answered": gettext_lazy("answered about the access request"),
    "approval.given": gettext_lazy("approved the access request"),
    "approval.denied": gettext_lazy("denied the access request"),
    "approval.given_by_rule": gettext_lazy("auto-approved the access request"),
    "approval.reassigned": gettext_lazy("reassigned the approval"),
    "approval.rerouted": gettext_lazy("rerouted the approval"),
    "approval.escalated": gettext_lazy("escalated the approval"),
    "grant.issued": gettext_lazy("granted access"),
    "grant.revoked": gettext_lazy("revoked access"),
    "grant.suspended": gettext_lazy("suspended access"),
    "grant.restored": gettext_lazy("restored access"),
    "grant.reduced": gettext_lazy("reduced access"),
    "grant.expired": gettext_lazy("ended access that expired"),
    "call.allowed": gettext_lazy("called a tool"),
    "call.denied": gettext_lazy("was denied a call"),
    "call.finished": gettext_lazy("finished a call"),
    "call.withdrawn": gettext_lazy("withdrew a held call"),
    "call.indeterminate": gettext_lazy("made a call without a known end"),
    "evaluation.allowed": gettext_lazy("was allowed a call"),
    "evaluation.denied": gettext_lazy("was denied a call"),
    "evaluation.searched": gettext_lazy("searched for what is allowed"),
    "policy_domain.loaded": gettext_lazy("loaded a policy domain"),
    "attempt.refused": gettext_lazy("was refused"),
    "token.issued": gettext_lazy("received a token"),
    "token.refused": gettext_lazy("was refused a token"),
    "session.begun": gettext_lazy("began a session"),
    "what_if.asked": gettext_lazy("asked what a change would deny"),
    "session.ended": gettext_lazy("ended a session"),
    "connection.begun": gettext_lazy("opened a connection"),
    "connection.ended": gettext_lazy("closed a connection"),
    "person.signed_in": gettext_lazy("signed in"),
    "sign_in.agreed": gettext_lazy("signed in at a client"),
    "tool_list.shown": gettext_lazy("was shown its tools"),
    "authentication.failed": gettext_lazy("failed to authenticate"),
    "kill_switch.engaged": gettext_lazy("engaged the kill switch"),
    "kill_switch.released": gettext_lazy("released the kill switch"),
    "revocation.committed": gettext_lazy("committed a revocation"),
    "revocation.ends_signed": gettext_lazy("signed how tokens of other servers ended"),
    "foreign_token.measured": gettext_lazy("measured the end of tokens of another server"),
    "revocation.settled": gettext_lazy("settled a revocation"),
    "revocation.proven": gettext_lazy("proved a revocation"),
    "drill.committed": gettext_lazy("began a drill"),
    "drill.settled": gettext_lazy("settled a drill"),
    "review.decided": gettext_lazy("decided a review item"),
    "review.abstained": gettext_lazy("abstained on a review item"),
    "review.reassigned": gettext_lazy("reassigned a review item"),
    "review.claimed": gettext_lazy("claimed a review item"),
    "review.not_answered": gettext_lazy("closed a review item without a decision"),
    "campaign.made": gettext_lazy("created the access review"),
    "campaign.staging": gettext_lazy("began to stage the access review"),
    "campaign.activated": gettext_lazy("launched the access review"),
    "campaign.closing": gettext_lazy("began to close the access review"),
    "campaign.reminded": gettext_lazy("reminded the reviewers"),
    "agent.made": gettext_lazy("registered the agent"),
    "agent.kept": gettext_lazy("kept the agent"),
    "agent.dormant": gettext_lazy("found the agent dormant"),
    "agent.sponsor_changed": gettext_lazy("changed the sponsor of the agent"),
    "agent.owner_changed": gettext_lazy("changed the technical owner of the agent"),
    "agent.backup_changed": gettext_lazy("changed the backup owner of the agent"),
    "agent.ownership_proposed": gettext_lazy("proposed an owner of the agent"),
    "agent.ownership_declined": gettext_lazy("declined ownership of the agent"),
    "person.role_assigned": gettext_lazy("assigned an admin role"),
    "person.role_removed": gettext_lazy("removed an admin role"),
    "person.role_ended": gettext_lazy("ended an admin role"),
    "audit_log.exported": gettext_lazy("exported the audit log"),
    "break_glass.declared": gettext_lazy("declared break-glass access"),
    "subject.erased": gettext_lazy("erased personal data"),
    "producer.ended": gettext_lazy("ended an event producer"),
}
_VERBS: Final = {"made": gettext_lazy("created"), "set": gettext_lazy("set"), "found": gettext_lazy("found")}


def sentence_of(action: str) -> Any:  # noqa: ANN401 - a lazy translation, or a text
    """Return what an event says that its actor did: "revoked access"."""
    if action in _PHRASES:
        return _PHRASES[action]
    subject, _dot, happened = action.partition(".")
    noun = _NOUNS.get(subject, subject.replace("_", " "))
    if happened in _VERBS or ("_" not in happened and happened.endswith(("ed", "wn"))):
        return _("%(verb)s the %(noun)s") % {"verb": _VERBS.get(happened, happened), "noun": noun}
    return f"{noun}: {happened.replace('_', ' ')}"
