"""What a decision answers: an effect, a code, reasons, and what would help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from entitlements import codes
from entitlements.codes import Code, Next
from entitlements.decisions.scopes import Outcome

if TYPE_CHECKING:
    from entitlements.guardrails.rules import GuardrailAnswer


class Effect(StrEnum):
    """What the enforcement point does: forward, refuse, ask a person, or ask the user to sign in again."""

    ALLOW = "allow"
    DENY = "deny"
    HOLD = "hold"
    STEP_UP = "step_up"


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that spoke for or against; `grant` names the grant it is about, if any."""

    code: Code
    sentence: str
    grant: str | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would turn the answer around, in a form that a request can be prefilled from.

    `scopes` are the entitlements to request, or the scopes that the next token needs; `max_age` is how old the sign-in
    behind it may be, in seconds, and `contexts` those of which it must be one (RFC 9470). `retry_after`: in seconds.
    """

    next: Next
    sentence: str
    system: str = ""
    tool: str = ""
    person: str | None = None
    scopes: tuple[str, ...] = ()
    max_age: int | None = None
    contexts: tuple[str, ...] = ()
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """What may be minted: scopes in canonical order, the last second of life, and the grants it stands on.

    `outcomes` answers for every requested scope; `expires` is in whole epoch seconds
    and is at or before the end of every grant in `grants`. `details` are the authorization details, as they are sent.
    """

    scopes: tuple[str, ...]
    expires: int
    grants: tuple[str, ...]
    outcomes: Mapping[str, Outcome]
    details: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True)
class Verdict:
    """The answer to one call or one issuance. Not frozen because making a frozen one costs a microsecond.

    `grant` is the grant that covered the call, `tool_version` the approved definition that is to run; `measured` are
    the numbers among its arguments that a limit bounds. In a delegation chain, `agent` is the agent behind the acting
    one that a denial is about, and `behind` the grants of the agents behind that covered the call. `guardrails` are
    those that stopped the call, and those that observe and would have answered more strictly.
    """

    effect: Effect
    code: Code
    reasons: tuple[Reason, ...]
    grant: str | None = None
    tool_version: str | None = None
    remedy: Remedy | None = None
    issue: Issue | None = None
    measured: Mapping[str, float] | None = None
    agent: str = ""
    behind: tuple[str, ...] = ()
    guardrails: tuple[GuardrailAnswer, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether this is a plain yes. Hold and step-up are not."""
        return self.effect is Effect.ALLOW

    @property
    def sentence(self) -> str:
        """The answer in one plain sentence."""
        return codes.meaning(self.code).sentence
