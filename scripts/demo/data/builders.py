"""Makes the rows of a world through the product's actions, now or some days ago; shared by the seed's modules.

Django is set up before this is imported.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from unittest import mock

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import transaction
from joserfc.jwk import ECKey

from audit import clock
from audit.context import SYSTEM, Principal
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import entitlements, systems
from entitlements.catalog.models import Entitlement, System
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.people import people
from entitlements.people.models import Group, Person, Role
from entitlements.people_sources import provisioning, sources
from entitlements.people_sources.models import ENTERPRISE, PeopleSource
from entitlements.people_sources.provisioning import DirectoryPerson
from entitlements.proposals import proposals
from entitlements.proposals.models import Proposal
from entitlements.secrets import vault
from entitlements.secrets.models import Secret
from governance.approvals import approvals
from governance.approvals.models import Approval
from governance.eligibility.eligibility import RequestTerms
from governance.requests import requests
from governance.requests.models import AccessRequest
from scripts.demo.data import cast

LONGEST: Final = timedelta(days=366)
"""How long access may last in this world."""


@contextlib.contextmanager
def days_ago(days: float) -> Iterator[None]:
    """Let the product, and the columns that Django fills, believe for the block that it is so many days earlier."""
    with at(clock.now() - timedelta(days=days)):
        yield


@contextlib.contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Let it be that moment, from which on time goes by."""
    clock.set_offset(moment)
    try:
        with mock.patch("django.utils.timezone.now", clock.now):
            yield
    finally:
        clock.forget()


def who(login: str) -> Person:
    """Return a person of the world."""
    return Person.objects.get(login=login)


def confirm_classes(system: System) -> None:
    """Let a second person confirm each class that is lower than the rules propose."""
    for row in Proposal.objects.filter(subject__startswith=f"tool:{system.slug}/", state=Proposal.State.PROPOSED):
        proposals.confirm(row.pk, by=who(cast.SECURITY))


def person(character: cast.Character, *, password: str | None = None) -> Person:
    """Let the directory of the company name a person, and give the roles that do not end."""
    directory = PeopleSource.objects.filter(slug="hr").first()
    if directory is None:
        directory, _token = sources.make("hr", name="HR", subjects_of=None, by=SYSTEM)
    document = {ENTERPRISE: {"department": character.department}}
    named = DirectoryPerson(
        character.login,
        character.name,
        email=f"{character.login}@example.com",
        manager=character.manager or "",
        document=document,
    )
    registered_person = provisioning.add_person(directory, named).person
    if password:  # what people set at their first sign-in; one that is drawn at random needs no stretching
        registered_person.password = PBKDF2PasswordHasher().encode(password, secrets.token_hex(8), iterations=1)
    else:
        registered_person.set_unusable_password()
    registered_person.save(update_fields=["password"])
    for role in character.roles:
        if role != Role.AUDITOR:
            people.assign_role(registered_person, role, by=SYSTEM, reason="Part of the demo world.")
    return registered_person


def group(slug: str, name: str, members: Iterable[str]) -> Group:
    """Make a group."""
    return people.make_group(slug, name=name, people=[who(login) for login in members], by=who(cast.ANALYST).principal)


def agent(bot: cast.AgentSpec) -> Agent:
    """Register an agent, without its clients."""
    return agents.register(
        bot.slug,
        name=bot.name,
        kind=bot.kind,
        sponsor=who(bot.sponsor),
        owner=who(bot.owner),
        purpose=bot.purpose,
        by=who(cast.ANALYST).principal,
    )


def client(
    client_id: str,
    auth: str,
    owner_agent: Agent | None,
    **more: Any,  # noqa: ANN401 - as clients.register takes
) -> tuple[Client, str | None, dict[str, Any]]:
    """Register a client, as the sponsor of its agent does; return it with its secret or its private key."""
    key = ECKey.generate_key("P-256", parameters={"kid": client_id, "alg": "ES256", "use": "sig"}, private=True)
    if auth == Client.Auth.PRIVATE_KEY_JWT:
        more["jwks"] = {"keys": [key.as_dict(private=False)]}
    if auth == Client.Auth.NONE:
        more["redirect_uris"] = [cast.CALLBACKS[client_id]]
    by = owner_agent.sponsor if owner_agent else who(cast.ANALYST)
    registration = clients.register(client_id, agent=owner_agent, auth=auth, by=by.principal, **more)
    assert registration.client is not None
    return (
        registration.client,
        registration.secret,
        key.as_dict(private=True) if auth == Client.Auth.PRIVATE_KEY_JWT else {},
    )


def registered(slug: str, name: str, kind: str, *, owner: Person, url: str, by: Principal) -> System:
    """Register a system. One of a kind that is not served is shown as if an earlier release had registered it."""
    new_system = systems.register_system(
        slug, name=name, kind=System.Kind.MCP_GATEWAY, owner=owner, upstream_url=url, by=by
    )
    if kind != new_system.kind:
        System.objects.filter(pk=new_system.pk).update(kind=kind)
        new_system.refresh_from_db()
    return new_system


def system(
    slug: str, name: str, owner: str, url: str, *, kind: str = System.Kind.MCP_GATEWAY, secret: str | None = None
) -> System:
    """Register a system with its credential; its tools are still unknown."""
    new_system = registered(slug, name, kind, owner=who(owner), url=url, by=who(cast.ANALYST).principal)
    if secret:
        vault.set_secret(new_system, kind=Secret.Kind.BEARER, value=secret, by=who(owner).principal)
    return new_system


def entitlement(scope: str, name: str, sentence: str, lines: Mapping[str, Mapping[str, Any]]) -> Entitlement:
    """Bundle tools of one system, with limits by tool name."""
    target_system = System.objects.get(slug=scope.partition(":")[0])
    tools = {tool: dict(lines[tool.name]) for tool in target_system.tools.filter(name__in=lines)}
    return entitlements.make_entitlement(
        target_system, scope, name=name, sentence=sentence, tools=tools, longest=LONGEST, by=who(cast.ANALYST).principal
    )


@transaction.atomic
def request_access(slug: str, scope: str, ask: RequestTerms, *, answered: bool = True) -> AccessRequest:
    """Let the agent's owner request access and its approvers approve it, unless it is left for the visitor.

    In one transaction: no sweep finds a request whose time to answer was over long ago.
    """
    requesting_agent = Agent.objects.select_related("sponsor", "owner").get(slug=slug)
    assert requesting_agent.owner is not None
    bundle = Entitlement.objects.select_related("system").get(scope=scope)
    request = requests.submit(requesting_agent, bundle, ask, by=requesting_agent.owner)
    while answered and (stage := _next(request)):
        approver = stage.waiting_for.order_by("login").first()
        assert approver is not None, f"{request} has no approver in {stage.stage}"
        approvals.approve(request.pk, by=approver, reason="Part of the demo world.")
    request.refresh_from_db()
    return request


def _next(request: AccessRequest) -> Approval | None:
    return request.approvals.filter(answer=Approval.Answer.WAITING).order_by("position").first()


def subjects(logins: Iterable[str], groups: Iterable[str]) -> tuple[tuple[Person, ...], tuple[Group, ...]]:
    """Return the people and groups with these names."""
    return tuple(Person.objects.filter(login__in=logins)), tuple(Group.objects.filter(slug__in=groups))
