"""A company whose agents may act for each other: each with a client that signs, and a grant for alice."""

# ruff: noqa: ANN401 - claims and forms are any JSON

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from audit.context import SYSTEM
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.delegation import permissions
from entitlements.edge.delegation import actor_tokens
from entitlements.edge.grant_types import exchange
from entitlements.grants.models import Grant
from entitlements.keys import jws
from tests import make, snapshots
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import Answer, World


@dataclass
class Member:
    """An agent that may be delegated to."""

    world: World
    agent: Agent
    client: Client
    key: jws.Key
    grant: Grant

    def actor_token(self, presenter: str, *, key: jws.Key | None = None, typ: str | None = None, **claims: Any) -> str:
        """Agree to act for the agent of a client."""
        now, me = int(time.time()), self.client.client_id
        usual = {"iss": me, "sub": me, "aud": self.world.idp, "client_id": presenter, "iat": now, "exp": now + 60}
        written = {**usual, "jti": str(uuid.uuid4()), **claims}
        kept = {name: value for name, value in written.items() if value is not None}
        return jws.sign(kept, key or self.key, actor_tokens.ACTOR_TYP if typ is None else typ)

    def credentials(self, audience: str) -> dict[str, str]:
        me = self.client.client_id
        return self.world.credentials(audience, key=self.key, iss=me, sub=me)

    def redeem(self, id_jag: str, **form: str | None) -> Answer:
        return self.world.redeem(id_jag, **{**self.credentials(self.world.audience), **form})

    def access_token(self, id_jag: str) -> str:
        answer = self.redeem(id_jag)
        assert answer.status == 200, answer.body
        return str(answer.body["access_token"])

    def exchange(self, access_token: str, actor: Member, **form: str | None) -> Answer:
        """Delegate on to another agent, by an access token of one's own."""
        return self.world.exchange(
            **{
                **self.credentials(self.world.idp),
                "subject_token": access_token,
                "subject_token_type": exchange.ACCESS_TOKEN,
                **acting(actor.actor_token(self.client.client_id)),
                **form,
            }
        )


@dataclass
class Company(World):
    """A world with the agents that may act for the one before them, and the first for the world's."""

    members: list[Member] = field(default_factory=list)


@snapshots.restored
def company() -> Company:
    made = Company(**vars(worlds.world()))
    made.members = members(made, "front", "back")
    return made


def acting(token: str) -> dict[str, str]:
    """Return the two parameters of an actor token."""
    return {"actor_token": token, "actor_token_type": actor_tokens.JWT}


def member(world: World, name: str) -> Member:
    agent, key = make.agent(name), worlds.new_key(name)
    client, _ = make.client(agent, f"{name}-client", jwks=worlds.key_set(key))
    return Member(world, agent, client, key, make.grant(agent, world.entitlement, people=[world.alice]))


def permit(agent: Agent, actor: Agent) -> None:
    permissions.permit(agent, actor=actor, by=SYSTEM, reason="They work together.")


def members(world: World, *names: str) -> list[Member]:
    """Make agents, of which each may act for the one before it, and the first for the world's."""
    made = [member(world, name) for name in names]
    for before, after in zip([world.agent, *(each.agent for each in made)], made, strict=False):
        permit(before, after.agent)
    return made


def delegate(world: World, actor: Member, **form: str | None) -> Answer:
    """Let the world's agent delegate by alice's ID token."""
    return world.exchange(**{**acting(actor.actor_token(world.client.client_id)), **form})


def chain(world: World, made: Sequence[Member]) -> list[str]:
    """Let each delegate to the next, and return the access tokens of all."""
    answer, held = delegate(world, made[0]), list[str]()
    for place, each in enumerate(made):
        assert answer.status == 200, answer.body
        held.append(each.access_token(str(answer.body["access_token"])))
        if place + 1 < len(made):
            answer = each.exchange(held[-1], made[place + 1])
    return held
