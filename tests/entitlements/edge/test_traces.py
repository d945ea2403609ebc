"""One trace for all that comes of a sign-in, whether the client names one or not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from audit import clock
from audit.context import SYSTEM
from audit.export import timeline
from audit.models import Event
from entitlements.edge.sign_in import sign_in_traces
from entitlements.grants import grants
from entitlements.sessions.models import Session
from entitlements.traces import telemetry
from governance import env
from tests import make
from tests.entitlements.edge import idp_sign_ins as idp
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import World
from tests.entitlements.traces import collector
from tests.entitlements.traces.collector import Collector

pytestmark = pytest.mark.django_db
THEIRS = "ab" * 16
NAMED = f"00-{THEIRS}-{'1' * 16}-01"


def traces(*actions: str) -> list[str]:
    """Return the traces of events, each once."""
    return list(dict.fromkeys(Event.objects.filter(action__in=actions).order_by("at").values_list("trace", flat=True)))


def txn(answer: Any) -> str:  # noqa: ANN401 - an answer or a token
    token = answer if isinstance(answer, str) else answer.body["access_token"]
    return str(worlds.peek(token)["txn"])


def test_page_code_token_and_refresh_are_in_the_trace_that_the_session_carries(world: World) -> None:
    sign_ins.public_client(world)
    first = sign_ins.signed_in(world)
    again = sign_ins.refresh(world, str(first.body["refresh_token"]))

    carried = Session.objects.get().trace
    assert (txn(first), txn(again)) == (carried, carried)
    assert traces("sign_in.agreed", "session.begun", "token.issued") == [carried]


def test_a_sign_in_at_the_identity_side_is_one_trace_up_to_the_token_at_a_system(world: World) -> None:
    flow.sign_in(world)
    begun = idp.begin(world, scope="openid")
    access = world.redeem(world.id_jag(subject_token=begun.body["id_token"]))

    carried = Session.objects.get().trace
    assert txn(access) == carried
    assert Event.objects.filter(action="token.issued").count() == 3
    assert traces("sign_in.agreed", "session.begun", "token.issued") == [carried]


def test_a_lasting_one_is_too_by_its_refresh_token(world: World) -> None:
    grants.revoke(world.grant.pk, by=SYSTEM, reason="a longer one")
    make.grant(world.agent, world.entitlement, people=[world.alice], lasts=timedelta(days=60))
    flow.sign_in(world)
    begun = idp.begin(world)
    idp.refresh(world, str(begun.body["refresh_token"]))
    idp.exchange_refresh_token(world, str(begun.body["refresh_token"]))

    assert traces("sign_in.agreed", "session.begun", "token.issued") == [Session.objects.get().trace]


def test_a_try_that_is_refused_and_the_one_that_succeeds_later_share_the_trace_of_the_sign_in(world: World) -> None:
    grants.suspend(world.grant.pk, by=SYSTEM, reason="odd")
    token = world.id_token()
    assert world.exchange(subject_token=token).status == 400
    grants.restore(world.grant.pk, by=SYSTEM, reason="fine")
    assert world.exchange(subject_token=token).status == 200

    assert traces("token.refused", "session.begun", "token.issued") == [Session.objects.get().trace]


def test_a_client_that_names_a_trace_keeps_it_and_its_events_are_found_by_both(world: World) -> None:
    form = world.exchange_form()
    jag = world.post("/idp/token", form, traceparent=NAMED)

    carried = Session.objects.get().trace
    assert carried != THEIRS
    assert traces("session.begun", "token.issued") == [THEIRS]
    found = timeline.about(f"trace:{carried}").values_list("action", flat=True)
    assert list(found) == ["session.begun", "token.issued"]

    access = world.redeem(jag.body["access_token"])  # names none: the sign-in's
    assert txn(access) == carried
    assert [event.trace for event in timeline.about(f"trace:{carried}")] == [THEIRS, THEIRS, carried]


def test_what_breaks_a_rule_names_no_trace(world: World) -> None:
    world.post("/idp/token", world.exchange_form(), traceparent=f"{NAMED}-more")
    assert traces("token.issued") == [Session.objects.get().trace]


def test_a_session_that_follows_one_that_lapsed_has_a_trace_of_its_own(world: World) -> None:
    sign_ins.public_client(world)
    token = str(sign_ins.signed_in(world).body["refresh_token"])
    long_ago = clock.now() - timedelta(hours=2)
    Session.objects.update(started_at=long_ago, last_used_at=long_ago)
    answer = sign_ins.refresh(world, token)

    first, successor = Session.objects.order_by("started_at")
    assert first.trace != successor.trace
    assert txn(answer) == successor.trace


def test_an_agent_alone_goes_on_in_the_trace_of_its_token(world: World) -> None:
    make.grant(world.agent, world.entitlement)
    answer = world.alone()
    assert answer.status == 200, answer.body
    assert traces("token.issued") == [txn(answer)]


def test_the_trace_of_a_sign_in_says_what_it_is_of_to_none_without_the_key(settings: Any) -> None:  # noqa: ANN401
    named = ("https://idp.example", "alice", 1_800_000_000.7, "desk-client")
    first = sign_in_traces.trace(*named)
    assert first == sign_in_traces.trace("https://idp.example", "alice", 1_800_000_000, "desk-client")
    others = {sign_in_traces.trace(*named[:3], "other"), sign_in_traces.trace("https://idp.example", "bob", *named[2:])}
    assert first not in others
    settings.KEY_ENCRYPTION_KEY = type(settings.KEY_ENCRYPTION_KEY)(b"k" * 32)
    settings.SIGNING_KEY_ENCRYPTION_KEY = type(settings.KEY_ENCRYPTION_KEY)(b"k" * 32)
    assert sign_in_traces.trace(*named) != first


@pytest.fixture
def there(settings: Any) -> Iterator[Collector]:  # noqa: ANN401 - Django's settings
    """Export what the issuers' endpoints make to a collector."""
    with collector.running() as kept:
        settings.OTLP = (kept.url, env.Secret(dict[str, str]()))
        telemetry.start("mandate-edge")
        yield kept
        telemetry.stop()


@pytest.mark.loopback
@pytest.mark.parametrize("last", ["introspect", "revoke"])
def test_introspection_and_revocation_join_the_trace_that_the_token_carries(
    world: World, there: Collector, last: str
) -> None:
    token = world.access_token()
    sent = {"token": token, **world.credentials(world.audience)}
    assert world.post(f"/as/time/{last}", sent).status == 200
    telemetry.stop()

    assert f"POST /as/{{system}}/{last}" in {span.name for span in there.of(txn(token))}
    if last == "revoke":
        assert traces("token.revoked") == [txn(token)]


@pytest.mark.loopback
def test_introspection_of_an_id_jag_joins_the_trace_that_it_carries(world: World, there: Collector) -> None:
    jag = world.id_jag()
    assert world.post("/idp/introspect", {"token": jag, **world.credentials(world.idp)}).body["active"] is True
    telemetry.stop()

    assert "POST /idp/introspect" in {span.name for span in there.of(txn(jag))}


@pytest.mark.loopback
def test_introspection_of_a_refresh_token_joins_the_trace_of_its_sign_in(world: World, there: Collector) -> None:
    flow.sign_in(world)
    token = idp.begin(world).body["refresh_token"]
    assert world.post("/idp/introspect", {"token": token, **world.credentials(world.idp)}).body["active"] is True
    telemetry.stop()

    (carried,) = traces("sign_in.agreed")
    assert "POST /idp/introspect" in {span.name for span in there.of(carried)}


@pytest.mark.loopback
def test_what_is_no_token_of_ours_is_inspected_in_a_trace_of_its_own(world: World, there: Collector) -> None:
    token = world.access_token()
    sent = {"token": f"{token}x", **world.credentials(world.audience)}
    assert world.post("/as/time/introspect", sent).body == {"active": False}
    telemetry.stop()

    assert "POST /as/{system}/introspect" not in {span.name for span in there.of(txn(token))}
