"""The forms of single values on the wire: hex, money, accounts, heights, and the bounds of lists and waits.

One rule: a form fixes length and alphabet, so that a value is right or refused and never looked up by mistake.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta

from node.ledger.holds import NUMBER_BYTES_MAX
from node.ledger.pay import REF_BYTES_MAX
from node.ledger.transaction import TRANSACTION_BYTES_MAX

INTEGER_MAX: Final = 2**53
LIMIT_MAX: Final = 200
LIMIT_DEFAULT: Final = 50
SUBMIT_MANY_MAX: Final = 1_000
WAIT_MS_MAX: Final = 60_000
WAIT_MS_DEFAULT: Final = 10_000
CURSOR_CHARS_MAX: Final = 512

# The end-of-line that Python's $ would let pass is excluded by the length, or by the look-ahead.
Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", min_length=64, max_length=64, description="32 bytes, hex")]
RowId = Annotated[
    str,
    Meta(pattern="^[0-9a-f]{32}$", min_length=32, max_length=32, description="16 bytes, hex"),
]
Signature = Annotated[str, Meta(pattern="^[0-9a-f]{128}$", min_length=128, max_length=128, description="64 bytes, hex")]
Bytes = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$(?!\n)", description="bytes, lower-case hex")]
RawTransaction = Annotated[
    str,
    Meta(
        pattern="^(?:[0-9a-f]{32})*(?:[0-9a-f]{2}){0,15}$(?!\n)",  # sixteen bytes a step: a tenth of the time
        min_length=2,  # and no bound above but the body's: what is too large is refused by the ledger's own code
        description=f"a signed transaction of at most {TRANSACTION_BYTES_MAX} bytes, lower-case hex",
    ),
]
Ref = Annotated[
    str,
    Meta(pattern="^([0-9a-f]{2})+$(?!\n)", max_length=2 * REF_BYTES_MAX, description="a payment's reference, hex"),
]
AccountNumber = Annotated[
    str, Meta(pattern="^[0-9]{16}$", min_length=16, max_length=16, description="16 digits, the last 2 check the rest")
]
OrderNumber = Annotated[
    str, Meta(min_length=1, max_length=NUMBER_BYTES_MAX, description="the authority's own number of an order")
]
Money = Annotated[str, Meta(pattern="^(0|[1-9][0-9]{0,18})$(?!\n)", description="minor units (tyiyn for som), decimal")]
SignedMoney = Annotated[
    str,
    Meta(
        pattern="^(0|-?[1-9][0-9]{0,18})$(?!\n)",
        description="minor units, decimal; an issuer's balance is negative",
    ),
]
Height = Annotated[int, Meta(ge=0, le=INTEGER_MAX, description="a place in the chain; 0 is genesis")]
Milliseconds = Annotated[int, Meta(ge=0, le=INTEGER_MAX, description="Unix time or a duration in ms")]
Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
AssetId = Annotated[int, Meta(ge=1, le=65_535, description="1 is som")]
Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]
Cursor = Annotated[
    str, Meta(pattern="^([0-9a-f]{2})+$(?!\n)", max_length=CURSOR_CHARS_MAX, description="opaque; from next_cursor")
]
Name = Annotated[str, Meta(max_length=64)]
Order = Literal["asc", "desc"]
TransactionStatus = Literal["unknown", "pending", "applied", "failed", "expired"]
