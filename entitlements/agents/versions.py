"""What an agent runs: its model and the hashes of its prompt and metadata, as its build, owner or itself reports."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from http import HTTPStatus

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agents.models import Agent, AgentVersion
from entitlements.errors import DomainError, NotFound

_SHA256 = re.compile(r"(?:[0-9a-f]{64})?")


class VersionMalformed(DomainError):
    """A version must name its model, and a hash must be 64 lower case hexadecimal digits of SHA-256."""

    code, status = "agent_version_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Version:
    """What is reported. A hash that is empty is not known; the text it is of never comes here."""

    model: str
    prompt_sha256: str = ""
    client_metadata_sha256: str = ""
    source: str = AgentVersion.Source.UNKNOWN


@transaction.atomic
def report(agent: Agent, version: Version, *, by: Principal) -> tuple[AgentVersion, bool]:
    """Note what an agent runs from now on; returns the row, and whether anything is different from the one before.

    Reporting the same again changes and records nothing. Raises VersionMalformed, NotFound.
    """
    hashes = (version.prompt_sha256, version.client_metadata_sha256)
    if not version.model.strip() or not all(_SHA256.fullmatch(value_hash) for value_hash in hashes):
        raise VersionMalformed
    if Agent.objects.select_for_update().filter(pk=agent.pk).first() is None:
        raise NotFound
    values = asdict(version)
    before = latest(agent)
    if before is not None and all(getattr(before, name) == value for name, value in values.items()):
        return before, False
    row = AgentVersion.objects.create(agent=agent, **values, reported_at=clock.now(), reported_by=str(by))
    was = {name: getattr(before, name) for name in values} if before else None
    log.record(Action.AGENT_VERSION_REPORTED, about=[f"agent:{agent.slug}"], by=by, detail={"from": was, "to": values})
    return row, True


def latest(agent: Agent) -> AgentVersion | None:
    """Return what was reported last; None when nothing ever was."""
    return AgentVersion.objects.filter(agent=agent).order_by("-reported_at", "-pk").first()
