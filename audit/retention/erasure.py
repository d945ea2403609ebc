"""Making one subject's personal values unreadable, without touching a leaf."""

from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from audit.models import SubjectKey


@transaction.atomic
def erase(subject: str, *, by: context.Principal, reason: str) -> bool:
    """Destroy the subject's key, and so every personal value in the record. Returns whether there was one.

    Identifiers (the login in `person:ana`) stay: see docs/decisions/0003-personal-data.md. Backups hold the key until
    they expire. Of a person, `entitlements/people/erasure.py` also erases what rows keep beside the record.
    """
    erased = SubjectKey.objects.filter(subject=subject).exclude(wrapped=None)
    if not erased.update(wrapped=None, erased_at=clock.now()):
        return False
    log.record(Action.SUBJECT_ERASED, by=by, about=[subject], reason=reason)
    return True
