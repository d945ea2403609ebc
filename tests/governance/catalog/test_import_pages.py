"""The pages of an import: a file is looked at, confirmed, followed without script; hostile texts are text."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from entitlements import tasks
from entitlements.catalog import discovery
from entitlements.catalog.models import System, Tool
from entitlements.catalog_files import imports
from entitlements.catalog_files.models import CatalogImport
from entitlements.definition_watch import discovery_schedule
from entitlements.people.models import Person
from entitlements.proposals import proposals
from entitlements.proposals.models import Proposal
from tests import make
from tests.entitlements import catalogues
from tests.entitlements.catalogues import content
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

HOSTILE = '<script>alert(1)</script>"\u202e=1+1'


@pytest.fixture
def ana() -> Person:
    make.person("olga")
    return make.analyst("ana")


@pytest.fixture
def send(ana: Person) -> Callable[..., Any]:
    def one(file: bytes, owner: str = "olga") -> Any:  # noqa: ANN401 - Django's test response
        form = {"file": SimpleUploadedFile("all.json", file), "owner": owner}
        return visits.as_(ana).post("/systems/import/", form, follow=True)

    return one


def test_a_file_is_looked_at_then_taken_in_after_the_yes(ana: Person, send: Callable[..., Any]) -> None:
    page = send(content([{"name": "time", "tools": [catalogues.tool(0)]}, "odd"]))

    shown = visits.text(page)
    assert "What it would change" in shown
    assert "row_malformed" in shown
    assert not System.objects.filter(slug="time")
    looked = CatalogImport.objects.get()

    done = visits.as_(ana).post(f"/systems/import/{looked.pk}/start/", follow=True)

    assert "What it changed" in visits.text(done)
    assert Tool.objects.get().state == "pending"


def test_a_large_file_is_followed_by_looking_again(
    ana: Person, send: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.run_import, "delay", lambda _id: None)
    send(content(catalogues.systems(60, 300)))
    looked = CatalogImport.objects.get()
    visits.as_(ana).post(f"/systems/import/{looked.pk}/start/")
    imports.continue_import(looked.pk)

    shown = visits.text(visits.as_(ana).get(f"/systems/import/{looked.pk}/"))

    assert "50 of 60 systems" in shown
    assert 'value="50"' in shown
    assert "Refresh" in shown


def test_hostile_names_are_shown_as_text(send: Callable[..., Any]) -> None:
    page = send(content([{"name": HOSTILE, "tools": [{"name": HOSTILE}]}, {"tools": HOSTILE}]))

    shown = visits.text(page)
    assert "<script>alert" not in shown
    assert "\u202e" not in shown
    assert "&lt;script&gt;alert(1)" in shown


@pytest.mark.parametrize(
    ("file", "owner", "status", "told"),
    [
        (b"{}", "olga", 422, "import_not_a_catalog"),
        (b"{", "olga", 400, "malformed_call"),
        (b'["odd"]', "olga", 422, "import_empty"),
        (b"[]", "nobody", 422, "unknown_person"),
        (b"", "olga", 422, "empty"),
    ],
)
def test_what_cannot_be_imported_is_said_beside_its_field(
    send: Callable[..., Any], file: bytes, owner: str, status: int, told: str
) -> None:
    page = send(file, owner)

    assert page.status_code == status
    assert f"<code>{told}</code>" in visits.text(page)
    assert not CatalogImport.objects.exists()


def test_a_file_beyond_the_bound_is_not_taken(send: Callable[..., Any], settings: Any) -> None:  # noqa: ANN401
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10

    page = send(content([{"name": "time"}]))

    assert page.status_code == 422
    assert not CatalogImport.objects.exists()


def test_nobody_else_imports_or_looks(ana: Person, send: Callable[..., Any]) -> None:
    send(content([{"name": "time"}]))
    address = f"/systems/import/{CatalogImport.objects.get().pk}/"
    mallory = visits.as_(make.person("mallory"))

    assert mallory.get("/systems/import/").status_code == 403
    assert mallory.get(address).status_code == 404
    assert mallory.post(f"{address}start/").status_code == 403
    audrey = visits.as_(make.person("audrey", roles=["auditor"]))
    assert f"{address}start/" not in visits.text(audrey.get(address))
    assert audrey.post(f"{address}start/").status_code == 403
    assert visits.as_(ana).get(address).status_code == 200


def test_a_suggestion_is_shown_with_its_reasons_and_counts_once_somebody_approves(ana: Person) -> None:
    system = make.system("mail")
    raw = {"name": "send_email", "inputSchema": {"type": "object", "properties": {"to": {"type": "string"}}}}
    discovery.record_discovery(system, [raw], by=ana.principal)
    tool = Tool.objects.select_related("seen").get()
    assert tool.seen is not None
    address = "/systems/mail/tools/send_email/"

    for page in (address, "/systems/mail/"):
        shown = visits.text(visits.as_(ana).get(page))
        assert "Suggested: Changes things, medium risk, confidential data" in shown, page
        assert "Its name says “send”, which changes something." in shown, page
    assert tool.reads_private is None

    form = {"sha256": tool.seen.sha256, "sentence": "Sends mail.", "action": "write", "risk": "high"}
    flows = {"reads_private": "yes", "ingests_untrusted": "", "egress_external": "no"}
    visits.as_(ana).post(address, {"verb": "approve", "data_class": "confidential", **form, **flows})

    tool = Tool.objects.get()
    assert (tool.state, tool.risk) == ("approved", "high")
    assert (tool.reads_private, tool.ingests_untrusted) == (True, None)
    assert tool.egress_external is True, "the rules propose yes, so that a second person confirms the no"
    assert "Wait for a second person" in visits.text(visits.as_(ana).get(address))
    proposals.confirm(Proposal.objects.get().pk, by=make.security())
    assert (tool.suggestion or {})["risk"] == "medium"
    assert '<option value="no" selected>' in visits.text(visits.as_(ana).get(address))


def test_how_the_last_asking_went_is_shown(ana: Person) -> None:
    system = make.system("mail")
    discovery_schedule.record_failure(system, "timeout")

    assert "the last listing failed (timeout)" in visits.text(visits.as_(ana).get("/systems/mail/"))
