"""What people do about who must approve: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Text
from governance.approval_policies import policies
from governance.approval_policies.models import AutoApproval, AutoApprovalRule, PolicyProposal
from governance.approvals import auto_approval, auto_approval_checks


class AutoApprovalReviewInputSerializer(InputSerializer):
    """Whether it stays, and why."""

    verdict = serializers.ChoiceField(choices=AutoApproval.Verdict.choices)
    reason = Text(max_length=500)


PROPOSAL = Subject(
    lambda _caller: PolicyProposal.objects.select_related("entitlement", "proposed_by", "confirmed_by"),
    policies.about,
    by=person,
    by_key=True,
)
RULE = Subject(
    lambda _caller: AutoApprovalRule.objects.select_related("entitlement", "group", "proposed_by", "confirmed_by"),
    auto_approval.about,
    by=person,
    by_key=True,
)
AUTO_APPROVAL = Subject(
    lambda _caller: AutoApproval.objects.select_related("request__agent", "request__entitlement", "looked_by"),
    lambda given: [f"request:{given.request_id}", f"agent:{given.request.agent.slug}"],
    by=person,
    by_key=True,
)

PROPOSE = Action(
    "policy-proposals", NEW, policies.propose, input=None, by=person, done=_("Proposed. Another person confirms it.")
)
CONFIRM = Action(
    "policy-proposal-confirm", PROPOSAL, policies.KIND.confirm, done=_("In force for all that is asked from now on.")
)
WITHDRAW = Action("policy-proposal-withdraw", PROPOSAL, policies.KIND.withdraw, done=_("Withdrawn."))

PROPOSE_RULE = Action(
    "auto-approval-rules",
    NEW,
    auto_approval.propose,
    input=None,
    by=person,
    done=_("Proposed. Somebody of security confirms it."),
)
CONFIRM_RULE = Action("auto-approval-rule-confirm", RULE, auto_approval.KIND.confirm, done=_("In force from now on."))
WITHDRAW_RULE = Action("auto-approval-rule-withdraw", RULE, auto_approval.KIND.withdraw, done=_("Withdrawn."))
END_RULE = Action(
    "auto-approval-rule-end", RULE, auto_approval.KIND.end, done=_("It approves nothing more. What it approved stays.")
)
REVIEW = Action(
    "auto-approval-look",
    AUTO_APPROVAL,
    auto_approval_checks.look,
    input=AutoApprovalReviewInputSerializer,
    done=lambda performed: (
        _("Taken back.") if performed.values["verdict"] == AutoApproval.Verdict.REVOKE else _("Kept.")
    ),
)
