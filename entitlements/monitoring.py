"""Who may read `/metrics`, at the web process and at each gateway node."""

from __future__ import annotations

import hmac
from http import HTTPStatus

from django.conf import settings


def refusal(authorization: str) -> HTTPStatus | None:
    """Return why the caller with this `Authorization` does not get the numbers; None when they do.

    A caller who knows METRICS_TOKEN gets them. Without a token they exist only in the demo, which has no secrets.
    """
    token = settings.METRICS_TOKEN.reveal()
    if not token:
        return None if settings.DEMO else HTTPStatus.NOT_FOUND
    knows = hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())
    return None if knows else HTTPStatus.UNAUTHORIZED
