"""Standing stops over every grant. The first of them is the one that stops everything."""

from __future__ import annotations

from http import HTTPStatus

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.export import timeline
from entitlements.conflicts import independence
from entitlements.errors import DomainError
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.gateway.models import Guardrail

EVERYTHING = subjects.EVERYTHING


class RestoreNotFinished(DomainError):
    """Everything is stopped because the database is a restored backup. Finish the restore: docs/operate/backup.md."""

    code, status = "restore_not_finished", HTTPStatus.CONFLICT


@transaction.atomic
def stop_everything(*, by: Principal, reason: str, restored: bool = False) -> Guardrail:
    """Deny every call and every issuance until `restart_everything`. Doing it twice changes and records nothing.

    With `restored`, because the database is a restored backup: only `after_restore` lifts it.
    """
    detail: dict[str, object] | None = {"restored": True} if restored else None
    return _turn(on=True, action=Action.KILL_SWITCH_ENGAGED, by=by, reason=reason, detail=detail)


@transaction.atomic
def restart_everything(*, by: Principal, reason: str) -> Guardrail:
    """Lift the stop of everything, as another person than the one who stopped it.

    Raises SecondPersonNeeded and RestoreNotFinished.
    """
    locks.exclusive((Lock.EVERYTHING, EVERYTHING))
    if by != SYSTEM and is_stopped_by_restore():
        raise RestoreNotFinished
    if Guardrail.objects.filter(name=EVERYTHING, on=True).exists():
        independence.check_start(f"guardrail:{EVERYTHING}", Action.KILL_SWITCH_ENGAGED, by)
    return _turn(on=False, action=Action.KILL_SWITCH_RELEASED, by=by, reason=reason)


def is_everything_stopped() -> bool:
    """Say whether every call and every issuance is denied now."""
    return Guardrail.objects.filter(name=EVERYTHING, on=True).exists()


def is_stopped_by_restore() -> bool:
    """Say whether everything is stopped because a sealer found a restored backup."""
    last = timeline.about(f"guardrail:{EVERYTHING}").filter(action=Action.KILL_SWITCH_ENGAGED).last()
    return is_everything_stopped() and last is not None and bool(last.detail.get("restored"))


def _turn(
    *, on: bool, action: Action, by: Principal, reason: str, detail: dict[str, object] | None = None
) -> Guardrail:
    locks.exclusive((Lock.EVERYTHING, EVERYTHING))
    guardrail, _ = Guardrail.objects.select_for_update().get_or_create(
        name=EVERYTHING, defaults={"changed_at": clock.now()}
    )
    if guardrail.on == on:
        return guardrail
    guardrail.on, guardrail.reason, guardrail.changed_at = on, reason, clock.now()
    guardrail.save(update_fields=["on", "reason", "changed_at"])
    log.record(action, about=[f"guardrail:{EVERYTHING}"], by=by, reason=reason, detail=detail)
    changes.note(subjects.ALL)
    return guardrail
