"""What a worker counts: pages and the API show it with its time, and count nothing themselves."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from audit import clock
from governance import tasks
from governance.charts import figures
from governance.charts.models import Figure
from governance.reviews.quality import measures
from tests import make
from tests.entitlements.api import client
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


def test_of_much_access_pages_show_what_a_worker_counted_and_when(monkeypatch: pytest.MonkeyPatch) -> None:
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)
    for who in (company.sofia, company.sam):
        worlds.answer(campaign, who, [(item, worlds.KEEP)])
    ana, script = visits.as_(company.ana), client.of(company.ana)

    def see(address: str) -> str:
        return visits.text(ana.get(address, secure=True))

    assert "100 % of the access in force" in see("/reviews/")
    assert not Figure.objects.exists(), "of little access nothing is kept"
    monkeypatch.setattr(figures, "MANY", -2)  # fewer than any estimate
    monkeypatch.setattr(measures, "MANY", 1)
    assert ("is being counted" in see("/"), "is being counted" in see("/reviews/")) == (True, True)
    assert "being counted" in see("/reviews/q4/")

    tasks.count_figures()
    counted = clock.now()
    make.grant(make.agent("late", sponsor=company.sofia), worlds.low(company), people=[company.alice])

    for address in ("/", "/reviews/"):
        told = re.sub(r"<[^>]*>|\s+", " ", see(address))
        assert "100 % of the access in force" in re.sub(" +", " ", told), "as it was counted"
        assert "ounted as of" in see(address)
    assert "counted as of" in see("/reviews/q4/")
    assert "1 of 1 agents use the gateway alone. Counted" in " ".join(see("/coverage/").split())
    told = script.get("/api/v1/coverage-map/summary").json()
    assert (told["agents"], told["as_of"] is not None) == (1, True)

    monkeypatch.setattr(clock, "now", lambda: counted + timedelta(minutes=10))
    tasks.count_figures()
    assert script.get("/api/v1/coverage-map/summary").json()["agents"] == 2
    assert "100 % of the access in force" not in see("/reviews/")
    assert Figure.objects.filter(as_of=counted + timedelta(minutes=10)).count() == 5
