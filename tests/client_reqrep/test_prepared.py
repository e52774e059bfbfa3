"""Headers that are rendered once for a session, and those that are put together for one request."""

from __future__ import annotations

from itertools import product

import pytest
from multidict import CIMultiDict
from yarl import URL

from anyhttp import BasicAuth
from anyhttp._targets import Destination
from anyhttp.client_reqrep import (
    DEFAULT_SETTINGS,
    ClientRequest,
    make_request,
    prepared_headers,
)
from anyhttp.client_reqrep._settings import GivenParts
from anyhttp.payload import BytesPayload, JsonPayload, Payload

pytestmark = pytest.mark.once

SESSION: tuple[dict[str, str], ...] = (
    {},
    {"X-One": "1"},
    {"Authorization": "Bearer x", "user-agent": "mine", "ACCEPT": "text/html"},
)
OWN: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("X-Id", "7"),),
    (("X-Id", "7"), ("x-id", " 8 "), ("X-Name", "grün")),
)


def body(kind: str) -> Payload | None:
    """Return a new body of a *kind*."""
    if kind == "json":
        return JsonPayload({"a": 1})
    return BytesPayload(b"12") if kind == "bytes" else None


def described(request: ClientRequest) -> dict[str, object]:
    """Return all that a request sends, and how."""
    block = request.header_block()
    return {
        "fields": block.fields,
        "lines": block.lines,
        "asks": (block.upgrades, block.closes),
        "target": request.target(),
        "headers": list(request.headers.items()),
        "framing": request.framing,
        "options": (request.chunked, request.compress, request.expect100),
        "undone": request._before_framing if request.payload or request.method == "POST" else None,
    }


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT"])
@pytest.mark.parametrize("kind", ["none", "bytes", "json"])
def test_both_ways_send_the_same(method: str, kind: str) -> None:
    """Fields beside the prepared ones are sent as if all had been put together, in that order."""
    url = URL("http://host:81/path?query#fragment")
    for given, own, cookies, auth in product(
        SESSION, OWN, (None, "a=1"), (None, BasicAuth("me", "x"))
    ):
        if auth is not None and "Authorization" in given:
            continue  # refused before
        headers = CIMultiDict(given)
        prepared = prepared_headers(headers, frozenset())
        assert prepared.fits(own)
        merged = CIMultiDict([*headers.items(), *own])
        made = [
            make_request(
                ClientRequest,
                GivenParts(
                    method, Destination(url), body(kind), auth, None, DEFAULT_SETTINGS, each, own
                ),
                merged,
                cookies,
            )
            for each in (prepared, None)
        ]
        assert made[0]._headers is None
        assert made[1]._headers is not None
        quick, slow = map(described, made)
        assert quick == slow


@pytest.mark.parametrize("fields", [("Content-Language",), ("Content-Type", "Content-Language")])
def test_a_body_that_is_described_by_other_fields(fields: tuple[str, ...]) -> None:
    """Only a media type goes beside the prepared fields, which may hold the others, too."""
    payload = BytesPayload(b"12", headers=dict.fromkeys(fields, "x/y"))
    for name in payload.headers.keys() - fields:
        del payload.headers[name]
    session = CIMultiDict({"Content-Language": "of the session"})
    given = GivenParts(
        "POST", Destination(URL("http://host/")), payload, None, None, DEFAULT_SETTINGS,
        prepared_headers(session, frozenset()), (),
    )  # fmt: skip
    sent = make_request(ClientRequest, given, session, None).header_block().fields
    assert [value for name, value in sent if name == "Content-Language"] == ["of the session"]


@pytest.mark.parametrize(
    "name", ["Host", "cookie", "Content-Type", "Content-Length", "Transfer-Encoding", "Expect",
             "Connection", "Upgrade", "Proxy-Authorization", "Content-Encoding"],
)  # fmt: skip
def test_what_is_not_rendered_beside_others(name: str) -> None:
    """Fields about the way of a request depend on others, so nothing is prepared with them."""
    assert not prepared_headers(CIMultiDict(), frozenset()).fits([(name, "1")])
    assert not prepared_headers(CIMultiDict({name: "1"}), frozenset()).is_simple


def test_a_field_of_the_session_is_replaced_by_the_requests() -> None:
    """The names are compared without regard to case, those of automatic fields too."""
    prepared = prepared_headers(CIMultiDict({"X-One": "1"}), frozenset())
    assert not prepared.fits([("x-oNE", "2")])
    assert not prepared.fits([("user-agent", "mine")])
    assert prepared.fits([("X-Two", "2")])


def test_what_cannot_be_sent_is_not_prepared() -> None:
    """The request that needs it says what is wrong."""
    assert not prepared_headers(CIMultiDict({"X": "a\nb"}), frozenset()).is_simple
    assert not prepared_headers(CIMultiDict({"a b": "c"}), frozenset()).is_simple


def test_heads_are_kept_for_a_bounded_number_of_hosts() -> None:
    """The oldest are dropped together."""
    prepared = prepared_headers(CIMultiDict({"X": "1"}), frozenset())
    for number in range(3000):
        destination = Destination(URL(f"http://host-{number}/"))
        block = prepared.block(destination, (), ())
        assert block.fields[0] == ("Host", f"host-{number}")
        assert prepared.block(destination, (), ()) is block
        assert len(prepared._by_host) <= 1024
