"""Every step of a sign-in at a client, against what ends, stops, changes or narrows it: refused, one event each.

| step | person | client | agent | group | grant | system | key |
|---|---|---|---|---|---|---|---|
| code | here | here | here | here | here | here | here |
| refresh | here | here | here | here | here | here | here |
| consent (the answer of a page shown before) | here | here | here | here | here | here | none |
| document (CIMD), known and new | here | here, `test_changes` | here | here | here | here | `test_changes` |
| registration, kept and new | here | here | here | here | here | here | here |

A code and a refresh token of an agent of one person stand in `test_personal_matrix.py`, a document whose keys or
redirect hosts changed in `tests/entitlements/client_documents/test_changes.py`. A consent has no cell with a key: its
page checks and signs nothing by one, and the client proves itself when it redeems the code. A document that is new has
none with its client, which is not there yet. A person who is disabled is a stranger to each page, led to the sign-in,
and a client that does not prove itself one to the token endpoint: nothing is written.
"""

# ruff: noqa: ANN401 - responses of Django's client

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement
from entitlements.client_documents import hosts
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients.models import AuthorizationCode, Client
from entitlements.grants import grants
from entitlements.keys import session_keys, signing
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.sign_in_steps import (
    DOCUMENT,
    MISSING,
    PAGES,
    STEPS,
    STOPS,
    TOKENS,
    WHY,
    WRITE,
    registered,
    revoke_grants,
)
from tests.entitlements.edge.worlds import Answer, World


@pytest.fixture
def company_world(world: World, settings: Settings) -> World:
    """Let a shared agent hold two entitlements for alice's group, and let clients register themselves."""
    settings.DYNAMIC_REGISTRATION = True
    signing.ensure(session_keys.REGISTRATIONS)
    Agent.objects.filter(pk=world.agent.pk).update(kind=Agent.Kind.SHARED)
    world.agent.refresh_from_db()
    grants.revoke(world.grant.pk, by=SYSTEM, reason=WHY)
    team = make.group(world.alice, slug="team")
    for entitlement in (world.entitlement, make.entitlement(world.system, scope=WRITE)):
        make.grant(world.agent, entitlement, groups=[team])
    return world


WORDS = {
    ("code", "agent retired"): "client_disabled",  # its clients end with it
    ("refresh", "agent retired"): "client_disabled",
    ("document", "agent retired"): "client_disabled",
    ("registration", "agent retired"): "client_disabled",
    ("refresh", "person disabled"): "token_family_ended",
}
CASES = [
    (step, stop)
    for step in STEPS
    for stop in STOPS
    if (step, stop) not in {("new document", "client disabled"), ("new document", "sponsor disabled")}
    and not (step in PAGES and stop == "person disabled")
]


@dataclass(frozen=True)
class Before:
    """What was there before an attempt."""

    event: int
    rows: tuple[int, ...]


def rows() -> tuple[int, ...]:
    return tuple(kind.objects.count() for kind in (IssuedToken, AuthorizationCode, Client, ClientDocument))


def now() -> Before:
    return Before(Event.objects.latest("pk").pk, rows())


def since(before: Before) -> list[Event]:
    return list(Event.objects.filter(pk__gt=before.event).order_by("pk"))


def is_refused(answer: Any) -> bool:
    """Whether an answer of either kind lets the person or the client on."""
    if isinstance(answer, Answer):
        return answer.status in {400, 401, 503} and not {"access_token", "refresh_token"} & set(answer.body)
    if answer.status_code == 302:
        return "code" not in sign_ins.sent_back(answer)
    return 'name="allow"' not in answer.content.decode()


@pytest.mark.parametrize(("step", "stop"), CASES, ids=[f"{step}: {stop}" for step, stop in CASES])
def test_what_is_stopped_is_refused_at_each_step_with_one_event(company_world: World, step: str, stop: str) -> None:
    attempt = STEPS[step](company_world)
    STOPS[stop](company_world)
    before = now()

    answer = attempt()

    assert is_refused(answer)
    assert rows() == before.rows
    (event,) = since(before)
    assert (event.outcome, event.code) == ("refused", WORDS.get((step, stop), stop.replace(" ", "_")))
    assert event.action == ("token.refused" if step in TOKENS else "attempt.refused")
    assert step in TOKENS or event.actor == "person:alice"
    who = DOCUMENT if "document" in step else company_world.client.client_id
    assert f"client:{who}" in event.links


@pytest.mark.parametrize("step", PAGES)
def test_a_person_who_was_disabled_is_a_stranger_to_each_page(company_world: World, step: str) -> None:
    attempt = PAGES[step](company_world)
    STOPS["person disabled"](company_world)
    before = now()

    answer = attempt()

    assert answer["Location"].startswith("/login/")
    assert (since(before), rows()) == ([], before.rows)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("missing", MISSING)
def test_without_a_grant_a_step_leads_to_what_opens_nothing(company_world: World, step: str, missing: str) -> None:
    attempt = STEPS[step](company_world)
    MISSING[missing](company_world)

    answer = attempt()

    if isinstance(answer, Answer):
        assert (answer.status, answer.body["scope"]) == (200, "")
        token = IssuedToken.objects.get(pk=worlds.peek(answer.body["access_token"])["jti"])
        assert (token.scope, token.draws_on.count()) == ("", 0)
    elif step == "consent":
        assert "code" in sign_ins.sent_back(answer)
    else:
        assert "has no access to" in answer.content.decode()
        assert not any(sentence in answer.content.decode() for sentence in _sentences(company_world))


@pytest.mark.parametrize("step", ["code", "refresh", "document", "registration"])
def test_what_was_narrowed_is_in_no_token_and_on_no_page(company_world: World, step: str) -> None:
    attempt = STEPS[step](company_world)
    revoke_grants(company_world, entitlement__scope=WRITE)

    answer = attempt()

    if isinstance(answer, Answer):
        assert answer.body["scope"] == company_world.entitlement.scope
    else:
        read, write = _sentences(company_world)
        assert (read in answer.content.decode(), write in answer.content.decode()) == (True, False)


def _sentences(world: World) -> tuple[str, ...]:
    """Return what the tools of the two entitlements do, as the page says it."""
    both = (Entitlement.objects.get(scope=scope) for scope in (world.entitlement.scope, WRITE))
    return tuple(entitlement.lines.get().tool.sentence for entitlement in both)


@pytest.mark.parametrize("step", TOKENS)
def test_a_client_whose_key_was_replaced_gets_nothing_by_the_one_before(company_world: World, step: str) -> None:
    world, who = company_world, company_world.client.client_id
    make.rewrite(world.client, redirect_uris=sign_ins.REGISTERED)
    flow.sign_in(world)
    pending = sign_ins.agree(world, client_id=who)["code"]

    def redeem() -> Answer:
        return sign_ins.redeem(world, pending, client_id=None, **world.credentials(world.audience))

    token = str(redeem().body["refresh_token"]) if step == "refresh" else ""
    make.rewrite(world.client, jwks=worlds.key_set(worlds.new_key("c2")))
    before, proof = now(), world.credentials(world.audience)

    answer = sign_ins.refresh(world, token, **proof, client_id=who) if token else redeem()

    assert is_refused(answer)
    assert rows() == before.rows
    assert answer.body["code"] == "client_not_authenticated"
    assert since(before) == [], "it is counted as a stranger's"


def test_a_registration_whose_sealing_key_was_withdrawn_is_none(company_world: World) -> None:
    client_id = registered(company_world)
    signing.withdraw(signing.active_kid(session_keys.REGISTRATIONS), by=SYSTEM, reason=WHY)
    before = now()

    assert is_refused(sign_ins.page(company_world, client_id=client_id))

    assert rows() == before.rows
    assert [(event.outcome, event.code) for event in since(before)] == [("refused", "client_registration_unknown")]


@pytest.mark.parametrize("step", ["document", "registration"])
def test_a_client_that_is_kept_needs_its_sealing_key_no_more(company_world: World, step: str) -> None:
    attempt = STEPS[step](company_world)
    signing.withdraw(signing.active_kid(session_keys.REGISTRATIONS), by=SYSTEM, reason=WHY)
    assert not is_refused(attempt())


def end_host(_world: World) -> None:
    hosts.KIND.end(ClientHost.objects.get().pk, by=make.analyst(), reason=WHY)


@pytest.mark.parametrize(
    ("step", "stop"),
    [("document", end_host), ("new document", end_host), ("new document", STOPS["sponsor disabled"])],
    ids=["known", "new", "confirmed by a person who left"],
)
def test_a_host_that_is_allowed_no_longer_lets_its_clients_wait(
    company_world: World, step: str, stop: Callable[[World], object]
) -> None:
    attempt = STEPS[step](company_world)
    stop(company_world)
    before = now()

    assert is_refused(attempt())

    assert rows() == before.rows
    assert [event.action for event in since(before)] == ["client.document_waiting"]


@pytest.mark.parametrize("step", STEPS)
def test_with_nothing_in_the_way_each_step_leads_on(company_world: World, step: str) -> None:
    attempt = STEPS[step](company_world)
    before = now()

    answer = attempt()

    assert not is_refused(answer)
    assert "refused" not in {event.outcome for event in since(before)}
    if isinstance(answer, Answer):
        assert answer.body["scope"] == f"{company_world.entitlement.scope} {WRITE}"
