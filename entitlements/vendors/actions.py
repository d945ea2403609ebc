"""What people and programs do with vendors: each action declared once, for API and console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from audit.context import Principal
from entitlements.api.actions import Action, person
from entitlements.catalog import discovery
from entitlements.catalog.actions import SYSTEM
from entitlements.catalog.models import System
from entitlements.vendors import trust, vendors


def _declare(system: System, *, tools: Sequence[dict[str, Any]], by: Principal) -> discovery.Discovery:
    """Take a list of tools that a person wrote down for what the server would list. Raises as record_discovery."""
    return discovery.record_discovery(system, tools, by=by)


EDIT = Action("system-vendor", SYSTEM, vendors.edit, input=None, method="PATCH", done=_("Saved."))
NAME_CLIENT = Action("system-client-id", SYSTEM, vendors.name_client, input=None, method="PUT", done=_("Saved."))
NAME_PERSON = Action("system-subject", SYSTEM, vendors.name_person, input=None, method="PUT", done=_("Saved."))
SET_TEST_CLIENT = Action(
    "system-test-client",
    SYSTEM,
    vendors.set_test_client,
    input=None,
    method="PUT",
    done=_("Stored. Its secret is never shown again."),
)
TEST_TRUST = Action("system-test-trust", SYSTEM, trust.test, input=None, by=person)
DECLARE_TOOLS = Action("system-declare-tools", SYSTEM, _declare, input=None)
