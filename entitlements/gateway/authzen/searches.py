"""Searches: which subjects, resources or actions a question would be allowed for (AuthZEN 1.0, section 8).

A search gives exactly what evaluations of each candidate would allow. Candidates are what a policy domain lists, or the
tools, people and agents that grants are about.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from entitlements import all_systems
from entitlements.catalog.models import System
from entitlements.codes import Code
from entitlements.decisions.snapshot import AgentFacts, Call
from entitlements.gateway.traces import question_spans
from entitlements.gateway.traces.question_spans import Answering
from entitlements.node.refusals import Refused

from . import domains, paging, questions, records
from .domains import InForce
from .evaluations import Evaluator, question_of, refused
from .paging import Page
from .questions import PEOPLE, TOOL, TOOLS_CALL, Asked, Target

_AT_ONCE: Final = 500
"""Candidates that are decided before others have their turn."""
_HOLDERS: Final = """
SELECT DISTINCT a.slug, c.identifier FROM entitlements_grant g
JOIN entitlements_agent a ON a.id = g.agent_id
JOIN entitlements_entitlement e ON e.id = g.entitlement_id
JOIN entitlements_system y ON y.id = e.system_id
JOIN entitlements_grantline l ON l.grant_id = g.id
JOIN entitlements_tool t ON t.id = l.tool_id
LEFT JOIN entitlements_client c ON c.agent_id = a.id AND c.status = 'active'
WHERE y.slug = %s AND t.name = %s AND g.ended_at IS NULL ORDER BY a.slug, c.identifier
"""
"""The agents that have a grant on a tool, with their clients."""


@dataclass(frozen=True, slots=True)
class Search:
    """One search by one caller."""

    evaluator: Evaluator
    target: Target

    async def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one page of what is found, and record that it was asked. Raises Malformed, Refused, Closed."""
        if self.target is Target.SUBJECT and self.evaluator.bearer.person is not None:
            raise Refused(Code.SCOPE_MISSING, "Who acts for a person does not search for other people.")
        asked = questions.read(body, self.target)
        page = paging.read(body, self.target)
        with question_spans.answering(self.evaluator.traced, question_spans.SEARCH) as answering:
            return await self._answer(asked, page, answering)

    async def _answer(self, asked: Asked, page: Page, answering: Answering) -> dict[str, Any]:
        node, at, domain = self.evaluator.node, "", None
        if asked.action != TOOLS_CALL and (at := await self.evaluator.domain_of(asked)):
            domain = await domains.at(node, node.reads().fresh(), at)
        system = await self.evaluator.system_of(asked)
        found = [each async for each in self._in_domain(domain, asked)]
        found += [each async for each in self._of_tools(asked, system)]
        node.check_open()
        about = self.evaluator.about(system if domain is None else at, method=f"search/{self.target}")
        await node.recorder.durably(records.search(about, asked, len(found)))
        answering.note(about, is_ours=domain is not None)
        answer = page.of(found)
        return {**answer, "context": {"evaluation_id": about.evaluation}}

    # --------------------------------------------------------------------------------------------- of a policy domain

    async def _in_domain(self, domain: InForce | None, asked: Asked) -> AsyncIterator[dict[str, Any]]:
        """Yield what the rules allow, in the order of the document."""
        if domain is None or not domain.is_active:
            return
        for place, (candidate, shown) in enumerate(self._listed(domain, asked)):
            if place % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            if domain.rules.decide(question_of(candidate)).code is Code.ALLOWED:
                yield shown

    def _listed(self, domain: InForce, asked: Asked) -> list[tuple[Asked, dict[str, Any]]]:
        """Return the candidates: each as a question, and as it is shown. They have the properties of the document."""
        if self.target is Target.SUBJECT:
            subjects = domain.rules.subjects_of(asked.subject[0])
            return [(replace(asked, subject=each, subject_properties={}), _shown(each)) for each in subjects]
        if self.target is Target.RESOURCE:
            resources = domain.rules.resources_of(asked.resource[0])
            return [(replace(asked, resource=each, resource_properties={}), _shown(each)) for each in resources]
        return [(replace(asked, action=name), {"name": name}) for name in domain.rules.actions_on(asked.resource[0])]

    # ------------------------------------------------------------------------------------------------------- of tools

    async def _of_tools(self, asked: Asked, system: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the tools, people, agents or actions that grants allow."""
        if self.target is Target.ACTION:
            asked = replace(asked, action=TOOLS_CALL)
        why_not = refused(asked, system)
        if why_not is not None and (why_not.code is not Code.SYSTEM_UNKNOWN or self.target is not Target.RESOURCE):
            return
        if self.target is Target.ACTION:
            if await self._may(self._call(asked, system)):
                yield {"name": TOOLS_CALL}
        elif self.target is Target.RESOURCE:
            async for each in self._tools(asked, system):
                yield each
        elif asked.subject[0] in PEOPLE:
            async for each in self._people(asked, system):
                yield each
        else:
            async for each in self._agents(asked, system):
                yield each

    async def _tools(self, asked: Asked, system: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the tools of a system, or of each system at which the agent has a grant, that may be called."""
        call = self._call(asked, system)
        await self.evaluator.decide(call)  # names agent and client as they are registered
        reads = self.evaluator.node.reads()
        systems = [system] if system else await all_systems.slugs(reads, call.agent, System.SERVED)
        for slug in systems:
            facts = await self._facts(replace(call, system=slug))
            for at, name in sorted(facts.tools if facts else ()):
                if await self._allows(replace(call, system=at, tool=name), facts):
                    yield {"type": TOOL, "id": name, "properties": {"server": at}}

    async def _people(self, asked: Asked, system: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the people for whom the agent may call the tool."""
        call = self._call(asked, system)
        call.person = None
        await self.evaluator.decide(call)
        facts = await self._facts(call)
        held = facts.lines if facts else ()
        named = {person for at, tool, person in held if (at, tool) == (system, call.tool) and person is not None}
        for login in sorted(named):
            if await self._allows(replace(call, person=login), facts):
                yield {"type": asked.subject[0], "id": login}

    async def _agents(self, asked: Asked, system: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the agents, or their clients, that may call the tool on their own."""
        rows = await self.evaluator.node.snapshots.query(_HOLDERS, [system, asked.resource[1]])
        column = 1 if asked.subject[0] == "client" else 0
        for name in sorted({row[column] for row in rows if row[column]}):
            one = replace(asked, subject=(asked.subject[0], name))
            if await self._may(self._call(one, system)):
                yield _shown(one.subject)

    def _call(self, asked: Asked, system: str) -> Call:
        return questions.call_of(asked, system, self.evaluator.own_agent)

    async def _facts(self, call: Call) -> AgentFacts | None:
        """Return the facts about an agent, read after the request arrived: what is not found is a denial."""
        return await self.evaluator.node.reads().fresh().facts(call.key, call.system, person=call.person)

    async def _allows(self, call: Call, facts: AgentFacts | None) -> bool:
        return facts is not None and (await self.evaluator.by_grants(call, facts))[0].allowed

    async def _may(self, call: Call) -> bool:
        return (await self.evaluator.decide(call))[0].allowed


def _shown(entity: tuple[str, str]) -> dict[str, Any]:
    return {"type": entity[0], "id": entity[1]}
