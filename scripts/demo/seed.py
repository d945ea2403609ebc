"""Fill a fresh database with the demo world, through the product's own verbs: `python -m scripts.demo.seed`.

Reads DEMO_WORLD (JSON: `samples` {slug: {"url", "secret"}}, `systems` {slug: url}, `repository`, `stub_issuer`, `out`)
beside the product's environment, and writes the world (`scripts/demo/world.py`) to `out`. Rights come about the way
they do for everybody: somebody asks, and those it waits for approve.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
from joserfc.jwk import ECKey

django.setup()

from django.conf import settings  # noqa: E402 - the product can be imported only now

from audit import clock  # noqa: E402
from audit.context import SYSTEM  # noqa: E402
from entitlements import (  # noqa: E402
    addresses,
    agents,
    catalog,
    classing,
    clients,
    people,
    signing,
    trust,
    upstream,
    vault,
)
from entitlements.errors import DomainError  # noqa: E402
from entitlements.models import Agent, Entitlement, Group, Person, Role, Secret, System, TrustedIssuer  # noqa: E402
from governance import approvals, requests, setup  # noqa: E402
from governance.asking import Ask  # noqa: E402
from governance.models import AccessRequest, Approval  # noqa: E402
from scripts.demo import cast, world  # noqa: E402

EXTRA_LASTS = timedelta(days=1)


def main() -> int:
    """Fill the world, and say what was made."""
    told = json.loads(os.environ["DEMO_WORLD"])
    if Person.objects.exists():
        print("The database is not fresh; the demo world is made once.", file=sys.stderr)
        return 1
    make_keys(told["samples"])
    with days_ago(cast.LONG_AGO):
        made_people = make_people()
        setup.declare_demo(by=who("admin").principal)
        trust_stub(told["stub_issuer"])
        oauth_clients = dict(make_agents())
        make_systems(told)
        for wish in cast.OLD_WISHES:
            make_grant(wish)
    for wish in cast.WISHES:
        make_grant(wish)
    people.disable(who(cast.GONE.login), by=who(cast.ANALYST).principal, reason="Left the company.")
    for slug, url in told["systems"].items():
        make_extra(slug, url)
    world.write(the_world(told, made_people, oauth_clients), Path(told["out"]))
    return 0


@contextlib.contextmanager
def days_ago(days: int) -> Iterator[None]:
    """Let the product believe for the length of the block that it is so many days earlier."""
    clock.set_offset(clock.now() - timedelta(days=days))
    try:
        yield
    finally:
        clock.forget()


def make_keys(slugs: Iterable[str]) -> None:
    """Make the signing keys now: keys as old as the rest of the world would be due for rotation at once."""
    catalog.ensure_builtin()
    for path in (addresses.IDP, *(addresses.issuer_path(slug) for slug in slugs)):
        signing.ensure(path)


def who(login: str) -> Person:
    """Return a person of the world."""
    return Person.objects.get(login=login)


def make_people() -> dict[str, world.Person]:
    """Register everybody, with a password and a personal token, and the group; managers come before their reports."""
    made: dict[str, world.Person] = {}
    for each in sorted((*cast.PEOPLE, cast.GONE), key=lambda character: character.manager or ""):
        password = secrets.token_urlsafe(12)
        manager = who(each.manager) if each.manager else None
        email = f"{each.login}@example.com"
        person = people.register(each.login, name=each.name, email=email, manager=manager, password=password, by=SYSTEM)
        lasts = timedelta(days=2 * cast.LONG_AGO)
        for role in each.roles:
            ends = clock.now() + lasts if role == Role.AUDITOR else None
            people.assign_role(person, role, expires_at=ends, by=SYSTEM, reason="Part of the demo world.")
        token = people.make_api_token(person, "demo", lasts=lasts, by=person.principal)
        roles = [*each.roles, *([each.part] if each.part else [])]
        made[each.login] = world.Person(password=password, roles=roles, email=email, api_token=token)
    slug, name, members = cast.GROUP
    people.make_group(slug, name=name, people=[who(login) for login in members], by=who(cast.ANALYST).principal)
    return {each.login: made[each.login] for each in cast.PEOPLE}


def trust_stub(issuer: str) -> None:
    """Trust the stub identity provider for people's ID tokens, and say which of its subjects is whom."""
    row = trust.begin(
        issuer, purpose=TrustedIssuer.Purpose.IDENTITY, jwks_uri=f"{issuer}/jwks.json", by=who("admin").principal
    )
    for each in cast.PEOPLE:
        people.link_identity(who(each.login), row, each.login, by=who("admin").principal)


def make_agents() -> Iterator[tuple[str, world.OAuthClient]]:
    """Register the agents with their clients, and the script's client; yield the clients with their credentials."""
    by = who(cast.ANALYST).principal
    for bot in cast.AGENTS:
        sponsor, owner = who(bot.sponsor), who(bot.owner)
        agent = agents.register(
            bot.slug, name=bot.name, kind=bot.kind, sponsor=sponsor, owner=owner, purpose=bot.purpose, by=by
        )
        for client_id, auth in bot.clients.items():
            yield client_id, make_client(client_id, auth, agent)
    yield cast.SCRIPT, make_client(cast.SCRIPT, "private_key_jwt", None, api_scopes=cast.SCRIPT_SCOPES)


def make_client(client_id: str, auth: Any, agent: Agent | None, **more: Any) -> world.OAuthClient:  # noqa: ANN401
    """Register a client; return it with its credential, as `var/demo.json` holds it."""
    key = ECKey.generate_key("P-256", parameters={"kid": client_id, "alg": "ES256", "use": "sig"}, private=True)
    if auth == "private_key_jwt":
        more["jwks"] = {"keys": [key.as_dict(private=False)]}
    if auth == "none":
        more["redirect_uris"] = [cast.CALLBACK]
    _, secret = clients.register(client_id, agent=agent, auth=auth, by=who(cast.ANALYST).principal, **more)
    private: dict[str, Any] = key.as_dict(private=True) if auth == "private_key_jwt" else {}
    return world.OAuthClient(agent=agent.slug if agent else "", auth=auth, private_jwk=private, secret=secret)


def make_systems(told: Mapping[str, Any]) -> None:
    """Register the sample systems with their credentials, discover and approve their tools, and bundle them."""
    for slug, sample in told["samples"].items():
        system = make_system(slug, sample["url"], sample["secret"])
        approve_tools(system, cast.TOOLS[slug])
    for bundle in cast.BUNDLES:
        lines = cast.limits(bundle, told["repository"])
        make_entitlement(
            bundle.scope, bundle.name, bundle.sentence, {tool: lines.get(tool, {}) for tool in bundle.tools}
        )


def make_system(slug: str, url: str, secret: str | None = None) -> System:
    """Register an MCP server behind the gateway and discover its tools."""
    by, owner = who(cast.ANALYST), who(cast.SYSTEM_OWNER)
    system = catalog.register_system(
        slug, name=slug.capitalize(), kind=System.Kind.MCP_GATEWAY, owner=owner, upstream_url=url, by=by.principal
    )
    if secret:
        vault.set_secret(system, kind=Secret.Kind.BEARER, value=secret, by=owner.principal)
    try:
        offered = asyncio.run(upstream.discover(system))
    except DomainError as refusal:
        sys.exit(f"{slug} at {url} cannot be discovered: {refusal}")
    found = catalog.record_seen(system, offered, by=by.principal)
    if found.malformed:
        print(f"{slug} offers tools that cannot be read, and they are left out: {found.malformed}")
    return system


def approve_tools(system: System, words: Mapping[str, cast.Seen]) -> None:
    """Approve the tools that were discovered, each with the sentence a person wrote."""
    reviewed = []
    for tool in system.tools.select_related("seen"):
        said = words[tool.name]
        assert tool.seen is not None
        reviewed.append(catalog.Approval(tool, tool.seen.sha256, said.sentence, said.action, said.risk))
    catalog.approve_tools(reviewed, by=who(cast.ANALYST).principal)


def make_entitlement(scope: str, name: str, sentence: str, lines: Mapping[str, Mapping[str, Any]]) -> Entitlement:
    """Bundle tools of one system, with limits by tool name."""
    system = System.objects.get(slug=scope.partition(":")[0])
    tools = {tool: dict(lines[tool.name]) for tool in system.tools.filter(name__in=lines)}
    return catalog.make_entitlement(
        system, scope, name=name, sentence=sentence, tools=tools, by=who(cast.ANALYST).principal
    )


def make_grant(wish: cast.Wish) -> None:
    """Ask for access, and let everybody approve whom the request waits for, unless it is left for the visitor."""
    ask = Ask(
        lasts=timedelta(days=wish.days),
        reason=wish.reason,
        people=tuple(Person.objects.filter(login__in=wish.people)),
        groups=tuple(Group.objects.filter(slug__in=wish.groups)),
        limits=wish.limits,
    )
    entitlement = Entitlement.objects.select_related("system").get(scope=wish.scope)
    agent = Agent.objects.select_related("sponsor", "owner").get(slug=wish.agent)
    assert agent.owner is not None
    request = requests.submit(agent, entitlement, ask, by=agent.owner)
    if wish.approved:
        approve(request)


def approve(request: AccessRequest) -> None:
    """Give every answer that the request waits for, each by the first of those who may give it."""
    while stage := request.approvals.filter(answer=Approval.Answer.WAITING).order_by("position").first():
        approver = stage.waiting_for.order_by("login").first()
        assert approver is not None, f"{request} waits for nobody in {stage.stage}"
        approvals.approve(request.pk, by=approver, reason="Part of the demo world.")


def make_extra(slug: str, url: str) -> None:
    """Register one more upstream, approve all its tools, and let expense-bot use them for alice for a day."""
    system = make_system(slug, url)
    found = system.tools.exclude(seen=None).values_list("name", "seen__definition")
    words = {name: own_words(name, definition) for name, definition in found}
    approve_tools(system, words)
    scope = f"{slug}:all"
    make_entitlement(scope, f"All of {slug}", f"Use every tool of {slug}.", {tool: {} for tool in words})
    reason = "Given to the demo on its command line."
    make_grant(cast.Wish("expense-bot", scope, EXTRA_LASTS.days, reason, people=("alice",)))


def own_words(name: str, definition: Mapping[str, Any]) -> cast.Seen:
    """Describe a tool nobody has described: its name, classified as the product suggests."""
    suggested = classing.suggest(definition)
    return cast.Seen(f"Does {name}.", suggested.action.value, suggested.risk.value)


def the_world(
    told: Mapping[str, Any], made_people: dict[str, world.Person], oauth_clients: dict[str, world.OAuthClient]
) -> world.World:
    """Put together what `var/demo.json` holds."""
    console, gateway, stub = settings.CONSOLE_URL, settings.GATEWAY_URL, told["stub_issuer"]
    upstreams = {**{slug: sample["url"] for slug, sample in told["samples"].items()}, **told["systems"]}
    return world.World(
        console=console,
        gateway=gateway,
        people=made_people,
        clients=oauth_clients,
        idp=world.IdentityProviders(issuer=f"{console}/idp", stub_issuer=stub, stub_mint_url=f"{stub}/mint"),
        systems={slug: world.system(console, gateway, slug, url) for slug, url in upstreams.items()},
        agents={
            bot.slug: world.Agent(sponsor=bot.sponsor, owner=bot.owner, client_id=bot.client_id) for bot in cast.AGENTS
        },
        database_url=os.environ["DATABASE_URL"],
        owner_database_url=os.environ["MIGRATE_DATABASE_URL"],
        redis_url=os.environ["REDIS_URL"],
    )


if __name__ == "__main__":
    sys.exit(main())
