"""Make parts of a small company, each in a process of its own that prints, as JSON, what its clients would know."""

from __future__ import annotations

import json
import os
import sys
import time
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connection, transaction
from joserfc import jwk

from audit.context import SYSTEM
from audit.seals import seals
from entitlements import addresses
from entitlements.budgets import budgets
from entitlements.budgets.budgets import What
from entitlements.catalog import systems
from entitlements.catalog.models import Entitlement, System
from entitlements.clients.models import Client
from entitlements.grants import batches
from entitlements.keys import signing
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import crowd as crowds
from tests import make
from tests.benchmarks import inventory, issue_calls, reviewing
from tests.benchmarks.forms import BEARER, STUB, basic, id_token, leg_1
from tests.edge import Browser
from tests.governance.console import visits

PEOPLE = 20


def tokens() -> dict[str, Any]:
    """Make an agent that may use a tool for twenty people, its client, and their ID tokens of a trusted issuer."""
    parameters: Any = {"kid": "stub", "use": "sig", "alg": "ES256"}
    material = jwk.ECKey.generate_key("P-256", parameters=parameters)
    key = material.as_dict(private=True)
    issuer = TrustedIssuer.objects.create(
        issuer=STUB,
        purpose=TrustedIssuer.Purpose.IDENTITY,
        jwks={"keys": [material.as_dict(private=False)]},
        algorithms=["ES256"],
    )
    persons = _persons("person", PEOPLE, issuer)
    agent, system = make.agent("assistant"), make.system("time")
    client, secret = make.client(agent, "assistant-client", auth=Client.Auth.CLIENT_SECRET_BASIC)
    make.grant(agent, make.entitlement(system, make.tool(system, "get"), scope="time:read"), people=persons)
    for path in (addresses.IDP, addresses.issuer_path(system.slug)):
        signing.ensure(path)
    return {
        "client": client.client_id,
        "secret": secret,
        "audience": addresses.issuer(addresses.issuer_path(system.slug)),
        "resource": addresses.resources(system)[0],
        "key": key,
        "people": PEOPLE,
        "id_tokens": [_id_token(key, client.client_id, person.login) for person in persons],
    }


def crowd(count: str) -> dict[str, Any]:
    """Make so many agents beside the others, each with a client and a grant of its own."""
    with transaction.atomic():
        return crowds.gather(Entitlement.objects.get(scope="time:read"), int(count))


def upstream(url: str) -> dict[str, Any]:
    """Let the system's calls go to this address."""
    System.objects.filter(slug="time").update(upstream_url=url)
    return {}


def access(known: str) -> dict[str, Any]:
    """Return an access token for each of the people, by both legs."""
    return {"tokens": _both_legs(json.loads(known))}


def counted(known: str) -> dict[str, Any]:
    """Make an agent that may use the tool for the same people under a budget that is never used up, and its client."""
    made, entitlement = json.loads(known), Entitlement.objects.get(scope="time:read")
    persons = list(Person.objects.filter(login__in=[f"person-{number}" for number in range(PEOPLE)]).order_by("pk"))
    agent = make.agent("counted", sponsor=persons[0], owner=persons[0])
    client, secret = make.client(agent, "counted-client", auth=Client.Auth.CLIENT_SECRET_BASIC)
    grant = make.grant(agent, entitlement, people=persons)
    ana = make.person("ana-of-budgets", roles=[Role.ANALYST])
    what = What("calls", Decimal(10) ** 9)
    budgets.set_budget(what, by=ana, reason="Never used up.", grant=grant.pk)
    ids = [_id_token(made["key"], client.client_id, person.login) for person in persons]
    return {**made, "client": client.client_id, "secret": secret, "id_tokens": ids}


def revocable(known: str, count: str) -> dict[str, Any]:
    """Make an agent with a grant, and an access token of it, for each of `count` people, and someone who may revoke."""
    made, issuer = json.loads(known), TrustedIssuer.objects.get(issuer=STUB)
    sponsor, entitlement = Person.objects.get(login="person-0"), Entitlement.objects.get(scope="time:read")
    agent = make.agent("stopped", sponsor=sponsor, owner=sponsor)
    client, secret = make.client(agent, "stopped-client", auth=Client.Auth.CLIENT_SECRET_BASIC)
    persons = _persons("stopped", int(count), issuer)
    grants = [str(make.grant(agent, entitlement, people=[person]).pk) for person in persons]
    theirs = {**made, "client": client.client_id, "secret": secret}
    theirs["id_tokens"] = [_id_token(made["key"], client.client_id, person.login) for person in persons]
    return {
        "grants": grants,
        "tokens": _both_legs(theirs),
        "admin": people.make_api_token(make.security("sam"), "bench", by=SYSTEM),
    }


def _persons(prefix: str, count: int, issuer: TrustedIssuer) -> list[Person]:
    persons = [make.person(f"{prefix}-{number}") for number in range(count)]
    for person in persons:
        people.link_identity(person, issuer, person.login, by=SYSTEM)
    return persons


def _id_token(key: dict[str, Any], client_id: str, login: str) -> str:
    return id_token(jwk.import_key(key), client_id, login, int(time.time()) - 60)


def _both_legs(made: dict[str, Any]) -> list[str]:
    browser = Browser()

    def post(path: str, **fields: str) -> str:
        headers = basic(made["client"], made["secret"])
        answer = browser.post(path, urlencode(fields), content_type=headers.pop("content-type"), headers=headers)
        assert answer.status_code == 200, answer.content
        return str(answer.json()["access_token"])

    legs = [post("/idp/token", **leg_1(made, token)) for token in made["id_tokens"]]
    return [post("/as/time/token", grant_type=BEARER, assertion=leg) for leg in legs]


def fleet(count: str) -> dict[str, Any]:
    """Make a fleet, and who looks at it: somebody who sees everything, by page and by API, and a sponsor."""
    from scripts.demo.data import fleet as fleets  # noqa: PLC0415 - it sets the product up

    seer = make.person("ana", roles=[Role.ANALYST, Role.SECURITY, Role.AUDITOR])
    _ = Person.objects.filter(login="sam").first() or make.person("sam")
    systems.ensure_builtin()
    began = time.perf_counter()
    events = fleets.fill(int(count), os.environ["MIGRATE_DATABASE_URL"])
    inventory.fill()
    seconds = time.perf_counter() - began
    fleets.look_again()
    return {
        "events": events,
        "seconds": seconds,
        "sees_all": _signed_in(seer),
        "sees_hers": _signed_in(Person.objects.get(login="fleet-person-000007")),
        "token": people.make_api_token(seer, "bench", by=SYSTEM),
    }


def sign_in(login: str) -> dict[str, Any]:
    """Sign somebody in who has just proved who they are: a proof is not fresh for longer than five minutes."""
    return {"cookie": _signed_in(Person.objects.get(login=login))}


def _signed_in(person: Person) -> str:
    browser = visits.as_(person)
    return f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"


def sweep(count: str) -> dict[str, Any]:
    """Let so many grants be due at once, and end them as the worker does; beside it one statement that only marks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE entitlements_grant SET expires_at = now() - interval '1 second' WHERE id IN"
            " (SELECT g.id FROM entitlements_grant g JOIN entitlements_agent a ON a.id = g.agent_id"
            " WHERE g.ended_at IS NULL AND a.slug LIKE 'fleet-%%' ORDER BY g.id LIMIT %s)",  # others are measured yet
            [int(count)],
        )
        began = time.perf_counter()
        with transaction.atomic():
            cursor.execute(
                "UPDATE entitlements_grant SET state = 'expired', ended_at = now(), end_reason = 'x'"
                " WHERE ended_at IS NULL AND expires_at <= now()"
            )
            plain = time.perf_counter() - began
            transaction.set_rollback(True)
    began, ended = time.perf_counter(), 0
    while done := batches.expire_due():
        ended += done
    seconds, began = time.perf_counter() - began, time.perf_counter()
    batches.expire_due()
    return {"count": ended, "seconds": seconds, "plain": plain, "empty": time.perf_counter() - began}


def seal() -> dict[str, Any]:
    """Seal all that happened so far, as the sealer does while it has a backlog."""
    with psycopg.connect(os.environ["SEAL_DATABASE_URL"], autocommit=True) as sealing:
        sealer = seals.begin(sealing, "bench", Ed25519PrivateKey.generate(), [])
        began, count = time.perf_counter(), 0
        while sealed := sealer.seal_batch():
            count += sealed
        return {"count": count, "seconds": time.perf_counter() - began}


def main() -> None:
    """Read from the command line what to make."""
    made = {
        "tokens": tokens,
        "crowd": crowd,
        "upstream": upstream,
        "access": access,
        "counted": counted,
        "revocable": revocable,
        "fleet": fleet,
        "sign-in": sign_in,
        "sweep": sweep,
        "seal": seal,
        "roll-up": reviewing.roll_up,
        "stage-review": reviewing.stage,
        "count": reviewing.count,
        "answer-review": reviewing.answer,
        "close-review": reviewing.close,
        "issue": issue_calls.main,
    }[sys.argv[1]](*sys.argv[2:])  # type: ignore[operator]  # each says in its signature what it wants
    json.dump(made, sys.stdout)
