"""The rows of floor 3: how people change their minds."""

from .adoption import AdoptedAgent, AdoptionBatch, SeenAccess
from .combinations import AgentCall, CombinationException, CombinationRule
from .cuts import NoAnswer, Remediation, RemovalException, TakenBack
from .delegations import Delegation
from .dormancy import Dormancy
from .emergency import EmergencyGrant
from .invitations import Invitation
from .notices import Delivery, Notice, NoticeSettings
from .offices import OfficeProposal
from .requests import AccessRequest, Approval, ApprovalPolicy, RequestLine
from .reviews import (
    Assignment,
    Campaign,
    Draft,
    PopulationRow,
    ReviewDecision,
    ReviewItem,
    ReviewLine,
)
from .setup import SetupCheck
from .usage import Suggestion, UsageDay

__all__ = [
    "AccessRequest",
    "AdoptedAgent",
    "AdoptionBatch",
    "AgentCall",
    "Approval",
    "ApprovalPolicy",
    "Assignment",
    "Campaign",
    "CombinationException",
    "CombinationRule",
    "Delegation",
    "Delivery",
    "Dormancy",
    "Draft",
    "EmergencyGrant",
    "Invitation",
    "NoAnswer",
    "Notice",
    "NoticeSettings",
    "OfficeProposal",
    "PopulationRow",
    "Remediation",
    "RemovalException",
    "RequestLine",
    "ReviewDecision",
    "ReviewItem",
    "ReviewLine",
    "SeenAccess",
    "SetupCheck",
    "Suggestion",
    "UsageDay",
    "Suggestion",
    "UsageDay",
    "TakenBack",
]
