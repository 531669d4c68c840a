"""The signer process: one node at a time asks over a Unix socket; the key and the guard never leave this process.

One rule: one link. Two nodes with one key would be one validator twice, so the second is turned away.
"""

import asyncio
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import structlog

from consensus.encoding import DecodeError
from node.ledger.genesis import Genesis
from node.log import configure_log
from node.signing.frames import peer_user, read_frame, write_frame
from node.signing.home import listen, open_signer
from node.signing.requests import (
    REQUEST_BYTES_MAX,
    Memory,
    decode_hello,
    decode_request,
    encode_answer,
    encode_welcome,
)
from node.signing.signer import OwnSigner
from node.storage.keystore import forbid_core_dumps

FRAME_SECONDS: Final = 5.0  # for a frame that has begun, and for the first one
UNSENT_BYTES_MAX: Final = 1 << 20  # of answers that the node does not read

log = structlog.get_logger("signer")


class SignerServer:
    """Serves one ``OwnSigner`` to the processes of one user, one link at a time."""

    def __init__(self, signer: OwnSigner, genesis_hash: bytes, user: int) -> None:
        """Take what signs, for which network, and whose processes may ask."""
        self._signer = signer
        self._genesis_hash = genesis_hash
        self._user = user
        self._linked = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end; an error of storage ends the process through ``failed``."""
        try:
            await self._serve(reader, writer)
        except (EOFError, ConnectionError):
            pass
        except (DecodeError, TimeoutError) as error:
            log.warning("signer_link_dropped", why=str(error) or "too slow")
        except Exception as error:  # what the guard or the key raises: whoever waits for ``failed`` ends the process
            if not self.failed.done():
                self.failed.set_exception(error)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link: socket.socket = writer.get_extra_info("socket")
        if peer_user(link) != self._user:
            log.warning("signer_refused", why=f"user {peer_user(link)}")
            return
        async with asyncio.timeout(FRAME_SECONDS):
            named = decode_hello(await read_frame(reader, REQUEST_BYTES_MAX))
        refusal = self._refusal(named)
        if refusal:
            log.warning("signer_refused", why=refusal)
            write_frame(writer, encode_welcome(None, refusal))
            await writer.drain()
            return
        self._linked = True
        try:
            memory: Memory = self._signer.memory
            write_frame(writer, encode_welcome(memory))
            log.info("signer_linked", newest=memory.newest, suspended=memory.suspended)
            while True:
                number, request = decode_request(await read_frame(reader, REQUEST_BYTES_MAX, FRAME_SECONDS))
                write_frame(writer, encode_answer(number, self._signer.answer(request)))
                if writer.transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
                    raise DecodeError("a node that does not read")
        finally:
            self._linked = False
            log.info("signer_unlinked")

    def _refusal(self, genesis_hash: bytes) -> str:
        if genesis_hash != self._genesis_hash:
            return f"a node of another network, {genesis_hash.hex()[:16]}"
        if self._linked:
            return "another node has this signer"
        return ""


def main(home: Path, genesis: Genesis, path: Path, passphrase: bytes | None, log_format: str) -> None:
    """Run the signer in ``home`` until a signal. Raises StorageError and ConfigError, for the caller to explain."""
    configure_log("info", log_format, "signer")
    forbid_core_dumps()
    with ExitStack() as resources:
        signer = open_signer(home, genesis, passphrase, resources)
        asyncio.run(_run(signer, genesis.hash, path, resources))


async def _run(signer: OwnSigner, genesis_hash: bytes, path: Path, resources: ExitStack) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    link, user = listen(path, resources)
    served = SignerServer(signer, genesis_hash, user)
    server = await asyncio.start_unix_server(served.serve, sock=link, limit=REQUEST_BYTES_MAX)
    log.info("signer_listening", socket=str(path), key=signer.public.hex(), newest=signer.memory.newest)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((stopping, served.failed), return_when=asyncio.FIRST_COMPLETED)
        if served.failed.done():
            served.failed.result()
    finally:
        stopping.cancel()
        server.close()
    log.info("stopped")
