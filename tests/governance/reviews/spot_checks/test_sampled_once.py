"""A spot check keeps the checker it was drawn for: who leaves, or is not independent any more, leaves it unanswered."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from audit import clock
from entitlements.people import people
from entitlements.people.models import Person
from governance import tasks
from governance.out_of_office import delegations
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence import audit
from governance.reviews.items import errors
from governance.reviews.pack import seal
from governance.reviews.spot_checks import spot_checks
from governance.reviews.spot_checks.models import SpotCheck
from tests import make
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.reviews.spotted import Checked, audits, end, under_way

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)


def _checked(agents: int = 3) -> Checked:
    """All answers are checked by sam; mona is sofia's manager, and next in the chain."""
    checked = under_way(agents=agents, share=100)
    Person.objects.filter(pk=checked.company.sofia.pk).update(manager=checked.company.mona)
    checked = end(checked)
    assert {check.checker for check in checked.checks} == {checked.company.sam}
    return checked


def test_a_checker_who_leaves_is_not_replaced_and_the_evidence_counts_the_check_as_unanswered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = _checked()
    company, (first, *_) = checked.company, checked.checks
    spot_checks.answer(first.pk, by=company.sam, verb="certify")
    people.disable(company.sam, by=company.resa.principal, reason="He has left.")
    tasks.reassign_leavers()
    assert [check.checker for check in checked.checks] == [company.sam] * 3
    with pytest.raises(seal.SpotChecksOpen):
        seal.seal(checked.campaign.pk, by=company.ana, statement=worlds.SIGNED)
    late = clock.now() + WEEK
    monkeypatch.setattr(clock, "now", lambda: late)
    found = spot_checks.result(checked.campaign)
    assert found is not None
    assert (found.sampled, found.answered, found.unanswered, found.nobody) == (3, 1, 2, 0)
    assert "2 without a decision" in visits.text(visits.as_(company.ana).get("/reviews/q4/", secure=True))
    seal.seal(checked.campaign.pk, by=company.ana, statement=worlds.SIGNED)


def _reads_every_review(checked: Checked) -> None:
    audits(checked.company.sam)


def _gets_the_evidence(checked: Checked) -> None:
    until = clock.now() + WEEK
    with pytest.raises(audit.BadShare):  # nobody gives it to who has a part in it: so it is given to another account
        audit.share(
            checked.campaign.pk, auditor=checked.company.sam, expires_at=until, by=checked.company.ana, reason="?"
        )
    twin = make.person("sam-two")
    audit.share(checked.campaign.pk, auditor=twin, expires_at=until, by=checked.company.ana, reason="The audit.")
    Person.objects.filter(pk=twin.pk).update(email=checked.company.sam.email)


def _answers_for_her(checked: Checked) -> None:
    now = clock.now() - timedelta(minutes=1)
    delegations.make(checked.company.sam, starts_at=now, ends_at=now + WEEK, by=checked.company.sofia, reason="Leave.")


def _owns_the_agents(checked: Checked) -> None:
    for each in checked.checks:
        assert each.item.agent is not None
        each.item.agent.owner = checked.company.sam
        each.item.agent.save()


@pytest.mark.parametrize("happens", [_reads_every_review, _gets_the_evidence, _answers_for_her, _owns_the_agents])
def test_who_is_not_independent_any_more_cannot_answer_and_nobody_else_is_asked(happens: object) -> None:
    checked = _checked(agents=2)
    assert callable(happens)
    happens(checked)
    tasks.reassign_leavers()
    assert {check.checker for check in checked.checks} == {checked.company.sam}
    for check in checked.checks:
        with pytest.raises(errors.ConflictOfInterest):
            spot_checks.answer(check.pk, by=checked.company.sam, verb="certify")


def test_the_database_lets_nobody_else_check_not_even_for_a_checker_who_left() -> None:
    checked = _checked()
    first, *_ = checked.checks
    for is_there in (True, False):
        if not is_there:
            people.disable(checked.company.sam, by=checked.company.resa.principal, reason="He has left.")
        for to in (checked.company.mona, None):
            with pytest.raises(DatabaseError, match="answered once, and followed up once"), transaction.atomic():
                SpotCheck.objects.filter(pk=first.pk).update(checker=to)
        late = {"checker": checked.company.mona, "verb": "certify", "answered_at": clock.now()}
        with pytest.raises(DatabaseError, match="answered as it was asked"), transaction.atomic():
            SpotCheck.objects.filter(pk=first.pk).update(**late)


def test_nobody_gets_more_than_one_person_gets() -> None:
    checked = under_way(agents=3, share=100)
    Person.objects.filter(pk=checked.company.sofia.pk).update(manager=checked.company.mona)
    waiting = worlds.waiting_for(checked.campaign, checked.company.sofia)
    worlds.answer(checked.campaign, checked.company.sofia, [(each.item, worlds.KEEP) for each in waiting])
    Campaign.objects.filter(pk=checked.campaign.pk).update(load_cap=2)
    close.close(checked.campaign.pk, by=checked.company.ana, reason="The quarter is over.")
    asked = Counter(check.checker for check in checked.checks)
    assert asked == {checked.company.sam: 2, checked.company.mona: 1}
