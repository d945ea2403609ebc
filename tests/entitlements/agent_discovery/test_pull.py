"""Reading lists page by page from a server that limits, fails and lies: bounded, and never to another host."""

from __future__ import annotations

import pytest

from entitlements.agent_discovery import problems, shapes
from entitlements.agent_discovery.pull import Bounds, Listed, ListSpec, Pull, next_link
from entitlements.errors import DomainError

from . import recorded
from .recorded import okta_agent
from .stand_in import Reply, StandIn

pytestmark = pytest.mark.loopback
PATH = "/workload-principals/api/v1/ai-agents?limit=200"
NEXT = "/workload-principals/api/v1/ai-agents?after=2&limit=200"


class Reading:
    """A pull of Okta's agents that does not sleep, and what it waited and said of its progress."""

    def __init__(self, there: StandIn, **bounds: float) -> None:
        self.slept: list[float] = []
        self.said: list[tuple[int, int]] = []
        self.pull = Pull(
            there.url,
            lambda pages, rows: self.said.append((pages, rows)),
            Bounds(**bounds),  # type: ignore[arg-type]  # whole numbers where those are meant
            self.slept.append,
            {"Authorization": "SSWS canary"},
        )

    def agents(self) -> Listed:
        """Read the list."""
        url = f"{self.pull.base}{PATH}"
        spec = ListSpec("agents", url, lambda body: shapes.items(body, "data") or None, next_link, shapes.okta_agent)
        return self.pull.read(spec)


def page(*rows: object, after: str = "") -> Reply:
    links = ('<http://self>; rel="self"', f'<{after}>; rel="next"') if after else ()
    return Reply({"data": list(rows)}, links=links)


def problem_of(listed: Listed) -> type[DomainError] | None:
    return type(listed.problem) if listed.problem else None


def test_pages_are_followed_to_the_end_with_the_credential(there: StandIn) -> None:
    there.answers(PATH, page(okta_agent(1), okta_agent(2), after=f"{there.url}{NEXT}"))
    there.answers(NEXT, page(okta_agent(3), {"id": 5}))
    reading = Reading(there)
    listed = reading.agents()
    assert [listed.problem, listed.skipped] == [None, 1]
    assert [row.external_id for row in listed.found] == ["wlp1", "wlp2", "wlp3"]
    assert {(method, authorization) for method, _path, authorization in there.asked} == {("GET", "SSWS canary")}
    assert reading.said == [(1, 2), (2, 4)]


def test_a_next_page_at_another_host_is_never_asked_for(there: StandIn, elsewhere: StandIn) -> None:
    there.answers(PATH, page(okta_agent(1), after=f"{elsewhere.url}{NEXT}"))
    listed = Reading(there).agents()
    assert problem_of(listed) is problems.NextElsewhere
    assert [row.external_id for row in listed.found] == ["wlp1"]
    assert elsewhere.asked == []


def test_a_redirect_is_not_followed(there: StandIn, elsewhere: StandIn) -> None:
    there.answers(PATH, Reply({}, status=302, headers={"Location": f"{elsewhere.url}/"}))
    assert problem_of(Reading(there).agents()) is problems.Unreadable
    assert elsewhere.asked == []


def test_a_list_that_leads_back_to_a_page_ends(there: StandIn) -> None:
    there.answers(PATH, page(okta_agent(1), after=f"{there.url}{PATH}"))
    assert problem_of(Reading(there).agents()) is problems.Loop
    assert len(there.asked) == 1


def test_pages_and_rows_are_bounded(there: StandIn) -> None:
    there.answers(PATH, page(*map(okta_agent, range(5)), after=f"{there.url}{NEXT}"))
    there.answers(NEXT, page(okta_agent(9)))
    few = Reading(there, pages=1).agents()
    assert [problem_of(few), len(few.found), len(there.asked)] == [problems.TooMuch, 5, 1]
    short = Reading(there, rows=3).agents()
    assert [problem_of(short), len(short.found)] == [problems.TooMuch, 3]


def test_a_page_of_fifty_megabytes_is_left_off_early(there: StandIn) -> None:
    there.answers(PATH, Reply(megabytes=50))
    assert problem_of(Reading(there).agents()) is problems.PageTooLarge
    assert there.sent < 50


def test_time_is_bounded(there: StandIn) -> None:
    assert problem_of(Reading(there, seconds=0.0).agents()) is problems.TooMuch
    assert there.asked == []


def test_a_limit_is_waited_for_as_the_source_says(there: StandIn) -> None:
    there.answers(PATH, Reply({}, status=429, headers={"Retry-After": "3"}), page(okta_agent(1)))
    reading = Reading(there)
    assert [reading.agents().problem, reading.slept] == [None, [3.0]]


def test_a_source_that_limits_for_too_long_is_left_for_the_next_run(there: StandIn) -> None:
    there.answers(PATH, Reply({}, status=429, headers={"Retry-After": "50"}))
    reading = Reading(there)
    assert problem_of(reading.agents()) is problems.RateLimited
    assert reading.slept == [50.0, 50.0]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply({}, status=401), problems.Refused),
        (Reply({}, status=403), problems.Refused),
        (Reply({}, status=404), problems.ListMissing),
        (Reply({}, status=500), problems.Unreachable),
        (Reply({}, status=418), problems.Unreadable),
        (Reply(raw=b'{"data": ['), problems.Unreadable),
        (Reply(raw=b'{"data": [], "data": [1]}'), problems.Unreadable),
        (Reply(raw=b"[" * 5000), problems.Unreadable),
        (Reply([]), problems.Unreadable),
        (Reply({"data": {}}), problems.Unreadable),
    ],
)
def test_what_is_not_the_documented_answer_is_a_problem(
    there: StandIn, reply: Reply, problem: type[DomainError]
) -> None:
    there.answers(PATH, reply)
    listed = Reading(there).agents()
    assert [problem_of(listed), listed.found] == [problem, []]


def test_a_server_that_is_not_there_is_a_problem(there: StandIn) -> None:
    reading = Reading(there)
    reading.pull.base = "http://127.0.0.1:9"
    assert problem_of(reading.agents()) is problems.Unreachable


def test_a_token_is_asked_for_and_a_refusal_says_so(there: StandIn) -> None:
    there.answers(recorded.ENTRA_TOKEN, Reply({"access_token": "t", "token_type": "Bearer"}))
    assert Reading(there).pull.token(f"{there.url}{recorded.ENTRA_TOKEN}", {"scope": "a b"}) == "t"
    assert there.forms == [{"scope": "a b"}]
    for reply, problem in (
        (Reply({"error": "invalid_client"}, status=401), problems.Refused),
        (Reply({"error": "invalid_scope"}, status=400), problems.Refused),
        (Reply({"access_token": "a\r\nX: y"}), problems.Unreadable),
        (Reply({"access_token": ""}), problems.Unreadable),
        (Reply([]), problems.Unreadable),
    ):
        there.answers(recorded.ENTRA_TOKEN, reply)
        with pytest.raises(problem):
            Reading(there).pull.token(f"{there.url}{recorded.ENTRA_TOKEN}", {})
