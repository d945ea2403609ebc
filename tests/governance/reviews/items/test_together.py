"""Where two people answer an item, the evidence says what both answers come to, and both removals have to be proven."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audit import clock
from entitlements.grants.models import Grant
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence import record
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack_tables import contents
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.reviews.kinds import subjects

pytestmark = pytest.mark.django_db


@pytest.fixture
def review() -> tuple[Company, Campaign, ReviewItem]:
    """A review of one item of critical risk, which sofia and then sam answer."""
    company, campaign = worlds.reviewed()
    return company, campaign, worlds.item(campaign)


def _line(item: ReviewItem, tool: str) -> int:
    return item.lines.get(tool__name=tool).pk


def _kept(item: ReviewItem, *tools: str, limits: Mapping[str, Any] | None = None) -> Answer:
    tightened = {_line(item, tool): caps for tool, caps in (limits or {}).items()}
    kept = tuple(item.lines.filter(tool__name__in=tools).values_list("pk", flat=True))
    return Answer("reduce", "wrong_scope", "Less will do.", kept=kept, limits=tightened)


def _decided(campaign: Campaign) -> dict[str, dict[str, Any]]:
    return {row["tool"]: row for row in contents.TABLES["05_decisions"].rows(campaign)}


def test_a_limit_of_the_first_stands_beside_what_the_second_dropped(
    review: tuple[Company, Campaign, ReviewItem], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign, item = review
    paris = {"timezone": {"one_of": ["Europe/Paris"]}}
    first = _kept(item, "now", "convert", limits={"convert": paris})
    worlds.answer(campaign, company.sofia, [(item, first)])
    worlds.answer(campaign, company.sam, [(item, _kept(item, "convert"))])
    assert {line.tool.name: line.limits for line in Grant.objects.get().lines.all()} == {"convert": paris}
    lines = _decided(campaign)
    assert (lines["convert"]["outcome"], lines["convert"]["limits"]) == ("kept", paris)
    assert {tool: lines[tool]["outcome"] for tool in ("now", "remove", "wipe")} == dict.fromkeys(
        ("now", "remove", "wipe"), "removed"
    )
    worlds.let_it_be_final(monkeypatch)
    close.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert subjects.ties_out(campaign, tmp_path)


def test_the_earliest_end_counts_whichever_answer_named_it(
    review: tuple[Company, Campaign, ReviewItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign, item = review
    sooner, later = (clock.now() + timedelta(hours=hours) for hours in (2, 3))
    worlds.answer(
        campaign, company.sofia, [(item, Answer("certify", "seasonal", "It is needed until then.", valid_until=sooner))]
    )
    worlds.answer(
        campaign,
        company.sam,
        [(item, Answer("certify", "seasonal", "It is needed a little longer.", valid_until=later))],
    )
    (row,) = record.evidence(campaign).rows()
    assert (row["outcome"], row["valid_until"], row["removal"]) == ("certify", sooner.isoformat(), "applied")
    assert record.evidence(campaign).tie_out["removals_not_proven"] == 2
    assert {row["valid_until"][:19] for row in _decided(campaign).values()} == {sooner.isoformat()[:19]}
    worlds.let_it_be_final(monkeypatch)
    assert Grant.objects.get().expires_at == sooner
    (row,) = record.evidence(campaign).rows()
    assert row["removal"] == "verified"
    assert row["proof_event"]
    assert record.evidence(campaign).tie_out["removals_not_proven"] == 0
    page = visits.text(visits.as_(company.ana).get("/reviews/q4/evidence/", secure=True))
    assert '<span class="sub">until <time datetime="' in page


def test_a_cut_of_the_first_is_to_be_proven_though_the_second_keeps_the_rest(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    until = clock.now() + timedelta(hours=2)
    worlds.answer(
        campaign, company.sofia, [(item, Answer("certify", "seasonal", "It is needed until then.", valid_until=until))]
    )
    worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    (row,) = record.evidence(campaign).rows()
    assert (row["valid_until"], row["removal"]) == (until.isoformat(), "applied")
    assert record.evidence(campaign).tie_out["removals_not_proven"] == 1


def test_what_the_first_removed_is_said_where_the_second_said_nothing(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, _kept(item, "now", "convert"))])
    lines = _decided(campaign)
    assert {tool: row["outcome"] for tool, row in lines.items()} == {
        "now": "in_review", "convert": "in_review", "remove": "removed", "wipe": "removed",
    }  # fmt: skip
    (row,) = record.evidence(campaign).rows()
    assert (row["outcome"], row["removal"]) == ("in_review", "applied")
