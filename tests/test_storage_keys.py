import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consensus.crypto import SecretKey
from node.storage.errors import AlreadyInitialised, KeyFileError
from node.storage.keystore import MEMORY_BYTES_MIN, OPS_MIN, USES, Cost, read_key, read_public, read_seed, write_key
from tests.storage_crashes import RecordingDisk, crash_states, lay_out

SEED = bytes(range(32))
PUBLIC = SecretKey(SEED).public
CHAIN = "0123456789abcdef"
WORDS = b"correct horse battery"
CHEAP = Cost(OPS_MIN, MEMORY_BYTES_MIN)  # the least that is accepted

Content = dict[str, Any]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """The content of an encrypted consensus key file."""
    path = tmp_path_factory.mktemp("keys") / "consensus.json"
    write_key(path, SEED, "consensus", CHAIN, WORDS, cost=CHEAP)
    content: Content = json.loads(path.read_bytes())
    return content


def put(directory: Path, content: object) -> Path:
    path = directory / "key.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    path.chmod(0o600)
    return path


def refused(path: Path, *, use: str = "consensus", words: bytes | None = WORDS, devnet: bool = False) -> str:
    with pytest.raises(KeyFileError) as caught:
        read_seed(path, use, words, devnet=devnet)
    assert SEED.hex() not in str(caught.value)
    return str(caught.value)


def test_a_key_comes_back_as_it_was_written(tmp_path: Path) -> None:
    for use in USES:
        path = tmp_path / "keys" / f"{use}.json"
        write_key(path, SEED, use, "*", WORDS, cost=CHEAP)
        assert read_seed(path, use, WORDS, devnet=False, chain=CHAIN) == SEED
        assert read_key(path, use, WORDS, devnet=True).public == PUBLIC
        assert read_public(path) == PUBLIC
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_file_shows_neither_seed_nor_passphrase_and_no_two_are_alike(tmp_path: Path, sealed: Content) -> None:
    path = tmp_path / "again.json"
    write_key(path, SEED, "consensus", CHAIN, WORDS, cost=CHEAP)
    text = path.read_text()
    for secret in (SEED.hex(), base64.b64encode(SEED).decode(), WORDS.decode()):
        assert secret not in text
    again = json.loads(text)
    for field in ("ct", "kdf", "aead"):
        assert again[field] != sealed[field]


def test_a_wrong_passphrase_is_refused(tmp_path: Path, sealed: Content) -> None:
    path = put(tmp_path, sealed)
    assert "wrong passphrase" in refused(path, words=WORDS + b"!")
    assert "no passphrase" in refused(path, words=None)
    refused(path, words=b"")


def test_the_default_cost_is_256_mebibytes() -> None:
    assert Cost() == Cost(3, 256 << 20)


def other(value: str) -> str:
    return ("B" if value[0] == "A" else "A") + value[1:]


# Every field of the header and the ciphertext, changed to something that is well formed. None may open.
CHANGES: list[tuple[str, Callable[[Content], object]]] = [
    ("v", lambda c: c.update(v=2)),
    ("use", lambda c: c.update(use="operator")),
    ("pub", lambda c: c.update(pub=SecretKey(bytes(32)).public.hex())),
    ("chain", lambda c: c.update(chain="*")),
    ("created", lambda c: c.update(created="2020-01-01T00:00:00+00:00")),
    ("kdf.alg", lambda c: c["kdf"].update(alg="scrypt")),
    ("kdf.ops", lambda c: c["kdf"].update(ops=OPS_MIN + 1)),
    ("kdf.mem", lambda c: c["kdf"].update(mem=MEMORY_BYTES_MIN + 1_024)),
    ("kdf.salt", lambda c: c["kdf"].update(salt=other(c["kdf"]["salt"]))),
    ("aead.alg", lambda c: c["aead"].update(alg="aes")),
    ("aead.nonce", lambda c: c["aead"].update(nonce=other(c["aead"]["nonce"]))),
    ("ct", lambda c: c.update(ct=other(c["ct"]))),
]


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=[name for name, _ in CHANGES])
def test_a_change_of_any_field_is_found(
    tmp_path: Path, sealed: Content, name: str, change: Callable[[Content], object]
) -> None:
    content: Content = json.loads(json.dumps(sealed))
    change(content)
    assert content != sealed, name
    refused(put(tmp_path, content), use=content["use"])


@pytest.mark.parametrize(
    ("ops", "mem"),
    [(2, 256 << 20), (0, 256 << 20), (3, (64 << 20) - 1), (3, (1 << 30) + 1), (17, 256 << 20), (3, 2**70)],
)
def test_a_cheaper_or_exhausting_cost_is_refused_before_it_is_paid(
    tmp_path: Path, sealed: Content, ops: int, mem: int
) -> None:
    content = {**sealed, "kdf": {**sealed["kdf"], "ops": ops, "mem": mem}}
    assert "cost" in refused(put(tmp_path, content))
    with pytest.raises(KeyFileError):
        write_key(tmp_path / "new.json", SEED, "node", "*", WORDS, cost=Cost(ops, mem))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 4_000,
        b'{"v":1,"v":1}',
        b" " * 5_000,
        {"v": 1},
        {"devnet": True},
    ],
)
def test_what_is_no_key_file_is_refused(tmp_path: Path, content: object) -> None:
    path = put(tmp_path, content)
    refused(path)
    with pytest.raises(KeyFileError):
        read_public(path)


@pytest.mark.parametrize("field", ["v", "use", "pub", "chain", "created", "kdf", "aead", "ct"])
@pytest.mark.parametrize("value", [None, True, 1.5, -1, "", "\ud800", "x" * 200, [], {}, [[]]])
def test_a_field_of_another_type_is_refused(tmp_path: Path, sealed: Content, field: str, value: object) -> None:
    refused(put(tmp_path, {**sealed, field: value}))
    refused(put(tmp_path, {**sealed, "kdf": {**sealed["kdf"], "ops": value}}))
    refused(put(tmp_path, {**sealed, "aead": {**sealed["aead"], "nonce": value}}))


def test_unknown_and_missing_fields_are_refused(tmp_path: Path, sealed: Content) -> None:
    refused(put(tmp_path, {**sealed, "more": 1}))
    refused(put(tmp_path, {**sealed, "kdf": {**sealed["kdf"], "more": 1}}))
    for field in sealed:
        refused(put(tmp_path, {name: value for name, value in sealed.items() if name != field}))


def test_a_field_named_twice_is_refused(tmp_path: Path, sealed: Content) -> None:
    text = json.dumps(sealed)
    assert "not a key file" in refused(put(tmp_path, (text[:-1] + f', "chain": "{CHAIN}"}}').encode()))


def test_base64_has_one_form(tmp_path: Path, sealed: Content) -> None:
    salt = sealed["kdf"]["salt"]
    assert salt.endswith("==")
    same_bytes = salt[:-3] + chr(ord(salt[-3]) + 1) + "=="
    assert base64.b64decode(same_bytes) == base64.b64decode(salt), "the last digit has four bits that say nothing"
    refused(put(tmp_path, {**sealed, "kdf": {**sealed["kdf"], "salt": same_bytes}}))
    assert "base64" in refused(put(tmp_path, {**sealed, "kdf": {**sealed["kdf"], "salt": salt[:-2]}}))


def test_a_key_for_another_use_or_network_is_refused(tmp_path: Path, sealed: Content) -> None:
    path = put(tmp_path, sealed)
    assert "not for node" in refused(path, use="node")
    with pytest.raises(KeyFileError, match="network"):
        read_seed(path, "consensus", WORDS, devnet=False, chain="f" * 16)


# --- devnet keys ---


def test_a_devnet_key_opens_on_a_devnet_only(tmp_path: Path) -> None:
    path = tmp_path / "node.json"
    write_key(path, SEED, "node", "*", None)
    assert json.loads(path.read_bytes()) == {
        "v": 1,
        "use": "node",
        "pub": PUBLIC.hex(),
        "seed": SEED.hex(),
        "devnet": True,
    }
    assert read_seed(path, "node", None, devnet=True) == SEED
    assert "no devnet" in refused(path, use="node", words=None, devnet=False)
    assert "not for consensus" in refused(path, words=None, devnet=True)


@pytest.mark.parametrize(
    "change",
    [{"devnet": False}, {"devnet": 1}, {"v": 2}, {"use": "other"}, {"pub": "0" * 64}, {"seed": "0" * 63}, {"x": 1}],
)
def test_a_changed_devnet_key_is_refused(tmp_path: Path, change: Content) -> None:
    path = tmp_path / "node.json"
    write_key(path, SEED, "node", "*", None)
    refused(put(tmp_path, {**json.loads(path.read_bytes()), **change}), use="node", words=None, devnet=True)


# --- the file itself ---


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o601, 0o644])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, sealed: Content, mode: int) -> None:
    path = put(tmp_path, sealed)
    path.chmod(mode)
    assert "mode" in refused(path)


def test_a_directory_that_others_can_reach_is_refused(tmp_path: Path, sealed: Content) -> None:
    path = put(tmp_path, sealed)
    tmp_path.chmod(0o750)
    assert "mode" in refused(path)


def test_links_and_missing_files_are_refused(tmp_path: Path, sealed: Content) -> None:
    path = put(tmp_path, sealed)
    (tmp_path / "soft.json").symlink_to(path)
    assert "symbolic link" in refused(tmp_path / "soft.json")
    os.link(path, tmp_path / "hard.json")
    assert "names" in refused(tmp_path / "hard.json")
    refused(tmp_path / "missing.json")
    refused(tmp_path / "no" / "directory.json")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_owner_is_refused(tmp_path: Path, sealed: Content) -> None:
    path = put(tmp_path, sealed)
    os.chown(path, 12_345, -1)
    assert "belongs to" in refused(path)


def test_an_existing_key_is_replaced_only_when_told(tmp_path: Path) -> None:
    path = tmp_path / "node.json"
    write_key(path, SEED, "node", "*", None)
    with pytest.raises(AlreadyInitialised):
        write_key(path, bytes(32), "node", "*", None)
    assert read_seed(path, "node", None, devnet=True) == SEED
    write_key(path, bytes(32), "node", "*", None, replace=True)
    assert read_seed(path, "node", None, devnet=True) == bytes(32)


def test_a_crash_while_a_key_is_replaced_leaves_the_old_or_the_new_one(tmp_path: Path) -> None:
    disk = RecordingDisk()
    (tmp_path / "life").mkdir(mode=0o700)
    path = tmp_path / "life" / "node.json"
    write_key(path, SEED, "node", "*", None, disk=disk)
    disk.note("written")
    write_key(path, bytes(32), "node", "*", None, replace=True, disk=disk)
    disk.note("replaced")
    for number, (notes, files) in enumerate(crash_states(disk.ops)):
        directory = tmp_path / f"state-{number}"
        lay_out(directory, files)
        if not notes and "node.json" not in files:
            continue
        seed = read_seed(directory / "node.json", "node", None, devnet=True)
        assert seed in ([bytes(32)] if "replaced" in notes else [SEED, bytes(32)])


FORBIDDEN = """
import resource
from node.storage.keystore import forbid_core_dumps
forbid_core_dumps()
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
import ctypes
assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
"""


@pytest.mark.children
def test_keys_stay_out_of_core_files() -> None:
    subprocess.run([sys.executable, "-c", FORBIDDEN], check=True, timeout=60)
