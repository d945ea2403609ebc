"""One small company around one shared agent, for tests of requests and approvals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System
from entitlements.people.models import Person
from governance.approvals.models import Approval
from governance.requests.models import AccessRequest
from tests import make, snapshots


@dataclass(frozen=True)
class Company:
    """Sofia sponsors research-bot, otto owns it, sam owns the system, resa and rob are security, mona manages alice."""

    sofia: Person
    otto: Person
    sam: Person
    resa: Person
    rob: Person
    mona: Person
    alice: Person
    bob: Person
    ana: Person
    mallory: Person
    bot: Agent
    system: System
    use: Entitlement

    def ask(
        self,
        *tools: str,
        by: Person | Agent | None = None,
        people: Sequence[Person] | None = None,
        limits: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> AccessRequest:
        """Ask for tools for alice, as otto; by default for the harmless one."""
        return make.request(
            self.use,
            self.bot,
            by=by or self.otto,
            people=[self.alice] if people is None else people,
            tools=tools or ["now"],
            limits=limits,
        )

    def named(self, login: str) -> Person:
        """Return one of the people."""
        return Person.objects.get(login=login)


@snapshots.restored
def found() -> Company:
    """Make the company. Its tools: now (low), convert (medium, limited to Paris), remove (high), wipe (critical)."""
    sofia, otto, sam, mona = (make.person(login) for login in ("sofia", "otto", "sam", "mona"))
    system = make.system("clock", owner=sam)
    risks = {"now": "low", "convert": "medium", "remove": "high", "wipe": "critical"}
    tools = [make.tool(system, name, risk=risk) for name, risk in risks.items()]
    zones = {"timezone": {"one_of": ["Europe/Paris", "Europe/Rome"]}}
    return Company(
        sofia=sofia,
        otto=otto,
        sam=sam,
        resa=make.security("resa"),
        rob=make.security("rob"),
        mona=mona,
        alice=make.person("alice", manager=mona),
        bob=make.person("bob"),
        ana=make.analyst("ana"),
        mallory=make.person("mallory"),
        bot=make.agent("research-bot", sponsor=sofia, owner=otto),
        system=system,
        use=make.entitlement(system, *tools, scope="clock:use", limits={"convert": zones}),
    )


def waiting(request: AccessRequest) -> dict[str, list[str]]:
    """Say whom each waiting stage waits for."""
    return {
        stage.stage: sorted(stage.waiting_for.values_list("login", flat=True))
        for stage in request.approvals.filter(answer=Approval.Answer.WAITING).order_by("position")
    }
