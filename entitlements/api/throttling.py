"""The API's limit of requests, per caller; strangers get their 401 and are counted by source elsewhere."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from entitlements import ratelimits
from entitlements.access.caller import Caller


class PerCaller(BaseThrottle):
    """Counts each request of an authenticated caller."""

    seconds: float | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - the framework's signature
        """Say whether the caller may go on."""
        if not isinstance(request.auth, Caller):
            return True
        try:
            ratelimits.check(ratelimits.API, str(request.auth))
        except ratelimits.TooMany as refusal:
            self.seconds = refusal.wait
            return False
        return True

    def wait(self) -> float | None:
        """Say how many seconds to wait."""
        return self.seconds
