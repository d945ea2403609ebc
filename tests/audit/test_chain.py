"""The pure part of the record, against vectors that others published and that we froze."""

import json
from pathlib import Path
from uuid import UUID

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import chain, verify

VECTORS = Path(__file__).parent / "vectors"
TREE = json.loads((VECTORS / "rfc9162-tree.json").read_text())
LEAVES = [chain.leaf_hash(bytes.fromhex(leaf)) for leaf in TREE["leaves"]]

ROOT = "A" * 43 + "="

numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner) | st.dictionaries(words, inner),
    max_leaves=20,
)


@given(values)
def test_the_fast_encoder_writes_what_the_reference_writes(value: object) -> None:
    assert chain.canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["\ud800", {"a": "\udfff"}, 2**53, float("nan"), float("inf"), object(), {1: 2}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        chain.canonical(value)


def test_keys_are_sorted_by_utf16_as_the_standard_wants() -> None:
    assert chain.canonical({"\U00010000": 1, "\uffff": 2}) == '{"\U00010000":1,"\uffff":2}'.encode()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_published_vectors(size: int) -> None:
    assert chain.root_of(LEAVES[:size]).hex() == TREE["roots"][size - 1]


def test_the_empty_tree_has_the_hash_of_nothing_as_its_root() -> None:
    assert chain.root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def _subtree(leaves: list[bytes]) -> chain.Subtree:
    return lambda begin, end: chain.root_of(leaves[begin:end])


@given(st.integers(1, 130), st.data())
def test_every_inclusion_proof_holds_and_no_other_leaf_fits_it(size: int, data: st.DataObject) -> None:
    leaves = [chain.leaf_hash(bytes([n])) for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    path, root = chain.inclusion_proof(index, size, _subtree(leaves)), chain.root_of(leaves)

    assert chain.verify_inclusion(leaves[index], index, size, path, root)
    assert not chain.verify_inclusion(chain.leaf_hash(b"forged"), index, size, path, root)
    assert not chain.verify_inclusion(leaves[index], (index + 1) % size, size, path, root) or size == 1
    assert not chain.verify_inclusion(leaves[index], index, size, [*path, root], root)


@given(st.integers(1, 130), st.data())
def test_every_consistency_proof_holds_and_no_other_beginning_fits_it(size: int, data: st.DataObject) -> None:
    leaves = [chain.leaf_hash(bytes([n])) for n in range(size)]
    old = data.draw(st.integers(1, size))
    path = chain.consistency_proof(old, size, _subtree(leaves))
    old_root, root = chain.root_of(leaves[:old]), chain.root_of(leaves)

    assert chain.verify_consistency(old, size, old_root, root, path)
    assert not chain.verify_consistency(old, size, chain.root_of([*leaves[: old - 1], b"forged"]), root, path)
    assert not chain.verify_consistency(old, size, old_root, chain.leaf_hash(b"forged"), path)


@given(st.integers(0, 300), st.integers(1, 300))
def test_a_frontier_that_was_put_down_and_taken_up_goes_on_as_if_it_had_not_been(first: int, more: int) -> None:
    leaves = [chain.leaf_hash(n.to_bytes(2)) for n in range(first + more)]
    kept = chain.Frontier()
    for leaf in leaves[:first]:
        list(kept.append(leaf))
    resumed = chain.Frontier(kept.size, list(kept.hashes))
    for leaf in leaves[first:]:
        list(resumed.append(leaf))

    assert resumed.root() == chain.root_of(leaves)


def test_each_stored_node_is_the_root_of_its_perfect_subtree() -> None:
    leaves = [chain.leaf_hash(n.to_bytes(2)) for n in range(600)]
    frontier = chain.Frontier()
    nodes = [node for leaf in leaves for node in frontier.append(leaf)]

    assert nodes == [(8, 0, chain.root_of(leaves[:256])), (8, 1, chain.root_of(leaves[256:512]))]


def test_a_frozen_event_still_has_its_bytes_and_its_leaf() -> None:
    for vector in json.loads((VECTORS / "events.json").read_text()):
        body = chain.canonical(vector["event"])
        assert body.decode() == vector["body"]
        assert chain.leaf_hash(body).hex() == vector["leaf"]


def test_a_frozen_note_still_opens_and_is_signed_the_same_way() -> None:
    vector = json.loads((VECTORS / "note.json").read_text())
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["private_key"]))
    head = chain.Checkpoint(vector["origin"], vector["size"], bytes.fromhex(vector["root"]), vector["signed_at"])

    assert chain.vkey(vector["origin"], key.public_key()) == vector["vkey"]
    assert chain.sign(head, key) == vector["note"]
    assert chain.open_note(vector["note"], vector["origin"], key.public_key()) == head
    assert verify.read_heads(vector["note"], verify.parse_key(vector["vkey"]), verify.Report()) == [
        verify.Head(head.size, head.root, head.signed_at)
    ]


def test_the_key_of_the_c2sp_example_has_the_id_that_the_specification_prints() -> None:
    name, key_id, key = TREE["c2sp_vkey"].split("+", 2)
    assert verify.parse_key(f"{name}+{key_id}+{key}").id.hex() == key_id


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ("\n4\n", "\n5\n"),
        ("mandate.test", "mandate.evil"),
        ("signed-at 2026", "signed-at 2027"),
        ("\n\n", "\n"),
        ("\u2014 ", "\u2014  "),
        ("\u2014 ", "- "),
    ],
)
def test_a_spoiled_note_does_not_open(said: str, made: str) -> None:
    key = Ed25519PrivateKey.generate()
    note = chain.sign(chain.Checkpoint("mandate.test", 4, chain.EMPTY_ROOT, "2026-11-24T15:00:00Z"), key)
    assert chain.open_note(note, "mandate.test", key.public_key()).size == 4

    with pytest.raises(chain.BadNote):
        chain.open_note(note.replace(said, made), "mandate.test", key.public_key())


def test_a_note_of_another_key_does_not_open() -> None:
    note = chain.sign(chain.Checkpoint("mandate.test", 4, chain.EMPTY_ROOT), Ed25519PrivateKey.generate())

    with pytest.raises(chain.BadNote):
        chain.open_note(note, "mandate.test", Ed25519PrivateKey.generate().public_key())


@pytest.mark.parametrize(
    "text", ["", "a\n1\n", f"a\n01\n{ROOT}\n", f"a\n-1\n{ROOT}\n", f"\n1\n{ROOT}\n", "a\n1\nAAAA\n"]
)
def test_what_is_no_checkpoint_does_not_parse(text: str) -> None:
    with pytest.raises(chain.BadNote):
        chain.Checkpoint.parse(text)


def test_two_equal_payloads_have_different_leaves() -> None:
    said = {"action": "call.allowed", "producer": str(UUID(int=1))}
    assert chain.leaf_hash(chain.canonical({**said, "sequence": 1})) != chain.leaf_hash(
        chain.canonical({**said, "sequence": 2})
    )
