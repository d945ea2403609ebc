"""What people and programs do with workload rules: each action declared once, for API and console."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.actions import NEW, Action, Performed, Sentence, Subject
from entitlements.api.fields import InputSerializer, StopInputSerializer, Text
from entitlements.words import LONGEST_CLIENT_ID
from entitlements.workload_identity import platforms, workload_rules
from entitlements.workload_identity.models import WorkloadRule


class WorkloadRuleInputSerializer(InputSerializer):
    """A new workload rule: tokens of the issuer with these claims are for the client. A value may end in `/*`."""

    client = Text(max_length=LONGEST_CLIENT_ID)
    issuer = Text(max_length=300)
    platform = serializers.ChoiceField(choices=WorkloadRule.Platform.choices)
    claims = serializers.DictField(child=Text(max_length=platforms.LONGEST))
    reason = Text(max_length=500, default="", allow_blank=True)


def _client(rule: WorkloadRule) -> Any:  # noqa: ANN401 - what the caller's relation is looked for on
    return rule.client


def _proposed(done: Performed) -> Sentence:
    if done.result.waiting is not None:
        return _("Asked. It works once the sponsor or an owner of the agent accepts it.")
    return _("The workload gets the agent's token from now on.")


RULE = Subject(visibility.workload_rules, workload_rules.about, permitted_on=_client, by_key=True)

PROPOSE = Action("workload-rules", NEW, workload_rules.propose, input=WorkloadRuleInputSerializer, done=_proposed)
END = Action(
    "workload-rule-end",
    RULE,
    workload_rules.end,
    input=StopInputSerializer,
    stops="workload_rule",
    done=_("Ended. The tokens of the workload are revoked, and it gets no new ones."),
)
