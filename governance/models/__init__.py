"""The rows of floor 3: how people change their minds."""

from .adoption import AdoptedAgent, AdoptionBatch, SeenAccess
from .combinations import AgentCall, CombinationException, CombinationRule
from .delegations import Delegation
from .dormancy import Dormancy
from .invitations import Invitation
from .emergency import EmergencyGrant
from .notices import Delivery, Notice, NoticeSettings
from .offices import OfficeProposal
from .requests import AccessRequest, Approval, ApprovalPolicy, RequestLine
from .reviews import (
    Assignment,
    Campaign,
    Draft,
    PopulationRow,
    Remediation,
    ReviewDecision,
    ReviewItem,
    ReviewLine,
)
from .setup import SetupCheck

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
    "Invitation",
    "Notice",
    "EmergencyGrant",
    "NoticeSettings",
    "OfficeProposal",
    "PopulationRow",
    "Remediation",
    "RequestLine",
    "ReviewDecision",
    "ReviewItem",
    "ReviewLine",
    "SeenAccess",
    "SetupCheck",
]
