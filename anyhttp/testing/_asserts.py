"""What tests assert of the requests that were made, and how a failure reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypedDict

from ..typedefs import Query
from ._answers import MISSING
from ._matching import BodyLike, Headers, RequestPattern, UrlLike, check_options
from ._requests import ReceivedRequest

__all__ = (
    "CallOptions",
    "assert_any",
    "assert_called",
    "assert_last",
    "assert_not_called",
    "assert_once",
    "assert_one",
    "expected_call",
    "shown_calls",
)

#: Most requests that a message lists.
_MOST: Final = 20


class CallOptions(TypedDict, total=False):
    """What a request is expected to have."""

    query: Query
    headers: Headers | None
    json: object
    body: BodyLike | None


def expected_call(method: str | None, url: UrlLike | None, options: CallOptions) -> RequestPattern:
    """Return what a request is expected to be.

    :raises TypeError: there is no such option, or one has the wrong type
    :raises ValueError: an option has a value that no request can have
    """
    check_options(options, CallOptions.__optional_keys__)
    json = options.get("json", MISSING)
    return RequestPattern(
        method,
        url,
        query=options.get("query"),
        headers=options.get("headers"),
        json=json,
        body=options.get("body"),
        handshake=None,
    )


def shown_calls(calls: Sequence[ReceivedRequest]) -> str:
    """Return requests for a message, one in each line."""
    lines = [f"\n  {call}" for call in calls[:_MOST]]
    if len(calls) > _MOST:
        lines.append(f"\n  and {len(calls) - _MOST} more")
    return "".join(lines) if lines else " none"


def assert_called(what: str, calls: Sequence[ReceivedRequest]) -> None:
    """Raise an error if there is no request.

    :param what: what they were made to, for the message
    """
    if not calls:
        raise AssertionError(f"{what}: expected a request, got none")


def assert_not_called(what: str, calls: Sequence[ReceivedRequest]) -> None:
    """Raise an error if there is a request."""
    if calls:
        raise AssertionError(f"{what}: expected no request, got {len(calls)}:{shown_calls(calls)}")


def assert_one(what: str, calls: Sequence[ReceivedRequest]) -> None:
    """Raise an error unless there is exactly one request."""
    if len(calls) != 1:
        raise AssertionError(f"{what}: expected one request, got {len(calls)}:{shown_calls(calls)}")


def assert_once(
    what: str, calls: Sequence[ReceivedRequest], expected: RequestPattern
) -> ReceivedRequest:
    """Return the request if there is exactly one, and it is as *expected*."""
    assert_one(what, calls)
    return _checked(what, calls[0], expected)


def assert_last(
    what: str, calls: Sequence[ReceivedRequest], expected: RequestPattern
) -> ReceivedRequest:
    """Return the last request if it is as *expected*."""
    assert_called(what, calls)
    return _checked(what, calls[-1], expected)


def assert_any(
    what: str, calls: Sequence[ReceivedRequest], expected: RequestPattern
) -> ReceivedRequest:
    """Return the first request that is as *expected*."""
    for call in calls:
        if expected.match(call) is not None:
            return call
    shown = "" if expected.url is None else f" like {expected}"
    reasons = [f"\n  {call}{_listed(expected.why_not(call), 4)}" for call in calls[:_MOST]]
    raise AssertionError(f"{what}: expected a request{shown}, got {''.join(reasons) or 'none'}")


def _checked(what: str, call: ReceivedRequest, expected: RequestPattern) -> ReceivedRequest:
    reasons = expected.why_not(call)
    if reasons:
        raise AssertionError(f"{what}: {call} is not as expected:{_listed(reasons, 2)}")
    return call


def _listed(reasons: Sequence[str], indent: int) -> str:
    return "".join(f"\n{' ' * indent}{reason}" for reason in reasons)
