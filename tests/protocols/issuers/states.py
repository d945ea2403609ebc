"""What can become of the things behind a request, each as one named change of the world."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db.models import F

from audit import clock
from audit.context import SYSTEM, Principal
from entitlements import ratelimits
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, EntitlementTool, System, Tool
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.decisions import guardrails
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.keys import signing
from entitlements.people import people
from entitlements.people.models import Identity, Membership, Person
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.entitlements.edge import worlds as oauth_worlds

from . import worlds
from .worlds import WHY, World

type State = Callable[[World], object]

_ANOTHER: Final = Principal("person", "another")


def _agent(world: World) -> Agent:
    return Agent.objects.get(pk=world.agents["expense-bot"].pk)


def _callers(world: World) -> list[Client]:
    names = ("key-client", "secret-client", "public-client", "script-client")
    return [Client.objects.get(client_id=name) for name in names if name in world.clients]


def _person_disabled(world: World) -> None:
    people.disable(world.people["alice"], by=SYSTEM, reason=WHY)


def _person_enabled_again(world: World) -> None:
    people.disable(world.people["alice"], by=SYSTEM, reason=WHY)
    people.enable(world.people["alice"], by=_ANOTHER, reason=WHY)


def _agent_restored(world: World) -> None:
    agents.suspend(_agent(world), by=SYSTEM, reason=WHY)
    agents.restore(_agent(world), by=_ANOTHER, reason=WHY)


def _agent_staged(world: World) -> None:
    Agent.objects.filter(pk=_agent(world).pk).update(status=Agent.Status.STAGED, activated_at=None)


def _agent_at_its_end(world: World) -> None:
    Agent.objects.filter(pk=_agent(world).pk).update(kind=Agent.Kind.EPHEMERAL, ends_at=clock.now())


def _owner_gone(_world: World) -> None:
    Person.objects.filter(login="owner").update(is_active=False, disabled_at=clock.now() - timedelta(days=8))


def _owner_just_gone(world: World) -> None:
    people.disable(world.people["owner"], by=SYSTEM, reason=WHY)


def _clients_disabled(world: World) -> None:
    for client in _callers(world):
        clients.disable(client, by=SYSTEM, reason=WHY)


def _clients_enabled_again(world: World) -> None:
    _clients_disabled(world)
    for client in _callers(world):
        clients.enable(client, by=_ANOTHER, reason=WHY)


def _secrets_rotated(world: World) -> None:
    make.rewrite(world.clients["secret-client"], secret_sha256=clients.secret_digest("another"))
    Client.objects.filter(client_id="script-client").update(secret_sha256=clients.secret_digest("another"))


def _keys_replaced(world: World) -> None:
    other = oauth_worlds.key_set(oauth_worlds.new_key("key-client"))
    make.rewrite(world.clients["key-client"], jwks=other)


def _api_scopes_narrowed(_world: World) -> None:
    Client.objects.filter(client_id__in=["script-client", "inspector"]).update(api_scopes=["grants:read"])


def _systems_disabled(_world: World) -> None:
    System.objects.filter(slug__in=["time", "maps", "mandate"]).update(status=System.Status.DISABLED)


def _grants(world: World) -> list[Grant]:
    return list(Grant.objects.filter(agent=_agent(world), ended_at=None).order_by("pk"))


def _grants_revoked(world: World) -> None:
    for grant in _grants(world):
        grants.revoke(grant.pk, by=SYSTEM, reason=WHY)


def _grants_suspended(world: World) -> None:
    for grant in _grants(world):
        grants.suspend(grant.pk, by=SYSTEM, reason=WHY)


def _grants_over(world: World) -> None:
    began = clock.now() - timedelta(days=2)
    Grant.objects.filter(agent=_agent(world)).update(starts_at=began, expires_at=began + timedelta(days=1))


def _grants_not_begun(world: World) -> None:
    Grant.objects.filter(agent=_agent(world)).update(starts_at=F("expires_at") - timedelta(seconds=1))


def _grant_ends_soon(world: World) -> None:
    Grant.objects.filter(pk=world.grants["time:brief"].pk).update(expires_at=clock.now() + timedelta(seconds=60))


def _tools(state: str) -> State:
    def change(_world: World) -> None:
        Tool.objects.update(state=state)

    return change


def _entitlements_disabled(_world: World) -> None:
    Entitlement.objects.update(enabled=False)


def _entitlement_has_another_tool(_world: World) -> None:
    for scope in ("time:read", "time:solo", "maps:read", "maps:solo"):
        entitlement = Entitlement.objects.get(scope=scope)
        EntitlementTool.objects.create(entitlement=entitlement, tool=make.tool(entitlement.system, f"more_{scope[5:]}"))


def _sessions(**columns: object) -> State:
    def change(_world: World) -> None:
        Session.objects.update(**columns)

    return change


def _sessions_ended(_world: World) -> None:
    for session in Session.objects.filter(ended_at=None):
        sessions.end(session.pk, by=SYSTEM, reason=WHY)


def _sessions_idle(_world: World) -> None:
    Session.objects.update(last_used_at=clock.now() - timedelta(hours=2), started_at=clock.now() - timedelta(hours=2))


def _sessions_old(_world: World) -> None:
    Session.objects.update(auth_time=clock.now() - settings.SIGN_IN_MAX_AGE - timedelta(minutes=1))


def _sessions_over(_world: World) -> None:
    Session.objects.update(expires_at=clock.now() - timedelta(seconds=1))


def _issuers_ended(_world: World) -> None:
    TrustedIssuer.objects.update(enabled=False)


def _issuers_of_another_purpose(_world: World) -> None:
    TrustedIssuer.objects.update(purpose=TrustedIssuer.Purpose.WORKLOAD)


def _identities_gone(_world: World) -> None:
    Identity.objects.all().delete()


def _another_algorithm(_world: World) -> None:
    TrustedIssuer.objects.update(algorithms=["RS256"])


def _out_of_the_group(_world: World) -> None:
    Membership.objects.all().delete()


def _limit_of_one(_world: World) -> None:
    """Allow one request a minute; the minute has time left, so that it does not begin anew between two of them."""
    if time.time() % ratelimits.WINDOW > ratelimits.WINDOW - 3:
        time.sleep(4)
    settings.RATE_LIMITS["tokens"] = 1


def _signing_keys(step: str) -> State:
    def change(world: World) -> None:
        for issuer in ("idp", "as/time", "as/maps", "as/mandate"):
            kid = signing.active_kid(issuer)
            if step == "withdrawn":
                signing.withdraw(kid, by=SYSTEM, reason=WHY)
            else:
                signing.rotate(issuer, by=SYSTEM, now=step == "rotated")
        worlds.note_keys(world)

    return change


STATES: Final[dict[str, State]] = {
    "person disabled": _person_disabled,
    "person enabled again": _person_enabled_again,
    "agent suspended": lambda world: agents.suspend(_agent(world), by=SYSTEM, reason=WHY),
    "agent restored": _agent_restored,
    "agent retired": lambda world: agents.retire(_agent(world), by=SYSTEM, reason=WHY),
    "agent staged": _agent_staged,
    "agent at its end": _agent_at_its_end,
    "sponsor disabled": lambda world: people.disable(world.people["sponsor"], by=SYSTEM, reason=WHY),
    "owner gone": _owner_gone,
    "owner just gone": _owner_just_gone,
    "client disabled": _clients_disabled,
    "client enabled again": _clients_enabled_again,
    "secret rotated": _secrets_rotated,
    "key replaced": _keys_replaced,
    "api scopes narrowed": _api_scopes_narrowed,
    "system disabled": _systems_disabled,
    "everything stopped": lambda _world: guardrails.stop_everything(by=SYSTEM, reason=WHY),
    "grants revoked": _grants_revoked,
    "grants suspended": _grants_suspended,
    "grants over": _grants_over,
    "grants not begun": _grants_not_begun,
    "tools disabled": _tools("disabled"),
    "tools quarantined": _tools("quarantined"),
    "tools pending": _tools("pending"),
    "tools removed": _tools("removed"),
    "entitlements disabled": _entitlements_disabled,
    "entitlement has another tool": _entitlement_has_another_tool,
    "sessions ended": _sessions_ended,
    "sessions idle": _sessions_idle,
    "sessions old": _sessions_old,
    "sessions over": _sessions_over,
    "issuers ended": _issuers_ended,
    "issuers of another purpose": _issuers_of_another_purpose,
    "issuers with another algorithm": _another_algorithm,
    "identities gone": _identities_gone,
    "out of the group": _out_of_the_group,
    "signing keys next": _signing_keys("next"),
    "signing keys rotated": _signing_keys("rotated"),
    "signing keys withdrawn": _signing_keys("withdrawn"),
}
"""Each is made after the case's own tokens, so that it meets them."""
LIMITED: Final = "a limit of one"
SOON: Final = "a grant ends soon"
"""States that only some requests notice."""


def change(world: World, state: str) -> None:
    """Bring the world into a state; several are joined by " + "."""
    for each in state.split(" + "):
        ({LIMITED: _limit_of_one, SOON: _grant_ends_soon} | STATES)[each](world)
