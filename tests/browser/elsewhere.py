"""Access that exists elsewhere, for pictures: some of it adopted, some waiting for its sponsor."""

from __future__ import annotations

from typing import Final

from entitlements.models import Person, System, Workflow
from governance.adoption import batches
from governance.models import AdoptionBatch, AuditSample
from tests.governance.reviews import worlds

_HEAD: Final = "agent,client_id,owner,system,tools,person,last_used\n"
_DONE: Final = f"{_HEAD}Desk helper,desk-1,sofia,crm,find_customer,bob,2026-11-20T10:00:00Z\n"
_WAITS: Final = f"""{_HEAD}Old chat client,chat-7,,erp,*,bob,
Old chat client,chat-7,,erp,no_such_tool,bob,
Old chat client,chat-7,,erp,list_invoices,bob,
Shadow helper,,,crm,find_customer,nobody@x,
"""


def access() -> tuple[AdoptionBatch, list[Workflow]]:
    """Bring two files; returns the one that waits for its sponsor, and the map."""
    ana, sofia = Person.objects.get(login="ana"), Person.objects.get(login="sofia")
    done = batches.look_at(_DONE.encode(), file_name="gateway.csv", by=ana)
    batches.ask(done, sponsor=sofia, each={}, by=ana, reason="Day 30.")
    batches.answer(done, accept=True, by=sofia)
    batches.confirm(done, by=ana, reason="Accepted by sofia.")
    waits = batches.look_at(_WAITS.encode(), file_name="desks.csv", by=ana)
    batches.ask(waits, sponsor=sofia, each={}, by=ana, reason="Day 30.")
    return waits, list(Workflow.objects.order_by("state", "pk"))


def audited() -> AuditSample:
    """Close a small review, share it with an auditor, who draws a sample and asks."""
    ana, sofia, bob = (Person.objects.get(login=login) for login in ("ana", "sofia", "bob"))
    return worlds.audited(System.objects.get(slug="crm"), sponsor=sofia, person=bob, by=ana)
