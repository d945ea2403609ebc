"""A lower class of a tool is a proposal: the tool keeps the higher one until a second person confirms it."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime

from django.db.models import Exists, OuterRef, Value
from django.db.models.functions import Concat
from django.utils.translation import gettext_lazy as _

from audit import log
from audit.actions import Action
from entitlements.catalog.models import Tool
from entitlements.definitions import classes, tool_class
from entitlements.definitions.tool_class import ToolClass
from entitlements.feed import changes, subjects
from entitlements.feed.locks import Key, Lock
from entitlements.name_collisions import same_upstream
from entitlements.people.models import Person
from entitlements.proposals import proposals
from entitlements.proposals.models import Proposal

from . import errors, membership


def subject(tool: Tool) -> str:
    """Return the link of a tool, by which its proposals are found."""
    return f"tool:{tool.system.slug}/{tool.name}"


def waits() -> Exists:
    """Return the condition, of a query of tools, that something about a tool waits for a second person."""
    link = Concat(Value("tool:"), OuterRef("system__slug"), Value("/"), OuterRef("name"))
    return Exists(Proposal.objects.filter(subject=link, state=Proposal.State.PROPOSED))


def tool_of(link: str) -> Tool:
    """Return the tool that a proposal is about."""
    slug, _slash, name = link.removeprefix("tool:").partition("/")
    return Tool.objects.select_related("system", "approved", "seen").get(system__slug=slug, name=name)


def least(tool: Tool) -> ToolClass:
    """Return the class below which an approval of the newest definition lowers the tool.

    It is the class that the tool has, once it was approved; what the rules propose for a definition that no person
    approved yet; and the class of the same upstream tool that is registered elsewhere: one with this name at this
    address, or with this definition.
    """
    held = [tool_class.of(tool)] if tool.approved_id is not None or tool.seen is None else []
    if tool.seen is not None and tool.seen_id != tool.approved_id:
        held.append(tool_class.suggested(classes.suggest(tool.seen.definition).as_json()))
    held += [tool_class.suggested(tool_class.of(other).as_json()) for other in same_upstream.find(tool)]
    return functools.reduce(tool_class.highest, held)


def highest_since(tools: Iterable[Tool], since: datetime) -> None:
    """Give tools, in memory alone, the highest class that they had since a moment: a class falls by proposals alone."""
    by_subject = {subject(tool): tool for tool in tools}
    fallen = Proposal.objects.filter(kind=KIND.name, state="confirmed", ended_at__gte=since, subject__in=by_subject)
    for row in fallen:
        tool = by_subject[row.subject]
        tool_class.put(tool, tool_class.highest(tool_class.of(tool), ToolClass(**row.terms["from"])))


def _put_in_force(row: Proposal, by: Person) -> None:
    """Give the tool the lower class. Raises ToolInWrongState, DefinitionMoved where it is not as it was proposed."""
    tool = tool_of(row.subject)
    if tool.state != Tool.State.APPROVED or tool.approved is None:
        raise errors.ToolInWrongState(tool=tool.name, state=tool.state)
    if tool.approved.sha256 != row.terms["sha256"] or tool_class.of(tool).as_json() != row.terms["from"]:
        raise errors.DefinitionMoved(tool=tool.name)
    tool_class.put(tool, ToolClass(**row.terms["to"]))
    tool.version += 1
    tool.save(update_fields=[*tool_class.FIELDS, "version"])
    detail = {"sha256": tool.approved.sha256, "sentence": tool.sentence, **row.terms["to"]}
    log.record(Action.TOOL_APPROVED, about=_links(row.subject), by=by.principal, reason=row.reason, detail=detail)
    changes.note(subjects.tool(tool.pk))
    membership.update_members([tool.system_id], by=by.principal)


def _locks(link: str) -> list[Key]:
    tool = tool_of(link)
    return [(Lock.SYSTEM, tool.system_id), (Lock.TOOL, tool.pk)]


def _links(link: str) -> list[str]:
    return [link, f"system:{link.removeprefix('tool:').partition('/')[0]}"]


KIND = proposals.register(
    proposals.Kind(
        name="tool_class",
        label=_("Lower class of a tool"),
        apply=_put_in_force,
        locks=_locks,
        links=_links,
        still_may=lambda link, who: (
            who.pk == tool_of(link).system.owner_id or who.roles.current().filter(role="analyst").exists()
        ),
    )
)
