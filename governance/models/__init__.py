"""The rows of floor 3: how people change their minds."""

from .adoption import AdoptedAgent, AdoptionBatch, SeenAccess
from .approvalrules import ApprovalRule, PolicyProposal, RuleApproval
from .auditing import AuditMark, AuditQuestion, AuditSample, EvidenceShare, SampledItem
from .combinations import AgentCall, CombinationException, CombinationRule
from .cuts import NoAnswer, Remediation, RemovalException, TakenBack
from .delegations import Delegation
from .dormancy import Dormancy
from .emergency import EmergencyGrant
from .evidence import EvidencePack, EvidencePiece, EvidenceSealing
from .figures import Figure
from .invitations import Invitation
from .microreviews import ReviewTrigger
from .newersignals import NewerSignal, SignalRun
from .notices import Delivery, Notice, NoticeSettings
from .offices import OfficeProposal
from .questions import RequestQuestion
from .requests import AccessRequest, Approval, ApprovalPolicy, RequestLine
from .reviewitems import PopulationRow, ReviewItem, ReviewLine
from .reviews import Assignment, Campaign, Draft, ReviewDecision
from .reviewtalk import ReviewComment, ReviewQuestion
from .setup import SetupCheck
from .spotchecks import SpotCheck, SpotPlan
from .staging import CampaignStaging, SnapshotRow
from .tallies import AssignmentTally, ItemTally
from .templates import CampaignTemplate
from .timings import Timing, TimingRun
from .usage import Suggestion, UsageDay
from .webhooks import Webhook, WebhookMessage

__all__ = [
    "AccessRequest",
    "AdoptedAgent",
    "AdoptionBatch",
    "AgentCall",
    "Approval",
    "ApprovalPolicy",
    "ApprovalRule",
    "Assignment",
    "AssignmentTally",
    "AuditMark",
    "AuditQuestion",
    "AuditSample",
    "Campaign",
    "CampaignStaging",
    "CampaignTemplate",
    "CombinationException",
    "CombinationRule",
    "Delegation",
    "Delivery",
    "Dormancy",
    "Draft",
    "EmergencyGrant",
    "EvidencePack",
    "EvidencePiece",
    "EvidenceSealing",
    "EvidenceShare",
    "Figure",
    "Invitation",
    "ItemTally",
    "NewerSignal",
    "NoAnswer",
    "Notice",
    "NoticeSettings",
    "OfficeProposal",
    "PolicyProposal",
    "PopulationRow",
    "Remediation",
    "RemovalException",
    "RequestLine",
    "RequestQuestion",
    "ReviewComment",
    "ReviewDecision",
    "ReviewItem",
    "ReviewLine",
    "ReviewQuestion",
    "ReviewTrigger",
    "RuleApproval",
    "SampledItem",
    "SeenAccess",
    "SetupCheck",
    "SignalRun",
    "SnapshotRow",
    "SpotCheck",
    "SpotPlan",
    "Suggestion",
    "TakenBack",
    "Timing",
    "TimingRun",
    "UsageDay",
    "Webhook",
    "WebhookMessage",
]
