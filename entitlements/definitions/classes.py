"""What a tool probably does: action, risk, kind of data and flows, suggested by rules that say why. Version `class@3`.

Name, texts, schema and annotations were all written by the author of the server. So a rule that reads one of
them can only be overruled towards caution: a description, a schema or a hint makes graver what the name says, and
nothing makes it milder. What no rule knows is a write of medium risk. A person confirms each suggestion, and the
suggestion never becomes a decision by itself.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from entitlements.definitions import class_words as known
from entitlements.definitions import impressions
from entitlements.definitions.class_texts import DefinitionTexts, Reason, read_texts
from entitlements.definitions.primitives import MEMBER
from entitlements.words import Action, Risk

VERSION: Final = "class@3"
DATA_CLASSES: Final = ("public", "internal", "confidential", "restricted")
FLOWS: Final = ("reads_private", "ingests_untrusted", "egress_external")
LONGEST_SENTENCE: Final = 300
_GRAVITY: Final = {action: place for place, action in enumerate(Action)}
_USUAL: Final = {
    Action.READ: Risk.LOW,
    Action.WRITE: Risk.MEDIUM,
    Action.DELETE: Risk.HIGH,
    Action.EXECUTE: Risk.HIGH,
}
_FOR_GOOD: Final = re.compile(
    r"(?<!non-)(?<!not )\b(?:irreversibl[ey]|can(?:no|')t be undone|destructive|permanently (?:delet|remov|eras))",
    re.IGNORECASE,
)
_THEN: Final = re.compile(
    r"\b(?:and|or|then|also)\s+(?:(?:delet|remov|eras|wip|purg|truncat)(?:e|es|ing)|destroy(?:s|ing)?)\b", re.IGNORECASE
)
_TOGETHER: Final = re.compile(r"\W*(\w+(?:\s*[,/&]\s*\w+)*(?:\s*,?\s*(?:and|or|&)\s+\w+)?)")
_QUERY_LANGUAGE: Final = re.compile(r"\b(?:sql|cypher|graphql|sparql|kql|soql|mongodb query)\b", re.IGNORECASE)
_RUNS_CODE: Final = re.compile(
    r"\b(?:execut\w*|run|runs|eval\w*)\b.{0,40}\b(?:code|script|javascript|python)\b", re.IGNORECASE
)
_DOES: Final = {
    Action.READ: "reads",
    Action.WRITE: "changes something",
    Action.DELETE: "deletes",
    Action.EXECUTE: "runs something",
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A proposal for one tool. A flow is True, False or None, which means that no rule can tell."""

    action: Action
    risk: Risk
    data_class: str
    flows: Mapping[str, bool | None]
    sentence: str
    because: tuple[Reason, ...]
    version: str = VERSION

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON, the form in which a tool keeps it."""
        return {
            "version": self.version,
            "action": self.action.value,
            "risk": self.risk.value,
            "data_class": self.data_class,
            **self.flows,
            "sentence": self.sentence,
            "because": [reason.as_json() for reason in self.because],
        }


def suggest(raw: Mapping[str, Any]) -> Suggestion:
    """Propose what a tool does, from its definition alone; the same definition always gets the same answer."""
    if MEMBER in raw:
        raw = {**raw, "name": raw[MEMBER]["offered"]["name"]}
    texts = read_texts(raw)
    unhinted = Action.READ if MEMBER in raw else _by_texts(texts, *_by_name(texts))
    action = _only_read(texts) if MEMBER in raw else _by_schema(texts, _by_claims(texts, unhinted))
    risk = _risk(texts, action)
    data_class = _data_class(texts, action)
    flows = _flows(texts, action, data_class, fetches=unhinted is Action.READ)
    return Suggestion(action, risk, data_class, flows, draft(raw, action), tuple(texts.because))


def draft(raw: Mapping[str, Any], action: Action) -> str:
    """Draft the plain sentence that a person will edit: the server's first one, unless its texts hide something."""
    described = raw.get("description") or raw.get("title") or ""
    first = _first_sentence(described) if isinstance(described, str) else ""
    if not first or impressions.signs(str(described)):
        name = " ".join(known.of_name(str(raw.get("name", "")))) or "a tool without a readable name"
        return f"Probably {_DOES[action]}: {name}."[:LONGEST_SENTENCE]
    return first if len(first) <= LONGEST_SENTENCE else first[: LONGEST_SENTENCE - 1].rstrip() + "…"


def _first_sentence(text: str) -> str:
    lines = (line.strip(" \t#*_>-`") for line in text[:4000].splitlines())
    line = next((line for line in lines if line), "")
    end = re.search(r"[.!?](?=\s|$)", line)
    return line[: end.end()] if end and end.end() > len("e.g. ") else line


# The action


def _only_read(texts: DefinitionTexts) -> Action:
    """Take a resource, template or prompt for what it is by the specification, whatever its texts say."""
    texts.add_reason("primitive", "name", "", "A resource or a prompt is read: the protocol knows no other use of it.")
    return Action.READ


def _by_name(texts: DefinitionTexts) -> tuple[Action, bool]:
    """Say what the name says, and whether it says anything: its first verb decides, a verb after “and” adds to it."""
    verbs = [(place, word) for place, word in enumerate(texts.words) if word in known.NAMED]
    if listed := _looks_first(texts, [word for _place, word in verbs]):
        texts.add_reason(
            "name_looks", "name", listed, f"Its name says “{listed}” first, and its description begins as one."
        )
        return Action.READ, True
    verbs = [verb for verb in verbs if verb[0] == 0 or verb[1] not in known.LOOKS or verb[1] not in known.NOUNS]
    plain = [verb for verb in verbs if verb[1] not in known.NOUNS]
    if verbs:
        _place, word = verbs[0] if verbs[0][0] == 0 and verbs[0][1] not in known.NOUNS else (plain or verbs)[0]
        action = known.NAMED[word]
        texts.add_reason("name_verb", "name", word, f"Its name says “{word}”, which {_DOES[action]}.")
        joined = [word for place, word in verbs if place and texts.words[place - 1] in ("and", "or", "then")]
        for word in joined:
            action = _graver(texts, action, known.NAMED[word], "name_joined", "name", word)
        return action, True
    if looked := next((word for word in texts.words if word in known.LOOKS), None):
        texts.add_reason("name_thing", "name", looked, f"Its name says “{looked}”, something to look at.")
        return Action.READ, True
    return Action.WRITE, False


def _looks_first(texts: DefinitionTexts, verbs: list[str]) -> str | None:
    """Return “list” or “search” that leads a name with what it lists behind it: `list_tag_values` tags nothing."""
    listed = verbs[0] if len(verbs) > 1 else ""
    looks = listed in known.LOOKS & known.NOUNS and known.NAMED[listed] is Action.READ
    if not looks:  # a name may have no word at all
        return None
    harmless = {known.NAMED[word] for word in verbs} <= {Action.READ, Action.WRITE} and texts.words[-1] not in verbs
    apart = not {"and", "or", "then"} & set(texts.words)
    spoken = _leading(known.of_text(texts.text[:400])) if harmless and apart else None
    return listed if spoken and known.SPOKEN[spoken][1] is Action.READ else None


def _by_texts(texts: DefinitionTexts, action: Action, certain: bool) -> Action:  # noqa: FBT001 - whether the name decides
    spoken = known.of_text(texts.text[:400])
    verb = _leading(spoken) or _leading(texts.title)
    together = _together(texts.text)
    if not certain:
        if verb and {known.SPOKEN[word][1] for word in (verb, *together)} == {Action.READ}:
            texts.add_reason("text_reads", "description", verb, f"Only its description says “{verb}”, which reads.")
            return Action.READ
        texts.add_reason(
            "unknown", "name", str(texts.raw.get("name", "")), "No rule knows its name, so it counts as a change."
        )
    if verb:
        action = _graver(texts, action, known.SPOKEN[verb][1], "text_verb", "description", verb)
    for word in together:
        action = _graver(texts, action, known.SPOKEN[word][1], "text_joined", "description", word)
    if also := _THEN.search(texts.text):
        action = _graver(texts, action, Action.DELETE, "text_also", "description", also[0].lower())
    if (warned := _FOR_GOOD.search(texts.text)) and action is not Action.READ:
        action = _graver(texts, action, Action.DELETE, "text_warns", "description", warned[0].lower())
    return action


def _together(text: str) -> list[str]:
    """Return the verbs with which a text begins, all of them where it begins with several: “Get or create”."""
    begins = _TOGETHER.match(text[:400])
    spoken = known.of_text(begins[1]) if begins else []
    return [word for word in spoken if word in known.SPOKEN] if spoken[1:] and spoken[0] in known.SPOKEN else []


def _leading(spoken: list[str]) -> str | None:
    """Return the verb with which a sentence begins, past words that say nothing; “runs a search” is a search."""
    light = None
    for place, word in enumerate(spoken[:10]):
        if word in known.FILLERS:
            continue
        meant = known.SPOKEN.get(word)
        if meant and meant[0] in known.LIGHT and light is None:
            light = word
            continue
        follows = spoken[place + 1] if place + 1 < len(spoken) else ""
        is_verb = meant is not None and (
            meant[0] not in known.NOUNS
            or light is not None
            or follows in ("a", "an", "the", "all", "new", "for")
            or (place == 0 and meant[1] is Action.READ)
        )
        return word if is_verb else light
    return light


def _by_claims(texts: DefinitionTexts, action: Action) -> Action:
    """Take the server's own hints as they are: unproven. They can make the suggestion graver, never milder."""
    if texts.claimed.get("readOnlyHint") is False and action is Action.READ:
        action = Action.WRITE
        texts.add_reason("hint_writes", "annotations", "readOnlyHint", "The server says that it does not only read.")
    if texts.claimed.get("destructiveHint") is True and action is Action.WRITE:
        action = Action.DELETE
        texts.add_reason(
            "hint_destroys", "annotations", "destructiveHint", "The server says that it may destroy things."
        )
    if texts.claimed.get("readOnlyHint") is True and action is not Action.READ:
        text = "The server says that it only reads; that is not believed against its name or texts."
        texts.add_reason("hint_unbelieved", "annotations", "readOnlyHint", text)
    return action


def _by_schema(texts: DefinitionTexts, action: Action) -> Action:
    for name, (words, described, free) in texts.arguments.items():
        last = words[-1] if words else ""
        takes_code = last in known.COMMANDS or (last == "code" and bool(_RUNS_CODE.search(f"{described} {texts.text}")))
        if free and takes_code and action is not Action.EXECUTE:
            texts.add_reason(
                "argument_code", "inputSchema", name, f"Its argument “{_plain(name)}” takes commands or code."
            )
            return Action.EXECUTE
        if free and _is_query(texts, last, described) and action in (Action.WRITE, Action.DELETE):
            texts.add_reason(
                "argument_query", "inputSchema", name, f"Its argument “{_plain(name)}” takes a query language."
            )
            return Action.EXECUTE
        if action is Action.READ and set(words) & known.FORCES:
            texts.add_reason(
                "argument_force", "inputSchema", name, f"Its argument “{_plain(name)}” is about changing things."
            )
            action = Action.WRITE
    return action


def _is_query(texts: DefinitionTexts, last: str, described: str) -> bool:
    is_query_language = last == "query" and bool(
        _QUERY_LANGUAGE.search(described) or _QUERY_LANGUAGE.search(texts.text)
    )
    return is_query_language or last in known.QUERIES


def _graver(texts: DefinitionTexts, action: Action, other: Action, rule: str, place: str, word: str) -> Action:
    if _GRAVITY[other] <= _GRAVITY[action]:
        return action
    texts.add_reason(rule, place, word, f"Its {place} also says “{word}”, which {_DOES[other]}.")
    return other


def _plain(name: str) -> str:
    return impressions.visible(name)[:80]


# Risk, data, flows


def _risk(texts: DefinitionTexts, action: Action) -> Risk:
    """Begin at what the action usually risks; each rule is a floor, and the highest holds."""
    risk = _USUAL[action]
    changes = action is not Action.READ
    pays = texts.mentions(known.INSTRUMENTS) or texts.mentions(known.PAYMENTS)
    money = (
        pays
        or texts.find_word(known.MONEY)
        or (texts.find_word(known.MONEY_KINDS) if texts.find_word(known.MOVES) else None)
    )
    transfers = _transfers(texts)
    query = _asks(texts)
    shell = texts.find_word(frozenset({"shell", "bash", "terminal", "sudo", "powershell", "command", "cmd"}))
    secret = texts.find_word(known.SECRETS) or _key(texts.words)
    unnamed = next((reason.word for reason in texts.because if reason.rule == "text_reads"), "")
    floors = (
        (changes and money, Risk.CRITICAL, "money", "It moves or charges money."),
        (action is Action.EXECUTE and shell, Risk.CRITICAL, "shell", "It runs commands on a machine."),
        (
            action is Action.DELETE and texts.find_word(known.ESTATE),
            Risk.CRITICAL,
            "estate",
            "It deletes something whole.",
        ),
        (texts.mentions(known.PERSONAL), Risk.HIGH, "personal", "It deals with a person's health, pay or papers."),
        (texts.mentions(known.INSTRUMENTS), Risk.HIGH, "instruments", "It deals with cards or bank accounts."),
        (money, Risk.MEDIUM, "payments", "It deals with payments."),
        (transfers, Risk.HIGH if changes else Risk.MEDIUM, "transfers", "It deals with transfers."),
        (secret, Risk.HIGH, "secrets", "It deals with secrets."),
        (
            changes and texts.find_word(known.POWER),
            Risk.HIGH,
            "power",
            "It changes who may do what, or where things lead.",
        ),
        (query, Risk.HIGH, "query", "It takes a query language, which may do more than read."),
        (unnamed and ("description", unnamed), Risk.MEDIUM, "unnamed", "Its name does not say what it does."),
        (_signs(texts.raw), Risk.HIGH, "signs", "Its texts hide something or give instructions."),
    )
    for met, floor, rule, text in floors:
        if met:
            place, word = met
            texts.add_reason(rule, place, word, text)
            risk = max(risk, floor, key=lambda level: level.rank)
    return risk


def _asks(texts: DefinitionTexts) -> tuple[str, str] | None:
    """Return where a query language comes in: an argument, or a name that ends with one where no schema is known."""
    for name, (words, described, free) in texts.arguments.items():
        if free and words and _is_query(texts, words[-1], described):
            return "inputSchema", name
    last = texts.words[-1] if texts.words else ""
    spoken = last in known.QUERIES - {"statement"} or (last == "query" and _QUERY_LANGUAGE.search(texts.text))
    return ("name", last) if spoken else None


def _transfers(texts: DefinitionTexts) -> tuple[str, str] | None:
    """Return where a name or title speaks of transfers; a description may mean those of files."""
    met = texts.mentions(known.TRANSFERS)
    return met if met and met[0] in ("name", "title") else None


def _key(words: list[str]) -> tuple[str, str] | None:
    pairs = itertools.pairwise(words)
    return next((("name", f"{a} {b}") for a, b in pairs if a in known.OPENING and b in known.KEYS), None)


def _signs(raw: Mapping[str, Any]) -> tuple[str, str] | None:
    finding = next((each for each in impressions.inspect(raw) if each.sign is not impressions.Sign.SLOW_PATTERN), None)
    return (finding.place.split("/")[1] if "/" in finding.place else "name", finding.sign.value) if finding else None


def _data_class(texts: DefinitionTexts, action: Action) -> str:
    pays = texts.mentions(known.INSTRUMENTS) or texts.mentions(known.PAYMENTS)
    rules = (
        (texts.find_word(known.SECRETS), "restricted", "secrets"),
        (texts.mentions(known.PERSONAL), "restricted", "a person's health, pay or papers"),
        (pays or texts.find_word(known.MONEY), "restricted", "payments"),
        (_transfers(texts), "confidential", "transfers"),
        (texts.find_word(known.PEOPLE), "confidential", "people, or what they wrote"),
        (texts.find_word(known.PUBLIC), "public", "what everybody can know"),
    )
    for met, data_class, about in rules:
        if met and (data_class != "public" or action is Action.READ):
            texts.add_reason(
                "data", met[0], met[1], f"“{impressions.visible(met[1])[:80]}” is about {about}: {data_class} data."
            )
            return data_class
    texts.add_reason("data_unknown", "name", "", "No rule knows its data, so it counts as internal.")
    return "internal"


def _flows(texts: DefinitionTexts, action: Action, data_class: str, *, fetches: bool) -> dict[str, bool | None]:
    """Say for each leg of the lethal trifecta whether the tool has it; only what surely stays inside is False.

    `fetches`: it would read but for what its server hints; a hint that it writes as well takes nothing back.
    """
    aims = known.TO - {"to"} if action is Action.READ else known.TO
    addressed = next((n for n, (w, _, free) in texts.arguments.items() if free and w and w[-1] in aims), None)
    computes = (
        data_class == "public" and action is Action.READ and bool(set(texts.words) & known.COMPUTES) and not addressed
    )
    private = True if data_class in ("confidential", "restricted") else (False if data_class == "public" else None)
    strange = texts.find_word(known.OUTSIDE) or (texts.find_word(known.STRANGERS) if fetches else None)
    sends = next((word for word in texts.words if word in known.SENDS), None) if action is not Action.READ else None
    world = texts.claimed.get("openWorldHint") is True
    if strange:
        texts.add_reason(
            "flow_untrusted", strange[0], strange[1], "What it returns may have been written by strangers."
        )
    if addressed is not None:
        text = f"Its argument “{_plain(addressed)}” says where something goes, which can carry data out."
        texts.add_reason("flow_egress", "inputSchema", addressed, text)
    elif sends:
        texts.add_reason("flow_egress", "name", sends, f"“{sends}” can carry data out.")
    if world:
        texts.add_reason(
            "hint_open_world", "annotations", "openWorldHint", "The server says that it reaches the outside."
        )
    inside = False if computes and not world else None
    return {
        "reads_private": private,
        "ingests_untrusted": True if strange or world else inside,
        "egress_external": True if addressed is not None or sends or world else inside,
    }
