"""The rows of floor 3: how people change their minds."""

from .combinations import AgentCall, CombinationException, CombinationRule
from .invitations import Invitation
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
    "AgentCall",
    "Approval",
    "ApprovalPolicy",
    "Assignment",
    "Campaign",
    "CombinationException",
    "CombinationRule",
    "Draft",
    "Invitation",
    "PopulationRow",
    "Remediation",
    "RequestLine",
    "ReviewDecision",
    "ReviewItem",
    "ReviewLine",
    "SetupCheck",
]
