"""Finding what can be asked for, by what it is called and by what it lets an agent do."""

from __future__ import annotations

from typing import Final

from django.db.models import Q, QuerySet

from entitlements.catalog.models import Entitlement, EntitlementTool, Tool

_MOST_WORDS: Final = 8
"""Each word is one more look at every tool; this many suffice to find one entitlement among all others."""


def search(rows: QuerySet[Entitlement], text: str) -> QuerySet[Entitlement]:
    """Keep the entitlements in which each word stands: in a name or sentence of theirs, their system's or their tools'.

    Parts of words count, capitals do not. Only approved tools are read: what waits for its review says nothing yet.
    """
    for word in text.split()[:_MOST_WORDS]:
        lines = EntitlementTool.objects.filter(
            Q(tool__name__icontains=word) | Q(tool__sentence__icontains=word), tool__state=Tool.State.APPROVED
        )
        own = Q(name__icontains=word) | Q(sentence__icontains=word) | Q(scope__icontains=word)
        rows = rows.filter(own | Q(system__name__icontains=word) | Q(pk__in=lines.values("entitlement")))
    return rows
