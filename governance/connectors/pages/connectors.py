"""Connectors in the console: made and revoked on the page of a system's network."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from entitlements.catalog.actions import SYSTEM
from entitlements.connectors import actions
from governance.catalog.pages import networks
from governance.connectors.pages.forms import ConnectorForm
from governance.console import doors, form_fields

_FIELDS: Final = {"reason_required": "reason", "too_many_connectors": "name"}


@require_POST
@doors.page
def add(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a connector; its code is shown in the answer, this once."""
    system = doors.find_subject(request, SYSTEM, slug)
    form = ConnectorForm(request.POST, auto_id="connector_%s")
    doors.require_reauthentication(request, actions.ADD.address, actions.ADD.method)
    made = form_fields.perform(request, form, actions.ADD, system, fields=_FIELDS)
    if made is None:
        return networks.show(request, system, connector_form=form)
    return networks.show(request, system, connector_form=ConnectorForm(auto_id="connector_%s"), code=made.result.code)


@require_POST
@doors.page
def revoke(request: HttpRequest, slug: str, connector: UUID) -> HttpResponse:
    """Revoke a connector of the system."""
    found = doors.find_subject(request, actions.CONNECTOR, connector)
    doors.perform(request, actions.REVOKE, found)
    return redirect("system-network-page", slug)
