"""What people do with policy domains, declared once for the doors."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.api.actions import Action, person
from entitlements.api.fields import ReasonInputSerializer
from entitlements.catalog.actions import SYSTEM
from entitlements.policy_domains import domains


class PolicyDomainInputSerializer(ReasonInputSerializer):
    """The document of a policy domain, and why it is loaded."""

    document = serializers.DictField(help_text="Types, subjects, resources and rules, as docs/operate/authzen.md says.")


LOAD = Action(
    "system-policy-domain",
    SYSTEM,
    domains.load,
    input=PolicyDomainInputSerializer,
    by=person,
    method="PUT",
    done=_("Loaded. Every question is answered by it from now on."),
)
