"""Small mistakes in the constraints on arguments, by module; see `mutants`."""

from collections.abc import Mapping
from typing import Final

MISTAKES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "values": (
        ("if type(value) is int:\n        return value", "if isinstance(value, int):\n        return value"),
        ("if math.isfinite(value) else None", "if value == value else None"),
        ("return value if value.is_finite() else None", "return value"),
        ("Decimal(repr(value))", "Decimal(value)"),
        ('(unicodedata.is_normalized("NFC", value) and not _has_surrogate(value))', "not _has_surrogate(value)"),
        ('unicodedata.is_normalized("NFC", value) and not _has_surrogate(value)', 'unicodedata.is_normalized("NFC", value)'),  # noqa: E501
        ('return ("bool", value)', 'return ("number", int(value))'),
    ),
    "kinds": (
        ("amount >= bound", "amount > bound"),
        ("amount <= bound", "amount < bound"),
        ("len(content) <= most", "len(content) < most"),
        ("len(content) >= least", "len(content) > least"),
        ("len(value) <= most", "len(value) < most"),
        ("len(value) >= least", "len(value) > least"),
        ("return isinstance(value, list) and len(value) >= least", "return len(value) >= least"),
        ("all(KINDS[kind].holds(want, item, now) for item in value", "any(KINDS[kind].holds(want, item, now) for item in value"),  # noqa: E501
        ("return isinstance(value, list) and all(", "return all("),
        ("inner.keys <= outer.keys", "inner.keys & outer.keys"),
        ("return inner >= outer", "return inner <= outer"),
        ("return inner <= outer", "return True"),
        ("all(any(fits(inner, outer) for outer in wider) for inner in narrower)", "any(any(fits(inner, outer) for outer in wider) for inner in narrower)"),  # noqa: E501
        ("if choice is None or not all(", "if choice is None or not any("),
        ("holds(want, value, None) for value in choice", "holds(want, value, 1796040000.0) for value in choice"),
        ("if unknown := sorted(", "if unknown := () and sorted("),
        ("if least in bounds and most in bounds and bounds[least] > bounds[most]:", "if False:"),
        ('if "after" in bounds and "before" in bounds and', "if False and"),
        ("if depth > _DEEPEST_ITEMS:", "if False:"),
        ('inner.keys() & {"one_of", "equals"}', "False"),
        ('values["items"] = {**inner, "one_of"', 'values["items"] = {"one_of"'),
    ),
    "paths": (
        ("or _TRICKS.search(content)", ""),
        ("if any(_is_dots(part) for part in parts) or _is_otherwise_read(content):\n        return None\n    absolute", "if _is_otherwise_read(content):\n        return None\n    absolute"),  # noqa: E501
        ("if any(_is_dots(part) for part in parts) or _is_otherwise_read(content):\n        return None\n    absolute", "if any(_is_dots(part) for part in parts):\n        return None\n    absolute"),  # noqa: E501
        ('part not in ("", ".")', 'part != ""'),
        ('parts[0].startswith("~") or ', ""),
        (' or ":" in parts[0]', ""),
        ("inner[0] == outer[0] and inner[1][: len(outer[1])] == outer[1]", "inner[1][: len(outer[1])] == outer[1]"),
        ("inner[1][: len(outer[1])] == outer[1]", '"/".join(inner[1]).startswith("/".join(outer[1]))'),
        ("or _ADDRESS_TRICKS.search(content)", ""),
        ("[\\x00-\\x1F\\x7F\\\\?#;]|", "[\\x00-\\x1F\\x7F\\\\?#]|"),
        ("%(?![0-9A-Fa-f]{2})|", ""),
        ("|2[3ef5]|", "|2[3ef]|"),
        ("if any(_is_dots(part) for part in parts) or _is_otherwise_read(content):\n        return None\n    return", "if _is_otherwise_read(content):\n        return None\n    return"),  # noqa: E501
        ("if any(_is_dots(part) for part in parts) or _is_otherwise_read(content):\n        return None\n    return", "if any(_is_dots(part) for part in parts):\n        return None\n    return"),  # noqa: E501
        ('if "%" not in content or _is_plain(content) else None', ""),
        ("return inner[: len(outer)] == outer", 'return "/".join(inner).startswith("/".join(outer))'),
        ('if entry.startswith("/") else None', ""),
        ("or folded.count", "or False and folded.count"),
        ("_is_dots(after) and not _is_dots(before)", "False"),
        ("if _TRICKS.search(folded) or", "if"),
    ),
    "hosts": (
        ('name.removeprefix("*.").endswith(pattern[1:])', "name.endswith(pattern[2:])"),
        ("if name == pattern:\n        return True", "if name.endswith(pattern):\n        return True"),
        ("if at and not _LOCAL.fullmatch(local) else", "if False else"),
        ("else _domain(rest, wild=False)", "else _domain(rest, wild=True)"),
        ("not _DOMAIN.fullmatch(lowered)", "not _DOMAIN.match(lowered)"),
        ("inner[0] == outer[0] and inner[2] == outer[2]", "inner[2] == outer[2]"),
        ("inner[0] == outer[0] and inner[2] == outer[2]", "inner[0] == outer[0]"),
        ("match = _URL.fullmatch(content)", "match = _URL.search(content)"),
        ("match is None or (match[4] is None and", "match is None or (False and"),
        ("or not _NUMERIC.fullmatch(canonical)", "or True"),
        ("if is_agreed else None", ""),
        ("[1-9][0-9]{0,4}|0", "[0-9]{1,5}"),
    ),
    "dates": (
        ("return value[1] > bound[1]", "return value[1] >= bound[1]"),
        ("return value[1] < bound[1]\n    return value[0] and value[1] < bound", "return value[1] <= bound[1]\n    return value[0] and value[1] < bound"),  # noqa: E501
        ("return value[0] and value[1] >= (bound[1] + 1) * _DAY", "return value[0] and value[1] >= bound[1] * _DAY"),
        ("return value[0] and value[1] >= (bound[1] + 1) * _DAY", "return value[1] >= (bound[1] + 1) * _DAY or True"),
        ("return value[0] and value[1] < bound[1] * _DAY", "return value[0] and value[1] < (bound[1] + 1) * _DAY"),
        ("return value[0] and value[1] < bound[1] * _DAY", "return value[1] < bound[1] * _DAY"),
        ("seconds -= -offset if match[6]", "seconds -= offset if match[6]"),
        ("seconds -= -offset if match[6]", "seconds += -offset if match[6]"),
        ('.ljust(9, "0")', '.rjust(9, "0")'),
        ("or not 0 < length <= _LONGEST", ""),
        ('or match.string.endswith("T")', ""),
        ("return (0 if match[1]", "return (length if match[1]"),
        ("), (0 if match[1]", "), (length if match[1]"),
        ("first <= parsed[1] <= last if", "first < parsed[1] <= last if"),
        ("first <= parsed[1] <= last if", "first <= parsed[1] < last if"),
        ("first // _DAY <= parsed[1] <= last // _DAY", "first // _DAY < parsed[1] < last // _DAY"),
        ("inner[0] <= outer[0] and inner[1] <= outer[1]", "inner[0] <= outer[0]"),
        ("inner[0] <= outer[0] and inner[1] <= outer[1]", "inner[1] <= outer[1]"),
        ("inner[0] == outer[0] or _is_later", "_is_later"),
        ("return first >= last", "return first > last"),
    ),
}  # fmt: skip
