from collections.abc import Iterator

import pytest

from audit.export import timeline
from entitlements import tasks
from entitlements.catalog import tools
from entitlements.catalog.models import System, Tool
from entitlements.secrets import vault
from tests import make
from tests.conformance import servers
from tests.entitlements.api import client

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.loopback]


@pytest.fixture(scope="module")
def time_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Upstream]:
    """Run the time server of the package registry behind the runner."""
    command = [servers.program("mcp-server-time"), "--local-timezone", "UTC"]
    with servers.upstream(tmp_path_factory.mktemp("time"), "time", *command) as found:
        yield found


@pytest.fixture
def system(time_server: servers.Upstream, settings: object) -> System:
    settings.DEMO = True  # type: ignore[attr-defined]  # a server on loopback
    made = make.system("time", upstream_url=time_server.url)
    vault.set_secret(made, kind="bearer", value=time_server.secret, by=make.analyst().principal)
    return made


def test_discovering_a_real_server_finds_its_tools_once_and_approving_them_pins_what_it_sent(system: System) -> None:
    ana = client.of(make.analyst())

    found = ana.post(f"/api/v1/systems/{system.slug}/discover")
    again = ana.post(f"/api/v1/systems/{system.slug}/discover")

    assert found.status_code == 200
    assert sorted(found.json()["added"]) == ["convert_time", "get_current_time"]
    assert again.json()["added"] == again.json()["changed"] == []
    assert timeline.about("tool:time/get_current_time").count() == 1
    tool = Tool.objects.select_related("seen").get(name="get_current_time")
    assert (tool.state, tool.action, tool.risk) == ("pending", "read", "low")
    assert tool.seen
    approval = tools.Approval(tool, tool.seen.sha256, "Tells the time.", "read", "low")
    assert tools.approve_tool(approval, by=make.analyst().principal).state == "approved"

    tasks.discover_tools(system.pk)

    assert Tool.objects.get(pk=tool.pk).state == "approved"


def test_a_server_that_does_not_answer_is_said_and_changes_nothing(system: System) -> None:
    tool = make.tool(system)
    System.objects.update(upstream_url="http://localhost:9/mcp")

    answer = client.of(make.analyst()).post(f"/api/v1/systems/{system.slug}/discover")

    assert (answer.status_code, answer.json()["code"]) == (502, "upstream_unavailable")
    assert Tool.objects.get(pk=tool.pk).state == "approved"
