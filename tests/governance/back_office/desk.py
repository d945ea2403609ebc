"""The back office of one small company in tests: a row for each act, and how a button is pressed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.db.models import Model
from django.test import Client

from audit import clock
from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.catalog import systems, tools
from entitlements.clients import clients
from entitlements.grants import grants
from entitlements.people.models import Role
from governance.back_office.act_admin import ActAdmin
from governance.reviews.population import campaigns
from governance.reviews.staging import launch
from tests import make
from tests.governance import companies
from tests.governance.console import visits

ADMINS: Final[dict[str, ActAdmin]] = {
    f"{model._meta.app_label}_{model._meta.model_name}": each
    for model, each in admin.site._registry.items()
    if isinstance(each, ActAdmin)
}
ACTS: Final = {(name, act.name): act for name, kind in ADMINS.items() for act in kind.acts}


@dataclass(frozen=True)
class Desk:
    """The company, and for each act a row that it can be done to."""

    company: companies.Company
    rows: dict[tuple[str, str], Model]


def made() -> Desk:
    """Make a company in which there is something for each act."""
    company = companies.found()
    make.person("adele", roles=[Role.ADMIN])
    asked = company.ask("now", "convert", "wipe")
    held = make.grant(company.bot, company.use, people=[company.alice])
    other = make.grant(company.bot, company.use, people=[company.bob])
    grants.suspend(other.pk, by=SYSTEM, reason="Made for a test.")
    draft, begun = (
        campaigns.make(slug, name=slug.title(), due_at=clock.now() + timedelta(days=9), by=company.ana)
        for slug in ("later", "now")
    )
    launch.activate(begun.pk, by=company.ana)
    stopped_agent, stopped_system = make.agent("still-bot"), make.system("still")
    stopped_tool, stopped_client = make.tool(company.system, "still"), make.client(company.bot, "still")[0]
    agents.suspend(stopped_agent, by=SYSTEM, reason="Made for a test.")
    systems.disable_system(stopped_system, by=SYSTEM, reason="Made for a test.")
    tools.disable_tool(stopped_tool, by=SYSTEM, reason="Made for a test.")
    clients.disable(stopped_client, by=SYSTEM, reason="Made for a test.")
    rows: dict[tuple[str, str], Model] = {
        ("governance_accessrequest", "approve"): asked,
        ("governance_accessrequest", "deny"): asked,
        **dict.fromkeys([("entitlements_grant", name) for name in ("narrow", "suspend", "revoke")], held),
        ("entitlements_grant", "restore"): other,
        ("entitlements_agent", "suspend"): company.bot,
        ("entitlements_agent", "restore"): stopped_agent,
        ("entitlements_client", "suspend"): make.client(company.bot, "bot-1")[0],
        ("entitlements_client", "restore"): stopped_client,
        ("entitlements_system", "suspend"): company.system,
        ("entitlements_system", "restore"): stopped_system,
        ("entitlements_tool", "suspend"): company.use.tools.get(name="now"),
        ("entitlements_tool", "restore"): stopped_tool,
        ("governance_campaign", "launch"): draft,
        ("governance_campaign", "close"): begun,
    }
    for row in rows.values():
        row.refresh_from_db()
    return Desk(company, rows)


def address(name: str, act: str) -> str:
    """Return the address at which an act is confirmed."""
    app, model = name.split("_")
    return f"/admin/{app}/{model}/acts/{act}/"


def form(act: str, *rows: Any) -> dict[str, Any]:  # noqa: ANN401 - rows
    """Return what the page of an act sends where nothing on it is changed but the reason."""
    sent: dict[str, Any] = {"key": [str(row.pk) for row in rows], "reason": "Seen in a test."}
    for row in rows:
        if (version := getattr(row, "version", None)) is not None:
            sent[f"{row.pk}:version"] = str(version)
        if act == "approve":
            sent[f"{row.pk}:tool"] = [line.tool.name for line in row.lines.filter(kept=True)]
        if act == "narrow":
            sent[f"{row.pk}:tool"] = ["now"]
        if act == "launch":
            sent[f"{row.pk}:typed"] = row.name
        if act == "close":
            sent[f"{row.pk}:without_answer"] = "yes"
    return sent


def press(browser: Client, kind: str, act: str, *rows: Any, **changed: Any) -> Any:  # noqa: ANN401 - rows, a response
    """Confirm an act on rows, as the page would send it, or with something changed or left out (None)."""
    sent = {**form(act, *rows), **changed}
    return browser.post(address(kind, act), {name: value for name, value in sent.items() if value is not None})


def code(response: Any) -> str:  # noqa: ANN401 - a response
    """Return the code of the refusal that a page shows, empty where it shows none."""
    return next(iter(re.findall(r"<code>([a-z_]+)</code></p>", visits.text(response))), "")
