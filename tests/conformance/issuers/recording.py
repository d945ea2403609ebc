"""The record: which answer each case gets. Answers that are the same stand in it once, and so do sets of headers.

Each line is one JSON array: `["usual", {...}]` are parts that most answers share, `[id, {...}]` is an answer without
those, `[beginning, id, what, ...]` are the cases of one request that are answered so. An id begins with what one wants
to see in a difference: the status, and the code of a refusal.
"""

# ruff: noqa: ANN401 - any JSON

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("recorded.jsonl")
LARGEST: Final = 700_000
"""Bytes of the file: a difference must be one that a person can read."""

type Answer = dict[str, Any]


def read(file: Path = FILE) -> dict[str, Answer]:
    """Return the recorded answers by the names of their cases."""
    usual: Answer = {}
    answers: dict[str, Answer] = {}
    cases: dict[str, Answer] = {}
    for line in file.read_text().splitlines():
        kind, *rest = json.loads(line)
        if kind == "usual":
            usual = rest[0]
        elif isinstance(rest[0], dict):
            answers[kind] = {**usual, **rest[0]}
        else:
            cases |= {f"{kind}, {name}" if name else kind: answers[rest[0]] for name in rest[1:]}
    return cases


def write(cases: Mapping[str, Answer], file: Path = FILE) -> None:
    """Write the answers of all cases, in an order that depends on their names alone."""
    usual = {part: _most_common(answer[part] for answer in cases.values()) for part in ("headers", "browser")}
    answers: dict[str, Answer] = {}
    names: dict[tuple[str, str], list[str]] = {}
    for name, answer in sorted(cases.items()):
        short = {part: value for part, value in answer.items() if value != usual.get(part, {})}
        key = f"{_label(answer)} {_digest(short)}"
        answers[key] = short
        beginning, _, what = name.partition(", ")
        names.setdefault((beginning, key), []).append(what)
    lines: list[list[Any]] = [["usual", usual], *([key, value] for key, value in sorted(answers.items()))]
    lines += [[beginning, key, *these] for (beginning, key), these in sorted(names.items())]
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    if len(text.encode()) > LARGEST:
        raise ValueError(f"The record has {len(text.encode())} bytes, more than {LARGEST}.")
    file.write_text(text)


def _most_common(values: Iterable[Any]) -> Any:
    texts = Counter(json.dumps(value, sort_keys=True) for value in values)
    return json.loads(texts.most_common(1)[0][0])


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


def _label(answer: Answer) -> str:
    body = answer["body"]
    code = body.get("code") or body.get("error") if isinstance(body, dict) else ""
    return f"{answer['status']} {code}".strip()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}..."
