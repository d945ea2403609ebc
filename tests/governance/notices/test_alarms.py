"""Each event that says that something is wrong has a recipient, named in one table."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import pytest

from audit import log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.models import Event
from entitlements.people.models import Person, Role
from governance.notices import alarms, listener
from governance.notices.models import Notice
from governance.notices.notifiers import NOTIFIERS
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db
made_world, company = shared.world(companies.found)


@pytest.fixture(autouse=True)
def admin(company: Company) -> Person:  # noqa: ARG001 - she is one of it
    return make.person("ada", roles=[Role.ADMIN])


WRONG: Final = re.compile(
    r"[._](signalled|touched|unreachable|broken|leaked|paused|failed|reused|given_up|engaged|held|lapsed|bounced"
    r"|overdue|quarantined)$"
)
"""How an event is called that says that something is wrong, whatever caused it."""
UNTOLD: Final = {
    "authentication.failed": "one attempt; many are a risk signal",
    "campaign.paused": "a person did it, and the review's page shows it",
    "person.removal_held": "`people_source.paused` tells it once for all people",
}
"""Of which no person is told, and why."""


def test_each_event_that_says_that_something_is_wrong_has_a_recipient() -> None:
    wrong = {str(action) for action in Action if WRONG.search(action)}
    assert wrong - {str(action) for action in NOTIFIERS} == UNTOLD.keys()


CASES: Final[dict[Action, tuple[list[str], dict[str, Any], set[str]]]] = {
    Action.RISK_SIGNALLED: (["agent:research-bot"], {"subject_level": "high"}, {"resa", "rob", "otto", "sofia"}),
    Action.DECOY_TOUCHED: (["decoy:1"], {}, {"resa", "rob", "otto", "sofia"}),
    Action.KILL_SWITCH_ENGAGED: (["guardrail:everything"], {}, {"resa", "rob", "ana", "ada"}),
    Action.AUDIT_LOG_RESTORED: ([], {}, {"resa", "rob", "ada"}),
    Action.SYSTEM_OPENING_PROPOSED: (["system:clock"], {}, {"resa", "rob", "ana"}),
    Action.ISSUER_KEYS_UNREACHABLE: (["issuer:https://sts.example"], {}, {"ada"}),
    Action.ANCHOR_UNREACHABLE: (["anchor:file"], {}, {"ada"}),
    Action.BACKUP_FAILED: (["setup:backup"], {}, {"ada"}),
    Action.BACKUP_OVERDUE: (["setup:backup"], {}, {"ada"}),
    Action.CONNECTOR_UNREACHABLE: (["connector:" + str(uuid4()), "system:clock"], {}, {"ada", "sam"}),
    Action.SYSTEM_CALLS_PAUSED: (["system:clock"], {"failures": 5}, {"sam"}),
    Action.DISCOVERY_RUN_FINISHED: (["discovery_run:1", "discovery_source:okta"], {}, {"ada"}),
    Action.DELIVERY_GIVEN_UP: (["delivery:1", "webhook:siem"], {}, {"ada"}),
    Action.PERSON_ADDRESS_BOUNCED: (["person:bob"], {}, {"ada"}),
    Action.CAMPAIGN_STAGING_FAILED: (["campaign:q4"], {"asked_by": "ana"}, {"ana"}),
    Action.EVIDENCE_SEALING_FAILED: (["campaign:q4"], {"asked_by": "ana"}, {"ana"}),
}
"""By event its links, its detail, and who is told."""


BOT: Final = Principal("agent", "research-bot")


def told(action: Action, links: list[str], detail: dict[str, Any], outcome: str = "failure") -> set[str]:
    by = BOT if action == Action.DECOY_TOUCHED else SYSTEM
    log.record(action, about=links, by=by, outcome=outcome, detail=detail)
    listener.notify(Event.objects.filter(action=action).latest("at"))
    return set(Notice.objects.values_list("person__login", flat=True))


@pytest.mark.parametrize("action", alarms.ALARMS)
def test_who_can_act_on_it_is_told(action: Action, at: Callable[[datetime], datetime]) -> None:
    at(datetime(2026, 12, 1, 9, 30, tzinfo=UTC))
    links, detail, people = CASES[action]
    assert told(action, links, detail) == people
    assert told(action, links, detail) == people
    assert Notice.objects.count() == len(people), "the same again within the hour is told once"


@pytest.mark.parametrize(
    ("links", "page"), [(["risk:{}"], "/risk-signals/{}/"), ([], "/risk-signals/"), (["risk:no-key"], "/risk-signals/")]
)
def test_the_notice_leads_to_the_thing_and_else_to_the_list(company: Company, links: list[str], page: str) -> None:
    key = uuid4()
    told(Action.RISK_SIGNALLED, [*(link.format(key) for link in links), f"agent:{company.bot.slug}"], {})
    assert {notice.url for notice in Notice.objects.all()} == {page.format(key)}


def test_who_is_told_reads_names_and_not_identifiers(company: Company) -> None:
    told(Action.RISK_SIGNALLED, [f"person:{company.bob.login}"], {"subject_level": "low"})
    notice = Notice.objects.first()
    assert notice is not None
    assert company.bob.name in notice.sentence
    assert not notice.urgent


def test_the_agent_that_touched_a_decoy_is_named_by_name(company: Company) -> None:
    told(Action.DECOY_TOUCHED, ["decoy:1"], {})
    assert {company.bot.name in notice.sentence for notice in Notice.objects.all()} == {True}


def test_a_discovery_that_went_well_is_told_to_no_one() -> None:
    assert told(Action.DISCOVERY_RUN_FINISHED, ["discovery_source:okta"], {}, "success") == set()
