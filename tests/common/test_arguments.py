"""Checks of arguments: what is refused, by which exception, and in which words."""

from __future__ import annotations

import math
from typing import Any

import pytest

from anyhttp._common import check_count, check_seconds, checked_size, is_number


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        ("1", {}, "n must be an int, not str"),
        (1.0, {}, "n must be an int, not float"),
        (True, {}, "n must be an int, not bool"),
        (None, {}, "n must be an int, not NoneType"),
        ("1", {"optional": True}, "n must be an int or None, not str"),
        (-1, {}, "n must not be negative, got -1"),
        (0, {"least": 1}, "n must be at least 1, got 0"),
        (-1, {"optional": True}, "n must not be negative, got -1"),
    ],
)
def test_numbers_that_are_refused(value: object, options: dict[str, Any], message: str) -> None:
    """A wrong type is a ``TypeError``, a wrong value a ``ValueError``; both say of what."""
    kind = ValueError if isinstance(value, int) and value is not True else TypeError
    with pytest.raises(kind) as caught:
        check_count("n", value, **options)
    assert str(caught.value) == message


def test_numbers_that_are_taken() -> None:
    """From the least one on, and ``None`` where that stands for something."""
    check_count("n", 0)
    check_count("n", 1, least=1)
    check_count("n", None, optional=True)
    assert checked_size("n", 1) == 1
    with pytest.raises(ValueError, match=r"^n must be at least 1, got 0$"):
        checked_size("n", 0)


@pytest.mark.parametrize(
    ("value", "finite", "message"),
    [
        ("1", False, "t must be a number of seconds or None, not '1'"),
        (True, False, "t must be a number of seconds or None, not True"),
        (-1, False, "t must not be negative or NaN, got -1"),
        (math.nan, False, "t must not be negative or NaN, got nan"),
        (math.inf, True, "t must be finite, got inf"),
    ],
)
def test_seconds_that_are_refused(value: object, finite: bool, message: str) -> None:
    """The same for times."""
    kind = ValueError if is_number(value) else TypeError
    with pytest.raises(kind) as caught:
        check_seconds("t", value, finite=finite)
    assert str(caught.value) == message


def test_seconds_that_no_clock_can_add() -> None:
    """An ``int`` may be larger than each ``float`` but infinity."""
    with pytest.raises(ValueError, match=r"^t must be finite, got 10{400}$"):
        check_seconds("t", 10**400)


def test_seconds_that_have_to_be_given() -> None:
    """``None`` is not named among what is taken where it is not."""
    for value in (None, "1"):
        with pytest.raises(TypeError) as caught:
            check_seconds("t", value, optional=False)
        assert str(caught.value) == f"t must be a number of seconds, not {value!r}"


@pytest.mark.parametrize("value", [None, 0, 0.5, math.inf])
def test_seconds_that_are_taken(value: object) -> None:
    """Infinity is no limit."""
    check_seconds("t", value)
