"""Erasing a person's data: what the audit log keeps sealed for them, and what rows keep beside it."""

from __future__ import annotations

from django.db import transaction

from audit import log
from audit.actions import Action
from audit.context import Principal
from audit.retention import erasure
from entitlements.token_families import person_sign_ins
from entitlements.vendors.models import VendorSubject


@transaction.atomic
def erase(login: str, *, by: Principal, reason: str) -> bool:
    """Erase the personal values of a person in the record, where they last signed in from, and their names at vendors.

    The login stays.

    Returns whether there was anything to erase.
    """
    subject = f"person:{login}"
    names, _ = VendorSubject.objects.filter(person__login=login).delete()
    has_forgotten = bool(person_sign_ins.forget_addresses_of(login)) or bool(names)
    if erasure.erase(subject, by=by, reason=reason):
        return True
    if has_forgotten:
        log.record(Action.SUBJECT_ERASED, by=by, about=[subject], reason=reason)
    return has_forgotten
