"""Connectors on the page of a system's network: the code is shown once, and one person revokes."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import clock
from entitlements.connectors import connectors, proof
from entitlements.connectors.models import Connector
from entitlements.networks.models import SystemNetwork
from tests import make
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
PAGE = "/systems/erp/network/"
ADD = "/systems/erp/connectors/"


def test_a_connector_is_made_shown_and_revoked() -> None:
    ana, sam = make.analyst(), make.person("sam")
    make.system("erp", owner=sam)
    answer = visits.as_(ana).post(ADD, {"name": "Hall 3", "reason": "Behind a firewall."})
    row = Connector.objects.get()
    assert answer.status_code == 200
    (code,) = set(re.findall(rf"{proof.CODE_PREFIX}[\w-]+", visits.text(answer)))
    assert proof.digest(code) == row.code_sha256
    page = visits.text(visits.as_(ana).get(PAGE))
    assert code not in page
    assert "Waits for enrolment" in page
    connectors.enrol(code=code, public_key=proof.public_text(Ed25519PrivateKey.generate()))
    nodes = {"edge-1": clock.now().isoformat(), "edge-2": (clock.now() - timedelta(minutes=5)).isoformat()}
    Connector.objects.update(nodes=nodes, seen_at=clock.now())
    page = visits.text(visits.as_(sam).get(PAGE))
    assert "edge-1" in page
    assert "edge-2" not in page, "that node said nothing for minutes"
    assert "Add a connector" not in page, "the owner may not"
    visits.as_(sam).post(f"{ADD}{row.pk}/revoke/", {"reason": "It is lost."})
    row.refresh_from_db()
    assert (row.state, row.revoke_reason) == ("revoked", "It is lost.")
    assert "Hall 3" not in visits.text(visits.as_(sam).get(PAGE))


def test_a_third_one_is_refused_at_the_form() -> None:
    ana = make.analyst()
    make.system("erp", owner=make.person("sam"))
    for _ in range(2):
        visits.as_(ana).post(ADD, {"name": "Hall 3", "reason": "x"})
    answer = visits.as_(ana).post(ADD, {"name": "Hall 3", "reason": "x"})
    assert answer.status_code == 409
    assert "too_many_connectors" in visits.text(answer)
    assert Connector.objects.count() == 2


def test_what_connectors_reach_is_proposed_in_the_form_of_the_network() -> None:
    sam = make.person("sam")
    system = make.system("erp", owner=sam, upstream_url="https://erp.internal:8443/mcp")
    form = {"relayed": "erp.internal:8443\nERP.internal:9443", "reason": "Nothing leads in."}
    assert visits.as_(sam).post(PAGE, form).status_code == 302
    assert SystemNetwork.objects.get(system=system).relayed == ["erp.internal:8443", "erp.internal:9443"]
    assert "erp.internal:8443, erp.internal:9443" in visits.text(visits.as_(sam).get(PAGE))
