"""How a body is sent: in chunks or with its length, compressed or not, asked for or not."""

from __future__ import annotations

from typing import Any, Final

import pytest
from multidict import CIMultiDict
from yarl import URL

from anyhttp import BytesPayload, ClientRequest, HttpVersion10, Payload
from anyhttp._http1 import NO_BODY, Framing, framing_fields, framing_of_request
from anyhttp.payload import Writer


class Endless(Payload):
    """A body of which nobody knows how long it is."""

    async def write(self, writer: Writer) -> None:
        """Write nothing."""


THREE: Final = BytesPayload(b"abc")
NONE: Final = BytesPayload(b"")
STREAM: Final = Endless(None)
LENGTH: Final = {"Content-Length": "2"}
CODED: Final = {"Transfer-Encoding": "chunked"}
EXPECT: Final = {"Expect": "100-Continue"}

# payload, headers given, options, and what comes of them
FRAMINGS: Final[list[tuple[Payload | None, dict[str, str], dict[str, Any], Framing]]] = [
    # -- no body
    (None, {}, {"anticipates_content": False}, NO_BODY),
    (None, {}, {}, Framing(content_length=0)),
    (None, {}, {"version": HttpVersion10}, Framing(content_length=0)),
    (None, {"Content-Length": "0"}, {"anticipates_content": False}, Framing(content_length=0)),
    (None, {}, {"chunked": True}, Framing(chunked=True)),
    (None, {}, {"chunked": True, "anticipates_content": False}, Framing(chunked=True)),
    (None, CODED, {}, Framing(chunked=True)),
    (None, {}, {"compress": "gzip"}, Framing(content_length=0)),
    (None, {}, {"expect100": True}, Framing(content_length=0)),
    (None, EXPECT, {"anticipates_content": False}, NO_BODY),
    # -- one whose length is known
    (THREE, {}, {}, Framing(content_length=3)),
    (THREE, {}, {"anticipates_content": False}, Framing(content_length=3)),
    (THREE, {}, {"chunked": False, "version": HttpVersion10}, Framing(content_length=3)),
    (THREE, LENGTH, {}, Framing(content_length=2)),
    (THREE, {"Content-Length": "3"}, {}, Framing(content_length=3)),
    (THREE, {}, {"chunked": True}, Framing(chunked=True)),
    (THREE, {"Transfer-Encoding": " Chunked"}, {}, Framing(chunked=True)),
    (THREE, {}, {"compress": "gzip"}, Framing(chunked=True, compress="gzip")),
    (THREE, CODED, {"compress": "deflate"}, Framing(chunked=True, compress="deflate")),
    (THREE, {"Content-Encoding": "gzip"}, {}, Framing(content_length=3)),
    (THREE, {}, {"expect100": True}, Framing(content_length=3, expect_continue=True)),
    (THREE, EXPECT, {}, Framing(content_length=3, expect_continue=True)),
    (THREE, {"Expect": "other"}, {}, Framing(content_length=3)),
    # -- one of no bytes: there is nothing to compress
    (NONE, {}, {}, Framing(content_length=0)),
    (NONE, {}, {"compress": "gzip"}, Framing(content_length=0)),
    (NONE, {}, {"chunked": True}, Framing(chunked=True)),
    # -- one whose length nobody knows
    (STREAM, {}, {}, Framing(chunked=True)),
    (STREAM, {}, {"chunked": False}, Framing(chunked=True)),
    (STREAM, LENGTH, {"version": HttpVersion10}, Framing(content_length=2)),
    (STREAM, {}, {"compress": "gzip"}, Framing(chunked=True, compress="gzip")),
]


@pytest.mark.parametrize(("payload", "headers", "options", "framing"), FRAMINGS)
def test_the_framing_of_a_request(
    payload: Payload | None, headers: dict[str, str], options: dict[str, Any], framing: Framing
) -> None:
    """RFC 9112 §6: a length or chunks, never both; RFC 9110 §8.6: 0 where a body is usual."""
    assert framing_of_request(payload, CIMultiDict(headers), **options) == framing


@pytest.mark.parametrize(
    ("payload", "headers", "options", "message"),
    [
        (None, LENGTH, {}, "announces a body"),
        (THREE, {"Content-Length": "4"}, {}, "announces 4 bytes, but the body has 3"),
        (THREE, {"Content-Length": "+3"}, {}, "must be a number"),
        (THREE, {"Content-Length": "\u0663"}, {}, "must be a number"),
        (THREE, {"Transfer-Encoding": "gzip, chunked"}, {}, "can only be chunked"),
        (THREE, {**LENGTH, **CODED}, {}, "Content-Length header"),
        (THREE, LENGTH, {"chunked": True}, "Content-Length header"),
        (THREE, CODED, {"chunked": True}, "Transfer-Encoding header"),
        (THREE, LENGTH, {"compress": "gzip"}, "Content-Length header"),
        (THREE, {"Content-Encoding": "br"}, {"compress": "gzip"}, "Content-Encoding header"),
        (None, {}, {"chunked": True, "version": HttpVersion10}, "HTTP/1.0"),
        (THREE, {}, {"compress": "gzip", "version": HttpVersion10}, "HTTP/1.0"),
        (STREAM, {}, {"version": HttpVersion10}, "HTTP/1.0"),
    ],
)
def test_what_contradicts_itself(
    payload: Payload | None, headers: dict[str, str], options: dict[str, Any], message: str
) -> None:
    """A recipient that believed the other half would see another request behind this one."""
    with pytest.raises(ValueError, match=message):
        framing_of_request(payload, CIMultiDict(headers), **options)


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding"])
def test_what_is_given_twice(name: str) -> None:
    """Also with the same value: RFC 9110 §5.3 allows it for lists only."""
    headers: CIMultiDict[str] = CIMultiDict([(name, "3"), (name, "3")])
    with pytest.raises(ValueError, match="only once"):
        framing_of_request(THREE, headers)


@pytest.mark.parametrize(
    ("framing", "headers", "fields"),
    [
        (NO_BODY, {}, {}),
        (Framing(content_length=3), {}, {"Content-Length": "3"}),
        (Framing(content_length=2), LENGTH, {}),
        (Framing(chunked=True), {}, CODED),
        (Framing(chunked=True), CODED, {}),
        (Framing(chunked=True, compress="gzip"), {}, {"Content-Encoding": "gzip", **CODED}),
        (
            Framing(content_length=3, expect_continue=True),
            {},
            {"Expect": "100-continue", "Content-Length": "3"},
        ),
        (Framing(content_length=2, expect_continue=True), {**LENGTH, **EXPECT}, {}),
    ],
)
def test_the_fields_that_say_it(
    framing: Framing, headers: dict[str, str], fields: dict[str, str]
) -> None:
    """Those that the caller gave are not made again."""
    assert dict(framing_fields(framing, CIMultiDict(headers))) == fields


class TestOfARequest:
    """What the headers and the attributes of a request say of it, and when that changes."""

    def request(self, data: object, **options: Any) -> ClientRequest:
        """Return a POST."""
        headers = CIMultiDict(options.pop("headers", {}))
        return ClientRequest("POST", URL("http://a/"), headers, data=data, **options)

    async def test_what_was_asked_for_outlasts_a_body_without_need_of_it(self) -> None:
        """An empty body is not compressed; the one that takes its place is."""
        request = self.request(None, compress="gzip", expect100=True)
        assert (request.chunked, request.compress, request.expect100) == (None, None, False)
        assert request.headers["Content-Length"] == "0"
        await request.update_body(b"abc")
        assert (request.chunked, request.compress, request.expect100) == (True, "gzip", True)
        assert request.headers["Content-Encoding"] == "gzip"
        assert request.headers["Expect"] == "100-continue"
        assert "Content-Length" not in request.headers

    async def test_what_nobody_asked_for_goes_with_the_body_that_needed_it(self) -> None:
        """Chunks are for a stream, and a length for bytes."""
        request = self.request(Endless(None))
        assert (request.chunked, request.headers["Transfer-Encoding"]) == (True, "chunked")
        await request.update_body(b"abc")
        assert (request.chunked, request.headers["Content-Length"]) == (None, "3")
        assert "Transfer-Encoding" not in request.headers

    def test_attributes_that_were_set(self) -> None:
        """They hold from then on."""
        request = self.request(b"abc", compress="gzip", expect100=True)
        request.compress, request.expect100 = None, False
        request.settle(frozenset({"http"}))
        assert request.framing == Framing(content_length=3)
        assert not {"Expect", "Content-Encoding", "Transfer-Encoding"} & request.headers.keys()

    def test_a_payload_put_there_directly(self) -> None:
        """The length that was announced for the one before is not that of this one."""
        request = self.request(b"a longer body")
        request.body = THREE
        request.settle(frozenset({"http"}))
        assert request.headers["Content-Length"] == "3"
        assert request.framing == Framing(content_length=3)

    def test_headers_that_were_changed(self) -> None:
        """They count as given, and what they leave out is made again."""
        request = self.request(Endless(None))
        request.headers["Content-Length"] = "2"
        request.settle(frozenset({"http"}))
        assert request.framing == Framing(content_length=2)
        del request.headers["Content-Length"]
        request.settle(frozenset({"http"}))
        assert request.framing == Framing(chunked=True)

    def test_a_subclass_whose_constructor_changes_headers(self) -> None:
        """What they say in the end is what is sent."""

        class Short(ClientRequest):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                self.headers["Content-Length"] = "2"

        request = Short("POST", URL("http://a/"), CIMultiDict(), data=b"abc")
        assert ("Content-Length", "2") in request.fields()
        assert request.framing == Framing(content_length=2)

    def test_http_1_0(self) -> None:
        """It knows no chunks."""
        with pytest.raises(ValueError, match=r"HTTP/1\.0"):
            self.request(Endless(None), version=HttpVersion10)
