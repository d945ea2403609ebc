"""Pure: how a stored body is read, by Python and by PostgreSQL alike.

Bodies are never changed, and some were written before NUL was kept out of the log (`redaction.text`). `jsonb` refuses
such a body, and no text column holds what Python reads from it; so both read NUL as the mark that is written today.
"""

import json
import re
from typing import Any, Final

from audit import redaction

_NUL: Final = r"\u0000"
_MARK: Final = redaction.mark("\x00")
_ESCAPE: Final = re.compile(r"\\\\|\\u0000")
"""A backslash that is escaped, or NUL: `\\u0000` in a body is a backslash and five characters, and no NUL."""


def parse(body: str) -> dict[str, Any]:
    """Return what a stored body says."""
    if _NUL in body:
        body = _ESCAPE.sub(lambda match: _MARK if match[0] == _NUL else match[0], body)
    parsed: dict[str, Any] = json.loads(body)
    return parsed


def as_jsonb(column: str) -> str:
    """Return the SQL expression that reads a column of bodies as jsonb. Nothing else may cast one.

    Backslashes that are escaped are set aside as a control character, which canonical JSON never holds, until NUL is
    replaced. The expression holds no percent sign and no braces.
    """
    plain = rf"replace(replace(replace({column}, '\\', chr(1)), '{_NUL}', '{_MARK}'), chr(1), '\\')"
    return f"(CASE WHEN strpos({column}, '{_NUL}') = 0 THEN {column} ELSE {plain} END)::jsonb"


def holds_nul(column: str) -> str:
    """Return the SQL condition that finds the bodies that hold NUL."""
    return rf"strpos({column}, '{_NUL}') > 0 AND strpos(replace({column}, '\\', chr(1)), '{_NUL}') > 0"
