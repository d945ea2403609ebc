"""The back office of floor 3: requests and their answers to look at. Answering them is for the console and the API."""

from __future__ import annotations

from django.contrib import admin

from entitlements.admin import ReadOnlyAdmin

from . import models


@admin.register(models.AccessRequest)
class AccessRequestAdmin(ReadOnlyAdmin):
    """Requests."""

    list_display = ("id", "agent", "entitlement", "requested_as", "risk", "state", "asked_at", "decided_at")
    list_filter = ("state", "risk")
    search_fields = ("id", "agent__slug", "entitlement__scope")
    list_select_related = ("agent", "entitlement")
    more = ("reason", "asked_lasts", "lasts", "answer_by", "grant_id", "trace")


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


@admin.register(models.Campaign)
class CampaignAdmin(ReadOnlyAdmin):
    """Access reviews."""

    list_display = ("slug", "name", "state", "owner", "due_at", "snapshot_at", "population_rows", "closed_at")
    list_filter = ("state",)
    search_fields = ("slug", "name")
    list_select_related = ("owner",)
    more = ("kind", "scope", "scope_sha256", "population_sha256", "state_reason")


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
