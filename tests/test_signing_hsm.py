"""A consensus key inside a PKCS#11 device: SoftHSM2, as Debian ships it, found or installed by this file."""

import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from consensus.crypto import verify
from consensus.events import SignVote
from consensus.messages import Hash, Kind, vote_statement
from node.cli import main
from node.ledger.genesis import format_genesis
from node.signing.home import open_signer
from node.signing.hsm import HsmKey, Place, generate
from node.signing.requests import Declined, Signed
from node.storage.errors import KeyFileError
from tests.node_parts import genesis

MODULES: Final = [Path(root) / "softhsm" / "libsofthsm2.so" for root in ("/usr/lib", "/usr/lib/x86_64-linux-gnu")]
PIN: Final = b"86753099"
INSTALL_SECONDS: Final = 120


def module() -> str:
    """Return SoftHSM's library; skip, and say why, where it is not and cannot be had."""
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed: the extra `hsm`")
    if not any(map(Path.exists, MODULES)) and os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "--yes", "--no-install-recommends", "softhsm2"]
        subprocess.run(command, check=False, capture_output=True, timeout=INSTALL_SECONDS)
    found = next((path for path in MODULES if path.exists()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        pytest.skip("NOT TESTED: the PKCS#11 back end needs SoftHSM2 (apt-get install softhsm2)")
    return str(found)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Give a token with a key in it. The library reads its settings once: one token directory serves this process."""
    library, directory = module(), tmp_path_factory.mktemp("hsm")
    (directory / "tokens").mkdir()
    settings = directory / "softhsm2.conf"
    settings.write_text(
        f"directories.tokendir = {directory / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(settings)
    made = ["softhsm2-util", "--init-token", "--free", "--label", "som", "--so-pin", "12345678", "--pin", PIN.decode()]
    subprocess.run(made, check=True, capture_output=True)
    place = Place(library, "som", "consensus")
    generate(place, PIN)
    return place


def test_a_device_signs_what_our_verifier_accepts_and_always_the_same(place: Place) -> None:
    key = HsmKey(place, PIN)
    for message in (b"", b"x", os.urandom(200)):
        assert verify(key.public, message, key.sign(message))
        assert key.sign(message) == key.sign(message)
    assert repr(key) == f"HsmKey(public={key.public.hex()[:8]})"
    key.close()


def test_a_label_that_is_taken_gets_no_second_key(place: Place) -> None:
    with pytest.raises(KeyFileError, match="already"):
        generate(place, PIN)


@pytest.mark.parametrize(
    ("wrong", "pin"),
    [
        ({"module": "/nowhere/library.so"}, PIN),
        ({"token": "another"}, PIN),
        ({"label": "another"}, PIN),
        ({}, b"00000000"),
        ({}, b"\xff\xff"),
    ],
)
def test_what_is_set_up_wrongly_is_an_error_that_says_so_and_shows_no_pin(
    place: Place, wrong: dict[str, str], pin: bytes
) -> None:
    there = Place(**{"module": place.module, "token": place.token, "label": place.label, **wrong})
    with pytest.raises(KeyFileError) as caught:
        HsmKey(there, pin)
    assert PIN.decode() not in str(caught.value)


def test_a_signer_with_a_device_keeps_its_guard_in_its_own_home(place: Place, tmp_path: Path) -> None:
    (tmp_path / "genesis.json").write_text(format_genesis(genesis()))
    (tmp_path / "pin").write_bytes(PIN + b"\n")
    home = tmp_path / "home"
    options = ["--home", str(home), "--genesis", str(tmp_path / "genesis.json")]
    options += ["--module", place.module, "--token", place.token, "--label", "second", "--json"]
    options += ["--passphrase-file", str(tmp_path / "pin")]
    made = CliRunner().invoke(main, ["signer", "init", *options], catch_exceptions=False)
    assert made.exit_code == 0, made.output
    assert PIN.decode() not in (home / "signer.toml").read_text() + made.output
    block, other = Hash(b"a" * 32), Hash(b"b" * 32)
    for _ in range(2):  # two lives
        with ExitStack() as resources:
            signer = open_signer(home, genesis(), PIN, resources)
            answer = signer.answer(SignVote(Kind.NOTARIZE, 0, 1, block))
            assert isinstance(answer, Signed)
            statement = vote_statement(genesis().hash, Kind.NOTARIZE, 0, 1, block)
            assert verify(signer.public, statement, answer.signature)
            assert isinstance(signer.answer(SignVote(Kind.NOTARIZE, 0, 1, other)), Declined)
