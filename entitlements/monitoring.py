"""Who may read `/metrics`, at the web process and at each gateway node."""

from __future__ import annotations

import hmac
from http import HTTPStatus

from django.conf import settings


def refusal(authorization: str) -> HTTPStatus | None:
    """Return why the numbers are not shown to whoever sent this `Authorization`; None when they are.

    Whoever knows METRICS_TOKEN sees them. Without one there is nothing here, but in the demo, which has no secrets.
    """
    token = settings.METRICS_TOKEN.reveal()
    if not token:
        return None if settings.DEMO else HTTPStatus.NOT_FOUND
    knows = hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())
    return None if knows else HTTPStatus.UNAUTHORIZED
