"""How drift is answered: as two people agreed for its detector, and at least as a session policy says (`on_drift`).

A detector that is in observe does nothing, whatever a session policy says.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from audit import clock
from entitlements.grants.models import GrantLine
from entitlements.risk import response_policy
from entitlements.risk.rules import Kind, Policy, Response
from entitlements.risk.subject import RiskSubject, sessions
from entitlements.session_policies import preview
from entitlements.session_policies.models import SessionPolicy
from entitlements.sessions.models import is_open
from entitlements.token_families.models import TokenFamily

_ORDER: Final = [*Response]

type Answered = tuple[RiskSubject, Policy]
"""Whom a signal is about, and how it is answered."""


def of(kind: Kind, subject: RiskSubject) -> list[Answered]:
    """Return whom drift of one subject is noted about, and how each is answered.

    A person is not disabled because they moved: where a session policy says suspend, their sessions that it applies to
    end, and the person is asked to sign in again.
    """
    detector = response_policy.current(kind)
    applying = _applying(subject)
    wanted = {Response(policy.on_drift) for policy in applying}
    if not wanted:
        return [(subject, detector)]
    if subject.person is None or Response.SUSPEND not in wanted:
        return [(subject, _stricter(detector, *wanted))]
    ending = [policy for policy in applying if policy.on_drift == Response.SUSPEND]
    open_ones = sessions().filter(is_open(clock.now()), person=subject.person)
    keys: set[UUID] = {
        key for policy in ending for key in preview.applying(policy, open_ones).values_list("pk", flat=True)
    }
    ended = [RiskSubject(session=row) for row in sessions().filter(pk__in=keys).order_by("pk")]
    suspended = Policy(Response.SUSPEND, detector.mode)
    return [(subject, _stricter(detector, Response.STEP_UP)), *((each, suspended) for each in ended)]


def _stricter(detector: Policy, *wanted: Response) -> Policy:
    return Policy(max((detector.response, *wanted), key=_ORDER.index), detector.mode)


def _applying(subject: RiskSubject) -> list[SessionPolicy]:
    """Return the session policies in force that answer drift and apply to a session or sign-in of a subject."""
    rows = SessionPolicy.objects.select_related("system").filter(state=SessionPolicy.State.IN_FORCE)
    return [row for row in rows.exclude(on_drift="").order_by("name") if _applies(row, subject)]


def _applies(policy: SessionPolicy, subject: RiskSubject) -> bool:
    if subject.agent is not None:
        return policy.agent_kind in ("", subject.agent.kind) and _reaches(policy, subject.agent.pk)
    now = clock.now()
    if subject.session is not None:
        return preview.applying(policy, sessions().filter(pk=subject.session.pk)).exists()
    running: QuerySet[Any] = sessions().filter(is_open(now), person=subject.person)
    lasting = TokenFamily.objects.filter(ended_at=None, expires_at__gt=now, person=subject.person).exclude(agent=None)
    return preview.applying(policy, running).exists() or preview.applying(policy, lasting).exists()


def _reaches(policy: SessionPolicy, agent: int) -> bool:
    """Whether an agent holds a tool that a policy is about, by its system and risk level."""
    lines = GrantLine.objects.filter(grant__agent=agent, grant__ended_at=None)
    at_system = Q() if policy.system_id is None else Q(tool__system=policy.system_id)
    levels = preview.at_least(policy.risk)
    return lines.filter(at_system, tool__risk__in=levels).exists()
