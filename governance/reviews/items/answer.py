"""Pure: the parts of a reviewer's answer, which of them go together, and what an answer needs before it counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from entitlements.errors import DomainError, ReasonRequired
from entitlements.words import Risk
from governance.reviews.items import review_rules
from governance.reviews.items.review_rules import Verb

from .errors import BadAnswer, WrittenReasonRequired

SOONEST: Final = timedelta(hours=1)
"""How far in the future an earlier end is at least: it takes effect once the answer can no longer be recalled."""
LATEST: Final = timedelta(days=14)
"""How far in the future a removal takes effect at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer answers about an item; without a verb they take back what they drafted.

    To keep some, name the lines that stay in `kept`, or tighter limits of some of them, by line. `valid_until` is an
    earlier end of what is kept; `effective_at` is a later day for a removal.
    """

    verb: str = ""
    reason_code: str = ""
    comment: str = ""
    kept: tuple[int, ...] = ()
    limits: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    valid_until: datetime | None = None
    effective_at: datetime | None = None

    def check(self, now: datetime) -> None:
        """Raise BadAnswer for a verb or a reason that does not exist, or for parts that do not go with the verb."""
        if self.verb not in ("", *Verb):
            raise BadAnswer(verb=self.verb[:32])
        known = review_rules.REASONS[Verb(self.verb)] if self.verb else ()
        if self.reason_code not in ("", *known):
            raise BadAnswer(reason_code=self.reason_code[:32], known=list(known))
        if self.verb != Verb.REDUCE and (self.kept or self.limits):
            raise BadAnswer(verb=self.verb, field="kept")
        soonest, latest = now + SOONEST, now + LATEST
        if self.valid_until and (self.verb not in (Verb.CERTIFY, Verb.REDUCE) or self.valid_until <= soonest):
            raise BadAnswer(field="valid_until")
        if self.effective_at and not (self.verb == Verb.REVOKE and soonest < self.effective_at <= latest):
            raise BadAnswer(field="effective_at", latest=latest.isoformat())

    def keeps(self, left: Collection[int]) -> Collection[int]:
        """Return the lines that stay, of those that are left of the item."""
        return left if self.verb == Verb.CERTIFY else self.kept

    @property
    def cuts_now(self) -> bool:
        """Whether it takes lines away at once."""
        return self.verb in (Verb.REVOKE, Verb.REDUCE) and self.effective_at is None


def lacking(verb: str, reason_code: str, comment: str, risk: Risk, suggestion: str) -> type[DomainError] | None:
    """Return what an answer lacks before it counts: a reason, or one in the reviewer's own words."""
    if not reason_code and review_rules.needs_reason(Verb(verb), risk, suggestion):
        return ReasonRequired
    if review_rules.needs_words(Verb(verb), risk) and not review_rules.is_written(comment):
        return WrittenReasonRequired
    return None
