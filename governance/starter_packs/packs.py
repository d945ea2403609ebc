"""The shipped packs, read from the files beside this module: what each is for, its sources and its parts.

A pack is a YAML file; its name is the pack's short name. To ship another, add a file: a test reads each of them by the
rules of its parts.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from importlib.resources import files
from typing import Any, Final

import yaml

from entitlements.words import Risk
from governance.approval_policies import policies
from governance.approval_policies import rules as approval_rules
from governance.reviews.population.campaigns import CampaignOptions


class Kind(StrEnum):
    """What a pack holds."""

    SOD = "sod_ruleset"
    APPROVAL = "approval_policy"
    REVIEW = "review_templates"


@dataclass(frozen=True, slots=True)
class Source:
    """A control that a pack supports, and what of it."""

    control: str
    supports: str


@dataclass(frozen=True, slots=True)
class SodPart:
    """An SoD policy: the arguments of its proposal."""

    name: str
    sentence: str
    sides: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ApprovalPart:
    """The default approval policy."""

    stages: approval_rules.Policy
    answer_within: timedelta


@dataclass(frozen=True, slots=True)
class AutoApprovalPart:
    """An auto-approval rule for each entitlement with an approved low-risk tool that only reads."""

    longest: timedelta
    ends_after: timedelta
    agent_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TemplatePart:
    """A review template. `days` is how long its reviewers have."""

    slug: str
    name: str
    options: CampaignOptions
    cadence: str
    days: int
    spot_share: int = 0
    scope: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


type Part = SodPart | ApprovalPart | AutoApprovalPart | TemplatePart


@dataclass(frozen=True, slots=True)
class Pack:
    """A shipped pack."""

    slug: str
    title: str
    audience: str
    version: int
    kind: Kind
    sources: tuple[Source, ...]
    parts: tuple[Part, ...]


_FILES: Final = "files"
_SUFFIX: Final = ".yaml"


@functools.cache
def read_all() -> Mapping[str, Pack]:
    """Return the shipped packs by their short names, each kind together."""
    folder = files(__package__).joinpath(_FILES)
    found = [
        _pack(path.name.removesuffix(_SUFFIX), yaml.safe_load(path.read_text(encoding="utf-8")))
        for path in folder.iterdir()
        if path.name.endswith(_SUFFIX)
    ]
    return {pack.slug: pack for pack in sorted(found, key=lambda pack: (list(Kind).index(pack.kind), pack.slug))}


def sod_policy(name: str) -> SodPart:
    """Return a shipped SoD policy. Raises LookupError."""
    for pack in read_all().values():
        for part in pack.parts:
            if isinstance(part, SodPart) and part.name == name:
                return part
    raise LookupError(name)


def _pack(slug: str, data: Mapping[str, Any]) -> Pack:
    return Pack(
        slug,
        data["title"],
        data["audience"],
        data["version"],
        Kind(data["kind"]),
        tuple(Source(**source) for source in data["sources"]),
        (
            *(SodPart(**part) for part in data.get("sod_policies", ())),
            *([_approval(data["approval_policy"])] if "approval_policy" in data else []),
            *([_auto_approval(data["auto_approval"])] if "auto_approval" in data else []),
            *(_template(part) for part in data.get("review_templates", ())),
        ),
    )


def _approval(data: Mapping[str, Any]) -> ApprovalPart:
    stages = policies.read({Risk(risk): stages for risk, stages in data["stages"].items()})
    return ApprovalPart(stages, timedelta(days=data["answer_within_days"]))


def _auto_approval(data: Mapping[str, Any]) -> AutoApprovalPart:
    longest, ends_after = timedelta(days=data["longest_days"]), timedelta(days=data["ends_after_days"])
    return AutoApprovalPart(longest, ends_after, tuple(sorted(data["agent_types"])))


def _template(data: Mapping[str, Any]) -> TemplatePart:
    of_part = {name: value for name, value in data.items() if name not in ("kind", "framework")}
    options = CampaignOptions(kind=data["kind"], framework=data.get("framework", "none"), asks_owner=True)
    return TemplatePart(options=options, **of_part)
