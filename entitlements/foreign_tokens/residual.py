"""Which foreign tokens outlive a stop: those of connected accounts, by what is known of their end."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from entitlements.connected_accounts import accounts
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.decisions import guardrails
from entitlements.grants.models import Grant

from .rules import End

MINTED: Final = "tokens the vendor minted"
"""What a receipt calls the tokens for which a vendor's own server took our ID-JAGs."""
_States = ConnectedAccount.Revocation
_UNDER_WAY: Final = Q(revocation=_States.PENDING)
_LIVES_ON: Final = Q(foreign_token__end__in=[End.ALIVE, End.UNKNOWN], sealed=None) | Q(
    foreign_token=None, revocation__in=[_States.REFUSED, _States.UNKNOWN]
)
"""Settled, and not known to be dead; of accounts that ended before ends were measured the vendor's answer counts."""


def accounts_left(kind: str, key: str) -> QuerySet[ConnectedAccount]:
    """Return the accounts of a stop's target whose tokens may live on: to be revoked, under way, or not known dead."""
    rows, ending = ConnectedAccount.objects.all(), Q(pk=None)
    match kind:
        case "person":
            rows, ending = rows.filter(person__login=key), Q(ended_at=None)
        case "person_agents":
            rows = rows.filter(
                Q(person__login=key) | Q(consents__agent__sponsor__login=key) | Q(consents__agent__owner__login=key)
            )
            ending = Q(ended_at=None, person__login=key)
        case "system":
            rows = rows.filter(system__slug=key)
        case "agent":
            rows = rows.filter(consents__agent__slug=key)
        case "grant":
            held = Grant.objects.filter(pk=UUID(key))
            rows = rows.filter(system__in=held.values("entitlement__system"), consents__agent__in=held.values("agent"))
            ending = Q(pk__in=accounts.over()[accounts.NO_GRANT].values("pk"))
        case guardrails.EVERYTHING:
            pass
        case _:
            return rows.none()
    return rows.filter(_UNDER_WAY | _LIVES_ON | ending)


def of_accounts(kind: str, key: str) -> list[dict[str, Any]]:
    """Name the systems at which tokens of connected accounts may live on after a stop.

    No gateway sends them any longer. How long such a token lives, and that of a refresh, no vendor says; what trying
    them finds comes later (`MeasuredEnds`).
    """
    left = accounts_left(kind, key)
    said = [
        (left.filter(sealed__isnull=False), "not revoked at the vendor yet"),
        (left.filter(sealed=None), "that the vendor did not revoke"),
    ]
    entries = [
        {"what": f"{_counted(row['count'])} {words}", "where": row["system__slug"], "dies_at": None}
        for rows, words in said
        for row in rows.values("system__slug").annotate(count=Count("pk", distinct=True)).order_by()
    ]
    return sorted(entries, key=lambda entry: str(entry["where"]))


def _counted(number: int) -> str:
    return f"tokens of {number} connected account{'s' if number > 1 else ''}"
