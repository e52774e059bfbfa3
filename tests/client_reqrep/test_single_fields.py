"""Header fields that are read and set without making the dictionary of headers."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict
from yarl import URL

from anyhttp._targets import Destination
from anyhttp.client_reqrep import (
    DEFAULT_SETTINGS,
    ClientRequest,
    authorization_of,
    authorize,
    make_request,
    prepared_headers,
)
from anyhttp.client_reqrep._settings import GivenParts

pytestmark = pytest.mark.once


def request(method: str = "GET", **headers: str) -> ClientRequest:
    """Return a request of a session that has *headers*."""
    given = CIMultiDict(headers)
    destination = Destination(URL("https://api.test/"))
    prepared = prepared_headers(given, frozenset())
    parts = GivenParts(method, destination, None, None, None, DEFAULT_SETTINGS, prepared, ())
    return make_request(ClientRequest, parts, given, None)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("looked", [True, False])
@pytest.mark.parametrize("given", [{}, {"authorization": "Basic x"}, {"X-Name": "grün"}])
def test_it_is_sent_as_a_header_that_is_set(
    method: str, looked: bool, given: dict[str, str]
) -> None:
    """Whether the dictionary has been made before makes no difference."""
    one, other = request(method, **given), request(method, **given)
    if looked:
        assert one.headers
    assert authorization_of(one) == given.get("authorization")
    token = "Bearer abc"
    authorize(one, token)
    other.headers["Authorization"] = token
    assert authorization_of(one) is token
    other.settle(frozenset({"https"}))
    one.settle(frozenset({"https"}))
    # The length of the body may stand before or behind it.
    lines, others = (each.header_block().lines.split(b"\r\n") for each in (one, other))
    assert sorted(lines) == sorted(others)
    assert sorted(one.headers.items()) == sorted(other.headers.items())


def test_a_line_break_is_not_sent() -> None:
    """Whoever sets it gets to know."""
    with pytest.raises(ValueError, match="Authorization holds a control character"):
        authorize(request(), "Bearer x\r\nX: y")
