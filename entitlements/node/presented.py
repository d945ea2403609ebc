"""What callers present beside rights: sessions and tokens, each read by its id and kept until the change feed names it.

The facts about an agent hold these very objects, at every system. So what ends is denied at once, what begins is read
by itself, and no right is dropped for either. What ended never comes back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Final

from entitlements.codes import Code
from entitlements.decisions import facts
from entitlements.decisions.snapshot import SessionFacts
from entitlements.node.refusals import Closed
from entitlements.strict import known_uuid

MOST_KEPT: Final = 50_000
"""Of what ended, and of sessions and tokens together; then all are read again."""
_MOST_TRIES: Final = 10

type QueryMany = Callable[..., Awaitable[list[list[tuple[Any, ...]]]]]


@dataclass(slots=True)
class _OfAgent:
    sessions: dict[str, SessionFacts] = field(default_factory=dict)
    looked: int = 0
    """How often all that the agent presents was to be looked at again."""

    def clear(self) -> None:
        self.sessions.clear()
        self.looked += 1


class Presented:
    """Sessions by id, dead tokens by id; and which tokens of an agent were looked up and found alive."""

    def __init__(self, query_many: QueryMany) -> None:
        self._query_many = query_many
        self._of: dict[str, _OfAgent] = {}
        self._live: dict[str, tuple[str, int]] = {}
        """Tokens that were found alive: of which agent, and how often that had been looked at again before."""
        self._ended: dict[str, None] = {}
        self._dead: dict[str, None] = {}
        self._count = 0
        self._generation = 0

    @property
    def revoked_tokens(self) -> AbstractSet[str]:
        """Return the tokens that are known to be revoked, as a view of what is known at any later time."""
        return self._dead.keys()

    def sessions_of(self, agent: str) -> dict[str, SessionFacts]:
        """Return the sessions of an agent that are known, as the object that will hold the others too."""
        return self._of.setdefault(agent, _OfAgent()).sessions

    def is_known(self, agent: str, session: str | None, token: str | None) -> bool:
        """Say whether both were looked up; one that is None is not asked about.

        Of agents named together (`chain_key`) the first has the token, and the last the session.
        """
        acting, root = _ends(agent)
        if session is not None and session not in self._of.get(root, _NOTHING).sessions:
            return False
        looked = self._of.get(acting, _NOTHING).looked
        return token is None or self._live.get(token) == (acting, looked) or token in self._dead

    async def look_up(self, agent: str, session: str | None, token: str | None) -> None:
        """Read both, as they are now. Raises Closed (facts unknown)."""
        if session is None and token is None:
            return
        acting, root = _ends(agent)
        sid, jti = known_uuid(session or ""), known_uuid(token or "")
        for _ in range(_MOST_TRIES):
            generation = self._generation
            sessions, revoked = await self._query_many((facts.SESSION, [sid, root]), (facts.REVOKED, [jti]))
            if generation == self._generation:
                break
        else:
            raise Closed(Code.FEED_UNKNOWN)
        for row in sessions:
            self._keep_session(root, *facts.session_of(row))
        if token is None:
            return
        if revoked:
            self.end_token(token)
        elif token not in self._dead:
            self._live[token] = acting, self._room().setdefault(acting, _OfAgent()).looked

    def keep_session(self, agent: str, session: str, known: SessionFacts) -> None:
        """Know a session that this process began; one that was read since then is known already, as it is now."""
        if session not in self.sessions_of(agent):
            self._keep_session(agent, session, known)

    def end_session(self, session: str, agent: str) -> None:
        """Deny a session of an agent from now on, also one that is being read at this moment."""
        _add(self._ended, session)
        known = self.sessions_of(agent)
        if session in known:
            known[session] = replace(known[session], ended=True)

    def end_token(self, token: str) -> None:
        """Deny a token from now on, also one that is being read at this moment."""
        self._live.pop(token, None)  # its name makes room for others one day, and then it is to be read again
        _add(self._dead, token)

    def look_again(self, agent: str) -> None:
        """Read what an agent presents once more: something of it has changed that is not named by its id."""
        self._generation += 1
        if (of_agent := self._of.get(agent)) is not None:
            of_agent.clear()

    def forget(self) -> None:
        """Read everything again: the feed begins again, or says what this release does not understand."""
        self._generation += 1
        self._look_at_all_again()
        self._ended.clear()
        self._dead.clear()

    def _keep_session(self, agent: str, session: str, known: SessionFacts) -> None:
        ended = replace(known, ended=True) if session in self._ended else known
        self._room().setdefault(agent, _OfAgent()).sessions[session] = ended

    def _room(self) -> dict[str, _OfAgent]:
        if self._count >= MOST_KEPT:
            self._look_at_all_again()
        self._count += 1
        return self._of

    def _look_at_all_again(self) -> None:
        """Empty what is kept; the facts about an agent hold the same objects, so these stay."""
        self._count = 0
        self._live.clear()
        for of_agent in self._of.values():
            of_agent.clear()


_NOTHING: Final = _OfAgent()


def _ends(agents: str) -> tuple[str, str]:
    names = agents.split(" ")
    return names[0], names[-1]


def _add(kept: dict[str, None], name: str) -> None:
    while len(kept) >= MOST_KEPT and name not in kept:
        del kept[next(iter(kept))]
    kept[name] = None
