"""SCIM 2.0 as the community's own tester sees it, over a socket."""

from __future__ import annotations

import httpx2
import pytest
from django.conf import LazySettings
from pytest_django.live_server_helper import LiveServer
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from audit.context import SYSTEM
from entitlements.people_sources import sources

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.loopback]


def test_scim2_tester_finds_nothing(
    live_server: LiveServer, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONSOLE_URL, settings.ALLOWED_HOSTS = live_server.url, ["localhost"]
    settings.SECURE_SSL_REDIRECT = False
    monkeypatch.setattr(sources, "AT_LEAST", 10_000)  # the tester removes everybody it added
    _source, token = sources.make("okta", name="Okta", subjects_of=None, by=SYSTEM)
    with httpx2.Client(base_url=f"{live_server.url}/scim/v2", headers={"Authorization": f"Bearer {token}"}) as client:
        results = check_server(SyncSCIMClient(client))
    fine = (Status.SUCCESS, Status.SKIPPED)
    assert [f"{each.status} {each.title}: {each.reason}" for each in results if each.status not in fine] == []
    assert len([each for each in results if each.status == Status.SUCCESS]) > 75
