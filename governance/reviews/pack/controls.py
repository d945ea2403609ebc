"""The controls that each part of a pack is evidence for, by framework, and the texts of its first pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_MAP: Final = [
    (
        "SOX ITGC",
        "Access review",
        "The right reviewer looks at a complete, accurate list with care and on time; changes are made in the period",
        "02 03 04 05 06 09 10 12 15",
        "Hashed population that can be re-performed, rule behind each reviewer, proof of each cut, signed words",
    ),
    (
        "SOC 2",
        "CC6.1",
        "Logical access is restricted to what is needed",
        "03 05 06",
        "Granted against used for each line, and what was cut",
    ),
    (
        "SOC 2",
        "CC6.2",
        "Access is registered and authorised before it is given, and removed when it is no longer",
        "03 06 11 13",
        "Request and approval of each grant in the record, time from leaving to being shut out",
    ),
    (
        "SOC 2",
        "CC6.3",
        "Access is changed by role, least privilege and separation of duties",
        "04 05 06",
        "Conflicts checked for each reviewer, reductions line by line",
    ),
    (
        "ISO/IEC 27001:2022",
        "A.5.15, A.5.16, A.5.17",
        "Access, identities and what authenticates them are managed",
        "03 03_agents 11",
        "Agents with who answers for them, compared with what is seen elsewhere",
    ),
    (
        "ISO/IEC 27001:2022",
        "A.5.18",
        "Access rights are given, reviewed, changed and removed",
        "03 04 05 06",
        "Outcome of each item and line, with the cut and its proof",
    ),
    (
        "ISO/IEC 27001:2022",
        "A.8.2",
        "Privileged rights are restricted and managed",
        "03 05",
        "Two stages and a written reason where the risk is high",
    ),
    (
        "PCI DSS 4.0.1",
        "7.2.4",
        "All access is looked at every six months at least, what is wrong is put right, management acknowledges",
        "02 05 06 10",
        "Dates of the review, cuts, and the words of whoever signed it off",
    ),
    (
        "PCI DSS 4.0.1",
        "7.2.5.1",
        "Accounts of applications are reviewed as often as the risk says, and put right; management acknowledges",
        "01 02 05 06 10",
        "Agents are such accounts: purpose, use and outcome for each, and the signed words",
    ),
    (
        "NIST SP 800-53 r5",
        "AC-2(j), AC-2(3), AC-6(7)",
        "Accounts and privileges are reviewed; what is not used is disabled",
        "03 05 06 11",
        "Review of each line with its use; unused agents are asked about and stopped",
    ),
    (
        "NIST SP 800-53 r5",
        "AC-5",
        "Duties are separated",
        "04 10",
        "Nobody answers for what they asked for, approved or benefit from; another signs off",
    ),
    (
        "NIST SP 800-53 r5",
        "AU-10",
        "Nobody can deny what they did",
        "13 manifest",
        "Events with proofs of inclusion under signed heads of the record",
    ),
    (
        "CIS Controls 8.1",
        "5.3, 5.5",
        "Dormant accounts are disabled; service accounts are listed and reviewed each quarter",
        "03 03_agents 05 06",
        "Agents with their last use, compared with lists from elsewhere",
    ),
    (
        "CIS Controls 8.1",
        "6.1, 6.2, 6.8",
        "Access is granted and revoked by a process, and by role",
        "05 06 11",
        "Events of each grant and cut; what changed in the rules",
    ),
    (
        "NIST AI RMF 1.0",
        "GOVERN 1.6, 1.7",
        "AI systems are listed, and taken out of use safely",
        "03 03_agents 06",
        "Register of agents, and proof that what was cut no longer works",
    ),
    (
        "NIST AI RMF 1.0",
        "MANAGE 2.4",
        "AI systems can be disengaged or stopped by whoever is responsible",
        "06 13",
        "Stops with the time they took, and their probes",
    ),
    (
        "EU AI Act",
        "Art. 12, 19, 26(6)",
        "Events are logged by themselves and kept for six months at least",
        "13",
        "Tamper-evident record of each decision and call",
    ),
    (
        "EU AI Act",
        "Art. 14, 26(5)",
        "People oversee AI systems, watch how they work, and can stop them",
        "05 06 09",
        "Only a named, active person decides; how the answers were given",
    ),
    (
        "DORA",
        "Art. 9(4)(c); RTS 2024/1774 Art. 21",
        "Need to use, separation of duties, review each year or half year, withdrawal without undue delay",
        "02 03 04 05 06 11",
        "Population, conflicts checked, outcomes, time to remove",
    ),
    (
        "OWASP Top 10 for Agentic Applications",
        "ASI03; MCP tool poisoning",
        "Agents do not abuse identities or privileges; descriptions of tools do not change unseen",
        "03 05",
        "Each line names the hash of the definition that was approved",
    ),
]


_HERE: Final = Path(__file__).parent
CONTROL: Final = (_HERE / "control.md").read_text("utf-8")
README: Final = (_HERE / "readme.md").read_text("utf-8")


def rows() -> Iterator[Mapping[str, str]]:
    """Return the mapping of controls to parts."""
    for framework, control, asks, parts, shown in _MAP:
        yield {"framework": framework, "control": control, "asks": asks, "parts": parts, "shown_by": shown}
