"""No bytes from outside end in anything but a value or the error that is meant for it."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS

EXAMPLES = 400


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name: str) -> None:
    @settings(max_examples=EXAMPLES)
    @given(st.binary(max_size=300))
    @example(b"")
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_fuzzer_begins_with(name: str) -> None:
    """Among it is what was found once."""
    for data in SEEDS[name]:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_good_bytes_with_some_of_them_changed(name: str) -> None:
    """Nearly right gets deeper into a parser than anything made up."""

    @settings(max_examples=EXAMPLES)
    @given(st.sampled_from(SEEDS[name]), st.integers(0, 2**32), st.integers(0, 6))
    def run(seed: bytes, chance: int, changes: int) -> None:
        TARGETS[name](mutated(seed, random.Random(chance), changes))

    run()


def mutated(data: bytes, chance: random.Random, changes: int) -> bytes:
    out = bytearray(data)
    for _ in range(changes):
        start = chance.randrange(len(out) + 1)
        end = min(len(out), start + chance.choice((0, 1, 1, 1, 2, 8)))
        piece = chance.choice((b"", b"\n", b"\0", b"-", b"\xff", b" ", bytes([chance.randrange(256)]), bytes(out[:9])))
        out[start:end] = piece
    return bytes(out)
