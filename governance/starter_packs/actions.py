"""What people do with starter packs, declared once for API and console, and which packs a caller reads and proposes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from rest_framework import serializers

from entitlements.access.caller import Caller
from entitlements.api import permissions
from entitlements.api.actions import NEW, Action, Performed, caller
from entitlements.api.fields import InputSerializer, Text
from entitlements.errors import Forbidden, NotFound
from governance.api.matrix import MATRIX
from governance.approval_policies import actions as policy_actions
from governance.reviews.templates import actions as template_actions
from governance.sod import actions as sod_actions
from governance.starter_packs import packs, starter_packs
from governance.starter_packs.packs import Kind, Pack
from governance.starter_packs.planned import Act, Planned
from governance.starter_packs.starter_packs import Outcome

_READ_AS = {Kind.SOD: "sod-policies", Kind.APPROVAL: "approval-policies", Kind.REVIEW: "campaign-templates"}
"""The address whose readers read the packs of a kind."""


BY_HAND: Final[Mapping[Act, Action]] = {
    Act.PROPOSE_SOD_POLICY: sod_actions.PROPOSE,
    Act.PROPOSE_APPROVAL_POLICY: policy_actions.PROPOSE,
    Act.PROPOSE_RULE: policy_actions.PROPOSE_RULE,
    Act.SAVE_TEMPLATE: template_actions.SAVE,
    Act.EDIT_TEMPLATE: template_actions.EDIT,
}
"""The action of each act, as its own page and address perform it."""


class ApplyInputSerializer(InputSerializer):
    """The keys of the parts to propose, as the pack lists them, and why."""

    parts = serializers.ListField(child=Text(max_length=200), min_length=1, max_length=250)
    reason = Text(max_length=starter_packs.LONGEST_REASON)


def readable(by: Caller) -> list[Pack]:
    """Return the packs whose kind the caller may read."""
    return [pack for pack in packs.read_all().values() if permissions.lets_in(MATRIX[_READ_AS[pack.kind], "GET"], by)]


def find(by: Caller, slug: str) -> Pack:
    """Return a pack that the caller may read. Raises NotFound."""
    pack = next((pack for pack in readable(by) if pack.slug == slug), None)
    if pack is None:
        raise NotFound
    return pack


def may_perform(by: Caller, act: Act) -> bool:
    """Whether the caller may do by hand what a part does."""
    action = BY_HAND[act]
    return permissions.lets_in(MATRIX[action.address, action.method], by)


def _apply(pack: Pack, parts: Sequence[str], *, by: Caller, reason: str) -> list[Outcome]:
    """Propose parts. Raises Forbidden unless the caller may propose each by hand, and as `starter_packs.apply`."""
    wanted = [each for each in starter_packs.plan(pack) if each.key in set(parts)]
    if not all(may_perform(by, each.act) for each in wanted):
        raise Forbidden

    def perform(planned: Planned, values: dict[str, Any]) -> object:
        return BY_HAND[planned.act].perform(planned.row, by, values).result

    return starter_packs.apply(pack, parts, perform=perform, reason=reason)


def _done(performed: Performed) -> str:
    count = sum(outcome.is_new for outcome in performed.result)
    if count == 0:
        return str(_("Nothing was proposed: this installation has these parts already."))
    if performed.values["pack"].kind == Kind.REVIEW:
        return ngettext("%(n)d review template is saved.", "%(n)d review templates are saved.", count) % {"n": count}
    message = ngettext(
        "%(n)d proposal is made. Another person puts it in force.",
        "%(n)d proposals are made. Another person puts them in force.",
        count,
    )
    return message % {"n": count}


APPLY = Action("starter-pack-apply", NEW, _apply, input=ApplyInputSerializer, by=caller, done=_done)
