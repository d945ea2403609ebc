"""What people do about the paths to systems: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.api.actions import Action, person
from entitlements.catalog.actions import SYSTEM
from governance.coverage_map import coverage_map

DESCRIBE = Action(
    "system-paths", SYSTEM, coverage_map.describe, input=None, by=person, done=_("Noted, with your name.")
)
