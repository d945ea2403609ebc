"""Fill a fresh database with the demo world, through the product's own verbs: `python -m scripts.demo.seed`.

Reads DEMO_WORLD (JSON: `samples` {slug: {"url", "secret"}}, `office` {"url", "secret"}, `systems` {slug: url},
`repository`, `stub_issuer`, `out`) beside the product's environment, and writes the world (`scripts/demo/world.py`) to
`out`. Rights come about the way they do for everybody: somebody asks, and those it waits for approve. What happened
before today is told in `scripts/demo/planting.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402 - the product can be imported only now

from audit import clock  # noqa: E402
from audit.context import SYSTEM  # noqa: E402
from audit.models import Pending  # noqa: E402
from entitlements import addresses  # noqa: E402
from entitlements.catalog import seen, systems, tools  # noqa: E402
from entitlements.catalog.models import System  # noqa: E402
from entitlements.definitions import classes  # noqa: E402
from entitlements.errors import DomainError  # noqa: E402
from entitlements.keys import signing  # noqa: E402
from entitlements.people import people  # noqa: E402
from entitlements.people.models import Person, Role  # noqa: E402
from entitlements.trusted_issuers import trust  # noqa: E402
from entitlements.trusted_issuers.models import TrustedIssuer  # noqa: E402
from entitlements.upstream import upstream  # noqa: E402
from governance.eligibility.eligibility import RequestTerms  # noqa: E402
from governance.reviews.usage import usage  # noqa: E402
from governance.setup import setup  # noqa: E402
from scripts.demo import cast, company, making, planting, world  # noqa: E402
from scripts.demo.making import days_ago, who  # noqa: E402

SEALED_WITHIN = 120.0
EXTRA_LASTS = timedelta(days=1)


def main() -> int:
    """Fill the world, and say what was made."""
    told = json.loads(os.environ["DEMO_WORLD"])
    if Person.objects.exists():
        print("The database is not fresh; the demo world is made once.", file=sys.stderr)
        return 1
    world.write(fill(told, offices(told["office"])), Path(told["out"]))
    return 0


def fill(told: Mapping[str, Any], office: planting.Offices) -> world.World:
    """Make the whole world, from the founding of the company until today."""
    make_keys([*told["samples"], *(each.slug for each in company.SYSTEMS)])
    with days_ago(company.FOUNDED):
        made_people = make_people()
        setup.declare_demo(by=who("admin").principal)
        trust_stub(told["stub_issuer"])
        planting.found()
    with days_ago(company.SET_UP):
        make_systems(told, office)
        planting.set_up(office)
    oauth_clients: dict[str, world.OAuthClient] = {}
    for ago, old in ((cast.LONG_AGO, True), (cast.LATELY, False)):
        with days_ago(ago):
            oauth_clients |= make_agents(bot for bot in cast.AGENTS if (bot.slug in cast.OLD) is old)
    oauth_clients[cast.SCRIPT] = make_client(cast.SCRIPT, "private_key_jwt", api_scopes=cast.SCRIPT_SCOPES)
    with days_ago(cast.LONG_AGO):
        make_auditors()
    planting.live(office, told["repository"])
    for wish in cast.WISHES:
        make_grant(wish)
    people.disable(who(cast.GONE.login), by=who(cast.ANALYST).principal, reason="Left the company.")
    for slug, url in told["systems"].items():
        make_extra(slug, url, office)
    return the_world(told, made_people, oauth_clients)


def offices(told: Mapping[str, str]) -> planting.Offices:
    """Reach the company's systems where they are served."""

    def drift() -> None:
        asked = urllib.request.Request(f"{told['url']}/control/drift", b"{}", _bearer(told["secret"]), method="POST")  # noqa: S310 - ours
        urllib.request.urlopen(asked, timeout=10).close()  # noqa: S310 - ours

    return planting.Offices(
        url=lambda slug: f"{told['url']}/{slug}/mcp", secret=told["secret"], listed=listed, drift=drift, settle=settle
    )


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def listed(system: System) -> list[dict[str, Any]]:
    """Ask a system for its tools, as the product does."""
    try:
        return asyncio.run(upstream.discover(system))
    except DomainError as refusal:
        sys.exit(f"{system.slug} at {system.upstream_url} cannot be discovered: {refusal}")


def settle() -> None:
    """Wait until the sealer has caught up, and add up the calls that were recorded."""
    deadline = time.monotonic() + SEALED_WITHIN
    while Pending.objects.exists():
        if time.monotonic() > deadline:
            sys.exit("The sealer does not catch up with the world's history.")
        time.sleep(0.05)
    while usage.roll_up():
        pass


def make_keys(slugs: Iterable[str]) -> None:
    """Make the signing keys now: keys as old as the rest of the world would be due for rotation at once."""
    systems.ensure_builtin()
    for path in (addresses.IDP, *(addresses.issuer_path(slug) for slug in slugs)):
        signing.ensure(path)


def make_people() -> dict[str, world.Person]:
    """Register the cast, with a password and a personal token, and the group; managers come before their reports."""
    made: dict[str, world.Person] = {}
    lasts = timedelta(days=company.FOUNDED + cast.LONG_AGO)
    for each in sorted((*cast.PEOPLE, cast.GONE), key=lambda character: character.manager or ""):
        password = secrets.token_urlsafe(12)
        person = making.person(each, password=password)
        token = people.make_api_token(person, "demo", lasts=lasts, by=person.principal)
        roles = [*each.roles, *([each.part] if each.part else [])]
        email = person.email
        made[each.login] = world.Person(password=password, roles=roles, email=email, api_token=token)
    making.group(*cast.GROUP)
    return {each.login: made[each.login] for each in cast.PEOPLE}


def make_auditors() -> None:
    """Let auditors read for a while: their role ends by itself."""
    ends = clock.now() + timedelta(days=2 * cast.LONG_AGO)
    for each in cast.PEOPLE:
        if Role.AUDITOR in each.roles:
            people.assign_role(
                who(each.login), Role.AUDITOR, expires_at=ends, by=SYSTEM, reason="Part of the demo world."
            )


def trust_stub(issuer: str) -> None:
    """Trust the stub identity provider for people's ID tokens, and say which of its subjects is whom."""
    row = trust.begin(
        issuer, purpose=TrustedIssuer.Purpose.IDENTITY, jwks_uri=f"{issuer}/jwks.json", by=who("admin").principal
    )
    for each in cast.PEOPLE:
        people.link_identity(who(each.login), row, each.login, by=who("admin").principal)


def make_agents(bots: Iterable[cast.Bot]) -> Iterator[tuple[str, world.OAuthClient]]:
    """Register agents of the cast; yield their clients with the credentials."""
    for bot in bots:
        agent = making.agent(bot)
        for client_id, auth in bot.clients.items():
            yield client_id, make_client(client_id, auth, agent)


def make_client(client_id: str, auth: Any, agent: Any = None, **more: Any) -> world.OAuthClient:  # noqa: ANN401
    """Register a client; return it with its credential, as `var/demo.json` holds it."""
    _, secret, private = making.client(client_id, auth, agent, **more)
    return world.OAuthClient(agent=agent.slug if agent else "", auth=auth, private_jwk=private, secret=secret)


def make_systems(told: Mapping[str, Any], office: planting.Offices) -> None:
    """Register the sample systems with their credentials, discover and approve their tools, and bundle them."""
    for slug, sample in told["samples"].items():
        system = make_system(slug, sample["url"], office, sample["secret"])
        approve_tools(system, cast.TOOLS[slug])
    for bundle in cast.BUNDLES:
        lines = cast.limits(bundle, told["repository"])
        making.entitlement(
            bundle.scope, bundle.name, bundle.sentence, {tool: lines.get(tool, {}) for tool in bundle.tools}
        )


def make_system(slug: str, url: str, office: planting.Offices, secret: str | None = None) -> System:
    """Register an MCP server behind the gateway and discover its tools."""
    system = making.system(slug, slug.capitalize(), cast.SYSTEM_OWNER, url, secret=secret)
    found = seen.record_seen(system, office.listed(system), by=who(cast.ANALYST).principal)
    if found.malformed:
        print(f"{slug} offers tools that cannot be read, and they are left out: {found.malformed}")
    return system


def approve_tools(system: System, words: Mapping[str, cast.Seen]) -> None:
    """Approve the tools that were discovered, each with the sentence a person wrote."""
    reviewed = []
    for tool in system.tools.select_related("seen"):
        said = words[tool.name]
        assert tool.seen is not None
        flows = dict.fromkeys(classes.FLOWS, False)
        reviewed.append(tools.Approval(tool, tool.seen.sha256, said.sentence, said.action, said.risk, flows=flows))
    tools.approve_tools(reviewed, by=who(cast.ANALYST).principal)


def make_grant(wish: cast.Wish) -> None:
    """Ask for access, and let everybody approve whom the request waits for, unless it is left for the visitor."""
    acted_for, groups = making.subjects(wish.people, wish.groups)
    ask = RequestTerms(timedelta(days=wish.days), wish.reason, acted_for, groups, limits=wish.limits)
    making.asked(wish.agent, wish.scope, ask, answered=wish.approved)


def make_extra(slug: str, url: str, office: planting.Offices) -> None:
    """Register one more upstream, approve all its tools, and let expense-bot use them for alice for a day."""
    system = make_system(slug, url, office)
    found = system.tools.exclude(seen=None).values_list("name", "seen__definition")
    words = {name: own_words(name, definition) for name, definition in found}
    approve_tools(system, words)
    scope = f"{slug}:all"
    making.entitlement(scope, f"All of {slug}", f"Use every tool of {slug}.", {tool: {} for tool in words})
    reason = "Given to the demo on its command line."
    make_grant(cast.Wish("expense-bot", scope, EXTRA_LASTS.days, reason, people=("alice",)))


def own_words(name: str, definition: Mapping[str, Any]) -> cast.Seen:
    """Describe a tool nobody has described: its name, classified as the product suggests."""
    suggested = classes.suggest(definition)
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
