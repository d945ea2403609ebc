"""What people and programs do with REST APIs: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.api.actions import Action
from entitlements.catalog.actions import SYSTEM
from entitlements.rest_apis import rest_apis

READ_DOCUMENT = Action(
    "system-openapi", SYSTEM, rest_apis.read_document, input=None, method="PUT", done=_("The document is read.")
)
DECLARE_OPERATION = Action(
    "system-operations", SYSTEM, rest_apis.declare, input=None, done=_("Declared. The operation waits for review.")
)
