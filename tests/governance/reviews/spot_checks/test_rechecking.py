"""Whoever is to check an answer and leaves, or is not independent any more, is replaced, or the owner hears of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.people import people
from entitlements.people.models import Person, RoleAssignment
from governance import tasks
from governance.notices import listener
from governance.notices.models import Notice
from governance.out_of_office import delegations
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence import audit
from governance.reviews.pack import seal
from governance.reviews.spot_checks import replacement, spot_checks
from governance.reviews.spot_checks.models import SpotCheck
from tests import make
from tests.entitlements.api import client as api
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


def test_who_leaves_is_replaced_at_once_in_what_she_has_not_answered_and_is_told_of_it(
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
) -> None:
    checked = _checked()
    company, (first, second, third) = checked.company, checked.checks
    spot_checks.answer(first.pk, by=company.sam, verb="certify")
    with django_capture_on_commit_callbacks(execute=True):
        people.disable(company.sam, by=company.resa.principal, reason="He has left.")
    assert [check.checker for check in checked.checks] == [company.sam, company.mona, company.mona]
    assert replacement.replace_checkers() == 0
    (was,) = checked.checks[1].resolution["instead_of"]
    assert (was["who"], was["why"], checked.checks[1].resolution["rule"]) == ("sam", "inactive", "manager")
    (event,) = timeline.of("spot_check", second.pk)
    assert (event.action, event.actor) == (Action.SPOT_CHECK_REASSIGNED, str(SYSTEM))
    assert (event.reason, event.detail["from"], event.detail["to"]) == ("The checker has left.", "sam", "mona")
    for each in (second, third):
        listener.notify(timeline.of("spot_check", each.pk)[0])
    assert Notice.objects.get(person=company.mona, url="/spot-checks/").sentence.startswith("Spot checks of")
    assert not Notice.objects.filter(person=company.ana, sentence__startswith="Some spot checks").exists()
    spot_checks.answer(second.pk, by=company.mona, verb="certify")
    with pytest.raises(spot_checks.NotTheChecker):
        spot_checks.answer(third.pk, by=company.sam, verb="certify")


def _leaves(checked: Checked, *gone: Person) -> None:
    for each in gone:
        people.disable(each, by=checked.company.resa.principal, reason="They have left.")
    tasks.reassign_leavers()


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
def test_who_is_not_independent_any_more_is_replaced_by_the_sweep(happens: object) -> None:
    checked = _checked(agents=2)
    assert callable(happens)
    happens(checked)
    tasks.reassign_leavers()
    assert {check.checker for check in checked.checks} == {checked.company.mona}
    (event,) = timeline.of("spot_check", checked.checks[0].pk)
    assert event.reason == "The checker is not independent any more."
    assert replacement.replace_checkers() == 0


def test_where_nobody_is_left_it_says_so_and_whoever_runs_the_review_sees_it() -> None:
    checked = _checked()
    _leaves(checked, checked.company.mona, checked.company.sam)
    assert {check.checker for check in checked.checks} == {None}
    found = spot_checks.result(checked.campaign)
    assert found is not None
    assert (found.sampled, found.open, found.nobody) == (3, 0, 3)
    for check in checked.checks:
        listener.notify(timeline.of("spot_check", check.pk)[0])
    notice = Notice.objects.get(person=checked.company.ana, sentence__startswith="Some spot checks")
    assert notice.url == "/reviews/q4/#spot-checks"
    assert "3 without an independent checker" in visits.text(
        visits.as_(checked.company.ana).get("/reviews/q4/", secure=True)
    )
    told = api.of(checked.company.ana).get("/api/v1/campaigns/q4/spot-checks", secure=True).json()
    assert (told["nobody"], told["open"]) == (3, 0)
    seal.seal(checked.campaign.pk, by=checked.company.ana, statement=worlds.SIGNED)


def test_nothing_changes_once_it_is_due_and_the_database_lets_nobody_else_check_for_no_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = _checked()
    first, second, _third = checked.checks
    for to in (checked.company.mona, None):
        with (
            pytest.raises(DatabaseError, match="only where its checker may not check it any more"),
            transaction.atomic(),
        ):
            SpotCheck.objects.filter(pk=first.pk).update(checker=to)
    audits(checked.company.sam)
    wrong: tuple[dict[str, object], ...] = (
        {"checker": checked.company.sofia},
        {"checker": checked.company.ana},
        {"checker": checked.company.mona, "verb": "certify", "answered_at": clock.now()},
    )
    for change in wrong:
        with pytest.raises(DatabaseError), transaction.atomic():
            SpotCheck.objects.filter(pk=first.pk).update(**change)
    RoleAssignment.objects.filter(person=checked.company.sam).delete()
    with transaction.atomic():
        late = clock.now() + WEEK
        with monkeypatch.context() as patch:
            patch.setattr(clock, "now", lambda: late)
            people.disable(checked.company.sam, by=checked.company.resa.principal, reason="He has left.")
            assert replacement.replace_checkers() == 0
    assert {check.checker for check in checked.checks} == {checked.company.sam}
    with pytest.raises(DatabaseError, match="only where its checker"), transaction.atomic():
        SpotCheck.objects.filter(pk=second.pk).update(checker=checked.company.mona, asked_at=late)
    assert replacement.replace_checkers() == 3, "it was not due by the real clock"


def test_nobody_gets_more_than_one_person_gets() -> None:
    checked = under_way(agents=3, share=100)
    Person.objects.filter(pk=checked.company.sofia.pk).update(manager=checked.company.mona)
    waiting = worlds.waiting_for(checked.campaign, checked.company.sofia)
    worlds.answer(checked.campaign, checked.company.sofia, [(each.item, worlds.KEEP) for each in waiting])
    Campaign.objects.filter(pk=checked.campaign.pk).update(load_cap=2)
    close.close(checked.campaign.pk, by=checked.company.ana, reason="The quarter is over.")
    asked = Counter(check.checker for check in checked.checks)
    assert asked == {checked.company.sam: 2, checked.company.mona: 1}
    _leaves(checked, checked.company.sam)
    assert Counter(check.checker for check in checked.checks) == {checked.company.mona: 2, None: 1}
