import pytest

from audit import timeline
from audit.actions import Action
from audit.context import SYSTEM
from entitlements import catalog
from entitlements.catalog import errors
from entitlements.errors import Stale
from entitlements.models import Change, SigningKey, System
from tests import make

pytestmark = pytest.mark.django_db


def _register(slug: str = "time", **fields: object) -> System:
    values = {"name": "Time", "kind": "mcp_gateway", "owner": make.person(), "upstream_url": "https://time.example/mcp"}
    return catalog.register_system(slug, by=make.analyst().principal, **{**values, **fields})  # type: ignore[arg-type]


def test_registering_a_system_gives_its_issuer_a_key_and_says_so_once() -> None:
    system = _register()

    assert SigningKey.objects.filter(issuer="as/time", state="active").exists()
    assert [event.action for event in timeline.of("system", system.slug)] == [Action.SYSTEM_REGISTERED]


def test_a_name_is_never_given_twice() -> None:
    _register()
    with pytest.raises(errors.SystemSlugTaken):
        _register()


@pytest.mark.parametrize(
    "slug", ["Time", "ti me", "-time", "time_zone", "", "t\u0456me"]
)  # the last has a Cyrillic letter
def test_a_name_that_could_be_mistaken_for_another_is_refused(slug: str) -> None:
    with pytest.raises(errors.SystemMalformed):
        _register(slug)


@pytest.mark.parametrize("address", ["", "ftp://a.example", "https://user@a.example", "https://a.example/#x", "//a"])
def test_an_address_that_cannot_be_forwarded_to_is_refused(address: str) -> None:
    with pytest.raises(errors.SystemMalformed):
        _register(upstream_url=address)


def test_nobody_registers_a_second_mandate() -> None:
    with pytest.raises(errors.SystemMalformed):
        _register(kind="builtin")


def test_disabling_a_system_is_noted_for_the_gateways_and_a_second_time_changes_nothing() -> None:
    system, ana = _register(), make.analyst("ana")
    noted = Change.objects.count()

    catalog.disable_system(system, by=ana.principal, reason="leak")
    catalog.disable_system(system, by=ana.principal, reason="leak")

    assert System.objects.get(pk=system.pk).status == "disabled"
    assert Change.objects.count() == noted + 1
    events = timeline.of("system", "time").filter(action=Action.SYSTEM_DISABLED)
    assert [(event.actor, event.reason) for event in events] == [("person:ana", "leak")]
    catalog.enable_system(system, by=ana.principal, reason="fixed")
    assert System.objects.get(pk=system.pk).status == "active"


def test_editing_says_what_was_and_what_is_and_needs_the_version_it_was_made_from() -> None:
    system = _register()

    edited = catalog.edit_system(system, by=SYSTEM, version=1, upstream_url="https://new.example/mcp")

    assert (edited.version, edited.upstream_url) == (2, "https://new.example/mcp")
    event = timeline.of("system", "time").last()
    assert event is not None
    assert event.detail == {"upstream_url": {"from": "https://time.example/mcp", "to": "https://new.example/mcp"}}
    with pytest.raises(Stale):
        catalog.edit_system(system, by=SYSTEM, version=1, name="Clock")


def test_mandate_is_a_system_of_its_own_made_once_and_not_edited() -> None:
    first, second = catalog.ensure_builtin(), catalog.ensure_builtin()

    assert first == second
    assert timeline.of("system", "mandate").count() == 1
    with pytest.raises(errors.BuiltIn):
        catalog.edit_system(first, by=SYSTEM, name="Other")
