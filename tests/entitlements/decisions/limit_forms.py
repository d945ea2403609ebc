"""Texts as the docs of argument limits tell them: paths, addresses, dates. For `limit_reference`."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from encodings import idna as idna_2003
from fractions import Fraction
from urllib.parse import unquote_to_bytes

import idna as idna_2008

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"


def is_canonical(value: object) -> bool:
    """Whether a value is a text in composed form, without halves of characters."""
    if not isinstance(value, str):
        return False
    return unicodedata.normalize("NFC", value) == value and not any(0xD800 <= ord(c) <= 0xDFFF for c in value)


# Paths


def file_path(value: object) -> list[str] | None:
    """Return a file's path as its root ("/" or "") and its parts."""
    if not is_canonical(value) or not 0 < len(value) <= 4096 or has_tricks(value):  # type: ignore[arg-type]
        return None
    content = str(value)
    parts = []
    for part in content.split("/"):
        if part in ("", "."):
            continue
        if all(c in ". " for c in part):
            return None
        parts.append(part)
    if reads_otherwise(content):
        return None
    if content[0] != "/" and parts and (parts[0][0] == "~" or ":" in parts[0]):
        return None
    return ["/" if content[0] == "/" else "", *parts]


def has_tricks(content: str) -> bool:
    lowered = content.lower()
    return any(ord(c) < 32 or ord(c) == 127 or c == "\\" for c in content) or any(
        hidden in lowered for hidden in ("%2e", "%2f", "%5c", "%00")
    )


def reads_otherwise(content: str) -> bool:
    """Whether the compatible form has other separators, tricks, or a part that became dots."""
    if content.isascii():
        return False
    folded = unicodedata.normalize("NFKC", content)
    before, after = content.split("/"), folded.split("/")
    if has_tricks(folded) or len(before) != len(after):
        return True
    return any(all(c in ". " for c in b) and not all(c in ". " for c in a) for a, b in zip(before, after, strict=True))


def address_path(value: object) -> list[str] | None:  # noqa: C901, PLR0911 - one look after another
    """Return the segments of a URL's path, or of a path that begins with a slash."""
    if not is_canonical(value) or not 0 < len(value) <= 4096:  # type: ignore[arg-type]
        return None
    content = str(value)
    if content[0] != "/":
        if address(content) is None:
            return None
        rest = content.split("://", 1)[1]
        for sign in "?#":
            rest = rest.split(sign, 1)[0]
        content = "/" + rest.split("/", 1)[1] if "/" in rest else "/"
    if has_tricks(content) or any(c in "?#;" for c in content):
        return None
    for at, character in enumerate(content):
        if character == "%" and is_bad_escape(content[at + 1 : at + 3]):
            return None
    parts = content[1:].split("/")
    if parts[-1] == "":
        parts.pop()
    if any(all(c in ". " for c in part) for part in parts) or reads_otherwise(content):
        return None
    try:
        return None if "%" in content and reads_otherwise(unquote_to_bytes(content).decode()) else parts
    except UnicodeDecodeError:
        return None


def is_bad_escape(digits: str) -> bool:
    """Whether two digits after a percent sign are none, or stand for a control character or a separator."""
    if len(digits) < 2 or any(digit not in DIGITS + "abcdefABCDEF" for digit in digits):
        return True
    code = int(digits, 16)
    return code < 32 or code == 127 or chr(code) in "./\\%#?;"


# Domains and hosts


def is_name(name: str) -> bool:
    """Whether a text in small letters is a host name in ASCII."""
    return 0 < len(name) <= 253 and all(
        0 < len(label) <= 63 and set(label) <= set(LETTERS + DIGITS + "-") and "-" not in (label[0], label[-1])
        for label in name.split(".")
    )


def falls_under(name: str, pattern: str) -> bool:
    if pattern[:2] == "*.":
        return name.endswith(pattern[1:]) and len(name) > len(pattern) - 1
    return name == pattern


def mail_domain(value: object) -> str | None:
    """Return the domain of a mail address, or a domain."""
    if not is_canonical(value) or len(value) > 320:  # type: ignore[arg-type]
        return None
    content = str(value)
    if "@" in content:
        at = content.rindex("@")
        local, content = content[:at], content[at + 1 :]
        allowed = LETTERS + LETTERS.upper() + DIGITS + "_+'=~-"
        if any(not part or not set(part) <= set(allowed) for part in local.split(".")):
            return None
    return content.lower() if content.isascii() and is_name(content.lower()) else None


def host_entry(entry: str) -> tuple[str, str, int] | None:
    """Read a host that a limit names."""
    scheme, rest = entry.split("://", 1) if "://" in entry else ("https", entry)
    star = "*." if rest[:2] == "*." else ""
    if scheme not in ("http", "https"):
        return None
    read = authority(scheme, rest[len(star) :])
    if read is None or (star and (read[0][0] == "[" or read[0].split(".")[-1].isdigit())):
        return None
    return scheme, star + read[0], read[1]


def address(value: object) -> tuple[str, str, int] | None:
    """Return where an http(s) URL points."""
    if not is_canonical(value) or len(value) > 4096:  # type: ignore[arg-type]
        return None
    content = str(value)
    for scheme in ("http", "https"):
        if not content.startswith(scheme + "://"):
            continue
        rest = content[len(scheme) + 3 :]
        end = min((rest.index(sign) for sign in "/?#" if sign in rest), default=len(rest))
        tail = rest[end:]
        if any(not 33 <= ord(c) <= 126 or c == "\\" for c in tail):
            return None
        if tail[:1] in ("?", "#") and "@" in tail.split("/")[0]:
            return None
        read = authority(scheme, rest[:end])
        return None if read is None else (scheme, *read)
    return None


def authority(scheme: str, written: str) -> tuple[str, int] | None:
    """Read a host and its port."""
    host, colon, port = written, "", ""
    if written[:1] == "[":
        if "]" not in written:
            return None
        host, rest = written[: written.index("]") + 1], written[written.index("]") + 1 :]
        colon, port = rest[:1], rest[1:]
        if rest and colon != ":":
            return None
    elif ":" in written:
        host, colon, port = written.partition(":")
    if colon and (not port or len(port) > 5 or any(c not in DIGITS for c in port) or port[0] == "0"):
        return None
    number = int(port) if colon else {"http": 80, "https": 443}[scheme]
    name = six_groups(host[1:-1]) if host[:1] == "[" else host_name(host)
    return (name, number) if name is not None and number <= 65535 else None


def host_name(written: str) -> str | None:
    """Return a name in ASCII; of the numbers only an address of four decimals."""
    if not written.isascii():
        labels = []
        for label in written.split("."):
            try:
                now = idna_2008.alabel(label).decode()
                if now != idna_2003.ToASCII(label).decode():
                    return None
            except (idna_2008.IDNAError, UnicodeError):
                return None
            labels.append(now)
        written = ".".join(labels)
    name = written.lower()
    if not is_name(name):
        return None
    last = name.split(".")[-1]
    is_hex = last[:2] == "0x" and all(digit in DIGITS + "abcdef" for digit in last[2:])
    if not (is_hex or all(c in DIGITS for c in last)):
        return name
    parts = name.split(".")
    fits = len(parts) == 4 and all(
        all(c in DIGITS for c in part) and str(int(part)) == part and int(part) < 256 for part in parts
    )
    return name if fits else None


def six_groups(written: str) -> str | None:
    """Read an IPv6 address into its eight groups."""
    if not written or any(c not in DIGITS + "abcdefABCDEF:." for c in written) or written.count("::") > 1:
        return None
    head, gap, rest = written.partition("::")
    halves = [part.split(":") if part else [] for part in ((head, rest) if gap else (head,))]
    if "." in written:
        last = halves[-1] or [""]
        four = last.pop()
        is_four = {*four} <= {*DIGITS, "."} and four.count(".") == 3 and host_name(four) is not None
        if not is_four or any("." in part for half in halves for part in half):
            return None
        numbers = [int(part) for part in four.split(".")]
        last += [f"{numbers[0] * 256 + numbers[1]:x}", f"{numbers[2] * 256 + numbers[3]:x}"]
    groups = [part for half in halves for part in half]
    if any(not 0 < len(part) <= 4 for part in groups):
        return None
    if (gap and len(groups) > 7) or (not gap and len(groups) != 8):
        return None
    filled = halves[0] + ["0"] * (8 - len(groups)) + (halves[1] if gap else [])
    return "[" + ":".join(f"{int(part, 16):x}" for part in filled) + "]"


# Dates

YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)


def span(value: object) -> tuple[Fraction, Fraction, bool] | None:  # noqa: C901, PLR0911 - as above
    """Return the first second of a date or time since the year 1, the first after it, and whether it is a date."""
    if not isinstance(value, str) or not value.isascii() or len(value) > 35:
        return None
    day = value[:10]
    if len(day) != 10 or day[4] != "-" or day[7] != "-" or not (day[:4] + day[5:7] + day[8:]).isdigit():
        return None
    try:
        midnight = datetime(int(day[:4]), int(day[5:7]), int(day[8:]), tzinfo=UTC)
    except ValueError:
        return None
    days = Fraction((midnight - YEAR_ONE).days * 86400)
    if len(value) == 10:
        return days, days + 86400, True
    clock = value[10:]
    if clock[-1:] == "Z":
        clock, offset = clock[:-1], 0
    elif len(clock) > 6 and clock[-6] in "+-" and clock[-3] == ":" and (clock[-5:-3] + clock[-2:]).isdigit():
        hours, minutes = int(clock[-5:-3]), int(clock[-2:])
        if hours > 23 or minutes > 59:
            return None
        offset = (hours * 3600 + minutes * 60) * (1 if clock[-6] == "+" else -1)
        clock = clock[:-6]
    else:
        return None
    whole, point, parts = clock.partition(".")
    if len(whole) != 9 or whole[0] != "T" or whole[3] != ":" or whole[6] != ":":
        return None
    if not (whole[1:3] + whole[4:6] + whole[7:]).isdigit() or (point and not (parts.isdigit() and len(parts) <= 9)):
        return None
    hour, minute, second = int(whole[1:3]), int(whole[4:6]), int(whole[7:])
    if hour > 23 or minute > 59 or second > 59:
        return None
    seconds = days + hour * 3600 + minute * 60 + second - offset + (Fraction("0." + parts) if point else 0)
    return seconds, seconds, False


def is_on_side(kind: str, want: object, value: object) -> bool:
    """Whether a date or time is after or before a bound."""
    bound, given = span(want), span(value)
    if bound is None or given is None or (given[2] and not bound[2]):
        return False
    if kind == "before":
        return given[0] < bound[0]
    return given[0] >= bound[1] if bound[2] else given[0] > bound[0]


def window(want: object) -> tuple[int, int] | None:  # noqa: PLR0911 - as above
    """Return the seconds before and after now of a duration."""
    if not isinstance(want, str) or not want:
        return None
    sign, rest = (want[0], want[1:]) if want[0] in "+-" else ("", want)
    if rest[:1] != "P" or rest[-1] in "PT":
        return None
    total, digits, order = 0, "", ""
    sizes = {"W": 604800, "D": 86400, "H": 3600, "M": 60, "S": 1}
    for character in rest[1:]:
        if character in DIGITS:
            digits += character
            continue
        order += character
        if character == "T":
            if digits:
                return None
            continue
        if character not in sizes or not digits or len(digits) > (5 if character in "WD" else 6):
            return None
        total, digits = total + int(digits) * sizes[character], ""
    plain = "".join(unit for unit in "DTHMS" if unit in order)
    if digits or order not in ("W", plain) or (set(order) & set("HMS") and "T" not in order):
        return None
    if not 0 < total <= 36600 * 86400:
        return None
    return (0 if sign == "+" else total), (0 if sign == "-" else total)


def is_near(want: object, value: object, now: float) -> bool:
    """Whether a date or time lies in a window at now; a date by its day of UTC."""
    reach, given = window(want), span(value)
    if reach is None or given is None:
        return False
    instant = Fraction(now) + (datetime(1970, 1, 1, tzinfo=UTC) - YEAR_ONE) // timedelta(seconds=1)
    first, last = instant - reach[0], instant + reach[1]
    if given[2]:
        return first // 86400 <= given[0] / 86400 <= last // 86400
    return first <= given[0] <= last
