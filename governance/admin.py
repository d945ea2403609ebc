"""The back office: rows that are acted on, with the acts of console and API, and rows of floor 3 to look at."""

from __future__ import annotations

from django.contrib import admin

from entitlements.admin import ReadOnlyAdmin
from entitlements.agents.models import Agent
from entitlements.catalog.models import System, Tool
from entitlements.grants.models import Grant

from . import models
from .back_office.access_requests import AccessRequestAdmin
from .back_office.agents import AgentAdmin
from .back_office.campaigns import CampaignAdmin
from .back_office.grants import GrantAdmin
from .back_office.systems import SystemAdmin
from .back_office.tools import ToolAdmin

admin.site.register(models.AccessRequest, AccessRequestAdmin)
admin.site.register(Grant, GrantAdmin)
admin.site.register(Agent, AgentAdmin)
admin.site.register(System, SystemAdmin)
admin.site.register(Tool, ToolAdmin)
admin.site.register(models.Campaign, CampaignAdmin)


@admin.register(models.Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    """Answers, and why these people were asked."""

    list_display = ("request", "position", "stage", "answer", "by", "answered_at")
    list_filter = ("stage", "answer")
    search_fields = ("request__id", "by__login")
    list_select_related = ("request", "by")
    more = ("reason", "resolution")


@admin.register(models.ApprovalPolicy)
class ApprovalPolicyAdmin(ReadOnlyAdmin):
    """Versions of approval policies."""

    list_display = ("entitlement", "number", "stages", "answer_within", "created_at", "created_by")
    list_select_related = ("entitlement",)


@admin.register(models.ReviewDecision)
class ReviewDecisionAdmin(ReadOnlyAdmin):
    """What reviewers decided."""

    list_display = ("item", "verb", "reason_code", "decided_by", "decided_at", "via")
    list_filter = ("verb", "via")
    search_fields = ("id", "decided_by__login")
    list_select_related = ("item", "decided_by")
    more = ("comment", "supersedes")


@admin.register(models.Remediation)
class RemediationAdmin(ReadOnlyAdmin):
    """Removals and their proofs."""

    list_display = ("decision", "action", "state", "applied_at", "verified_at", "residual_until", "attempts")
    list_filter = ("state",)
    list_select_related = ("decision",)
    more = ("probe", "due_at")
