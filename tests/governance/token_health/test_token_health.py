"""Token health over REST: the findings of the page, of what the caller sees."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from entitlements.clients.models import Client
from entitlements.people.models import Role
from tests import make
from tests.entitlements.api import client
from tests.governance import companies

pytestmark = pytest.mark.django_db
URL = "/api/v1/token-health"


def test_findings_come_with_kind_reason_and_where_they_are_mended_to_whom_the_page_shows_them() -> None:
    company = companies.found()
    made, _ = make.client(company.bot, "desk", auth=Client.Auth.CLIENT_SECRET_BASIC)
    Client.objects.filter(pk=made.pk).update(credential_made_at=clock.now() - timedelta(days=400))
    audrey = make.person("audrey", roles=[Role.AUDITOR])
    found = {
        "kind": "old_secret",
        "about": "desk",
        "reason": "Its shared secret is older than a year.",
        "address": "/agents/research-bot/clients/desk/",
    }
    for who in (company.ana, company.resa, audrey, company.sofia):
        assert client.of(who).get(URL).json()["findings"] == [found], who.login
    assert client.of(company.mallory).get(URL).json()["findings"] == [], "what she does not see is not told of"
    assert client.of(company.ana).post(URL, {}).status_code in {403, 405}
