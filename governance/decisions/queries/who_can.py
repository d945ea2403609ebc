"""Who can call a tool, or the tools of an entitlement: each grant, for whom, with which limits, what blocks it.

Each grant is judged by the decision function itself, for a person it serves and each client of its agent, with the
facts of now or of a past moment (`history`). Where a budget is used up now, it is denied as well; how much was left in
the past is not kept. Arguments are not asked about: what is said is whether a call can pass with some, and with a
fresh sign-in.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db.models import Prefetch, Q, QuerySet

from audit import bodies, clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.budgets import in_force
from entitlements.budgets.left import Left
from entitlements.catalog.models import Entitlement, Tool
from entitlements.decisions import limits, own_connection, policy
from entitlements.decisions.snapshot import AgentFacts, Call, Line, ToolFacts
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.grants import grants as grants_actions
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from entitlements.people.models import Membership, Person
from entitlements.words import Risk, Status, ToolState
from governance.decisions import facts_of_many, history
from governance.decisions.history import History
from governance.reviews.pack_tables import past_grants

_NO_ONE: Final = grants_actions.subjects_digest((), ())
"""The name of the people of a grant that an agent holds for itself."""
_MOST: Final = 50
"""As many grants of one agent are judged for one answer."""
_STRICTNESS: Final = {Effect.ALLOW: 0, Effect.HOLD: 1, Effect.STEP_UP: 2, Effect.DENY: 3}


@dataclass(frozen=True, slots=True)
class Group:
    """A group that a grant names: its members, and those among them who are active."""

    slug: str
    members: int
    active: int


@dataclass(frozen=True, slots=True)
class Access:
    """One grant of the tool, as it is at the moment. `people` are named directly, `active` says who of them is.

    `count` are all people, with those of groups, and `served` the active ones among them. `verdict` is the answer for
    one of these, where there is any. With `unknown` the log does not tell the terms of then: they are those of
    now. Where a grant is asked about as a whole, `tools` are the answers for each of its tools, by name, and the others
    those for the tool that is answered best.
    """

    grant: Grant
    tool: str
    limits: Mapping[str, Any]
    expires_at: datetime
    people: tuple[str, ...]
    active: frozenset[str]
    groups: tuple[Group, ...]
    count: int
    served: frozenset[str]
    verdict: Verdict
    unknown: bool = False
    tools: tuple[Access, ...] = ()

    @property
    def is_callable(self) -> bool:
        """Whether some call can pass: at once, with a person's approval, or after a fresh sign-in."""
        return self.verdict.effect is not Effect.DENY


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a grant gives of the tool at the moment."""

    limits: Mapping[str, Any]
    expires_at: datetime
    is_suspended: bool
    people: tuple[str, ...]
    groups: tuple[str, ...]
    unknown: bool = False
    is_enabled: bool = True


def rows(caller: Caller, tool: Tool, moment: datetime | None = None) -> QuerySet[Grant]:
    """Return the grants of a tool that had not ended, now or at a moment, of those that the caller sees."""
    now = moment or clock.now()
    holding = GrantLine.objects.filter(tool=tool).order_by().values("grant")
    seen = visibility.grants(caller).prefetch_related(None).filter(expires_at__gt=now)
    if moment is None:
        found = seen.filter(ended_at=None, pk__in=holding)
    else:
        lost, came = history.gone_lines(tool.system.slug, tool.name, moment)
        found = seen.filter(Q(pk__in=holding) | Q(pk__in=lost), Q(ended_at=None) | Q(ended_at__gt=moment))
        found = found.filter(created_at__lte=moment).exclude(pk__in=came)
    lines = Prefetch("lines", GrantLine.objects.filter(tool=tool), to_attr="of_tool")
    people = ("agent__sponsor", "agent__owner", "entitlement__system")
    return found.select_related(*people).prefetch_related(lines, "subjects__person", "subjects__group")


def rows_of(caller: Caller, entitlement: Entitlement, moment: datetime | None = None) -> QuerySet[Grant]:
    """Return the grants of an entitlement that had not ended, now or at a moment, of those that the caller sees."""
    found = visibility.grants(caller).prefetch_related(None).filter(entitlement=entitlement)
    found = found.filter(expires_at__gt=moment or clock.now())
    if moment is None:
        found = found.filter(ended_at=None)
    else:
        found = found.filter(Q(ended_at=None) | Q(ended_at__gt=moment), created_at__lte=moment)
    lines = Prefetch("lines", GrantLine.objects.all(), to_attr="of_tool")
    people = ("agent__sponsor", "agent__owner", "entitlement__system")
    return found.select_related(*people).prefetch_related(lines, "subjects__person", "subjects__group")


def narrowed(
    rows: QuerySet[Grant], agent: Agent | None, person: Person | None, moment: datetime | None = None
) -> QuerySet[Grant]:
    """Return those of some grants that are an agent's, and that serve a person, where these are named."""
    if agent is not None:
        rows = rows.filter(agent=agent)
    if person is None:
        return rows
    members = _members({*rows.values_list("subjects__group__slug", flat=True)} - {None}, moment)
    groups = [slug for slug, logins in members.items() if person.login in logins]
    served = GrantSubject.objects.filter(Q(person=person) | Q(group__slug__in=groups)).values("grant")
    return rows.filter(pk__in=served)


def decide(
    caller: Caller, tool: Tool, agent: Agent, person: Person | None, moment: datetime | None = None
) -> tuple[Verdict, Grant | None]:
    """Return the best answer that an agent gets for a tool, for a person or any that it serves, and by which grant."""
    found = list(narrowed(rows(caller, tool, moment), agent, person, moment)[:_MOST])
    if found:
        best = min(describe(found, tool, moment, person), key=lambda access: _STRICTNESS[access.verdict.effect])
        return best.verdict, best.grant
    system, login = tool.system.slug, person.login if person else None
    known = facts_of_many.load([agent.slug], system, [tool.name])[agent.slug]
    links = {f"agent:{agent.slug}", f"system:{system}", f"tool:{system}/{tool.name}"}
    past = None if moment is None else history.read(links | {f"client:{name}" for name in known.clients}, moment)
    known = known if past is None else _as_of(past, known, agent)
    people = {} if login is None else {login: _status(login in _active({login}, past))}
    now = moment or clock.now()
    return _judge(replace(known, lines={}, people=people), (system, tool.name, login), now), None


def describe(
    grants: Sequence[Grant], tool: Tool, moment: datetime | None = None, person: Person | None = None
) -> list[Access]:
    """Return what some of these grants give of a tool, in a fixed number of statements.

    With a person, who is among those that they serve, each is judged for them.
    """
    then = _then(grants, moment)
    return [each for (each,) in _each(grants, [(grant, tool) for grant in grants], then, moment, person)]


def describe_all(grants: Sequence[Grant], moment: datetime | None = None) -> list[Access]:
    """Return what some grants at one system give of all their tools, in a fixed number of statements."""
    if not grants:
        return []
    then, held = _then(grants, moment), {line.tool_id for grant in grants for line in _lines(grant)}
    names = {name for each in then.values() for name in each["lines"]}
    rows = Tool.objects.filter(system=grants[0].entitlement.system).filter(Q(pk__in=held) | Q(name__in=names))
    tools = list(rows.select_related("system").order_by("name"))
    pairs = [(grant, tool) for grant in grants for tool in tools if _holds(grant, then.get(str(grant.pk)), tool)]
    return [
        replace(min(each, key=lambda access: _STRICTNESS[access.verdict.effect]), tools=tuple(each))
        for each in _each(grants, pairs, then, moment)
        if each
    ]


def _holds(grant: Grant, then: past_grants.Terms | None, tool: Tool) -> bool:
    if then is not None:
        return tool.name in then["lines"]
    return any(line.tool_id == tool.pk for line in _lines(grant))


def _lines(grant: Grant) -> Sequence[GrantLine]:
    return grant.of_tool  # type: ignore[attr-defined,no-any-return]  # prefetched by rows() or rows_of()


def _each(
    grants: Sequence[Grant],
    pairs: Sequence[tuple[Grant, Tool]],
    then: Mapping[str, past_grants.Terms],
    moment: datetime | None,
    person: Person | None = None,
) -> list[list[Access]]:
    """Return for each grant what it gives of its tools, all of one system."""
    if not pairs:
        return [[] for _ in grants]
    now, tools = moment or clock.now(), {tool.name: tool for _, tool in pairs}
    system = next(iter(tools.values())).system.slug
    terms = {(grant, tool.name): _terms_of(grant, then.get(str(grant.pk)), tool, moment) for grant, tool in pairs}
    members = _members({slug for each in terms.values() for slug in each.groups}, moment)
    logins = {login for each in terms.values() for login in each.people} | set().union(*members.values())
    facts = facts_of_many.load({grant.agent.slug for grant in grants}, system, tools)
    past = None if moment is None else history.read(_links(grants, system, facts), moment)
    active = _active(logins, past)
    if past is not None:
        terms = {pair: replace(each, is_enabled=_is_enabled(pair[0], past)) for pair, each in terms.items()}
        facts = {grant.agent.slug: _as_of(past, facts[grant.agent.slug], grant.agent) for grant in grants}
    people = _People(members, active, person.login if person else "")
    given: dict[Grant, list[Access]] = {grant: [] for grant in grants}
    for grant, tool in pairs:
        given[grant].append(
            _access(grant, terms[grant, tool.name], (system, tool.name), facts[grant.agent.slug], people, now)
        )
    return list(given.values()) if moment is not None else own_connection.run(_within_budgets(given, system))


async def _within_budgets(given: Mapping[Grant, list[Access]], system: str) -> list[list[Access]]:
    """Deny what a budget that is used up denies now: of the agent, the system or the grant."""
    reads = own_connection.READS
    found = await in_force.of_many(reads, sorted({grant.agent.slug for grant in given}), system)
    left, budgets = Left(reads), [found[key] for key in sorted(found)]
    await left.read(found)

    async def judged(access: Access) -> Access:
        grant = access.grant
        of = ([grant.agent.slug], system, access.tool, [str(grant.pk)])
        short = await left.used_up_among(budgets, *of) if access.is_callable else None
        return access if short is None else replace(access, verdict=short.verdict)

    return [[await judged(access) for access in each] for each in given.values()]


def _then(grants: Sequence[Grant], moment: datetime | None) -> dict[str, past_grants.Terms]:
    return {} if moment is None else history.grants([str(grant.pk) for grant in grants], moment)


def _terms_of(grant: Grant, then: past_grants.Terms | None, tool: Tool, moment: datetime | None) -> _Terms:
    if then is not None and tool.name in then["lines"]:
        subjects = bodies.by_kind(then["subjects"])
        return _Terms(
            then["lines"][tool.name],
            past_grants.read(then["ends"]),
            then["state"] == "suspended",
            tuple(subjects.get("person", ())),
            tuple(subjects.get("group", ())),
            is_enabled=grant.entitlement.enabled,
        )
    line = next((line for line in _lines(grant) if line.tool_id == tool.pk), None)
    subjects_now = grant.subjects.all()
    return _Terms(
        line.limits if line is not None else {},
        grant.expires_at,
        grant.state == Grant.State.SUSPENDED,
        tuple(each.person.login for each in subjects_now if each.person),
        tuple(each.group.slug for each in subjects_now if each.group),
        unknown=moment is not None and (grant.ended_at is not None or line is None),
        is_enabled=grant.entitlement.enabled,
    )


def _members(slugs: set[str], moment: datetime | None) -> dict[str, set[str]]:
    """Return the logins of the members of some groups."""
    found: dict[str, set[str]] = defaultdict(set)
    if slugs:
        pairs = Membership.objects.filter(group__slug__in=slugs).values_list("group__slug", "person__login")
        for slug, login in pairs:
            found[slug].add(login)
    return found if moment is None else history.members(slugs, found, moment)


def _active(logins: set[str], past: History | None) -> frozenset[str]:
    """Return who of some people is active."""
    now = {*Person.objects.filter(login__in=logins, is_active=True).values_list("login", flat=True)}
    if past is None:
        return frozenset(now)
    return frozenset(login for login in logins if past.is_person_active(login, now=login in now))


def _links(grants: Sequence[Grant], system: str, facts: Mapping[str, AgentFacts]) -> set[str]:
    """Return the links of what the decision looks at, except people whom grants serve."""
    links = {f"system:{system}", *(f"tool:{system}/{name}" for known in facts.values() for _, name in known.tools)}
    links |= {f"entitlement:{grant.entitlement.scope}" for grant in grants}
    for agent, known in facts.items():
        links |= {f"agent:{agent}", *(f"client:{name}" for name in known.clients)}
    return links


def _as_of(past: History, known: AgentFacts, agent: Agent) -> AgentFacts:
    """Return the facts about an agent as they were at the moment."""
    link = f"agent:{known.agent}"
    is_stopped = not past.is_on(history.EVERYTHING, now=not known.stopped)
    sponsor = past.office(link, "sponsor", agent.sponsor.login) or ""
    owner = past.office(link, "owner", agent.owner.login if agent.owner else None)
    active = _active({sponsor, owner or ""}, past)
    ends = past.owner_until(owner) if owner and owner not in active else None
    return replace(
        known,
        status=Status(past.agent(link, known.status)),
        sponsor=_status(sponsor in active),
        owner_until=math.inf if ends is None else ends.timestamp(),
        clients={
            name: _status(past.is_on(f"client:{name}", now=now is Status.ACTIVE)) for name, now in known.clients.items()
        },
        systems={
            slug: _status(past.is_on(f"system:{slug}", now=now is Status.ACTIVE)) for slug, now in known.systems.items()
        },
        tools={place: _tool_as_of(past, tool) for place, tool in known.tools.items()},
        stopped=known.stopped or "stopped" if is_stopped else "",
    )


def _tool_as_of(past: History, tool: ToolFacts) -> ToolFacts:
    state, risk = past.tool(f"tool:{tool.system}/{tool.name}", tool.state, tool.risk)
    return replace(tool, state=ToolState(state), risk=Risk(risk))


def _is_enabled(grant: Grant, past: History) -> bool:
    return past.is_on(f"entitlement:{grant.entitlement.scope}", now=grant.entitlement.enabled)


def _status(is_active: bool) -> Status:  # noqa: FBT001 - a state
    return Status.ACTIVE if is_active else Status.DISABLED


@dataclass(frozen=True, slots=True)
class _People:
    """The members of groups, who is active, and whom alone a grant is judged for, where it is one."""

    members: Mapping[str, set[str]]
    active: frozenset[str]
    asked: str


def _access(
    grant: Grant, terms: _Terms, tool: tuple[str, str], known: AgentFacts, people: _People, now: datetime
) -> Access:
    """Judge one grant for one of the people it serves, an active one where there is one."""
    everyone = {*terms.people}.union(*(people.members[slug] for slug in terms.groups))
    active = everyone & people.active
    probe = people.asked or next(iter(sorted(active) or sorted(everyone)), None)
    key, line = (*tool, probe), _line(grant, terms)
    is_of_people = grant.subjects_digest != _NO_ONE
    serves = terms.is_enabled and (probe is not None) == is_of_people
    judged = replace(
        known,
        lines={key: (line,)} if serves else {},
        people={} if probe is None else {probe: _status(probe in active)},
    )
    return Access(
        grant,
        tool[1],
        terms.limits,
        terms.expires_at,
        terms.people,
        frozenset(login for login in terms.people if login in people.active),
        tuple(
            Group(slug, len(people.members[slug]), len(people.members[slug] & people.active)) for slug in terms.groups
        ),
        len(everyone),
        frozenset(active),
        _judge(judged, key, now),
        terms.unknown,
    )


def _line(grant: Grant, terms: _Terms) -> Line:
    return Line(
        str(grant.pk),
        grant.entitlement.scope,
        grant.starts_at.timestamp(),
        terms.expires_at.timestamp(),
        limits.load(terms.limits),
        suspended=terms.is_suspended,
    )


def _judge(known: AgentFacts, key: tuple[str, str, str | None], now: datetime) -> Verdict:
    """Return the best answer that any client of the agent gets."""
    system, tool, person = key
    calls = [Call(known.agent, client, person, system, tool, {}) for client in known.clients or ("",)]
    verdicts = [policy.reachable(call, known, now.timestamp()) for call in calls]
    return min(verdicts, key=lambda verdict: _STRICTNESS[verdict.effect])
