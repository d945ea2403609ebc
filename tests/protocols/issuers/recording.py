"""The record: which answer each case gets, a file for each family. Answers that are the same stand in it once.

Each line is one JSON array: `["usual", {...}]` are parts that most answers share, `[id, {...}]` is an answer without
those, `[beginning, id, what, ...]` are the cases of one request that are answered so. An id begins with what one wants
to see in a difference: the status, and the code of a refusal.
"""

# ruff: noqa: ANN401 - any JSON

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).with_name("recorded")
LARGEST: Final = 700_000
"""Bytes of all files together: a difference must be one that a person can read."""
SHARED: Final = "shared"
"""The file of the answers that several families have."""
MOST_LINES: Final = 12

type Answer = dict[str, Any]


def ids(family: str) -> dict[str, str]:
    """Return the identifiers of the recorded answers of a family, by the names of its cases."""
    lines = (json.loads(line) for line in file_of(family).read_text().splitlines())
    return {_name(beginning, what): key for beginning, key, *rest in lines if isinstance(key, str) for what in rest}


def read(family: str) -> dict[str, Answer]:
    """Return the recorded answers of a family by the names of its cases."""
    answers = _answers(SHARED) | _answers(family)
    return {name: answers[key] for name, key in ids(family).items()}


def write(family: str, cases: Mapping[str, Answer]) -> None:
    """Write the answers of a family, in an order that depends on the names of its cases alone."""
    names: dict[tuple[str, str], list[str]] = {}
    answers: dict[str, Answer] = {}
    for name, answer in sorted(cases.items()):
        key = f"{_label(answer)} {_digest(answer)}"
        beginning, _, what = name.partition(", ")
        names.setdefault((beginning, key), []).append(what)
        answers[key] = answer
    lines = [[beginning, key, *these] for (beginning, key), these in sorted(names.items())]
    _write(family, answers, lines)


def share(families: Iterable[str]) -> None:
    """Move the answers that several families have into one file."""
    own = {family: _answers(SHARED) | _answers(family) for family in families}
    used = Counter(key for family in own for key in set(ids(family).values()))
    _write(SHARED, {key: own[family][key] for family in own for key in ids(family).values() if used[key] > 1}, [])
    for family, answers in own.items():
        lines = [json.loads(line) for line in file_of(family).read_text().splitlines()]
        kept = {key: answers[key] for key in ids(family).values() if used[key] == 1}
        _write(family, kept, [line for line in lines if isinstance(line[1], str)])


def _answers(family: str) -> dict[str, Answer]:
    if not file_of(family).exists():
        return {}
    (_, usual), *lines = (json.loads(line) for line in file_of(family).read_text().splitlines())
    return {
        key: {**usual, **answer, "left": answer.get("left", {})}
        for key, answer, *_ in lines
        if isinstance(answer, dict)
    }


def _write(family: str, answers: Mapping[str, Answer], lines: list[list[str]]) -> None:
    usual = {part: _most_common(answer[part] for answer in answers.values()) for part in ("headers", "browser")}
    short = {
        key: {part: value for part, value in answer.items() if value != usual.get(part, {})}
        for key, answer in answers.items()
    }
    written = [["usual", usual], *([key, answer] for key, answer in sorted(short.items())), *lines]
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in written)
    FOLDER.mkdir(exist_ok=True)
    file_of(family).write_text(text)


def _name(beginning: str, what: str) -> str:
    return f"{beginning}, {what}" if what else beginning


def file_of(family: str) -> Path:
    """Return the file that holds the answers of a family."""
    return FOLDER / f"{family}.jsonl"


def _most_common(values: Iterable[Any]) -> Any:
    texts = Counter(json.dumps(value, sort_keys=True) for value in values)
    return json.loads(min(texts, key=lambda text: (-texts[text], text))) if texts else {}


def differences(recorded: Any, answered: Any, where: str = "") -> Iterator[str]:
    """Yield a line for each place in which two answers differ."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        for name in sorted(recorded.keys() | answered.keys()):
            yield from differences(recorded.get(name), answered.get(name), f"{where}.{name}" if where else name)
    elif isinstance(recorded, list) and isinstance(answered, list) and len(recorded) == len(answered):
        for number, (one, other) in enumerate(zip(recorded, answered, strict=True)):
            yield from differences(one, other, f"{where}[{number}]")
    elif recorded != answered and (recorded or answered):
        yield f"{where}: {_short(recorded)} -> {_short(answered)}"


def report(
    family: str,
    answers: Iterable[tuple[str, Answer]],
    *,
    browser: bool = True,
    is_decided: Callable[[str, str], bool] = lambda _case, _line: False,
) -> str:
    """Say which answers of a family differ from the recorded ones, and where; empty when none does.

    Without `browser`, headers that are for browsers alone are not compared; nor are differences that were decided.
    """
    recorded, wrong = read(family), []
    for name, answered in answers:
        expected = recorded.get(name, {})
        left_out = {} if browser else {"browser": None}
        found = differences({**expected, **left_out}, {**answered, **left_out})
        if lines := [line for line in found if not is_decided(name, line)]:
            wrong.append("\n    ".join([name, *lines[:MOST_LINES]]))
    shown = "\n\n".join(wrong[:MOST_LINES])
    return f"{len(wrong)} answers differ:\n\n{shown}" if wrong else ""


def _label(answer: Answer) -> str:
    body = answer["body"]
    code = body.get("code") or body.get("error") or "" if isinstance(body, dict) else ""
    return f"{answer['status']} {code}".strip()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}..."
