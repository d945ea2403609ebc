"""Make the tables of an empty database and fill them with the demo world: `python -m scripts.demo.data.seed`.

Reads DEMO_WORLD (JSON: `samples` {slug: terms of its command}, `lacking` [layer of the sandbox], `office` {"url",
"secret"}, `systems` {slug: url}, `repository`, `stub_issuer`, `tables`, `cast`, `out`) beside the product's settings.
It touches the file `tables` once they are there and `cast` once its people can sign in, and writes the world
(`scripts/demo/data/world.py`) to `out` in the end. All comes about through the product's own actions; access as for
all users: a person requests it, and its approvers approve. `scripts/demo/data/backstory.py` has what happened before.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
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
from entitlements.catalog import discovery, systems, tools  # noqa: E402
from entitlements.catalog.models import System  # noqa: E402
from entitlements.definitions import classes  # noqa: E402
from entitlements.errors import DomainError  # noqa: E402
from entitlements.keys import signing  # noqa: E402
from entitlements.people import people  # noqa: E402
from entitlements.people.models import Person, Role  # noqa: E402
from entitlements.rest_apis import rest_apis, sources  # noqa: E402
from entitlements.secrets import vault  # noqa: E402
from entitlements.secrets.models import Secret  # noqa: E402
from entitlements.stdio_commands import proposals  # noqa: E402
from entitlements.stdio_commands import systems as stdio_systems  # noqa: E402
from entitlements.trusted_issuers import trust  # noqa: E402
from entitlements.trusted_issuers.models import TrustedIssuer  # noqa: E402
from governance.eligibility.eligibility import RequestTerms  # noqa: E402
from governance.reviews.usage import usage  # noqa: E402
from governance.setup import setup  # noqa: E402
from scripts.demo import progress  # noqa: E402
from scripts.demo.data import backstory, builders, cast, company, tables, world  # noqa: E402
from scripts.demo.data.builders import days_ago, who  # noqa: E402
from scripts.demo.servers import parcels  # noqa: E402

EXTRA_LASTS = timedelta(days=1)


def main() -> int:
    """Fill the world."""
    resources = json.loads(os.environ["DEMO_WORLD"])
    tables.make()
    Path(resources["tables"]).touch()
    if Person.objects.exists():
        print("The database is not fresh; the demo world is made once.", file=sys.stderr)
        return 1
    cast_made = found(resources)
    Path(resources["cast"]).touch()
    world.write(fill(resources, offices(resources["office"]), cast_made), Path(resources["out"]))
    return 0


def found(resources: Mapping[str, Any]) -> dict[str, world.Person]:
    """Found the company, and return the cast."""
    make_keys([*resources["samples"], parcels.SLUG, *(department.slug for department in company.SYSTEMS)])
    with days_ago(company.FOUNDED):
        made_people = make_people()
        setup.declare_demo(by=who("admin").principal)
        trust_stub(resources["stub_issuer"])
        backstory.found_company()
    return made_people


def fill(
    resources: Mapping[str, Any], office: backstory.OfficeServers, made_people: dict[str, world.Person]
) -> world.World:
    """Make the rest of the world, from the founding of the company until today."""
    with days_ago(company.SET_UP):
        make_systems(resources, office)
        backstory.set_up(office)
    oauth_clients: dict[str, world.OAuthClient] = {}
    for ago, old in ((cast.LONG_AGO, True), (cast.LATELY, False)):
        with days_ago(ago):
            oauth_clients |= make_agents(spec for spec in cast.AGENTS if (spec.slug in cast.OLD) is old)
    oauth_clients[cast.SCRIPT] = make_client(cast.SCRIPT, "private_key_jwt", api_scopes=cast.SCRIPT_SCOPES)
    with days_ago(cast.LONG_AGO):
        make_auditors()
    backstory.live(office, resources["repository"])
    for request in cast.ACCESS_REQUESTS:
        make_grant(request)
    people.disable(who(cast.GONE.login), by=who(cast.ANALYST).principal, reason="Left the company.")
    for slug, url in resources["systems"].items():
        make_extra(slug, url, office)
    return the_world(resources, made_people, oauth_clients)


def offices(server: Mapping[str, str]) -> backstory.OfficeServers:
    """Reach the company's systems where they are served."""

    def drift() -> None:
        address = f"{server['url']}/control/drift"
        request = urllib.request.Request(address, b"{}", _bearer(server["secret"]), method="POST")  # noqa: S310 - ours
        urllib.request.urlopen(request, timeout=progress.MOST_SECONDS).close()  # noqa: S310 - ours

    return backstory.OfficeServers(
        url=lambda slug: f"{server['url']}/{slug}/mcp",
        secret=server["secret"],
        listed=listed,
        drift=drift,
        settle=settle,
    )


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def listed(system: System) -> list[dict[str, Any]]:
    """Ask a system for its tools, as the product does, until it has answered: a busy machine starts one slowly."""
    refusals: list[DomainError] = []

    def answer() -> list[dict[str, Any]] | None:
        try:
            return asyncio.run(stdio_systems.discover(system))
        except DomainError as refusal:
            refusals.append(refusal)
            return None

    try:
        return progress.wait(f"the tools of {system.slug}", answer)
    except progress.Stalled as still:
        sys.exit(f"{system.slug} at {system.upstream_url} cannot be discovered: {refusals[-1]} ({still})")


def settle() -> None:
    """Wait until the sealer has caught up, and add up the calls that were recorded."""

    def is_sealed() -> bool | None:
        return None if Pending.objects.exists() else True

    progress.wait("the sealer to catch up with the world's history", is_sealed, Pending.objects.count)
    while usage.roll_up():
        pass


def make_keys(slugs: Iterable[str]) -> None:
    """Make the signing keys now: keys as old as the rest of the world would be due for rotation at once."""
    systems.ensure_builtin()
    systems.ensure_all_systems()
    for path in (addresses.IDP, *(addresses.issuer_path(slug) for slug in slugs)):
        signing.ensure(path)


def make_people() -> dict[str, world.Person]:
    """Register the cast, with a password and a personal token, and the group; managers come before their reports."""
    people_made: dict[str, world.Person] = {}
    lasts = timedelta(days=company.FOUNDED + cast.LONG_AGO)
    for member in sorted((*cast.PEOPLE, cast.GONE), key=lambda other: other.manager or ""):
        password = secrets.token_urlsafe(12)
        person = builders.person(member, password=password)
        token = people.make_api_token(person, "demo", lasts=lasts, by=person.principal)
        roles = [*member.roles, *([member.part] if member.part else [])]
        email = person.email
        people_made[member.login] = world.Person(password=password, roles=roles, email=email, api_token=token)
    builders.group(*cast.GROUP)
    return {member.login: people_made[member.login] for member in cast.PEOPLE}


def make_auditors() -> None:
    """Let auditors read for a while: their role ends by itself."""
    ends = clock.now() + timedelta(days=2 * cast.LONG_AGO)
    for character in cast.PEOPLE:
        if Role.AUDITOR in character.roles:
            people.assign_role(
                who(character.login), Role.AUDITOR, expires_at=ends, by=SYSTEM, reason="Part of the demo world."
            )


def trust_stub(issuer: str) -> None:
    """Trust the stub identity provider for people's ID tokens, and say which of its subjects is whom."""
    row = trust.begin(
        issuer, purpose=TrustedIssuer.Purpose.IDENTITY, jwks_uri=f"{issuer}/jwks.json", by=who("admin").principal
    )
    for character in cast.PEOPLE:
        people.link_identity(who(character.login), row, character.login, by=who("admin").principal)


def make_agents(bots: Iterable[cast.AgentSpec]) -> Iterator[tuple[str, world.OAuthClient]]:
    """Register agents of the cast; yield their clients with the credentials."""
    for spec in bots:
        agent = builders.agent(spec)
        for client_id, auth in spec.clients.items():
            yield client_id, make_client(client_id, auth, agent)


def make_client(client_id: str, auth: Any, agent: Any = None, **more: Any) -> world.OAuthClient:  # noqa: ANN401
    """Register a client; return it with its credential, as `var/demo.json` holds it."""
    _, secret, private = builders.client(client_id, auth, agent, **more)
    return world.OAuthClient(agent=agent.slug if agent else "", auth=auth, private_jwk=private, secret=secret)


def make_systems(resources: Mapping[str, Any], office: backstory.OfficeServers) -> None:
    """Register the sample systems by their commands, discover and approve their tools, and bundle them."""
    for slug, terms in resources["samples"].items():
        allow_command(slug, terms, resources["lacking"])
        owner, by = who(cast.SYSTEM_OWNER), who(cast.ANALYST).principal
        system = stdio_systems.register(slug, name=slug.capitalize(), owner=owner, command=slug, by=by)
        discover(system, office)
        approve_tools(system, cast.TOOLS[slug])
    approve_tools(make_rest_api(office), cast.TOOLS[parcels.SLUG])
    for bundle in cast.ENTITLEMENTS:
        lines = cast.limits(bundle, resources["repository"])
        builders.entitlement(
            bundle.scope, bundle.name, bundle.sentence, {tool: lines.get(tool, {}) for tool in bundle.tools}
        )


def allow_command(name: str, terms: Mapping[str, Any], lacking: list[str]) -> None:
    """Propose a command, and let a second person confirm it.

    Where this machine lacks a part of the sandbox, two administrators accept that: there is a second one only then.
    """
    first, second = who(cast.ANALYST), who(cast.SECURITY)
    if lacking:
        if not Person.objects.filter(login=cast.SECOND_ADMIN.login).exists():
            builders.person(cast.SECOND_ADMIN)
        first, second = who("admin"), who(cast.SECOND_ADMIN.login)
    reason = "A server that the demo's agents call." + (" This machine lacks a part of the sandbox." if lacking else "")
    row = proposals.propose(name, by=first, reason=reason, **terms, without=lacking)
    proposals.KIND.confirm(row.pk, by=second)


def make_system(slug: str, url: str, office: backstory.OfficeServers) -> System:
    """Register an MCP server behind the gateway and discover its tools."""
    system = builders.system(slug, slug.capitalize(), cast.SYSTEM_OWNER, url)
    discover(system, office)
    return system


def discover(system: System, office: backstory.OfficeServers) -> None:
    """Discover the tools of a system."""
    result = discovery.record_discovery(system, office.listed(system), by=who(cast.ANALYST).principal)
    if result.malformed:
        print(f"{system.slug} offers tools that cannot be read, and they are left out: {result.malformed}")


def make_rest_api(office: backstory.OfficeServers) -> System:
    """Register the company's REST API by the document that its address answers with, and its credential."""
    address = f"{office.url(parcels.SLUG).removesuffix('mcp')}openapi.json"
    owner, analyst = who(cast.SYSTEM_OWNER), who(cast.ANALYST).principal
    source = sources.Source(json.dumps(parcels.OPENAPI).encode(), url=address)
    system = rest_apis.register(parcels.SLUG, name="Parcels", owner=owner, source=source, by=analyst)
    vault.set_secret(system, kind=Secret.Kind.BEARER, value=office.secret, by=owner.principal)
    return system


def approve_tools(system: System, words: Mapping[str, cast.ToolWords]) -> None:
    """Approve the tools that were discovered, each with the sentence a person wrote."""
    reviewed = []
    for tool in system.tools.select_related("seen"):
        tool_words = words[tool.name]
        assert tool.seen is not None
        flows = dict.fromkeys(classes.FLOWS, False)
        reviewed.append(
            tools.Approval(tool, tool.seen.sha256, tool_words.sentence, tool_words.action, tool_words.risk, flows=flows)
        )
    for approval in reviewed:  # each by itself: another system may have a tool of this name
        tools.approve_tool(approval, by=who(cast.ANALYST).principal)
    builders.confirm_classes(system)


def make_grant(request_spec: cast.AccessRequestSpec) -> None:
    """Request access, and let all its approvers approve it, unless it is left for the visitor."""
    acted_for, groups = builders.subjects(request_spec.people, request_spec.groups)
    ask = RequestTerms(
        timedelta(days=request_spec.days), request_spec.reason, acted_for, groups, limits=request_spec.limits
    )
    builders.request_access(request_spec.agent, request_spec.scope, ask, answered=request_spec.approved)


def make_extra(slug: str, url: str, office: backstory.OfficeServers) -> None:
    """Register one more upstream, approve all its tools, and let expense-bot use them for alice for a day."""
    system = make_system(slug, url, office)
    definitions = system.tools.exclude(seen=None).values_list("name", "seen__definition")
    words = {name: own_words(name, definition) for name, definition in definitions}
    approve_tools(system, words)
    scope = f"{slug}:all"
    builders.entitlement(scope, f"All of {slug}", f"Use every tool of {slug}.", {tool: {} for tool in words})
    reason = "Given to the demo on its command line."
    make_grant(cast.AccessRequestSpec("expense-bot", scope, EXTRA_LASTS.days, reason, people=("alice",)))


def own_words(name: str, definition: Mapping[str, Any]) -> cast.ToolWords:
    """Describe a tool that has no description here: its name, classified as the product suggests."""
    suggested = classes.suggest(definition)
    return cast.ToolWords(f"Does {name}.", suggested.action.value, suggested.risk.value)


def the_world(
    resources: Mapping[str, Any], made_people: dict[str, world.Person], oauth_clients: dict[str, world.OAuthClient]
) -> world.World:
    """Put together what `var/demo.json` holds."""
    console, gateway, stub = settings.CONSOLE_URL, settings.GATEWAY_URL, resources["stub_issuer"]
    served = {slug: world.system(console, gateway, slug, url) for slug, url in resources["systems"].items()}
    for slug in resources["samples"]:
        served[slug] = world.local_server(console, gateway, slug, slug)
    address, kind = f"{resources['office']['url']}/{parcels.SLUG}", System.Kind.HTTP.value
    served[parcels.SLUG] = world.system(console, gateway, parcels.SLUG, address, kind)
    return world.World(
        console=console,
        gateway=gateway,
        people=made_people,
        clients=oauth_clients,
        idp=world.IdentityProviders(issuer=f"{console}/idp", stub_issuer=stub, stub_mint_url=f"{stub}/mint"),
        systems=served,
        agents={
            spec.slug: world.Agent(sponsor=spec.sponsor, owner=spec.owner, client_id=spec.client_id)
            for spec in cast.AGENTS
        },
        database_url=os.environ["DATABASE_URL"],
        owner_database_url=os.environ["MIGRATE_DATABASE_URL"],
        redis_url=os.environ["REDIS_URL"],
    )


if __name__ == "__main__":
    sys.exit(main())
