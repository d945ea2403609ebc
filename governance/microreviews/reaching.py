"""How far an agent reaches with one grant and without it, by the blast radius."""

from __future__ import annotations

from entitlements.models import Grant, GrantLine
from governance import blast, outlook


def grew(grant: Grant) -> tuple[int, int]:
    """Return the blast radius of the grant's agent without it and with it."""
    live = Grant.objects.filter(agent=grant.agent_id, ended_at=None, expires_at__gt=grant.starts_at)
    people = outlook.people_acted_for(live)
    before, after = [], []
    for line in GrantLine.objects.filter(grant__in=live).select_related("tool"):
        reaches = people.get(line.grant_id, 0)
        weight = outlook.weight(line.tool.action, line.tool.data_class, reaches, kind=grant.agent.kind)
        after.append(weight)
        if line.grant_id != grant.pk:
            before.append(weight)
    return blast.score(before), blast.score(after)
