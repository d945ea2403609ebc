"""Every place that reads a JWS, attacked in every way, for every algorithm: refused, once, and with little work."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from django.db.models import Sum

from audit.context import SYSTEM
from audit.models import Event, StrangerCount
from entitlements import addresses
from entitlements.catalog import systems
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.edge.client_authentication import ASSERTION_TYPE
from entitlements.keys import jws, signing
from entitlements.people import people
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make, own_keys
from tests.attacks import jose
from tests.attacks.jose import Genuine
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import Answer, World

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("short_rsa_keys")]
ALGORITHMS = ("ES256", "EdDSA", "RS256")
EVENT, STRANGER, NOTHING = "an event", "a stranger counted", "nothing"


@dataclass(frozen=True)
class Place:
    """Where a token is read: how a good one is made, how it is shown, and what is said to one that is refused."""

    make: Callable[[], Genuine]
    show: Callable[[str], Answer]
    refused: tuple[int, str]
    leaves: str


def said(answer: Answer) -> tuple[int, str]:
    """Say how a token was answered: the status, and the error or the word that it counts."""
    if not answer.response.content:
        return answer.status, "done"
    body = answer.body
    if body.get("active") is False:
        return answer.status, "inactive"
    return answer.status, str(body.get("error") or body.get("code") or "accepted")


@dataclass
class Scene:
    """A company all of whose tokens are signed with one algorithm."""

    world: World
    algorithm: str
    partner: str = worlds.PARTNER
    secret: str = ""
    places: dict[str, Place] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world, key = self.world, jose.new_key
        world.client_key, world.stub_key = key(self.algorithm, "c1"), key(self.algorithm, "stub")
        world.client, _ = make.client(world.agent, "bot", jwks=worlds.key_set(world.client_key))
        TrustedIssuer.objects.update(jwks=worlds.key_set(world.stub_key), algorithms=[self.algorithm])
        issuer = TrustedIssuer.objects.create(
            issuer=self.partner,
            purpose=TrustedIssuer.Purpose.ID_JAG,
            jwks=worlds.key_set(key(self.algorithm, "p1")),
            algorithms=[self.algorithm],
        )
        people.link_identity(world.alice, issuer, "p-alice", by=SYSTEM)
        make.system("mandate", kind=System.Kind.BUILTIN)
        systems.edit_system(world.system, signing_algorithm=self.algorithm, by=SYSTEM)
        System.objects.filter(slug="mandate").update(signing_algorithm=self.algorithm)
        _, self.secret = make.client(None, "script", auth="client_secret_basic", api_scopes=["agents:read"])
        self.places = {**self._clients(), **self._grants(), **self._tokens()}

    def _clients(self) -> dict[str, Place]:
        """Return the places of a client's assertion; the last is of keys that came with a metadata document."""
        world, (at_idp, at_system) = self.world, (self.world.idp, self.world.audience)
        slug = world.system.slug

        def place(audience: str, show: Callable[[dict[str, str]], Answer]) -> Place:
            def shown(token: str) -> Answer:
                return show({"client_assertion": token, "client_assertion_type": ASSERTION_TYPE})

            return Place(
                lambda: Genuine(world.assertion(audience), world.client_key), shown, (401, "invalid_client"), STRANGER
            )

        return {
            "client at the identity issuer": place(at_idp, lambda form: world.exchange(**form)),
            "client at a system": place(at_system, lambda form: world.alone(**form)),
            "client that asks": place(at_system, lambda f: world.post(f"/as/{slug}/introspect", {"token": "x", **f})),
            "client that revokes": place(at_idp, lambda form: world.post("/idp/revoke", {"token": "x.y", **form})),
            "client of a metadata document": replace(
                place(at_system, lambda form: world.alone(**form)), make=self._of_document
            ),
        }

    def _of_document(self) -> Genuine:
        address = "https://app.example/client.json"
        if not Client.objects.filter(client_id=address).exists():
            make.client(self.world.agent, address, jwks=worlds.key_set(self.world.client_key))
        now = worlds.peek(self.world.assertion(self.world.audience))
        claims = {**now, "iss": address, "sub": address, "jti": str(uuid.uuid4())}
        return Genuine(jws.sign(claims, self.world.client_key, "JWT"), self.world.client_key)

    def _grants(self) -> dict[str, Place]:
        world, refused = self.world, (400, "invalid_grant")
        return {
            "subject token": Place(
                lambda: Genuine(world.id_token(), world.stub_key),
                lambda token: world.exchange(subject_token=token),
                refused,
                EVENT,
            ),
            "ID-JAG": Place(lambda: self._ours(world.id_jag()), world.redeem, refused, EVENT),
            "ID-JAG of a partner": Place(self._of_partner, world.redeem, refused, EVENT),
        }

    def _of_partner(self) -> Genuine:
        claims = worlds.peek(self.world.id_token())
        own = {
            "iss": self.partner,
            "sub": "p-alice",
            "aud": self.world.audience,
            "client_id": self.world.client.client_id,
            "jti": str(uuid.uuid4()),
            "resource": self.world.resource,
        }
        key = jose.new_key(self.algorithm, "p1")
        return Genuine(jws.sign({**claims, **own}, key, "oauth-id-jag+jwt"), key)

    def _tokens(self) -> dict[str, Place]:
        world = self.world

        def asks(path: str, audience: str) -> Callable[[str], Answer]:
            return lambda token: world.post(path, {"token": token, **world.credentials(audience)})

        def access() -> Genuine:
            return self._ours(world.access_token())

        def id_jag() -> Genuine:
            return self._ours(world.id_jag())

        slug, inactive, done = world.system.slug, (200, "inactive"), (200, "done")
        return {
            "introspection": Place(access, asks(f"/as/{slug}/introspect", world.audience), inactive, NOTHING),
            "introspection of an ID-JAG": Place(id_jag, asks("/idp/introspect", world.idp), inactive, NOTHING),
            "revocation": Place(access, asks(f"/as/{slug}/revoke", world.audience), done, NOTHING),
            "revocation of an ID-JAG": Place(id_jag, asks("/idp/revoke", world.idp), done, NOTHING),
            "our own API": Place(self._of_script, self._at_api, (401, "authentication_failed"), STRANGER),
        }

    def _of_script(self) -> Genuine:
        form = {"grant_type": "client_credentials", "client_id": "script", "client_secret": self.secret}
        return self._ours(str(self.world.post("/as/mandate/token", form).body["access_token"]))

    def _at_api(self, token: str) -> Answer:
        return Answer(
            self.world.http.get(
                "/api/v1/agents", headers={"Authorization": f"Bearer {token}".encode().decode("latin1")}
            )
        )

    def _ours(self, token: str) -> Genuine:
        return Genuine(token, own_keys.held(str(worlds.header(token)["kid"])))


@dataclass
class Work:
    """How much a verifier did: the longest part of a token that it decoded, and how often it checked a signature."""

    longest: int = 0
    checked: int = 0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Measure what the reading of tokens costs, in what is done and not in seconds."""
    done, decode, implementation = Work(), jws._decode, jws.implementation

    class Counted:
        def __init__(self, algorithm: str) -> None:
            self.sign, self._verify = implementation(algorithm).sign, implementation(algorithm).verify

        def verify(self, *what: Any) -> bool:  # noqa: ANN401 - the library's
            done.checked += 1
            return bool(self._verify(*what))

    def decoded(part: str) -> bytes:
        done.longest = max(done.longest, len(part))
        return decode(part)

    monkeypatch.setattr(jws, "_decode", decoded)
    monkeypatch.setattr(jws, "implementation", Counted)
    return done


def left() -> Counter[str]:
    """Count what refusals leave in the record."""
    strangers = StrangerCount.objects.aggregate(sum=Sum("count"))["sum"] or 0
    return Counter({EVENT: Event.objects.filter(action="token.refused").count(), STRANGER: strangers})


def attacks(genuine: Genuine, algorithm: str) -> Iterator[tuple[str, str]]:
    """Return the attacks: on the form once, since it has no algorithm, and on the signature for each."""
    yield from jose.signatures(genuine).items()
    if algorithm == ALGORITHMS[0]:
        yield from jose.forms(genuine).items()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_attack_is_refused_at_every_place_with_one_trace_and_bounded_work(
    world: World, algorithm: str, work: Work
) -> None:
    scene = Scene(world, algorithm)
    wrong = []
    for name, place in scene.places.items():
        genuine = place.make()
        shown = list(attacks(genuine, algorithm))
        before, living = left(), IssuedToken.objects.filter(revoked_at=None).count()
        for attack, token in shown:
            work.longest = work.checked = 0
            answer = said(place.show(token))
            if answer != place.refused or work.longest > jws.LARGEST or work.checked > 4:
                wrong.append((name, attack, answer, work.longest, work.checked))
        assert wrong == []
        assert left() - before == Counter({place.leaves: len(shown)} if place.leaves != NOTHING else {}), name
        assert IssuedToken.objects.filter(revoked_at=None).count() == living, name
        accepted = said(place.show(genuine.signed()))  # signed once more by the right key, and nothing else
        ended = living - IssuedToken.objects.filter(revoked_at=None).count()
        assert ended > 0 if place.refused[1] == "done" else accepted != place.refused, name


def test_a_token_of_a_million_bytes_is_refused_before_any_of_it_is_decoded(world: World, work: Work) -> None:
    scene = Scene(world, "ES256")
    for name, place in scene.places.items():
        genuine = place.make()
        body = genuine.body.strip()[:-1] + b',"more":"' + b"a" * jose.MILLION + b'"}'
        for token in (genuine.signed(body=body), genuine.with_signature(b"\x00" * jose.MILLION), "." * jose.MILLION):
            work.longest = work.checked = 0
            answer = place.show(token)
            assert 400 <= answer.status < 500, name
            assert work.longest < 2000, name  # the client's own assertion is short
            assert work.checked <= 1, name


def test_the_other_signature_of_a_token_is_the_same_token_and_opens_nothing_twice(world: World) -> None:
    """ECDSA has two right signatures for each (RFC 7518 asks for neither): what is used once is its `jti`."""
    scene = Scene(world, "ES256")
    for name in ("client at a system", "ID-JAG", "ID-JAG of a partner"):
        place = scene.places[name]
        genuine = place.make()
        place.show(genuine.token)
        assert said(place.show(jose.twin(genuine))) == place.refused, name
    access = scene.places["introspection"].make()
    assert scene.places["introspection"].show(jose.twin(access)).body["active"]
    scene.places["revocation"].show(jose.twin(access))
    assert said(scene.places["introspection"].show(access.token)) == (200, "inactive")


def test_no_key_of_ours_is_taken_for_one_of_another_issuer_or_algorithm(world: World) -> None:
    """The record of the key names its issuer and algorithm; the token names neither with any effect."""
    systems.edit_system(world.system, signing_algorithm="EdDSA", by=SYSTEM)
    path = addresses.issuer_path(world.system.slug)
    access = world.access_token()
    of_idp = own_keys.held(signing.ensure("idp", "EdDSA").kid)
    answer = world.post(
        f"/{path}/introspect",
        {"token": jws.sign(worlds.peek(access), of_idp, "at+jwt"), **world.credentials(world.audience)},
    )
    assert said(answer) == (200, "inactive")
