"""A client's identifier may be an address, or a sealed registration of a thousand characters."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.urls import reverse

from entitlements.clients.models import Client
from tests import make


@pytest.mark.django_db
@pytest.mark.parametrize("client_id", ["https://desk.example/oauth/client.json?v=1", "r" * 1_000])
def test_pages_and_api_find_it(client_id: str) -> None:
    analyst, agent = make.analyst(), make.agent("desk-bot")
    make.client(agent, client_id, auth=Client.Auth.NONE)
    http = Browser()
    http.force_login(analyst)

    page = http.get(reverse("client-page", args=[agent.slug, client_id]))
    answer = http.get(reverse("client", args=[client_id]))

    assert (page.status_code, answer.status_code) == (200, 200)
    assert answer.json()["client_id"] == client_id
    assert http.get(reverse("stop", args=["client", client_id])).status_code == 200
    assert http.get(reverse("agent-page", args=[agent.slug]), {"tab": "tokens"}).status_code == 200
