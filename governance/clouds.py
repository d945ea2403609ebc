"""Where Microsoft Teams is reached, in each cloud of Microsoft: fixed, since secrets are sent there."""

from __future__ import annotations

from typing import Final, NamedTuple


class TeamsCloud(NamedTuple):
    """The addresses of Microsoft's sign-in, Graph and Bot Framework service in one cloud, and the service's scope."""

    login: str
    graph: str
    service: str
    scope: str


_PUBLIC: Final = ("https://login.microsoftonline.com", "https://graph.microsoft.com")
_US: Final = "https://login.microsoftonline.us"
_BOT, _BOT_US = "https://api.botframework.com/.default", "https://api.botframework.us/.default"
TEAMS: Final = {
    "public": TeamsCloud(*_PUBLIC, "https://smba.trafficmanager.net/teams", _BOT),
    "gcc": TeamsCloud(*_PUBLIC, "https://smba.infra.gcc.teams.microsoft.com/teams", _BOT),
    "gcc-high": TeamsCloud(
        _US, "https://graph.microsoft.us", "https://smba.infra.gov.teams.microsoft.us/teams", _BOT_US
    ),
    "dod": TeamsCloud(
        _US, "https://dod-graph.microsoft.us", "https://smba.infra.dod.teams.microsoft.us/teams", _BOT_US
    ),
}
