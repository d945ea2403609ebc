"""A request that was refused keeps all that was filled in; groups are named, however many there are."""

from __future__ import annotations

import pytest

from governance.requests.models import AccessRequest
from tests import make
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


def test_a_refused_request_keeps_limits_groups_and_time() -> None:
    company = companies.found()
    make.group(company.alice, slug="research")
    schema = {"type": "object", "properties": {"zone": {"type": "string", "enum": ["Europe/Rome", "Europe/Paris"]}}}
    tell = make.tool(company.system, "tell", definition={"name": "tell", "inputSchema": schema})
    make.entitlement(company.system, tell, scope="clock:tell")
    page = visits.as_(company.otto)
    form = {
        "agent": "research-bot",
        "entitlement": "clock:tell",
        "tool": ["tell"],
        "groups": "research, nobody-here",
        "lasts": "28800",
        "reason": "",
        "limit:tell:zone:asked": "1",
        "limit:tell:zone": ["Europe/Rome"],
    }
    refused = page.post("/requests/new/", form)
    shown = visits.text(refused)
    assert refused.status_code == 422
    assert "Nothing here has the name “nobody-here”." in shown
    assert 'name="groups" value="research, nobody-here"' in shown
    assert '<option value="28800" selected>' in shown
    assert 'value="Europe/Rome" checked' in shown
    assert 'value="Europe/Paris" checked' not in shown
    done = page.post("/requests/new/", {**form, "groups": "research", "reason": "Meetings."})
    assert done.status_code == 302
    assert [group.slug for group in AccessRequest.objects.get().groups.all()] == ["research"]
