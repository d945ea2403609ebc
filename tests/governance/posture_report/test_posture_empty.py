"""The posture report of an installation in which nothing happened yet."""

from __future__ import annotations

import pytest

from tests import make
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


def test_an_empty_installation_has_an_empty_report() -> None:
    ana = make.analyst("ana")
    client = visits.as_(ana)
    assert "Whole company" in visits.text(client.get("/posture/"))
    assert "No active agent holds access." in visits.text(client.get("/posture/company/"))
    assert client.get("/posture/company/report.pdf").content.startswith(b"%PDF-")
