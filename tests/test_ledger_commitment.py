"""The commitments: incremental equals rebuilt, proofs hold, and no byte of a proof can be changed."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.encoding import DecodeError
from node.ledger.account import account_number
from node.ledger.commitment import (
    OutcomeProof,
    Proof,
    bucket_index,
    decode_outcome_proof,
    decode_proof,
    encode_outcome_proof,
    encode_proof,
    outcome_leaf,
    outcomes_root,
    prove_outcome,
    verify_outcome,
    verify_proof,
)
from node.ledger.state import account_key
from node.ledger.tree import NEIGHBOURS, Tree

KEYS = st.one_of(
    st.builds(lambda p, s: account_key(account_number(p, s)), st.integers(1, 3), st.integers(0, 40)),
    st.binary(min_size=1, max_size=12),
    st.binary(min_size=255, max_size=255),
)
CHANGES = st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=40), max_size=30), max_size=5)


@settings(max_examples=60)
@given(CHANGES, st.sampled_from([1, 2]))
def test_a_tree_kept_up_to_date_equals_one_built_anew_in_any_order(
    blocks: list[dict[bytes, bytes | None]], depth: int
) -> None:
    tree = Tree(depth)
    rows: dict[bytes, bytes] = {}
    for changes in blocks:
        root = tree.update(changes)
        assert root == tree.root
        for key, value in changes.items():
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
    assert tree.root == Tree(depth, sorted(rows.items())).root == Tree(depth, sorted(rows.items(), reverse=True)).root
    for key in [*rows, *(key for changes in blocks for key in changes), b"absent"]:
        assert verify_proof(tree.root, key, rows.get(key), tree.prove(key))


@given(
    st.dictionaries(KEYS, st.binary(max_size=9), max_size=9), st.dictionaries(KEYS, st.binary(max_size=9), max_size=9)
)
def test_two_states_share_a_root_only_if_they_are_equal(one: dict[bytes, bytes], other: dict[bytes, bytes]) -> None:
    assert (Tree(1, one.items()).root == Tree(1, other.items()).root) == (one == other)


def test_trees_of_different_depth_have_different_roots() -> None:
    assert len({Tree(depth).root for depth in (1, 2, 3, 4)}) == 4


def test_neighbours_have_one_bucket_and_others_their_own() -> None:
    """A run of rows is put under one look-up of its bucket: so the whole neighbourhood must have one."""
    for participant in (0, 1, 102, 9_999):
        for serial in (0, 7, 8, 4_096, 9_999_999_992):
            keys = [account_key(account_number(participant, at)) for at in range(serial or 1, serial + 8)]
            assert len({int.from_bytes(key[1:], "big") // NEIGHBOURS for key in keys}) == 1 + (serial % 8 != 0)
            for key in keys:
                number = int.from_bytes(key[1:], "big")
                first = (number // NEIGHBOURS * NEIGHBOURS).to_bytes(8, "big")
                assert bucket_index(key, 5) == bucket_index(b"a" + first, 5)


@settings(max_examples=60)
@given(st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=40), max_size=60), max_size=5), st.randoms())
def test_rows_put_by_the_bucket_make_the_tree_of_rows_put_one_by_one(
    blocks: list[dict[bytes, bytes | None]], lot: Random
) -> None:
    together, singly = Tree(1), Tree(1)
    for changes in blocks:
        ascending = dict(sorted(changes.items()))
        shuffled = list(changes.items())
        lot.shuffle(shuffled)
        together.update(ascending)
        for key, value in shuffled:
            singly.update({key: value})
        assert together.root == singly.root
        for key in changes:
            assert together.prove(key) == singly.prove(key)


def test_until_an_update_ends_the_tree_speaks_of_the_state_before() -> None:
    numbers = [account_number(101, serial) for serial in range(400)]
    tree = Tree(2, [(account_key(number), b"before") for number in numbers])
    root, keys = tree.root, [account_key(numbers[7]), account_key(numbers[399]), b"absent"]
    proofs = [tree.prove(key) for key in keys]
    for _ in tree.updating([(account_key(number), b"after") for number in numbers]):
        assert tree.root == root
        assert [tree.prove(key) for key in keys] == proofs
    assert tree.root == Tree(2, [(account_key(number), b"after") for number in numbers]).root != root


def small_tree() -> tuple[Tree, bytes, bytes]:
    rows = {account_key(account_number(101, serial)): b"value %d" % serial for serial in range(40)}
    return Tree(2, rows.items()), account_key(account_number(101, 17)), b"value 17"


def test_a_proof_says_one_thing_about_one_key() -> None:
    tree, key, value = small_tree()
    proof = tree.prove(key)
    absent = account_key(account_number(101, 40))
    assert verify_proof(tree.root, key, value, proof)
    assert not verify_proof(tree.root, key, None, proof)
    assert not verify_proof(tree.root, key, b"value 18", proof)
    assert not verify_proof(bytes(32), key, value, proof)
    assert verify_proof(tree.root, absent, None, tree.prove(absent))
    assert not verify_proof(tree.root, absent, b"", tree.prove(absent))
    assert not verify_proof(tree.root, absent, None, proof)


def test_no_byte_of_a_proof_can_be_changed() -> None:
    tree, key, value = small_tree()
    data = encode_proof(tree.prove(key))
    assert verify_proof(tree.root, key, value, decode_proof(data))
    for place in range(len(data)):
        for change in (1, 128):
            changed = bytearray(data)
            changed[place] ^= change
            assert not _holds(bytes(changed), tree.root, key, value), place


def _holds(data: bytes, root: bytes, key: bytes, value: bytes) -> bool:
    try:
        proof = decode_proof(data)
    except DecodeError:
        return False
    return verify_proof(root, key, value, proof)


def test_a_misshapen_proof_is_false_and_raises_nothing() -> None:
    tree, key, value = small_tree()
    bucket, path = tree.prove(key)
    for proof in (
        Proof(bucket, ()),
        Proof(bucket, path[:1]),
        Proof(bucket, (*path, path[0])),
        Proof(bucket, path * 9),
        Proof(bucket, (path[0], path[1][:-1])),
        Proof(bucket[:-1], path),
        Proof(bucket + b"\xff", path),
        Proof(bucket[42:] + bucket[:42], path),
        Proof(bucket + bucket[-42:], path),
        Proof(b"", path),
    ):
        assert not verify_proof(tree.root, key, value, proof)
    assert not verify_proof(tree.root, b"", None, Proof(bucket, path))
    assert not verify_proof(tree.root, b"k" * 256, None, Proof(bucket, path))


def test_neighbouring_serials_share_a_bucket_and_banks_are_apart() -> None:
    of = [bucket_index(account_key(account_number(101, serial)), 4) for serial in range(64)]
    assert len(set(of)) == 8
    assert of == sorted(of, key=of.index)
    starts = {bucket_index(account_key(account_number(bank, 0)), 4) for bank in range(1, 101)}
    assert len(starts) > 95


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40))
def test_every_outcome_is_proven_at_its_place_and_at_no_other(ids: list[bytes]) -> None:
    leaves = [outcome_leaf(each, b"receipt") for each in ids]
    root = outcomes_root(leaves)
    for index, each in enumerate(ids):
        proof = prove_outcome(leaves, index)
        assert verify_outcome(root, each, b"receipt", proof)
        assert not verify_outcome(root, each, b"other", proof)
        assert not verify_outcome(root, each, b"receipt", proof._replace(size=len(ids) + 1))
        assert not verify_outcome(root, each, b"receipt", proof._replace(path=(*proof.path, bytes(32))))
        other = (index + 1) % len(ids)
        if ids[other] != each:
            assert not verify_outcome(root, ids[other], b"receipt", proof)
        assert decode_outcome_proof(encode_outcome_proof(proof)) == proof


def test_no_byte_of_an_outcome_proof_can_be_changed() -> None:
    leaves = [outcome_leaf(bytes((i,)) * 32, b"r") for i in range(11)]
    root = outcomes_root(leaves)
    for index in (0, 6, 10):
        data = encode_outcome_proof(prove_outcome(leaves, index))
        for place in range(len(data)):
            changed = bytearray(data)
            changed[place] ^= 1
            try:
                proof = decode_outcome_proof(bytes(changed))
            except DecodeError:
                continue
            assert not verify_outcome(root, bytes((index,)) * 32, b"r", proof)


def test_outcomes_of_other_sizes_have_other_roots() -> None:
    leaf = outcome_leaf(b"i" * 32, b"r")
    assert len({outcomes_root([leaf] * size) for size in range(20)}) == 20
    assert not verify_outcome(outcomes_root(()), b"i" * 32, b"r", OutcomeProof(0, 0, ()))
