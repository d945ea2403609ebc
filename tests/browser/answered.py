"""What the pages of policy domains show in a browser: one of many subjects, resources and rules."""

from __future__ import annotations

from typing import Any

from entitlements.catalog.models import System
from entitlements.people.models import Person
from entitlements.policy_domains import domains
from tests import make


def pages() -> dict[str, list[str]]:
    """Have a policy domain in its second version; return its pages: as it is, and with a question each way."""
    ana = Person.objects.get(login="ana")
    system = make.system("handbook", kind=System.Kind.KNOWN, owner=ana)
    client, _ = make.client(None, "handbook-gateway", auth="client_secret_basic")
    known = Person.objects.order_by("login").values_list("login", flat=True)[:6]
    people = [*known, *(f"guest-{n}" for n in range(114))]
    document: dict[str, Any] = {
        "enforcement_points": [client.client_id],
        "subject_types": {"user": {}, "service": {"stated": ["zone"]}},
        "resource_types": {
            "page": {"actions": ["read", "edit", "delete"], "stated": ["status"]},
            "space": {"actions": ["read"], "open": True},
        },
        "subjects": [{"type": "user", "id": one, "properties": {"roles": ["editor"], "team": "a"}} for one in people],
        "resources": [{"type": "page", "id": f"page-{n}", "properties": {"owner": people[n]}} for n in range(120)],
        "rules": [{"name": "everybody reads", "resource_type": "page", "actions": ["read"]}],
    }
    admin = Person.objects.get(login="admin")  # who adds a client of no agent
    domains.load(system, document=document, by=admin, reason="The first rules of the handbook.")
    when = [
        {"attribute": "subject.properties.roles", "has": "editor"},
        {"attribute": "resource.properties.owner", "same_as": "subject.id"},
    ]
    editing = {"name": "editors edit what they own", "resource_type": "page", "actions": ["edit", "delete"]}
    document["rules"] = [*document["rules"], {**editing, "subject_types": ["user"], "when": when}]
    domains.load(system, document=document, by=ana, reason="Editors edit their own pages, as the team asked.")
    asked = f"subject_type=user&subject_id={people[0]}&action=edit&resource_type=page&resource_id=page-0"
    denied = asked.replace("page-0", "page-1")
    page = "/policy-domains/handbook/"
    return {
        "policy-domain-page": [page, f"{page}?{asked}", f"{page}?{denied}&find=guest-1", "/policy-domains/erp/"],
        "policy-domain-load": [f"{page}load/", "/policy-domains/erp/load/"],
    }
