"""Why a change of budgets is refused."""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError


class BudgetTargetInvalid(DomainError):
    """Name one agent, system or grant that is in use, and only one."""

    code, status = "budget_target_invalid", HTTPStatus.UNPROCESSABLE_ENTITY


class BudgetMalformed(DomainError):
    """A budget has an amount above 0, whole but for money, and a window from a second to a year or none."""

    code, status = "budget_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class BudgetToolInvalid(DomainError):
    """Name a tool of the system that the budget is about, as system/tool; a budget of calls or bytes names none."""

    code, status = "budget_tool_invalid", HTTPStatus.UNPROCESSABLE_ENTITY


class BudgetOver(DomainError):
    """The budget was ended before."""

    code, status = "budget_over", HTTPStatus.CONFLICT
