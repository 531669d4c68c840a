"""Errors of the RPC itself: numbers, names, whether to try again, and texts in three languages.

One rule: a number and a name never change their meaning. Positive codes are the ledger's own (node/ledger/errors.py);
the standard ones are JSON-RPC 2.0's; -32001 to -32019 are the server's.
"""

from dataclasses import dataclass, field
from typing import Final

from node.ledger.errors import LANGUAGES, Code, Language
from node.ledger.errors import text as ledger_text


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of error. ``retryable``: the same call may succeed later, unchanged."""

    code: int
    name: str
    retryable: bool
    ky: str
    ru: str
    en: str

    def text(self, language: Language) -> str:
        """Return the message in ``language``."""
        return {"ky": self.ky, "ru": self.ru, "en": self.en}[language]


PARSE_ERROR: Final = Fault(
    -32700, "parse_error", False, "Сурам туура JSON эмес", "Запрос не является корректным JSON", "The body is not JSON"
)
INVALID_REQUEST: Final = Fault(
    -32600,
    "invalid_request",
    False,
    "Сурам JSON-RPC 2.0 эрежесине туура келбейт",
    "Запрос не соответствует JSON-RPC 2.0",
    "The request is not JSON-RPC 2.0",
)
METHOD_NOT_FOUND: Final = Fault(
    -32601, "method_not_found", False, "Мындай ыкма жок", "Такого метода нет", "There is no such method"
)
INVALID_PARAMS: Final = Fault(
    -32602, "invalid_params", False, "Параметр туура эмес", "Неверный параметр", "A parameter is wrong"
)
INTERNAL_ERROR: Final = Fault(
    -32603, "internal_error", True, "Түйүндүн ички катасы", "Внутренняя ошибка узла", "The node failed to answer"
)
UNAUTHORIZED: Final = Fault(
    -32001, "unauthorized", False, "Кирүү токени керек", "Нужен токен доступа", "A token is needed"
)
FORBIDDEN: Final = Fault(-32002, "forbidden", False, "Уруксат жок", "Нет разрешения", "The role does not allow it")
RATE_LIMITED: Final = Fault(
    -32003, "rate_limited", True, "Сурамдар өтө көп", "Слишком много запросов", "Too many calls; slow down"
)
OVERLOADED: Final = Fault(
    -32004, "overloaded", True, "Түйүн ашыкча жүктөлгөн", "Узел перегружен", "The node is full; try again later"
)
SYNCING: Final = Fault(
    -32005,
    "syncing",
    True,
    "Түйүн тармактан артта калууда",
    "Узел отстаёт от сети",
    "The node is behind the network or behind min_height",
)
LIMIT_EXCEEDED: Final = Fault(
    -32006, "limit_exceeded", False, "Чектен ашты", "Превышен предел", "More was asked than one call may"
)
NOT_FOUND: Final = Fault(-32007, "not_found", False, "Табылган жок", "Не найдено", "There is no such thing")
PRUNED: Final = Fault(
    -32008, "pruned", False, "Бул түйүндө сакталбайт", "На этом узле уже не хранится", "This node no longer keeps it"
)
SLOW_CONSUMER: Final = Fault(
    -32009,
    "slow_consumer",
    True,
    "Окуялар өтө жай окулат",
    "События читаются слишком медленно",
    "Events read too slowly",
)
PROOF_UNAVAILABLE: Final = Fault(
    -32010,
    "proof_unavailable",
    True,
    "Далил азырынча жок: кийинки блок керек",
    "Доказательства пока нет: нужен следующий блок",
    "The proof waits for a later final block",
)
NOT_READY: Final = Fault(
    -32011,
    "not_ready",
    True,
    "Түйүн валидатор болууга азырынча даяр эмес",
    "Узел пока не готов стать валидатором",
    "The node is not ready to be a validator",
)
NOT_A_VALIDATOR: Final = Fault(
    -32012,
    "not_a_validator",
    True,
    "Бул түйүн азыр валидатор эмес: башкасына жөнөтүңүз",
    "Этот узел сейчас не валидатор: отправьте другому",
    "This node is not a validator now: submit to another",
)
STOPPING: Final = Fault(
    -32013,
    "stopping",
    True,
    "Түйүн токтоп жатат: башкасына кайрылыңыз",
    "Узел останавливается: обратитесь к другому",
    "The node is stopping: go on at another",
)

FAULTS: Final = (
    PARSE_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    INVALID_PARAMS,
    INTERNAL_ERROR,
    UNAUTHORIZED,
    FORBIDDEN,
    RATE_LIMITED,
    OVERLOADED,
    SYNCING,
    LIMIT_EXCEEDED,
    NOT_FOUND,
    PRUNED,
    SLOW_CONSUMER,
    PROOF_UNAVAILABLE,
    NOT_READY,
    NOT_A_VALIDATOR,
    STOPPING,
)


# The ledger's refusals that time alone may lift: the quota empties.
_RETRYABLE: Final = frozenset((Code.QUOTA,))
_BY_CODE: Final = {fault.code: fault for fault in FAULTS}


def fault_of(code: int) -> Fault:
    """Return the fault of a server's or a ledger's code. Raises KeyError or ValueError for a code of neither."""
    if code < 0:
        return _BY_CODE[code]
    known = Code(code)
    texts = {language: ledger_text(known, language) for language in LANGUAGES}
    return Fault(code, known.name, known in _RETRYABLE, **texts)


@dataclass(frozen=True, slots=True)
class Details:
    """What ``data`` says besides name and retryable; None is left out."""

    tx_id: str | None = None
    path: str | None = None
    expected: str | None = None
    actual: str | None = None
    retry_after_ms: int | None = None


class RpcError(Exception):
    """A call is answered with this fault."""

    def __init__(self, fault: Fault, **details: str | int | None) -> None:
        """Take the fault and the fields of Details."""
        super().__init__(fault.name)
        self.fault = fault
        self.details = Details(**details)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The ``error`` member of a reply."""

    code: int
    message: str
    data: dict[str, str | int | bool] = field(default_factory=dict)


def error_body(error: RpcError, language: Language) -> ErrorBody:
    """Return what the caller is told."""
    told = error.details
    found: dict[str, str | int | bool | None] = {
        "name": error.fault.name,
        "retryable": error.fault.retryable,
        "tx_id": told.tx_id,
        "path": told.path,
        "expected": told.expected,
        "actual": told.actual,
        "retry_after_ms": told.retry_after_ms,
    }
    data = {name: value for name, value in found.items() if value is not None}
    return ErrorBody(error.fault.code, error.fault.text(language), data)
