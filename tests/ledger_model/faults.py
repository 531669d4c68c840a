"""Operations of a wrong shape, each with one fault, and the code by which they are refused before execution."""

from random import Random
from typing import Any

Operation = tuple[Any, ...]


def draw(random: Random, operation: Operation) -> tuple[Operation, int]:
    """Return a faulty variant of an operation, and the code (docs/ledger.md, sections 2 and 3)."""
    return random.choice(_variants(operation))


def _variants(operation: Operation) -> list[tuple[Operation, int]]:
    found: list[tuple[Operation, int]] = [((99, *operation[1:]), 101), ((*operation, 0), 101)]
    match operation:
        case (1, asset, payer, legs, partial, _):
            to, amount, _ = legs[0]
            found += [
                ((1, asset, payer, (), partial, False), 109),
                ((1, asset, payer, ((9, 1, b""),) * 17, partial, False), 109),
                ((1, asset, payer, ((to, 0, b"r"),), partial, False), 301),
                ((1, asset, payer, ((to, 2**63, b"r"),), partial, False), 301),
                ((1, asset, payer, ((to, True, b"r"),), partial, False), 101),
                ((1, asset, payer, ((to, amount, b""),), partial, True), 212),
                ((1, asset, payer, ((to, amount, b"r" * 36),), partial, True), 101),
            ]
        case (2, asset, payer, legs, to, until, (hashed, categories, after, schema, subject, revocable)):
            plain = (hashed, categories, after, schema, subject, revocable)
            found += [
                ((2, asset, payer, (), to, until, plain), 109),
                ((2, asset, payer, ((payer, 0, b""),), to, until, plain), 301),
                ((2, asset, payer, ((0, 1, b""),), 0, until, plain), 212),
                ((2, asset, payer, ((0, 1, b""),), payer, until, (b"", *plain[1:])), 212),
                ((2, asset, payer, legs, to, until, (hashed, categories, after, "gold", "", revocable)), 212),
                ((2, asset, payer, legs, to, until, (hashed, categories, after, "", "x", revocable)), 212),
            ]
        case (3, by, key, *_):
            found += [
                ((3, by, key, 0, 0, b"", False), 212),
                ((3, by, key, 0, by, b"", True), 212),
                ((3, by, key, 0, 0, b"s", True), 212),
            ]
        case (4, 1, by, number, *rest):
            found += [((4, 1, by, number + 1, *rest), 212), ((4, 1, by, number, *rest[:3], (), 1, rest[5]), 203)]
        case (4, 3, number, keys, _):
            found += [((4, 3, number, keys, 1_000), 203), ((4, 3, number, (), 1), 203)]
        case (4, 4, by, number, keys, _):
            found += [((4, 4, by, number, keys, 0), 203), ((4, 4, by, number, keys * 2, 1), 203)]
        case (5, 1, by, asset, code, scale, issuer, _, *rest):
            found += [((5, 1, by, asset, code, scale, issuer, 0, *rest), 301), ((5, 1, by, 0, code, *rest), 101)]
            found += [((*operation[:-1], b""), 604)]
        case (5, *fields):
            found += [((5, *fields[:-1], b""), 604)]
        case (7, 1, by, number, target, _, incoming):
            found += [((7, 1, by, number, target, b"", incoming), 604)]
        case (7, 2 | 4 as act, by, number, _):
            found += [((7, act, by, number, b""), 604)]
        case (7, 3 | 5 as act, by, number, target, _, asset, _, *rest):
            found += [
                ((7, act, by, number, target, b"", asset, 1, *rest), 604),
                ((7, act, by, number, target, bytes(32), asset, 0, *rest), 301),
            ]
        case (8, 1, by, _, based_on, value):
            found += [
                ((8, 1, by, "nothing", based_on, value), 607),
                ((8, 1, by, "window_person_ms", based_on, 1), 212),
            ]
    return found
