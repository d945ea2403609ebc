"""Imports of catalogues: nothing is approved, twice is once, drift is drift, and a killed worker loses nothing."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit import clock
from audit.actions import Action
from audit.export import timeline
from audit.models import Event
from entitlements.catalog import discovery, errors, systems
from entitlements.catalog import tools as tools_actions
from entitlements.catalog.models import System, Tool, ToolVersion
from entitlements.catalog_files import imports, offers
from entitlements.catalog_files.models import CatalogImport
from entitlements.keys.models import SigningKey
from entitlements.people import people
from entitlements.people.models import Person
from tests import make
from tests.entitlements import catalogues
from tests.entitlements.catalogues import content

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script> \u202e=cmd()|'/C calc'!A0"


@pytest.fixture
def owner() -> Person:
    return make.person("olga")


@pytest.fixture
def ana() -> Person:
    return make.analyst("ana")


def look(value: object, owner: Person, by: Person) -> CatalogImport:
    return imports.preview(content(value), file_name="catalogue.json", owner=owner, by=by.principal)


def take(value: object, owner: Person, by: Person) -> CatalogImport:
    return _take_in(content(value), owner, by)


def _take_in(content: bytes, owner: Person, by: Person) -> CatalogImport:
    looked = imports.preview(content, file_name="catalogue.json", owner=owner, by=by.principal)
    imports.confirm(looked, by=by.principal)
    while imports.continue_import(looked.pk):
        pass
    looked.refresh_from_db()
    return looked


def counts(of: CatalogImport) -> dict[str, int]:
    return {name: count for name, count in of.counts.items() if count}


def raw(name: str = "get_time", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"name": name, "description": "Gets the time.", "inputSchema": {"type": "object"}, **fields}


def test_looking_changes_nothing_and_says_what_would_change(owner: Person, ana: Person) -> None:
    before = Event.objects.count()

    looked = look([{"name": "time", "tools": [raw(), raw("a b")]}, "odd"], owner, ana)

    assert (looked.state, looked.systems, looked.tools) == ("preview", 1, 1)
    assert counts(looked) == {"systems_new": 1, "tools_new": 1, "refused": 2}
    assert [(each["row"], each["code"]) for each in looked.problems] == [
        (1, "definition_malformed"),
        (2, "row_malformed"),
    ]
    assert (System.objects.exclude(kind="builtin").count(), Event.objects.count()) == (0, before)


def test_what_is_new_is_known_pending_and_suggested_and_nothing_is_approved(owner: Person, ana: Person) -> None:
    done = take(
        [{"name": "time", "title": "Time", "tools": [raw()]}, {"name": "far", "url": "https://far.example/mcp"}],
        owner,
        ana,
    )

    assert (done.state, done.offers, done.position) == ("done", None, 2)
    time, far = System.objects.get(slug="time"), System.objects.get(slug="far")
    assert (time.name, time.kind, time.upstream_url, time.owner) == ("Time", "known", "", owner)
    assert (far.kind, far.upstream_url) == ("mcp_gateway", "https://far.example/mcp")
    assert [key.issuer for key in SigningKey.objects.filter(issuer__in=["as/time", "as/far"])] == ["as/far"]
    tool = Tool.objects.get(system=time)
    assert (tool.state, tool.approved, tool.action, tool.sentence) == ("pending", None, "read", "Gets the time.")
    assert tool.seen is not None
    assert tool.seen.definition == raw()
    assert (tool.suggestion or {})["version"] == "class@3"


def test_one_event_a_system_with_counts_and_hashes_and_two_of_the_import(owner: Person, ana: Person) -> None:
    done = take([{"name": "time", "tools": [raw(), raw("b")]}], owner, ana)

    events = list(timeline.of("import", str(done.pk)))
    assert [event.action for event in events] == [
        Action.IMPORT_CONFIRMED,
        Action.SYSTEM_REGISTERED,
        Action.IMPORT_FINISHED,
    ]
    assert {event.actor for event in events} == {"person:ana"}
    assert events[0].detail["sha256"] == events[2].detail["sha256"] == done.sha256
    assert (events[1].detail["tools"], len(events[1].detail["tools_sha256"])) == (2, 64)
    assert not timeline.of("tool", "time/b")


def test_importing_twice_changes_nothing(owner: Person, ana: Person) -> None:
    value = catalogues.systems(5, 23)
    take(value, owner, ana)
    before = _state()

    done = take(value, owner, ana)

    assert counts(done) == {"systems_known": 5, "tools_same": 23}
    assert _state() == before
    assert len(timeline.of("import", str(done.pk))) == 2


def _state() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (System, Tool, ToolVersion)]


def test_what_is_known_keeps_its_name_owner_and_address(owner: Person, ana: Person) -> None:
    system = make.system("time")

    done = take([{"name": "time", "title": "Evil", "url": "https://evil.example/", "tools": [raw()]}], owner, ana)

    fresh = System.objects.get(pk=system.pk)
    assert (fresh.name, fresh.owner, fresh.upstream_url) == (system.name, system.owner, system.upstream_url)
    assert counts(done) == {"systems_known": 1, "tools_new": 1}
    assert [each["code"] for each in done.problems] == ["address_differs"]
    assert [event.action for event in timeline.of("system", "time")] == [Action.SYSTEM_TOOLS_IMPORTED]


def test_a_changed_tool_goes_through_the_rule_of_drift(owner: Person, ana: Person) -> None:
    take([{"name": "time", "tools": [raw(), raw("b")]}], owner, ana)
    tool = Tool.objects.get(name="get_time")
    assert tool.seen is not None
    tools_actions.approve_tool(
        tools_actions.Approval(tool, tool.seen.sha256, "Gets it.", "read", "low"), by=ana.principal
    )
    changed = raw(annotations={"readOnlyHint": True}, description="Deletes it.")

    looked = look([{"name": "time", "tools": [changed]}], owner, ana)
    assert counts(looked) == {"systems_known": 1, "tools_changed": 1}
    take([{"name": "time", "tools": [changed]}], owner, ana)

    tool.refresh_from_db()
    assert (tool.state, tool.action, tool.sentence) == ("quarantined", "read", "Gets it.")
    assert (tool.suggestion or {})["action"] == "delete"
    assert timeline.of("tool", "time/get_time").last().detail["change"] == "annotation_flip"  # type: ignore[union-attr]
    assert Tool.objects.get(name="b").state == "pending"  # a file removes nothing


def test_a_server_that_was_asked_speaks_for_itself(owner: Person, ana: Person) -> None:
    system = make.system("time")
    discovery.record_discovery(system, [raw()], by=ana.principal)

    done = take([{"name": "time", "tools": [raw(description="Other."), raw("new")]}], owner, ana)

    assert list(Tool.objects.values_list("name", flat=True)) == ["get_time"]
    assert [each["code"] for each in done.problems] == ["speaks_for_itself"]


def test_a_server_with_the_name_of_what_stands_for_all_systems_gets_another(owner: Person, ana: Person) -> None:
    take([{"name": "all", "tools": [raw()]}], owner, ana)

    (made,) = System.objects.exclude(kind="builtin")
    assert (made.name, made.slug[:4]) == ("all", "all-")


def test_mandate_itself_is_never_changed_by_a_file(owner: Person, ana: Person) -> None:
    systems.ensure_builtin()

    done = take([{"name": "mandate", "tools": [raw()]}], owner, ana)

    assert counts(done) == {"systems_known": 1, "left_alone": 1}
    assert [each["code"] for each in done.problems] == ["system_built_in"]
    assert not Tool.objects.filter(system__slug="mandate")


def test_an_owner_who_left_owns_nothing_new(owner: Person, ana: Person) -> None:
    looked = look([{"name": "time"}], owner, ana)
    people.disable(owner, by=ana.principal, reason="She left.")

    with pytest.raises(errors.SystemMalformed):
        imports.confirm(looked, by=ana.principal)
    owner.refresh_from_db()
    with pytest.raises(errors.SystemMalformed):
        look([{"name": "time"}], owner, ana)


def test_a_file_of_nothing_is_refused(owner: Person, ana: Person) -> None:
    with pytest.raises(imports.Empty):
        look(["odd"], owner, ana)


def test_a_yes_counts_once(owner: Person, ana: Person) -> None:
    looked = look([{"name": "time"}], owner, ana)
    imports.confirm(looked, by=ana.principal)

    with pytest.raises(imports.NotWaiting):
        imports.confirm(looked, by=ana.principal)


def test_nothing_is_taken_in_before_the_yes(owner: Person, ana: Person) -> None:
    looked = look([{"name": "time"}], owner, ana)

    assert imports.continue_import(looked.pk) is False
    assert not System.objects.filter(slug="time")


def test_whoever_goes_on_after_a_killed_worker_does_nothing_twice(
    owner: Person, ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_TOOLS_AT_ONCE", 10)
    looked = look(catalogues.systems(6, 24), owner, ana)
    imports.confirm(looked, by=ana.principal)
    assert imports.continue_import(looked.pk) is True
    with monkeypatch.context() as broken:
        broken.setattr(imports, "_counted", _killed)
        with pytest.raises(KeyboardInterrupt):
            imports.continue_import(looked.pk)
    looked.refresh_from_db()
    assert (looked.position, Tool.objects.count()) == (2, 8)
    assert imports.stalled() == []

    CatalogImport.objects.update(touched_at=clock.now() - imports.GIVEN_UP)
    assert imports.stalled() == []
    CatalogImport.objects.update(touched_at=clock.now() - imports.ABANDONED * 2)
    assert imports.stalled() == [looked.pk]
    while imports.continue_import(looked.pk):
        pass

    looked.refresh_from_db()
    assert counts(looked) == {"systems_new": 6, "tools_new": 24}
    assert Tool.objects.count() == 24
    assert imports.continue_import(looked.pk) is False


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_preview_nobody_said_yes_to_is_forgotten(owner: Person, ana: Person) -> None:
    looked = look([{"name": "time"}], owner, ana)
    assert imports.delete_old_previews() == 0

    CatalogImport.objects.update(touched_at=clock.now() - imports.FORGOTTEN * 2)

    assert imports.delete_old_previews() == 1
    assert not CatalogImport.objects.filter(pk=looked.pk)


def test_hostile_texts_are_kept_as_data_and_what_hides_is_made_visible(owner: Person, ana: Person) -> None:
    take([{"name": "time", "title": HOSTILE, "tools": [raw(description=HOSTILE * 1000)]}], owner, ana)

    assert "\u202e" not in System.objects.get(slug="time").name
    tool = Tool.objects.get()
    assert tool.risk == "high"
    assert tool.sentence == "Probably reads: get time."


def test_the_statements_of_an_import_do_not_grow_with_its_tools(owner: Person, ana: Person) -> None:
    def statements(tools: int) -> int:
        value = [{**system, "name": f"{system['name']}-{tools}"} for system in catalogues.systems(20, tools)]
        with CaptureQueriesContext(
            connection,
        ) as captured:
            take(value, owner, ana)
        return len(captured)

    assert statements(300) <= statements(40) + 2


def test_the_command_imports_with_progress_and_lists_what_stays_out(owner: Person, ana: Person, tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    file.write_bytes(content([*catalogues.systems(60, 90), "odd"]))
    out, err = io.StringIO(), io.StringIO()

    call_command("import_catalogue", str(file), "--owner", owner.login, "--by", ana.login, stdout=out, stderr=err)

    said = json.loads(out.getvalue())
    assert (said["systems"], said["tools"], said["counts"]["tools_new"]) == (60, 90, 90)
    assert [each["code"] for each in said["problems"]] == ["row_malformed"]
    assert "50 of 60 systems" in err.getvalue()


def test_the_command_previews_and_refuses_with_a_code(owner: Person, ana: Person, tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    file.write_bytes(content([{"name": "time"}]))
    who = ["--owner", owner.login, "--by", ana.login]
    out = io.StringIO()
    call_command("import_catalogue", str(file), *who, "--preview", stdout=out)
    assert (json.loads(out.getvalue())["counts"]["systems_new"], CatalogImport.objects.count()) == (1, 0)

    file.write_text("{}")
    with pytest.raises(CommandError, match="import_not_a_catalog"):
        call_command("import_catalogue", str(file), *who)
    with pytest.raises(CommandError, match="no active person"):
        call_command("import_catalogue", str(file), "--owner", "nobody", "--by", ana.login)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_catalogue", str(tmp_path / "none.json"), *who)


@pytest.mark.soak
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("count", "tools"), [(328, 755), (814, 8010)])
def test_a_catalogue_as_large_as_the_public_ones_is_taken_in(
    owner: Person, ana: Person, count: int, tools: int
) -> None:
    done = take(catalogues.systems(count, tools), owner, ana)

    assert counts(done) == {"systems_new": count, "tools_new": tools}
    assert not Tool.objects.filter(suggestion__isnull=True)


PUBLIC = Path(__file__).parents[4] / "shared" / "data"
FILES = os.environ.get("CATALOGUE_FILES", os.pathsep.join(map(str, sorted(PUBLIC.glob("*.json")))))


@pytest.mark.timeout(180)
@pytest.mark.skipif(not FILES, reason="no public catalogues lie in ../shared/data, and CATALOGUE_FILES names none")
def test_catalogues_of_the_world_are_taken_in_explained_and_twice_is_once(owner: Person, ana: Person) -> None:
    for name in FILES.split(os.pathsep):
        content = Path(name).read_bytes()
        first, second = (_take_in(content, owner, ana) for _ in range(2))
        assert first.counts["tools_new"] > 0
        assert counts(second).keys() <= {"systems_known", "tools_same", "refused"}
        assert len(offers.read(content).offers) == second.counts["systems_known"]
    assert not Tool.objects.filter(suggestion__isnull=True)
    assert not Tool.objects.filter(suggestion__because=[])
    assert not Tool.objects.exclude(state="pending")
