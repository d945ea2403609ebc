"""Five vendors as real servers, one of which lies about revocation: the signed ends are right about each."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements import tasks
from entitlements.catalog.models import System
from entitlements.connected_accounts import accounts, tokens
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.feed import changes
from entitlements.foreign_tokens import ends as foreign_ends
from entitlements.foreign_tokens import rules, tries
from entitlements.foreign_tokens.models import ForeignToken, MeasuredEnds
from entitlements.keys import jws, signing
from entitlements.people import people
from entitlements.revocation import record_keys, revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from entitlements.secrets import seal
from entitlements.signers.signer import SignerUnreachable
from entitlements.tokens.models import IssuedToken
from entitlements.vendors import vendors
from tests import make, waits
from tests.entitlements.connected_accounts import worlds
from tests.entitlements.connected_accounts.account_server import AccountServer
from tests.entitlements.connected_accounts.worlds import Guarded, Place
from tests.nodes.gateway import scripted, world

pytestmark = [pytest.mark.loopback, pytest.mark.django_db]


@dataclass
class Vendor:
    """A vendor's authorization server, and what takes its tokens."""

    server: AccountServer
    upstream: Guarded


class _Open(Guarded):
    """An upstream that lets anyone in, so that a call proves nothing."""

    handle = scripted.Scripted.handle


@contextlib.contextmanager
def running(*, is_open: bool = False) -> Iterator[Vendor]:
    with worlds.vendor() as server:
        if not is_open:
            with worlds.guarded(server) as upstream:
                yield Vendor(server, upstream)
            return
        with scripted.upstream() as plain:
            open_to_all = _Open(server)
            open_to_all.url = plain.url
            yield Vendor(server, open_to_all)


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Vendor]]:
    with contextlib.ExitStack() as stack:
        yield [*(stack.enter_context(running()) for _ in range(4)), stack.enter_context(running(is_open=True))]


@pytest.fixture
def offered(servers: list[Vendor], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[Vendor]:
    """The servers as polite as they begin; no node runs, so receipts come at once."""
    settings.DEMO = True
    monkeypatch.setattr(tries, "SOON", (0.0, 0.05, 0.1))
    monkeypatch.setattr(changes, "position", lambda _change: 1)
    monkeypatch.setattr(changes, "wait_for_nodes", lambda _position, _since: ([], []))
    signing.ensure(record_keys.RECEIPTS)
    for each in servers:
        issuer, redirects = each.server.issuer, each.server.client.redirect_uris
        each.server.__init__(issuer=issuer)  # type: ignore[misc] # everything else as it begins
        each.server.client.redirect_uris = redirects
    return servers


def beside(here: world.World, at: Vendor) -> Place:
    """Let the same agent act for the same person at another vendor."""
    system = make.system(f"drive-{uuid.uuid4().hex[:8]}", upstream_url=at.upstream.url)
    tool = make.tool(system, "act", definition={"name": "act", "description": "Acts.", "inputSchema": worlds.SCHEMA})
    entitlement = make.entitlement(system, tool, scope=f"{system.slug}:read")
    grant = make.grant(here.agent, entitlement, people=[here.person])
    worlds.register(system, at.server)
    return Place(replace(here, system=system, tool=tool, entitlement=entitlement, grant=grant), at.server, at.upstream)


def place_at(vendor: Vendor) -> Place:
    return worlds.place(vendor.server, vendor.upstream)


def stop(place: Place, kind: str = "person") -> Revocation:
    key = place.here.person.login if kind == "person" else str(place.here.grant.pk)
    return revocation.revoke(Target(kind, key), by=SYSTEM, reason="The account was taken over.")


def work(times: int = 1) -> None:
    """Let the worker come by so often, each time when the next try is due."""
    for _ in range(times):
        ConnectedAccount.objects.filter(revocation="pending").update(revocation_due_at=clock.now())
        tasks.look_after_connected_accounts()


def later(by: timedelta = rules.BOUND) -> None:
    """Let the tries have begun so long ago."""
    for token in ForeignToken.objects.exclude(began_at=None):
        ForeignToken.objects.filter(pk=token.pk).update(began_at=(token.began_at or clock.now()) - by)


def measured(stopped: Revocation) -> dict[str, dict[str, Any]]:
    """Return the signed ends by system, after checking the signature with the published key and the receipt's hash."""
    statement = MeasuredEnds.objects.get(revocation=stopped).statement
    claims, standing = record_keys.check(statement, foreign_ends.STATEMENT_TYP, clock.now)
    stopped.refresh_from_db()
    assert (claims["id"], standing) == (str(stopped.pk), "valid")
    assert claims["receipt_sha256"] == hashlib.sha256(stopped.receipt.encode()).hexdigest()
    return {each["system"]: each for each in claims["ends"]}


def minted_elsewhere(here: world.World) -> str:
    """Let a vendor have minted a token of its own for the person; returns its system."""
    system = vendors.register(
        "maps",
        name="Maps",
        owner=make.person(),
        issuer="https://as.vendor.example",
        resources=["https://mcp.vendor.example/mcp"],
        by=make.analyst().principal,
    )
    now = clock.now()
    IssuedToken.objects.create(
        jti=str(uuid.uuid4()),
        kind=IssuedToken.Kind.ID_JAG,
        system=system,
        client=here.client,
        agent=here.agent,
        person=here.person,
        scope="maps:read",
        issued_at=now,
        expires_at=now + timedelta(seconds=300),
    )
    return system.slug


def test_the_receipt_is_right_about_each_vendor(offered: list[Vendor]) -> None:
    truthful, liar, silent, slow, nothing = offered
    truthful.server.introspects = liar.server.introspects = slow.server.introspects = True
    liar.server.lies, slow.server.dies_after = True, 1.0
    silent.server.revokes = nothing.server.revokes = nothing.server.gives_refresh = False
    first = place_at(truthful)
    places = [first, *(beside(first.here, each) for each in (liar, silent, slow, nothing))]
    for each in places:
        each.connect()
    maps = minted_elsewhere(first.here)
    began = clock.now()
    stopped = stop(first)
    named = {entry["where"]: entry["what"] for entry in stopped.residual}
    assert named == {
        maps: "tokens the vendor minted",
        **{each.here.system.slug: "tokens of 1 connected account not revoked at the vendor yet" for each in places},
    }
    work()
    assert MeasuredEnds.objects.get(revocation=stopped).statement == "", "two are not measured yet"
    pending = {token.system.slug: token for token in ForeignToken.objects.filter(end="pending")}
    assert pending.keys() == {places[1].here.system.slug, places[3].here.system.slug}
    assert all(token.answer == "revoked" and token.last_alive_at for token in pending.values())
    waits.until(lambda: not slow.server.live)
    work()
    later()
    work()
    found = measured(stopped)
    by_vendor = [found[each.here.system.slug] for each in places]
    assert [(each["vendor_answer"], each["end"]) for each in by_vendor] == [
        ("revoked", "dead"),
        ("revoked", "alive"),
        ("not_offered", "alive"),
        ("revoked", "dead"),
        ("not_offered", "unknown"),
    ]
    assert (found[maps]["end"], found[maps]["why"], found[maps]["vendor_answer"]) == ("unknown", "not_held", None)
    assert by_vendor[4]["why"] == "no_way"
    assert "call" in by_vendor[1]["found_by"]
    dead_at = [datetime.fromisoformat(by_vendor[number]["dead_at"]) for number in (0, 3)]
    assert began < dead_at[0] < dead_at[1] < clock.now()
    assert [bool(each.server.live) for each in offered] == [False, True, True, False, True], "as it really is"
    assert not ConnectedAccount.objects.exclude(sealed=None).exists(), "the tokens are forgotten"


def test_each_end_is_one_event_and_no_event_holds_a_token(offered: list[Vendor]) -> None:
    place = place_at(offered[0])
    account = place.connect()
    stopped = stop(place)
    work(2)
    (event,) = Event.objects.filter(action="foreign_token.measured")
    assert event.detail["end"] == "dead"
    assert set(event.about) >= {f"revocation:{stopped.pk}", f"connected_account:{account.pk}"}
    assert Event.objects.filter(action="revocation.ends_signed").count() == 1
    assert place.leaked() == []
    assert not any(secret in jws.read(stopped.receipt).claims.__repr__() for secret in place.vendor.secrets)


def test_a_liar_that_is_told_to_introspect_as_well_is_found_by_a_call(offered: list[Vendor]) -> None:
    place = place_at(offered[1])
    place.vendor.lies = place.vendor.introspects = True
    place.connect()
    stopped = stop(place)
    work()
    assert ForeignToken.objects.get().end == "pending", "it may need a moment"
    later()
    work()
    assert measured(stopped)[place.here.system.slug]["found_by"] == ["call"]


def test_a_refresh_token_that_lives_is_found_though_the_access_token_is_dead(offered: list[Vendor]) -> None:
    place = place_at(offered[0])
    place.vendor.lies = True
    place.connect()
    place.vendor.expire()
    stopped = stop(place)
    work()
    assert place.vendor.refreshes() == 1
    assert len(place.vendor.told) == 1
    later()
    work()
    assert measured(stopped)[place.here.system.slug]["end"] == "alive"
    assert not ConnectedAccount.objects.exclude(sealed=None).exists()


def test_introspection_that_never_took_the_token_proves_no_end(offered: list[Vendor]) -> None:
    place = place_at(offered[4])
    place.vendor.introspects, place.vendor.may_introspect, place.vendor.gives_refresh = True, False, False
    place.connect()
    stopped = stop(place)
    work(2)
    end = measured(stopped)[place.here.system.slug]
    assert (end["end"], end["why"], end["vendor_answer"]) == ("unknown", "no_way", "revoked")
    assert ForeignToken.objects.get().accepted_before == []


def test_introspection_alone_is_enough_where_it_took_the_token_before(offered: list[Vendor]) -> None:
    place = place_at(offered[4])
    place.vendor.introspects = True
    place.connect()
    stopped = stop(place)
    work()
    end = measured(stopped)[place.here.system.slug]
    assert (end["end"], end["found_by"]) == ("dead", ["introspection", "refresh"])


def test_a_server_that_does_not_answer_is_measured_all_the_same_and_again_when_it_does(offered: list[Vendor]) -> None:
    place = place_at(offered[0])
    account = place.connect()
    place.vendor.revocation_status = 503
    stopped = stop(place)
    work()
    later()
    work()
    assert measured(stopped)[place.here.system.slug]["end"] == "alive"
    account.refresh_from_db()
    assert (account.revocation, account.sealed is None) == ("pending", False), "it is asked again"
    place.vendor.revocation_status = 200
    work()
    account.refresh_from_db()
    assert account.revocation == "revoked"
    end = measured(stopped)[place.here.system.slug]
    assert (end["vendor_answer"], end["end"]) == ("revoked", "dead"), "and the statement is signed anew"
    assert Event.objects.filter(action="revocation.ends_signed").count() == 2


def test_an_upstream_that_is_away_is_tried_again_and_not_known_in_the_end(offered: list[Vendor]) -> None:
    place = place_at(offered[0])
    place.vendor.gives_refresh = False
    place.connect()
    System.objects.filter(pk=place.here.system.pk).update(upstream_url="http://localhost:1/mcp")
    account = place.account()
    opened = tokens.opened(bytes(account.sealed or b""), account.pk)
    moved = msgspec.structs.replace(opened, host="http://localhost:1")
    ConnectedAccount.objects.update(sealed=tokens.sealed(moved, account.pk))
    stopped = stop(place)
    work()
    assert ForeignToken.objects.get().end == "pending"
    later()
    work()
    end = measured(stopped)[place.here.system.slug]
    assert (end["end"], end["why"]) == ("unknown", "no_answer")


def test_a_worker_that_dies_leaves_the_account_to_the_next(
    offered: list[Vendor], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_at(offered[0])
    place.vendor.introspects = True
    place.connect()
    stopped = stop(place)
    with monkeypatch.context() as patched:
        patched.setattr(foreign_ends, "measure", _die)
        with pytest.raises(KeyboardInterrupt):
            tasks.look_after_connected_accounts()
    assert place.vendor.told, "it died after the revocation"
    tasks.look_after_connected_accounts()
    assert ForeignToken.objects.get().end == "pending", "claimed until the pass would be over"
    work()
    assert measured(stopped)[place.here.system.slug]["end"] == "dead"


def _die(*_: object) -> bool:
    raise KeyboardInterrupt


def test_an_account_that_goes_on_is_not_waited_for(offered: list[Vendor]) -> None:
    place = place_at(offered[0])
    account = place.connect()
    stopped = stop(place)
    people.enable(place.here.person, by=SYSTEM, reason="A mistake.")
    work()
    assert MeasuredEnds.objects.get(revocation=stopped).statement == ""
    ForeignToken.objects.update(named_at=clock.now() - timedelta(minutes=3))
    work()
    end = measured(stopped)[place.here.system.slug]
    assert (end["end"], end["why"]) == ("unknown", "account_stays")
    account.refresh_from_db()
    assert account.ended_at is None
    accounts.end(account.pk, by=SYSTEM, reason="Over.")
    work()
    assert measured(stopped)[place.here.system.slug]["end"] == "dead"


def test_a_revoked_grant_waits_for_the_accounts_that_end_with_it(offered: list[Vendor]) -> None:
    place = place_at(offered[0])
    place.connect()
    other = beside(place.here, offered[1])
    other.connect()
    stopped = stop(place, "grant")
    work(2)
    assert measured(stopped).keys() == {place.here.system.slug}
    assert offered[1].server.live, "the other account goes on"


def test_a_later_stop_names_what_a_liar_left_alive(offered: list[Vendor]) -> None:
    place = place_at(offered[1])
    place.vendor.lies = True
    place.connect()
    stop(place, "grant")
    work()
    later()
    work()
    assert revocation.residual(Target("person", place.here.person.login)) == [
        {
            "what": "tokens of 1 connected account that the vendor did not revoke",
            "where": place.here.system.slug,
            "dies_at": None,
        }
    ]


def test_what_does_not_open_is_not_known_and_a_stop_without_foreign_tokens_waits_for_none(
    offered: list[Vendor],
) -> None:
    place = place_at(offered[0])
    assert not MeasuredEnds.objects.filter(revocation=stop(place, "grant")).exists()
    make.grant(place.here.agent, place.here.entitlement, people=[place.here.person])
    place.connect()
    ConnectedAccount.objects.update(sealed=seal.seal(b"{}", "elsewhere"))
    stopped = stop(place)
    work(2)
    assert measured(stopped)[place.here.system.slug]["why"] == "not_opened"


def test_without_its_signer_a_statement_is_signed_later(offered: list[Vendor], monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_at(offered[0])
    place.connect()
    stopped = stop(place)
    with monkeypatch.context() as patched:
        patched.setattr(signing, "sign", _no_signer)
        work()
    assert MeasuredEnds.objects.get(revocation=stopped).statement == ""
    work()
    assert measured(stopped)[place.here.system.slug]["end"] == "dead"


def _no_signer(*_: object, **__: object) -> str:
    raise SignerUnreachable
