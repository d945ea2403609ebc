"""Which access has an open finding, for reviews of kind `findings`."""

from __future__ import annotations

from django.db.models import Exists, F, OuterRef, Q

from entitlements.catalog.models import Tool
from entitlements.grants.models import GrantLine
from governance.ownership.models import Dormancy
from governance.sod import check
from governance.sod import facts as sod_facts
from governance.sod.models import SodPolicy


def open_findings() -> Q:
    """Return a filter for grants with a quarantined or changed tool, or whose agent has a finding.

    Findings of an agent: it is orphaned, dormant, or violates an SoD policy without an exception.
    """
    lines = GrantLine.objects.filter(grant=OuterRef("pk"))
    drifted = ~Q(tool__seen=F("tool__approved")) | Q(tool__approved=None)
    changed = lines.filter(Q(tool__state=Tool.State.QUARANTINED) | drifted)
    orphaned = Q(agent__sponsor__is_active=False) | Q(agent__owner__is_active=False)
    dormant = Q(agent__dormancy__step__gt=Dormancy.Step.IN_USE)
    selected = Q(Exists(changed)) | orphaned | dormant
    for rule in sod_facts.in_force():
        selected |= _breaking(rule)
    return selected


def _breaking(rule: SodPolicy) -> Q:
    """Select what an agent holds that breaks a rule without an exception."""
    return Q(agent__in=check.uncovered_agents(rule))
