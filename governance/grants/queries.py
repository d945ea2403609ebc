"""What the pages of grants read."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import QuerySet

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.grants.models import Grant
from governance.home_page.queries import waiting


def listed(caller: Caller, wanted: Mapping[str, str]) -> QuerySet[Grant]:
    """Return the grants that the filters leave; without a state, those in force."""
    if wanted.get("ending") == "week":
        return waiting.ending(caller)
    rows = visibility.grants(caller)
    for name, column in {"agent": "agent__slug", "system": "entitlement__system__slug"}.items():
        if value := wanted.get(name):
            rows = rows.filter(**{column: value})
    if login := wanted.get("person"):
        rows = rows.filter(visibility.naming(login))
    state = wanted.get("state", "")
    if state == "":
        rows = rows.filter(ended_at=None, expires_at__gt=clock.now())
    elif state != "any":
        rows = rows.filter(state=state)
    return rows
