"""The words that the rules of `classing` know: verbs by what they do, and nouns by what they are about.

A word is matched whole: a verb in its English forms (create, creates, creating), a noun for personal data or payments
in both numbers, also where a compound is written as one (`creditcard`). To know a word here is a
decision that a reviewer sees quoted; what is not here counts as unknown, and unknown counts as cautious.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from entitlements.words import Action


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _nouns(words: str) -> frozenset[str]:
    """Return singular nouns and compounds in both numbers, written as one word: `birth-date` gives `birthdate(s)`."""
    joined = [word.replace("-", "") for word in words.split()]
    return frozenset(form for word in joined for form in (word, _plural(word)))


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


VERBS: Final = {
    Action.READ: _set_of(
        "get list read search find fetch show describe query view check lookup retrieve return browse inspect explain "
        "compare count calculate compute convert validate verify analyze analyse preview discover explore summarize "
        "summarise detect parse decode encode format hash ping poll monitor watch identify measure estimate "
        "examine diagnose extract filter resolve scrape crawl translate diff lint profile report display download "
        "export visualize plot evaluate suggest recommend think sample trace tail peek classify look determine obtain"
    ),
    Action.WRITE: _set_of(
        "create write track update add set put post insert send edit modify move rename copy upload publish commit "
        "push merge approve assign book pay transfer refund grant schedule save append submit checkout replace "
        "patch make generate purchase scaffold revert group ungroup favourite favorite login authenticate upsert "
        "import invite share reply comment react like follow unfollow subscribe unsubscribe open close start stop "
        "restart pause resume enable disable activate deactivate reactivate archive unarchive toggle configure "
        "change manage register store record log mark click type fill press hover drag select navigate scroll tap "
        "swipe launch connect attach detach link unlink lock unlock join leave mute unmute play draw place order "
        "buy sell swap mint stake withdraw deposit sign request ingest sync build init initialize apply trigger "
        "cancel complete finish reopen retry switch pull clone fork stash rebase tag label pin unpin reschedule "
        "load reload refresh rotate restore rollback scale deprovision provision allocate accept reject decline "
        "confirm forward notify message email tweet broadcast announce upgrade downgrade migrate duplicate remember "
        "reorder reindex index snooze dispatch transition unassign unpublish setup bind begin end adjust increment "
        "decrement bulk test"
    ),
    Action.DELETE: _set_of(
        "delete remove drop purge destroy erase wipe truncate revoke reset uninstall kill terminate clear flush "
        "discard trash clean cleanup forget prune unregister expunge overwrite ban evict shred empty"
    ),
    Action.EXECUTE: _set_of("execute exec run eval shell invoke spawn deploy sudo bash powershell call install"),
}
"""Mildest first: a form that two verbs share has the graver meaning."""
NOUNS: Final = _set_of(
    "log record track store order post comment message email mail tag label index schedule trade place mark type open "
    "trigger report sample trace view watch count display profile tail plot sign build link pin lock filter share "
    "stake mint push pull fork stash book play draw like follow monitor load bulk test request patch export import "
    "scale copy end tweet clone transition switch search query format hash change move drag set list map empty ban "
    "trash group"
)
"""Verbs that are as often things: `order_list` lists, `get_open_orders` opens nothing."""
LIGHT: Final = _set_of("execute exec run call perform make invoke do does conduct issue send trigger provide provides")
"""Verbs of descriptions that only lead to another: “Executes a search”."""
LOOKS: Final = _set_of(
    "status info information details detail count current time now version versions help history stats statistics "
    "summary balance list overview metadata schema health usage docs documentation log logs diff show weather forecast "
    "price prices quote news trends report lookup search whoami metrics ls screenshot snapshot capabilities models"
)
"""What a thing to look at is called, where a name has no verb at all."""
FILLERS: Final = _set_of(
    "a an the this that these tool tools function endpoint api method to for of you your can will use used using "
    "allows allow lets let it its be is are and or enables enable user users agent agents ai llm by which with "
    "helps help quickly easily safely simply when want need if powerful simple"
)
MONEY: Final = _set_of(
    "pay payment payments payout payouts refund refunds invoice invoices iban ibans charge charges purchase purchases "
    "checkout buy sell swap stake"
)
MONEY_KINDS: Final = _set_of(
    "wallet token tokens funds money crypto eth btc sol usdc order trade position amount beneficiary payee"
)
"""Money only beside a verb that moves it."""
MOVES: Final = _set_of("transfer send withdraw deposit swap buy sell trade place stake mint sign approve")
SECRETS: Final = _set_of(
    "password passwords passwd secret secrets credential credentials apikey apikeys vault keychain mnemonic passphrase"
)
KEYS: Final = _set_of("key keys token tokens")
OPENING: Final = _set_of("api private access auth secret ssh provisioning bearer encryption signing refresh")
"""What makes a key one that opens something, when it stands before it."""
PEOPLE: Final = _set_of(
    "email emails mail inbox message messages chat chats dm dms contact contacts customer customers employee employees "
    "person people calendar meeting meetings attendee attendees lead leads candidate invoice invoices order orders "
    "subscriber subscribers transcript transcripts crm note notes document documents drive file files phone address "
    "account accounts user users member members profile conversation conversations"
)
PERSONAL: Final = _nouns(
    "patient medical medication diagnosis prescription health-record health-insurance health-data disability "
    "medical-record biometric passport passport-number ssn social-security social-security-number social-insurance "
    "national-id national-identity national-identifier national-identification national-insurance identity-card "
    "identity-number identity-document id-card personal-id personal-number residence-permit driver-license "
    "driver-licence drivers-license drivers-licence driving-license driving-licence tax-number tax-id tax-identifier "
    "tax-identification tax-file tax-return taxpayer birth-date date-of-birth birthday birth-place place-of-birth dob "
    "salary wage payroll payslip pay-slip remuneration criminal-record ethnicity religion sexual-orientation"
)
"""A person's health, pay and papers."""
INSTRUMENTS: Final = _nouns(
    "iban bank-account bank-detail bank-data account-number sort-code routing-number swift-code credit-card "
    "debit-card company-card corporate-card payment-card bank-card virtual-card prepaid-card expense-card "
    "purchasing-card fuel-card card-number card-holder card-detail card-data card-pin card-code card-expiry "
    "card-expiration card-security cvv cvc payment-method payment-detail payment-data"
)
"""What money is paid with, or from."""
PAYMENTS: Final = _nouns(
    "payment payout repayment refund chargeback reimbursement remittance disbursement direct-debit standing-order "
    "invoice-payment money-transfer wire-transfer bank-transfer fund-transfer funds-transfer transfer-fund "
    "transfer-money send-money"
)
"""Money that moves, in words that mean nothing else."""
TRANSFERS: Final = _nouns("transfer")
"""What moves from one to another: often money, and never a small thing."""
PUBLIC: Final = _set_of(
    "weather forecast wikipedia wiki arxiv news docs documentation timezone time date calculator math currency holiday "
    "public npm pypi crates crate package packages registry library web internet website google brave duckduckgo "
    "tavily anime movie movies recipe pokemon stock stocks earthquake nasa country countries"
)
POWER: Final = _set_of(
    "role roles permission permissions policy policies iam admin acl firewall dns webhook webhooks sso scim mfa "
    "security auth authentication certificate certificates member members collaborator collaborators ssh"
)
ESTATE: Final = _set_of(
    "database databases db table bucket cluster clusters instance instances repo repository repositories account "
    "accounts project projects workspace organization org tenant server servers vm domain domains namespace stack site "
    "volume all"
)
OUTSIDE: Final = _set_of(
    "web url urls website site page pages browser internet http crawl scrape rss feed tweet tweets"
)
STRANGERS: Final = _set_of(
    "issue issues comment comments pull review reviews email emails mail inbox message messages chat conversation "
    "ticket tickets news post posts transcript transcripts video thread threads search notification notifications"
)
"""What other people wrote and a model then reads."""
SENDS: Final = _set_of(
    "send post publish upload push tweet email share reply forward notify broadcast invite submit message dispatch"
)
TO: Final = _set_of("url urls uri webhook recipient recipients to cc bcc endpoint host hostname domain link website")
"""Arguments that say where something goes."""
COMMANDS: Final = _set_of("command commands cmd shell bash script javascript js python powershell")
QUERIES: Final = _set_of("sql cypher graphql statement sparql kql jql mql promql gaql soql dax query_language")
COMPUTES: Final = _set_of("convert calculate compute time date format encode decode math currency")
FORCES: Final = _set_of("overwrite purge cascade")

_LONGEST_COMPOUND: Final = 3
"""Words in the longest compound that `_nouns` holds: date of birth."""
_WORD: Final = re.compile(r"[A-Z]+s?(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def of_name(name: str) -> list[str]:
    """Split a name as programs write them (snake_case, camelCase, kebab-case) into lower case words."""
    return [word.lower() for word in _WORD.findall(name)]


def of_text(text: str) -> list[str]:
    """Split a sentence into lower case words; what is not a letter parts them."""
    return re.findall(r"[a-z]+", text.lower())


def compounds(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each run of up to three words, written as one word and as it was read: `companycard`, `company card`."""
    plain = [word for word in words if word != "s"]  # of “driver's”
    for start in range(len(plain)):
        for end in range(start + 1, min(start + _LONGEST_COMPOUND, len(plain)) + 1):
            yield "".join(plain[start:end]), " ".join(plain[start:end])


def _forms(verb: str) -> Iterable[str]:
    stem = verb.removesuffix("e")
    yield from (verb, f"{verb}s", f"{verb}es", f"{verb}ing", f"{stem}ing", f"{verb}{verb[-1]}ing")
    if verb.endswith("y"):
        yield f"{verb[:-1]}ies"


def _spoken() -> dict[str, tuple[str, Action]]:
    """Map each form of each verb to the verb; the gravest meaning wins where two verbs share a form."""
    return {form: (verb, action) for action, verbs in VERBS.items() for verb in verbs for form in _forms(verb)}


SPOKEN: Final = _spoken()
NAMED: Final = {verb: action for action, verbs in VERBS.items() for verb in verbs}
