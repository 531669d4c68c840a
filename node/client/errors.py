"""What can go wrong for a caller of the library. One rule: only ``Refused`` and ``RequestFailed`` are final answers."""


class ClientError(Exception):
    """The base of all that the library raises."""


class NotReachable(ClientError):
    """No node answered. Of a transaction it says that none was sent: what may be on the wire is pending, no error."""


class RequestFailed(ClientError):
    """A node answered with an error of its own. ``name`` is stable; ``retryable`` says whether to ask again."""

    def __init__(
        self, code: int, name: str, message: str, retryable: bool = False, data: dict[str, object] | None = None
    ) -> None:
        super().__init__(f"{name}: {message}" + _detail(data or {}))
        self.code = code
        self.name = name
        self.message = message
        self.retryable = retryable
        self.data = data or {}


class Refused(ClientError):
    """The ledger refused the transaction; nothing was paid. ``code`` and ``name`` are the ledger's."""

    def __init__(self, code: int, name: str, message: str, tx_id: str | None) -> None:
        super().__init__(f"{name}: {message}")
        self.code = code
        self.name = name
        self.message = message
        self.tx_id = tx_id


class ProofInvalid(ClientError):
    """What a node sent does not follow from the genesis. The node errs or lies: ask another, tell its operator."""


class OutboxError(ClientError):
    """The outbox cannot be used, a key stands for other bytes, or a transaction is of another network than the node."""


def _detail(data: dict[str, object]) -> str:
    parts = [f"{name} {data[name]}" for name in ("path", "expected", "actual") if data.get(name) is not None]
    return f" ({', '.join(parts)})" if parts else ""
