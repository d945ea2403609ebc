from .requests import AccessRequest, Approval, ApprovalPolicy, RequestLine

__all__ = ["AccessRequest", "Approval", "ApprovalPolicy", "RequestLine"]
