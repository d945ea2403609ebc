"""The sealed pack: it adds up, it is checked without us, and whatever is changed in it is found."""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import DatabaseError, connection, transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.definitions import impressions
from entitlements.grants import grants
from entitlements.people.models import Person
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.discussion import comments, questions
from governance.reviews.pack import summary, typeset
from governance.reviews.pack.models import EvidencePack
from governance.reviews.pack_check import verify
from governance.reviews.pack_tables import period
from governance.reviews.remediation import remediation
from governance.reviews.remediation.models import Remediation
from tests import make
from tests.architecture import tree
from tests.audit.make import Archive
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.reviews.pack import test_pack_workbook
from tests.governance.reviews.spoiling import WRONG

SIGNED = worlds.SIGNED
PAGE = (tree.ROOT / "docs/operate/reviews.md").read_text()
COMMAND = next(line for line in PAGE.splitlines() if line.startswith("python3 verify.py "))


HOSTILE = "=1+1 {x} \u202e<script>owned</script>"


@pytest.fixture
def archive(transactional_db: None, tmp_path: Path) -> Archive:  # noqa: ARG001
    return Archive(tmp_path, Ed25519PrivateKey.generate())


@pytest.fixture
def closed(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> tuple[Company, Campaign]:
    """A closed review in which sofia removed a harmless grant of another agent; sealed into the record."""
    company = companies.found()
    make.grant(company.bot, worlds.low(company), people=[company.alice])
    short = make.grant(make.agent("short-bot", sponsor=company.sofia), company.use, people=[company.bob])
    grants.revoke(short.pk, by=SYSTEM, reason="It was for a day.")
    campaign = worlds.campaign(company)
    for rows in (Agent.objects, Person.objects.exclude(login="ana"), Campaign.objects):
        rows.update(name=HOSTILE)
    said = replace(worlds.REMOVE, comment="=Nobody uses it.\u2028Nobody\x85will.")
    comments.comment(worlds.item(campaign).pk, by=company.sofia, text="+Said to all.\u2028More.")
    asked = questions.ask(worlds.item(campaign).pk, to=company.sam, by=company.sofia, text="@Sam?")
    questions.answer(asked.pk, by=company.sam, text="-1, I say.")
    done = worlds.answer(campaign, company.sofia, [(worlds.item(campaign), said)])
    for decision in done.removals:
        remediation.verify(decision)
    make.grant(make.agent("late-bot", sponsor=company.sofia), company.use, people=[company.bob])
    worlds.let_it_be_final(monkeypatch)
    return company, _end(campaign, company, archive)


def _end(campaign: Campaign, company: Company, archive: Archive) -> Campaign:
    close.close(campaign.pk, by=company.ana, reason="The quarter is over.")
    close.finish_closing(campaign.pk)
    archive.seal()
    campaign.refresh_from_db()
    return campaign


def opened(pack: EvidencePack) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(b"".join(pack.archive()))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def run(folder: Path, files: dict[str, bytes], key: bytes) -> subprocess.CompletedProcess[str]:
    """Run the program that the pack brings, on the pack, with a key from elsewhere."""
    (folder / "verify.py").write_bytes(files["verify.py"])
    _python, program, name_of_pack, name_of_key = COMMAND.split()
    (folder / name_of_key).write_bytes(key)
    with zipfile.ZipFile(folder / name_of_pack, "w") as pack:
        for name, content in files.items():
            pack.writestr(name, content)
    command = [sys.executable, "-I", program, name_of_pack, name_of_key]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_pack_is_checked_by_the_program_it_brings_and_every_change_is_found(
    closed: tuple[Company, Campaign], tmp_path: Path
) -> None:
    company, campaign = closed
    pack = worlds.sealed(campaign, company.ana)
    files = opened(pack)
    key = files["public_key.pem"]
    assert run(tmp_path, files, key).stdout == "Nothing is wrong with this pack.\n"
    assert [row["outcome"] for row in verify.rows(files["05_decisions.jsonl"])] == ["removed"]
    assert "\u2028" in files["05_history.jsonl"].decode(), "an end of a line that ends no row"
    assert len(verify.rows(files["13_audit_events.jsonl"])) > 3
    assert_inert(files)
    test_pack_workbook.assert_same(files)

    population = files["03_population.jsonl"]
    flipped = population[:-20] + bytes([population[-20] ^ 1]) + population[-19:]
    fewer = {name: content for name, content in files.items() if name != "06_remediation.jsonl"}
    changed: list[tuple[dict[str, bytes], str]] = [
        ({**files, "03_population.jsonl": flipped}, "03_population.jsonl is not the file that was signed"),
        ({**files, "05_decisions.jsonl": b""}, "05_decisions has 0 rows, and 1 were signed"),
        ({**files, "06_remediation.csv": files["03_population.csv"]}, "06_remediation.csv is not the file"),
        (fewer, "06_remediation.jsonl is missing"),
        ({**files, "15_more.txt": b"more"}, "15_more.txt is not in the manifest"),
    ]
    for each, sentence in changed:
        done = run(tmp_path, each, key)
        assert (done.returncode, sentence in done.stdout) == (1, True), (sentence, done.stdout, done.stderr)


def assert_inert(files: dict[str, bytes]) -> None:
    """See that what somebody was named is a text to every program that opens a file of the pack."""
    for name, content in files.items():
        if name.endswith(".csv"):
            cells = [cell for row in csv.reader(io.StringIO(content.decode(), newline="")) for cell in row]
            assert not any(cell.startswith("=") for cell in cells), name
        elif name.endswith(".md"):
            assert not impressions.hidden(content.decode()), name
            assert b"<script" not in content, name
    assert b"owned" in files["README.md"]
    assert b"owned" in files["01_control.md"]
    assert HOSTILE in json.loads(files["02_scope_and_parameters.json"])["name"]


def test_only_the_key_that_signed_fits_and_openssl_alone_agrees(
    closed: tuple[Company, Campaign], tmp_path: Path
) -> None:
    company, campaign = closed
    files = opened(worlds.sealed(campaign, company.ana))
    other = subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"], capture_output=True, check=True
    ).stdout
    (tmp_path / "other").write_bytes(other)
    foreign = subprocess.run(
        ["openssl", "ec", "-in", str(tmp_path / "other"), "-pubout"], capture_output=True, check=True
    ).stdout
    assert "the signature on the manifest does not fit" in run(tmp_path, files, foreign).stdout
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    commands = files["README.md"].decode().partition("takes the envelope apart):")[2]
    envelope = json.loads(files["manifest.dsse.json"])
    assert "openssl dgst -sha256 -verify public_key.pem -signature signature signed" in commands
    script = (
        "import base64,json;e=json.load(open('manifest.dsse.json'));"
        "open('payload','wb').write(base64.b64decode(e['payload']));"
        "open('signature','wb').write(base64.b64decode(e['signatures'][0]['sig']))"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    joined = "{ printf 'DSSEv1 28 application/vnd.in-toto+json %d ' \"$(wc -c < payload)\"; cat payload; } > signed"
    assert joined in commands
    subprocess.run(["sh", "-c", joined], cwd=tmp_path, check=True)
    check = "openssl dgst -sha256 -verify public_key.pem -signature signature signed"
    done = subprocess.run(["sh", "-c", check], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "Verified OK\n"
    assert len(envelope["payloadType"]) == 28
    _each_change_is_found_without_our_program(tmp_path, files, check)


def _each_change_is_found_without_our_program(folder: Path, files: dict[str, bytes], check: str) -> None:
    """Change the manifest, a byte, a row and a file: openssl, or the digests of what it verified, find each."""
    listed = json.loads((folder / "payload").read_bytes())["subject"]
    sums = "".join(f"{each['digest']['sha256']}  {each['name']}\n" for each in listed)
    (folder / "sums").write_text(sums)
    said = files["README.md"].decode()
    assert """jq -r '.subject[] | .digest.sha256 + "  " + .name' payload | sha256sum -c""" in said

    def fits(command: str) -> bool:
        return subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, check=False).returncode == 0

    population = files["03_population.jsonl"]
    changes = {
        "signed": (folder / "signed").read_bytes().replace(b"03_population.csv", b"03_populatiom.csv"),
        "03_population.jsonl": population[:-20] + bytes([population[-20] ^ 1]) + population[-19:],
        "05_decisions.jsonl": b"",
        "06_remediation.csv": files["03_population.csv"],
    }
    for name, content in changes.items():
        command, kept = (check if name == "signed" else "sha256sum -c sums"), (folder / name).read_bytes()
        assert fits(command), name
        (folder / name).write_bytes(content)
        assert not fits(command), name
        (folder / name).write_bytes(kept)


FORBIDDEN = [
    "UPDATE governance_evidencepack SET statement = 'x'",
    "DELETE FROM governance_evidencepack",
    "TRUNCATE governance_evidencepack",
    "UPDATE governance_evidencepiece SET content = 'x'",
    "DELETE FROM governance_evidencepiece",
    "INSERT INTO governance_evidencepiece (pack_id, seq, content) SELECT id, 9, 'x' FROM governance_campaign",
    "UPDATE governance_campaign SET name = 'x'",
    "UPDATE governance_reviewitem SET exclusion_reason = 'x'",
    "UPDATE governance_assignment SET opened_at = now()",
    "UPDATE governance_assignment SET resolution = '{}'",
    "UPDATE governance_populationrow SET payload = 'x'",
    "UPDATE governance_reviewdecision SET comment = 'x'",
    "UPDATE governance_reviewline SET calls_window = 1",
    "UPDATE governance_remediation SET state = 'withdrawn'",
    "UPDATE governance_suggestion SET score = 9",
    *(
        f"DELETE FROM governance_{table}"  # noqa: S608 - names of ours
        for table in ("reviewitem", "assignment", "populationrow", "reviewdecision", "reviewline", "remediation")
    ),
    "DELETE FROM governance_campaign",
]


def test_the_database_keeps_what_is_sealed(closed: tuple[Company, Campaign]) -> None:
    company, campaign = closed
    worlds.sealed(campaign, company.ana)
    for statement in FORBIDDEN:
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_the_database_seals_by_the_rules_alone(closed: tuple[Company, Campaign]) -> None:
    company, campaign = closed
    good: dict[str, Any] = {
        "sealed_at": campaign.closed_at,
        "statement": "x",
        "key_id": "k",
        "sha256": "0" * 64,
        "files": [],
        "content": b"x",
    }
    under_way = worlds.campaign(company, slug="next", start=False)
    wrong = [
        {"campaign": campaign, "signed_off_by": company.sofia, "tie_out": {}},
        {"campaign": campaign, "signed_off_by": company.ana, "tie_out": {"cuts_not_proven": 1}},
        {"campaign": under_way, "signed_off_by": company.ana, "tie_out": {}},
        {"campaign": campaign, "signed_off_by": company.ana, "tie_out": {}, "content": b""},
    ]
    for each in wrong:
        with pytest.raises(DatabaseError), transaction.atomic():
            EvidencePack.objects.create(**{**good, **each})


def unpacked(files: dict[str, bytes], folder: Path) -> Path:
    """Write a pack's files to a folder of their own."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_no_cell_of_a_spreadsheet_is_a_formula_and_each_table_has_one(closed: tuple[Company, Campaign]) -> None:
    company, campaign = closed
    files = opened(worlds.sealed(campaign, company.ana))
    tables = {name.removesuffix(".jsonl") for name in files if name.endswith(".jsonl")} - {"13_audit_events"}
    assert {f"{name}.csv" for name in tables} == {name for name in files if name.endswith(".csv")}
    for name in tables:
        for row in csv.reader(io.StringIO(files[f"{name}.csv"].decode(), newline="")):
            assert not [cell for cell in row if cell.lstrip().startswith(("=", "+", "-", "@"))], name
    assert "'=Nobody uses it." in files["05_history.csv"].decode()
    assert verify.rows(files["05_history.jsonl"])[0]["comment"].startswith("=Nobody")
    (asked,) = verify.rows(files["05_questions.jsonl"])
    assert [asked[name] for name in ("text", "asked_of", "answer")] == ["@Sam?", "sam", "-1, I say."]
    assert "'+Said to all." in files["05_comments.csv"].decode()
    assert verify.rows(files["05_comments.jsonl"])[0]["text"].startswith("+Said")


def test_each_equation_finds_what_it_is_for(closed: tuple[Company, Campaign], tmp_path: Path) -> None:
    company, campaign = closed
    files = opened(worlds.sealed(campaign, company.ana))
    folder = unpacked(files, tmp_path / "pack")
    scope = json.loads(files["02_scope_and_parameters.json"])
    assert set(verify.tie_out(folder, scope).values()) == {0}
    (late,) = verify.rows(files["03_late_arrivals.jsonl"])
    assert late["agent"] == "late-bot"
    taken = verify.rows(files["03_population.jsonl"])[0]["grant"]
    others = (("03_late_arrivals", "late_arrivals_in_population"), ("03_ephemeral", "ephemeral_in_population"))
    tried = [*WRONG, *((name, lambda rows: [{**rows[0], "grant": taken}], said) for name, said in others)]
    elsewhere = {name for name in verify.tie_out(folder, scope) if name.startswith("spot_check")}  # test_spot_checks.py
    assert {equation for _name, _change, equation in tried} == set(verify.tie_out(folder, scope)) - elsewhere
    for name, change, equation in tried:
        file = folder / f"{name}.jsonl"
        kept = file.read_bytes()
        file.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in change(verify.rows(kept))))
        assert verify.tie_out(folder, scope)[equation], equation
        file.write_bytes(kept)


def test_a_sheet_shows_how_a_table_was_made_and_a_sample_that_nobody_chose(closed: tuple[Company, Campaign]) -> None:
    company, campaign = closed
    files = opened(worlds.sealed(campaign, company.ana))
    assert (went := json.loads(files["09_measures.json"]))["in_time"] == went["due"] == went["items"]
    sheets = json.loads(files["15_ipe_sheets.json"])
    sheet = sheets["03_population"]
    assert (sheet["source"], sheet["rows"], sheet["totals"]) == ("governance_populationrow", 1, {"risk": {"low": 1}})
    assert sheet["query"].startswith("SELECT")
    assert str(campaign.pk) in sheet["parameters"]
    issued = Event.objects.get(action=Action.GRANT_ISSUED, links__contains=[f"agent:{company.bot.slug}"])
    assert sheet["sample"][0]["events"][0] == str(issued.uuid)
    assert verify.picked("seed", range(1000), 25) != verify.picked("another", range(1000), 25)
    chosen = {**sheet, "sample": []}
    changed = {**files, "15_ipe_sheets.json": json.dumps({**sheets, "03_population": chosen}).encode()}
    with zipfile.ZipFile(io.BytesIO(), "w") as pack:
        for name, content in changed.items():
            pack.writestr(name, content)
        wrong = list(verify.other_rows(zipfile.Path(pack), json.loads(_payload(files))["predicate"]["rows"]))
    assert wrong == ["15_ipe_sheets.json says other rows of 03_population than are there"]


def _payload(files: dict[str, bytes]) -> bytes:
    return base64.b64decode(json.loads(files["manifest.dsse.json"])["payload"])


def test_what_went_on_over_the_whole_period_is_in_it(
    closed: tuple[Company, Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign = closed
    begun = clock.now()
    rows = list(period.leavers(_leaving(begun)))
    assert [(row["person"], row["seconds"]) for row in rows] == [("alice", 90.0), ("bob", 0.0)]
    files = opened(worlds.sealed(campaign, company.ana))
    over = verify.rows(files["03_ephemeral.jsonl"])
    told = [(row["agent"], row["end_reason"], row["ephemeral"], bool(row["recorded_at"])) for row in over]
    assert told == [("short-bot", "It was for a day.", True, True)]
    assert {row["ephemeral"] for row in verify.rows(files["03_population.jsonl"])} == {False}
    assert "Ephemeral" in visits.text(visits.as_(company.ana).get(f"/reviews/{campaign.slug}/settings/"))
    changes = verify.rows(files["11_config_changes.jsonl"])
    assert "campaign.made" in {row["action"] for row in changes}, "before the population was taken"
    assert json.loads(files["02_scope_and_parameters.json"])["period"]["since"] == "", (
        "the first begins with the record"
    )
    monkeypatch.setattr(clock, "now", lambda: begun + timedelta(hours=1))
    following = worlds.campaign(company, slug="next")
    assert period.bounds(following) == (campaign.closed_at, clock.now())


def _leaving(begun: datetime) -> list[Event]:
    """Alice's removal was held for ninety seconds; bob's was held, refused, and he left an hour later."""
    said = [
        (0, Action.PERSON_REMOVAL_HELD, ["person:alice", "source:a"]),
        (5, Action.PERSON_REMOVAL_HELD, ["person:bob", "source:b"]),
        (10, Action.PEOPLE_SOURCE_REMOVALS_REFUSED, ["source:b"]),
        (90, Action.PERSON_DISABLED, ["person:alice"]),
        (3600, Action.PERSON_DISABLED, ["person:bob"]),
    ]
    return [
        Event(
            at=begun + timedelta(seconds=seconds),
            uuid=uuid4(),
            action=str(action),
            body=json.dumps({"links": links, "actor": "source:a", "reason": "left"}),
        )
        for seconds, action, links in said
    ]


def test_the_summary_is_a_pdf_of_the_same_bytes_in_which_no_letter_vanishes(closed: tuple[Company, Campaign]) -> None:
    company, campaign = closed
    files = opened(worlds.sealed(campaign, company.ana))
    written = files["00_README.pdf"]
    assert written.startswith(b"%PDF-")
    assert written.rstrip().endswith(b"%%EOF")
    assert typeset.printable("Zoë <b> Łódź 山\u202e") == "Zoë <b> Łódź \\u{5c71}\\u{202e}"
    scope = {**json.loads(files["02_scope_and_parameters.json"]), "name": "山 <para> & \u202e"}
    told = {"tie_out": {"x": 0}, "sign_off": {"name": "<a", "by": "b", "at": "c", "statement": "&"}, "rows": {"t": 1}}
    with zipfile.ZipFile(io.BytesIO(b"".join(EvidencePack.objects.get().archive()))) as pack:
        folder = zipfile.Path(pack)
        assert summary.pdf(folder, scope, told) == summary.pdf(folder, scope, told)
        cuts = Remediation.objects.filter(verified_at__isnull=False).values_list("verified_at", "decision__decided_at")
        spans = [(proven - said).total_seconds() for proven, said in cuts if proven]
        assert (summary.proven_after(folder), bool(spans)) == (spans, True)
        blast = json.loads(files["05_blast_radius.json"])
        (agent,) = blast["agents"]
        assert (agent["agent"], agent["before"] > agent["after"], agent["after"]) == (company.bot.slug, True, 0)
        drawn = summary.pdf(folder, scope, {**told, "blast": blast})
        assert len(drawn) > len(summary.pdf(folder, scope, told)), "a plot and its table are on top"
