"""What was granted after the population was taken, and which other review has it."""

from __future__ import annotations

import pytest

from governance.reviews.campaigns import pause
from governance.reviews.pack_tables import contents
from governance.reviews.population.models import PopulationRow
from governance.reviews.staging import launch
from tests import make
from tests.governance import companies
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


def test_what_never_began_or_was_cancelled_covers_no_late_arrival() -> None:
    company = companies.found()
    make.grant(company.bot, worlds.low(company), people=[company.alice])
    campaign = worlds.campaign(company)
    late = make.grant(make.agent("late-bot", sponsor=company.sofia), company.use, people=[company.bob])
    launch.stage_now(worlds.campaign(company, start=False, slug="draft").pk, by=company.ana)
    pause.cancel(worlds.campaign(company, slug="over").pk, by=company.ana, reason="It was a mistake.")
    assert PopulationRow.objects.filter(grant=late.pk).count() == 2
    (row,) = contents.TABLES["03_late_arrivals"].rows(campaign)
    assert (row["grant"], row["covered_by"]) == (str(late.pk), "")
    worlds.campaign(company, slug="next")
    (row,) = contents.TABLES["03_late_arrivals"].rows(campaign)
    assert row["covered_by"] == "next"
