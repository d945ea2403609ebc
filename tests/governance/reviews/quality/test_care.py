from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.quality import care
from governance.reviews.quality.care import Care
from tests.governance.console import visits
from tests.governance.reviews import worlds

GOOD = Care(
    answers=40, kept=30, cut=10, contrary=2, contrary_silent=0, bulk=0, bulk_unseen=0, timed=40, fast=0,
    last_minute=0, passed_on=3,
)  # fmt: skip


def test_care_is_full_where_nothing_speaks_against_it() -> None:
    assert (GOOD.index, GOOD.level, GOOD.cut_rate, GOOD.is_cut_rate_odd) == (100, "fine", 25, False)


def test_nothing_is_said_of_fewer_than_twenty_answers() -> None:
    few = replace(GOOD, answers=19, kept=19, cut=0, fast=19, timed=19)
    assert (few.index, few.level, few.is_cut_rate_odd) == (None, "unknown", False)


@pytest.mark.parametrize(
    ("sign", "weight"),
    [
        (replace(GOOD, fast=40), 30),
        (replace(GOOD, answers=1000, kept=1000, timed=1000), 25),
        (replace(GOOD, bulk=40, bulk_unseen=40), 20),
        (replace(GOOD, contrary_silent=30), 15),
        (replace(GOOD, last_minute=40), 10),
    ],
)
def test_each_sign_weighs_as_the_design_says(sign: Care, weight: int) -> None:
    index = sign.index
    assert index is not None
    assert abs((100 - index) - weight) <= 1


def test_where_no_time_is_known_the_other_signs_weigh_more() -> None:
    unseen = replace(GOOD, timed=0, bulk=40, bulk_unseen=40)
    assert unseen.index == round(100 * (1 - 20 / 70))
    assert replace(unseen, timed=40).index == 80


@pytest.mark.parametrize(("level", "index"), [("fine", 65), ("look", 64), ("look", 40), ("low", 39)])
def test_the_levels_begin_where_they_should(level: str, index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Care, "index", property(lambda _self: index))
    assert GOOD.level == level


@pytest.mark.django_db
def test_answers_are_counted_and_those_taken_back_are_not() -> None:
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    ReviewDecision.objects.get()
    assert (
        care.measure(campaign).answers,
        care.measure(campaign).kept,
        care.measure(campaign, company.sam).answers,
    ) == (1, 1, 0)
    from governance.reviews.decisions import recall  # noqa: PLC0415 - the verb alone

    recall.recall(item.pk, by=company.sofia)
    assert care.measure(campaign).answers == 0


@pytest.mark.django_db
def test_a_person_sees_her_own_numbers_and_others_see_them_together(settings: Settings) -> None:
    company, campaign = worlds.reviewed()
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.KEEP)])
    her_page = visits.text(visits.as_(company.sofia).get("/reviews/q4/", secure=True))
    assert ("only you see this" in her_page, "Review quality</h2>" in her_page) == (True, False)
    assert "only you see this" not in visits.text(visits.as_(company.sam).get("/reviews/q4/", secure=True))
    ana = visits.as_(company.ana).get("/reviews/q4/", secure=True)
    assert ("Review quality</h2>" in visits.text(ana), ana.context["by_name"]) == (True, [])
    settings.REVIEW_CARE_BY_NAME = True
    assert visits.as_(company.ana).get("/reviews/q4/", secure=True).context["by_name"] == []  # too few answers


@pytest.mark.django_db
def test_names_are_shown_only_where_the_installation_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign = worlds.reviewed()
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.KEEP)])
    monkeypatch.setattr(care, "ENOUGH", 1)
    ana = visits.as_(company.ana)
    assert ana.get("/reviews/q4/", secure=True).context["by_name"] == []
    settings.REVIEW_CARE_BY_NAME = True
    told = ana.get("/reviews/q4/", secure=True).context["by_name"]
    assert [(each.login, each.care.answers) for each in told] == [("sofia", 1)]
