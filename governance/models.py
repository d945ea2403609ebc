"""The rows of floor 3: how people change their minds.

Django looks for the rows of an app here; nothing else imports this module.
"""

from governance.approval_policies.models import ApprovalPolicy, AutoApproval, AutoApprovalRule, PolicyProposal
from governance.approvals.models import Approval, RequestQuestion
from governance.blast_radius.models import AgentSummary
from governance.break_glass.models import BreakGlassGrant
from governance.charts.models import Figure
from governance.chat.models import ChatAccount, ChatConnection
from governance.credential_policy.models import CredentialPolicyProposal, CredentialWarning
from governance.exceptions.models import RegisteredException
from governance.guardrails.models import GuardrailProposal, ObservedCalls
from governance.notices.models import Delivery, Notice, NoticeSettings
from governance.onboarding.models import ExistingAccess, OnboardedAgent, OnboardingBatch
from governance.out_of_office.models import OutOfOfficeDelegate
from governance.ownership.models import Dormancy, OwnershipProposal
from governance.posture_report.models import PostureSnapshot
from governance.requests.models import AccessRequest, RequestLine
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.discussion.models import ReviewComment, ReviewQuestion
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.evidence.models import AuditMark, AuditQuestion, AuditSample, EvidenceShare, SampledItem
from governance.reviews.items.models import AssignmentTally, ItemTally, ReviewItem, ReviewLine
from governance.reviews.pack.models import EvidencePack, EvidencePiece, EvidenceSealing
from governance.reviews.population.models import PopulationRow
from governance.reviews.quality.models import Timing, TimingRun
from governance.reviews.remediation.models import NoAnswer, RecalledDecision, Remediation, RemediationException
from governance.reviews.reviewers.models import Assignment
from governance.reviews.spot_checks.models import SpotCheck, SpotCheckPlan
from governance.reviews.staging.models import CampaignStaging, SnapshotRow
from governance.reviews.suggestions.models import Suggestion
from governance.reviews.templates.models import CampaignTemplate
from governance.reviews.usage.models import UsageDay
from governance.saved_views.models import SavedView
from governance.setup.models import Invitation, SetupCheck
from governance.sod.models import AgentCall, SodException, SodPolicy
from governance.tickets.models import TicketPolicy
from governance.token_health.models import TokenGroup
from governance.webhooks.models import Webhook, WebhookMessage
from governance.what_if.models import WhatIf

__all__ = [
    "AccessRequest",
    "AgentCall",
    "AgentSummary",
    "Approval",
    "ApprovalPolicy",
    "Assignment",
    "AssignmentTally",
    "AuditMark",
    "AuditQuestion",
    "AuditSample",
    "AutoApproval",
    "AutoApprovalRule",
    "BreakGlassGrant",
    "Campaign",
    "CampaignStaging",
    "CampaignTemplate",
    "ChatAccount",
    "ChatConnection",
    "CredentialPolicyProposal",
    "CredentialWarning",
    "Delivery",
    "Dormancy",
    "Draft",
    "EvidencePack",
    "EvidencePiece",
    "EvidenceSealing",
    "EvidenceShare",
    "ExistingAccess",
    "Figure",
    "GuardrailProposal",
    "Invitation",
    "ItemTally",
    "NoAnswer",
    "Notice",
    "NoticeSettings",
    "ObservedCalls",
    "OnboardedAgent",
    "OnboardingBatch",
    "OutOfOfficeDelegate",
    "OwnershipProposal",
    "PolicyProposal",
    "PopulationRow",
    "PostureSnapshot",
    "RecalledDecision",
    "RegisteredException",
    "Remediation",
    "RemediationException",
    "RequestLine",
    "RequestQuestion",
    "ReviewComment",
    "ReviewDecision",
    "ReviewItem",
    "ReviewLine",
    "ReviewQuestion",
    "ReviewTrigger",
    "SampledItem",
    "SavedView",
    "SetupCheck",
    "SnapshotRow",
    "SodException",
    "SodPolicy",
    "SpotCheck",
    "SpotCheckPlan",
    "Suggestion",
    "TicketPolicy",
    "Timing",
    "TimingRun",
    "TokenGroup",
    "UsageDay",
    "Webhook",
    "WebhookMessage",
    "WhatIf",
]
