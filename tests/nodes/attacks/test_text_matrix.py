"""Text that breaks programs, at every door: a refusal with a code, one trace at most, and everything works afterwards.

The short form asks a sample of each door, another one by day; `make full` asks everything, again and again for ten
minutes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Final

import pytest

from audit.models import Event, StrangerCount
from entitlements.people.models import Person, Role
from tests import make, seeds
from tests.attacks import deliveries, survey, texts
from tests.attacks.texts import Answer, Case
from tests.entitlements.edge import worlds
from tests.governance.console import addresses
from tests.governance.scim.directory import Directory
from tests.nodes.attacks import wire
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.world import Gateway, World

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.timeout(900)]
SECONDS: Final = 600
SAMPLE: Final = 25
"""How many cases of each door the short form asks."""
NOT_OURS: Final = {"REST": {501, 502}, "SCIM": {501}, "upstream": {502}}
"""Statuses that say that another program failed, or that this one does not offer what was asked for."""
EXPECTED: Final = ("celery", "django.security")
"""Loggers that call it an error when a job is given nonsense, or a body is too large."""
TOO_MANY: Final = HTTPStatus.TOO_MANY_REQUESTS


@dataclass
class Company:
    """One company behind every door, and a person with every role."""

    pages: addresses.World
    oauth: worlds.World
    directory: Directory
    eve: Person
    node: Gateway
    behind: World

    def cases(self, door: str) -> list[Case]:
        """Return the cases of a door. What bears a token is made anew, since a token lasts five minutes."""
        if door in self.lasting:
            return self.lasting[door]
        return {
            "OAuth form": lambda: [*texts.oauth_forms(self.oauth)],
            "token": lambda: [*texts.tokens(self.oauth)],
            "MCP": lambda: [*wire.mcp(self.node, self.behind, self.behind.token())],
            "AuthZEN": lambda: [*wire.authzen(self.node, self.behind)],
            "upstream": lambda: [*wire.upstream(self.node, self.behind, self.behind.token())],
        }[door]()

    @cached_property
    def lasting(self) -> dict[str, list[Case]]:
        """The cases of the other doors; what they speak of is made once."""
        return {
            "REST": [*texts.rest(self.pages, self.eve)],
            "SCIM": [*texts.scim(self.directory)],
            "console": [*texts.console(self.pages, self.eve)],
            "file": [*deliveries.files(self.pages, self.directory)],
            "tools of an upstream": [*deliveries.definitions(self.pages)],
            "queue": [*deliveries.messages()],
            "Host": [*texts.hosts()],
        }


DOORS: Final = (
    *("OAuth form", "token", "REST", "SCIM", "console", "MCP", "AuthZEN"),
    *("upstream", "file", "tools of an upstream", "queue", "Host"),
)


@pytest.fixture(scope="module")
def spoilt() -> Iterator[scripted.Scripted]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripted, "Scripted", wire.Spoilt)
        with scripted.upstream() as server:
            yield server


@pytest.fixture(scope="module")
def company(node: Gateway, spoilt: scripted.Scripted) -> Company:
    pages = addresses.world()
    eve = make.person("eve", roles=Role.values)
    eve.set_password(texts.PASSWORD)
    eve.save()
    behind = world.build(spoilt.url, tool="act", schema={"type": "object"})
    return Company(pages, worlds.world(person="alice-of-oauth"), Directory("matrix"), eve, node, behind)


def traces() -> int:
    """Count the events, and the strangers that wait to be one."""
    return Event.objects.count() + sum(StrangerCount.objects.values_list("count", flat=True))


def wrong(door: str, case: Case, *, again: bool = True) -> str:
    """Send a case; say what is wrong with the answer or with what it left behind, and nothing where all is well.

    A node writes some traces a moment later, so those of the case before may arrive during this one: it is sent again.
    """
    before = traces()
    answer = Answer.of(case.send())
    left = traces() - before
    refused = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and answer.status not in NOT_OURS.get(door, ()):
        return f"{door}: {case.name}: {answer}"
    if refused and not answer.code and not answer.is_page:
        return f"{door}: {case.name}: {answer} names no code"
    if refused and (left > 1 or (case.leaves_one and left != 1)) and answer.status != TOO_MANY:
        if again:
            return wrong(door, case, again=False)
        return f"{door}: {case.name}: {answer} left {left} traces"
    return ""


def asked(door: str, cases: Sequence[Case], until: float) -> list[str]:
    found = []
    for case in cases:
        if time.monotonic() > until:
            break
        if said := wrong(door, case):
            found.append(said)
    return found


def test_a_sample_of_every_door_is_refused_and_everything_works_afterwards(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    chance = seeds.chance()
    found: list[str] = []
    for door in DOORS:
        cases = company.cases(door)
        some = chance.sample(cases, min(SAMPLE, len(cases)))
        found += asked(door, some, time.monotonic() + SECONDS)
    assert found == [], "\n".join(found)
    failed = [each for each in caplog.records if each.levelno >= logging.ERROR and not each.name.startswith(EXPECTED)]
    assert [each.getMessage() for each in failed] == []
    assert survey.failures(company.pages, company.eve) == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_text_of_every_door_for_ten_minutes(company: Company) -> None:
    chance, until, found = seeds.chance(), time.monotonic() + SECONDS, list[str]()
    while time.monotonic() < until and not found:
        for door in DOORS:
            cases = company.cases(door)
            found += asked(door, chance.sample(cases, len(cases)), until)
    assert found == [], "\n".join(found)
    assert survey.failures(company.pages, company.eve) == []
