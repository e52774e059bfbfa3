"""Whether the rest of a file would belong to its beginning."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from anyhttp._downloads.validator import is_still_valid, is_validator, validator_of

CHANGED = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ETag": '"a"'}, '"a"'),
        ({"ETag": '""'}, '""'),
        ({"ETag": 'W/"a"'}, None),
        ({"ETag": "a"}, None),
        ({"ETag": '"ä"'}, None),
        ({"ETag": f'"{"a" * 1001}"'}, None),
        ({"ETag": '"a"', "Accept-Ranges": "none"}, None),
        ({"ETag": '"a"', "Accept-Ranges": "bytes"}, '"a"'),
        ({"Last-Modified": CHANGED, "Date": LATER}, CHANGED),
        ({"Last-Modified": CHANGED, "Date": CHANGED}, None),
        ({"Last-Modified": CHANGED}, None),
        ({"Last-Modified": "yesterday", "Date": LATER}, None),
        ({"Last-Modified": CHANGED, "Date": "x" * 9000}, None),
        ({"ETag": 'W/"a"', "Last-Modified": CHANGED, "Date": LATER}, None),
        ({}, None),
    ],
)
def test_what_if_range_can_name(headers: dict[str, str], expected: str | None) -> None:
    """RFC 9110 §13.1.5: a strong tag, else a date that is strong (§8.8.2.2), and no weak tag."""
    found = validator_of(CIMultiDict(headers))
    assert found == expected
    assert found is None or is_validator(found)


@pytest.mark.parametrize(
    ("validator", "headers", "expected"),
    [
        ('"a"', {"ETag": '"a"'}, True),
        ('"a"', {"ETag": '"b"'}, False),
        ('"a"', {"ETag": 'W/"a"'}, False),
        ('"a"', {}, False),
        (CHANGED, {"Last-Modified": CHANGED}, True),
        (CHANGED, {"Last-Modified": LATER}, False),
        (CHANGED, {}, True),
        (CHANGED, {"ETag": '"a"'}, False),
    ],
)
def test_whether_a_part_is_of_the_same_file(
    validator: str, headers: dict[str, str], expected: bool
) -> None:
    """RFC 9110 §15.3.7: a tag is repeated with status 206, the date need not be."""
    assert is_still_valid(validator, CIMultiDict(headers)) is expected
