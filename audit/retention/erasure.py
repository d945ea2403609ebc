"""Making one subject's personal values unreadable, without touching a leaf."""

from collections.abc import Callable
from typing import Final

from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from audit.models import SubjectKey

BESIDE: Final[dict[str, Callable[[str], int]]] = {}
"""What the floors above keep of a subject beside the record, by its name: each erases it, and returns how many rows."""


@transaction.atomic
def erase(subject: str, *, by: context.Principal, reason: str) -> bool:
    """Destroy the subject's key, and so every personal value in the record, and erase what is kept beside it.

    Returns whether there was anything to erase. Identifiers (the login in `person:ana`) stay: see
    docs/decisions/0003-personal-data.md. Backups hold the key until they expire.
    """
    beside = sum(erase_rows(subject) for erase_rows in BESIDE.values())
    erased = SubjectKey.objects.filter(subject=subject).exclude(wrapped=None)
    if not erased.update(wrapped=None, erased_at=clock.now()) and not beside:
        return False
    log.record(Action.SUBJECT_ERASED, by=by, about=[subject], reason=reason)
    return True
