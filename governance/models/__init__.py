"""The rows of floor 3: how people change their minds."""

from .requests import AccessRequest, Approval, ApprovalPolicy, RequestLine

__all__ = ["AccessRequest", "Approval", "ApprovalPolicy", "RequestLine"]
