"""Why a request or its arguments are not one call of one operation. Pure."""

from __future__ import annotations

from entitlements.codes import Code


class NotMapped(Exception):
    """The request means no operation, or not one alone, or the arguments make no request. `message` hides values."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def quoted(name: str) -> str:
    """Quote a name that a client or a document chose: short, and in ASCII, so that a lookalike letter is seen."""
    plain = name[:64].encode("unicode_escape").decode("ascii")
    return f'"{plain}{"..." if len(name) > 64 else ""}"'  # noqa: PLR2004 - as long as the names of arguments


def bad_value(name: str, why: str) -> NotMapped:
    """Refuse the value of a parameter or field."""
    return NotMapped(Code.PARAMETER_NOT_VALID, f"{quoted(name)} {why}.")
