"""The jobs of this floor. Each takes ids or nothing, may run twice at once, and tidies what is enforced elsewhere."""

from __future__ import annotations

from celery import shared_task

from . import addresses, assertions, signing
from .models import System


@shared_task(ignore_result=True)
def rotate_signing_keys() -> None:
    """Take the step that is due in the life of each issuer's keys."""
    signing.rotate_due(addresses.IDP)
    for slug in System.objects.order_by("slug").values_list("slug", flat=True):
        signing.rotate_due(addresses.issuer_path(slug))


@shared_task(ignore_result=True)
def forget_used_assertions() -> None:
    """Delete the claims of assertions that are dead anyway."""
    while assertions.forget_expired():
        pass
