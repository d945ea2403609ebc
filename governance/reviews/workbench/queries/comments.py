"""What a reviewer wrote lately, to be offered again."""

from __future__ import annotations

from typing import Final

from entitlements.people.models import Person
from governance.reviews.decisions.models import Draft, ReviewDecision

_LATELY: Final = 8


def recent_comments(person: Person) -> list[str]:
    """Return a person's latest comments on their answers, the newest first, to be offered again."""
    kept = ReviewDecision.objects.filter(decided_by=person).exclude(comment="")
    drafts = Draft.objects.filter(assignment__reviewer=person).exclude(comment="")
    comments = [
        *drafts.order_by("-saved_at").values_list("comment", flat=True)[:_LATELY],
        *kept.order_by("-decided_at").values_list("comment", flat=True)[:_LATELY],
    ]
    return [text for text in dict.fromkeys(comments) if "\n" not in text][:_LATELY]
