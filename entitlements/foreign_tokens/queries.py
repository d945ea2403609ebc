"""What pages and the API show of measured ends: the tokens of one system with the same end in one row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ObjectDoesNotExist

from entitlements.revocation.models import Revocation

from .models import ForeignToken, MeasuredEnds
from .rules import End


@dataclass(slots=True)
class EndRow:
    """Foreign tokens of one system that ended alike. `at` is the newest measurement, or the last try that worked."""

    system: str
    system_name: str
    is_held: bool
    vendor_answer: str
    end: str
    found_by: list[str]
    why: str
    count: int = 0
    at: datetime | None = None


def of(revocation: Revocation) -> MeasuredEnds | None:
    """Return the measured ends of a receipt; None where it waits for no foreign token."""
    try:
        ends: MeasuredEnds = revocation.ends
    except ObjectDoesNotExist:
        return None
    return ends


def rows(ends: MeasuredEnds) -> list[EndRow]:
    """Return the ends, the worst first: alive, pending, unknown, dead."""
    found: dict[tuple[str, ...], EndRow] = {}
    for token in ends.tokens.all():
        key = (token.system.slug, str(token.account_id is None), token.answer, token.end, token.found_by, token.why)
        row = found.setdefault(key, _row(token))
        at = token.last_alive_at if token.end == End.PENDING else token.measured_at
        row.count, row.at = row.count + 1, max(filter(None, (row.at, at)), default=None)
    order = [End.ALIVE, End.PENDING, End.UNKNOWN, End.DEAD]
    return sorted(found.values(), key=lambda row: (order.index(End(row.end)), row.system))


def _row(token: ForeignToken) -> EndRow:
    held, found_by = token.account_id is not None, token.found_by.split()
    return EndRow(token.system.slug, token.system.name, held, token.answer, token.end, found_by, token.why)
