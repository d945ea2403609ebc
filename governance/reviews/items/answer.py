"""The parts of a reviewer's answer, and which of them go together, whatever the item is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from audit import clock
from entitlements.errors import DomainError, ReasonRequired
from entitlements.words import Risk
from governance.deciders import review_rules
from governance.deciders.review_rules import Verb
from governance.reviews.decisions.models import Draft, ReviewDecision

from .errors import BadAnswer, WrittenReasonRequired

SOONEST: Final = timedelta(hours=1)
"""How far in the future an earlier end is at least: it takes effect once the answer can no longer be recalled."""
LATEST: Final = timedelta(days=14)
"""How far in the future a removal takes effect at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reviewer's answer to an item; an empty verb removes their draft.

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

    def check(self) -> None:
        """Raise BadAnswer for an unknown verb or reason, or for parts that do not go with the verb."""
        if self.verb not in ("", *Verb):
            raise BadAnswer(verb=self.verb[:32])
        known = review_rules.REASONS[Verb(self.verb)] if self.verb else ()
        if self.reason_code not in ("", *known):
            raise BadAnswer(reason_code=self.reason_code[:32], known=list(known))
        if self.verb != Verb.REDUCE and (self.kept or self.limits):
            raise BadAnswer(verb=self.verb, field="kept")
        soonest = clock.now() + SOONEST
        if self.valid_until and (self.verb not in (Verb.CERTIFY, Verb.REDUCE) or self.valid_until <= soonest):
            raise BadAnswer(field="valid_until")
        latest = clock.now() + LATEST
        if self.effective_at and not (self.verb == Verb.REVOKE and soonest < self.effective_at <= latest):
            raise BadAnswer(field="effective_at", latest=latest.isoformat())


def drafted(draft: Draft) -> Answer:
    """Return a draft as an answer; only a reduction names the lines that stay."""
    kept = tuple(sorted(draft.kept_lines)) if draft.verb == Verb.REDUCE else ()
    limits = {int(line): caps for line, caps in draft.limits.items()}
    return Answer(draft.verb, draft.reason_code, draft.comment, kept, limits, draft.valid_until, draft.effective_at)


def lacking(answer: Draft | ReviewDecision, risk: Risk, verdict: str) -> type[DomainError] | None:
    """Return the error for a reason that an answer still needs: a code, or the reviewer's own words."""
    verb = Verb(answer.verb)
    if not answer.reason_code and review_rules.needs_reason(verb, risk, verdict):
        return ReasonRequired
    if review_rules.needs_words(verb, risk) and not review_rules.is_written(answer.comment):
        return WrittenReasonRequired
    return None
