"""Bytes that arrive in pieces."""

from __future__ import annotations

import tracemalloc

import pytest

from anyhttp._common import GrowingBytes

MEGABYTE = bytes(range(256)) * 4096


@pytest.mark.parametrize("expected", [0, 1, 10 * len(MEGABYTE), 10**12])
@pytest.mark.parametrize("number", [0, 1, 7, 10])
def test_they_are_joined(expected: int, number: int) -> None:
    """Whatever was expected."""
    whole = GrowingBytes(expected)
    for _ in range(number):
        whole.extend([b"x", MEGABYTE[1:]])
    assert whole.getvalue() == (b"x" + MEGABYTE[1:]) * number


def test_a_promise_is_not_believed() -> None:
    """No more is reserved than a few times what has come; here, nothing."""
    tracemalloc.start()
    try:
        whole = GrowingBytes(10**12)
        for _ in range(3):
            whole.extend([MEGABYTE[:-1] + b"x"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(MEGABYTE) * 3 <= peak < len(MEGABYTE) * 5


def test_one_that_is_believed_too_soon() -> None:
    """A quarter has come, so room for all is reserved, but not for more."""
    tracemalloc.start()
    try:
        whole = GrowingBytes(8 * len(MEGABYTE))
        for _ in range(2):
            whole.extend([MEGABYTE])
        peak = tracemalloc.get_traced_memory()[1]
        value = whole.getvalue()
        now = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert value == 2 * MEGABYTE
    assert peak < 8.5 * len(MEGABYTE)
    assert now < 2.5 * len(MEGABYTE)


@pytest.mark.parametrize("expected", [10 * len(MEGABYTE), 0])
def test_no_more_is_held_than_needed(expected: int) -> None:
    """Neither on the way nor at the end."""
    tracemalloc.start()
    try:
        whole = GrowingBytes(expected)
        for _ in range(10):
            whole.extend([MEGABYTE])
        value = whole.getvalue()
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(value) == 10 * len(MEGABYTE)
    assert now < 1.05 * len(value)
    assert peak < 1.5 * len(value)
