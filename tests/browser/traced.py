"""A trace from a sign-in to a system, as the audit log shows it."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

from django.db import transaction

from audit import context, log
from audit.actions import Action
from audit.context import Principal
from entitlements.grants.models import Grant

TRACE: Final = "5e" * 16
_TOOL: Final = "tool:erp/list_invoices"


def trace() -> str:
    """Record what comes of one sign-in of alice; returns the page of its trace."""
    alice, sofia = Principal("person", "alice"), Principal("person", "sofia")
    bot, access = Principal("agent", "expense-bot"), f"grant:{Grant.objects.all()[0].pk}"
    session, token, asked = (f"{kind}:{uuid4()}" for kind in ("session", "token", "request"))
    of_client = ["client:expense-bot", "system:erp"]
    story: list[tuple[Action, Principal, list[str], str, str, dict[str, object]]] = [
        (Action.SIGN_IN_AGREED, alice, of_client, "success", "", {"scope": "erp:use"}),
        (Action.SESSION_BEGUN, bot, [session, *of_client], "success", "", {}),
        (Action.TOKEN_ISSUED, bot, [token, session, *of_client], "success", "", {"kind": "access_token"}),
        (Action.TOOL_LIST_SHOWN, bot, [token, "system:erp"], "success", "", {"tools": 1}),
        (Action.CALL_DENIED, bot, [token, _TOOL, "system:erp"], "refused", "no_grant", {"tool": "list_invoices"}),
        (Action.REQUEST_SUBMITTED, bot, [asked, "agent:expense-bot", "system:erp"], "success", "", {}),
        (Action.APPROVAL_GIVEN, sofia, [asked, "agent:expense-bot"], "success", "", {}),
        (Action.GRANT_ISSUED, sofia, [access, asked, "agent:expense-bot"], "success", "", {}),
        (Action.TOOL_LIST_SHOWN, bot, [token, "system:erp"], "success", "", {"tools": 4}),
        (Action.CALL_ALLOWED, bot, [token, access, _TOOL, "system:erp"], "success", "", {"tool": "list_invoices"}),
        (Action.CALL_FINISHED, bot, [token, _TOOL, "system:erp"], "success", "", {"milliseconds": 41, "bytes": 9}),
        (Action.CALL_FINISHED, bot, [token, _TOOL], "failure", "upstream_unavailable", {"milliseconds": 5012}),
    ]
    for action, by, about, outcome, code, detail in story:
        with context.acting(trace=TRACE, on_behalf_of=None if by.kind == "person" else alice), transaction.atomic():
            log.record(action, by=by, about=about, outcome=outcome, code=code, detail=detail)
    return f"/audit/?about=trace:{TRACE}"
