"""Which hosts the web process answers for: what names another host is answered before anything reads the request."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse

from audit import clock
from audit.refusals import refusals
from entitlements.api import problems
from entitlements.errors import DomainError
from governance.operations import health

INSIDE: Final = frozenset({health.READY, "/metrics"})
"""Pages for the inside, which are asked for by any address of the process."""


class UnknownHost(DomainError):
    """The request names a host that is not this server's. Use its own address, or add the host to ALLOWED_HOSTS."""

    code, status = "unknown_host", HTTPStatus.BAD_REQUEST


class KnownHostMiddleware:
    """Middleware, before every other: the pages that say what went wrong ask for the host themselves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer 400 to a request that names a host that is not ours, and count the stranger.

        A kubelet and Prometheus name the address of a pod. Nothing in their pages depends on the host.
        """
        try:
            request.get_host()
        except DisallowedHost:
            if request.path in INSIDE:
                request.META["HTTP_HOST"] = settings.ALLOWED_HOSTS[0]
                return self.get_response(request)
            return _refused(UnknownHost(), str(request.META.get("REMOTE_ADDR", "")))
        return self.get_response(request)


def _refused(refusal: UnknownHost, source: str) -> HttpResponse:
    try:
        health.knows_the_time()  # measures it where this is the first request of a process
        refusals.count_stranger(refusal.code, source)
    except (Error, clock.ClockUnknown) as error:  # it is refused all the same
        problems.logger.warning("stranger_not_counted", extra={"error": repr(error)})
    document = problems.document(refusal, refusal.status)
    headers = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": settings.SECURE_REFERRER_POLICY}
    return JsonResponse(document, status=refusal.status, content_type=problems.MEDIA_TYPE, headers=headers)
