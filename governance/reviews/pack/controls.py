"""What the parts of a pack are evidence for, by framework, and what its first page says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_MAP: Final = [
    ("SOX ITGC", "right reviewer, complete and accurate list, on time, changes made", "02 03 04 05 06 10 12"),
    ("SOC 2", "CC6.2, CC6.3: access registered, removed, changed by role and least privilege", "03 05 06"),
    ("ISO/IEC 27001:2022", "A.5.18: access rights reviewed, modified and removed", "03 04 05 06"),
    ("ISO/IEC 27001:2022", "A.8.2: privileged access restricted and managed", "03 05"),
    ("PCI DSS 4.0.1", "7.2.4: reviewed at least every six months, management acknowledges", "05 06 10"),
    ("PCI DSS 4.0.1", "7.2.5.1: application and system accounts reviewed", "05 06 10"),
    ("NIST SP 800-53 r5", "AC-2(j): accounts reviewed; AC-6(7): privileges reviewed", "03 05 06"),
    ("NIST SP 800-53 r5", "AC-5: separation of duties; AU-10: non-repudiation", "04 13"),
    ("CIS Controls 8.1", "5.5: inventory of service accounts reviewed quarterly", "03 05"),
    ("EU AI Act", "Art. 14, 26: human oversight; Art. 12, 19: records kept", "05 13"),
    ("DORA", "RTS 2024/1774 Art. 21: access rights reviewed, withdrawn without undue delay", "03 05 06"),
]

README: Final = """# Evidence of the access review “{name}” ({slug})

| part | what |
|---|---|
| 02 | what was looked at: the criteria, their digest, when |
| 03 | the population, frozen and hashed when the review began; its totals; what began later |
| 04 | who was to answer, by which rule, and who was passed over and why (the check of conflicts) |
| 05 | the outcome of every item and line; every answer ever given; what nobody answered |
| 06, 07 | every cut, when it worked, the probes that prove it; exceptions with their end |
| 08, 09 | what people were told; how the answers were given, people not named |
| 10 | who signed off, and the words |
| 11 | what changed in the rules meanwhile |
| 12 | the equations; every difference is zero |
| 13 | the events of the record, each with its proof of inclusion (RFC 9162) under a signed checkpoint |
| 14 | which control asks for which part |

Tables are there twice: `.jsonl` holds the raw values, `.csv` is safe to open in a spreadsheet (a cell that would be a
formula begins with an apostrophe).

## Check it yourself

Take the public key from the organisation's `/api/v1/keys`, not from here, then:

    python3 verify.py PACK.zip public_key.pem

or with nothing but openssl and coreutils, in the unpacked folder (jq only takes the envelope apart):

    jq -r .payload manifest.dsse.json | base64 -d > payload
    jq -r '.signatures[0].sig' manifest.dsse.json | base64 -d > signature
    {{ printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(wc -c < payload)"; cat payload; }} > signed
    openssl dgst -sha256 -verify public_key.pem -signature signature signed
    jq -r '.subject[] | .digest.sha256 + "  " + .name' payload | sha256sum -c
"""


def rows() -> Iterator[dict[str, str]]:
    """Return the mapping of controls to parts."""
    for framework, asks, parts in _MAP:
        yield {"framework": framework, "asks": asks, "parts": parts}
