"""Header sections that a hostile server sends, and secrets in those that the client sends.

The chapter "HTTP/2" of ``docs/explanation/trust.md`` says what must happen; each test names a rule.
"""

from __future__ import annotations

import logging
import tracemalloc
from typing import Any

import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from hpack import NeverIndexedHeaderTuple
from hyperframe.frame import RstStreamFrame

from anyhttp._http1 import Limits
from anyhttp._http2 import Http2Options
from anyhttp._http2.state import StreamState
from tests.support.cost import calls_of
from tests.support.http2_probe import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    Probe,
    data,
    frame,
    ping,
    settings,
)
from tests.support.reachable import reachable

PROTOCOL_ERROR, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 1, 9, 11
OK = (":status", "200")
SECRET = "nobody-may-read-this"


def malformed(
    probe: Probe, state: StreamState, other: StreamState, code: int = PROTOCOL_ERROR
) -> None:
    """Check that one exchange has failed, and that *other* does not notice."""
    assert state.error is not None
    assert not state.complete
    assert state.has_news
    assert probe.reset_of(state) == code
    probe.feed(probe.head(other.stream_id), data(other.stream_id, b"whole", end=True))
    assert other.complete
    assert other.error is None
    assert b"".join(other.pieces) == b"whole"
    assert probe.core.error is None
    assert probe.went_away is None


class TestMalformed:
    @pytest.mark.parametrize(
        "fields",
        [
            [],
            [("x-a", "b")],
            [(":status", "")],
            [(":status", "20")],
            [(":status", "2000")],
            [(":status", "+20")],
            [(":status", "2 0")],
            [(":status", "200 ")],
            [(":status", " 200")],
            [(":status", "0200")],
            [(":status", "-200")],
            [(":status", "000")],
            [(":status", "099")],
            [(":status", "abc")],
            [(":status", b"\xb2\xb0\xb0")],
            [(":status", "101")],
            [OK, (":status", "200")],
            [OK, (":status", "404")],
            [("x-a", "b"), OK],
            [OK, ("x-a", "b"), (":status", "200")],
            [OK, (":path", "/")],
            [OK, (":method", "GET")],
            [OK, (":unknown", "x")],
            [OK, (":", "x")],
            [OK, ("", "x")],
            [OK, ("X-Upper", "x")],
            [OK, ("x-Upper", "x")],
            [OK, ("x a", "b")],
            [OK, ("x:a", "b")],
            [OK, ("x-a:", "b")],
            [OK, (b"x-\x00", "b")],
            [OK, (b"x-\xff", "b")],
            [OK, (b"x\r\nevil", "b")],
            [OK, ("x-a", b"b\r\nEvil: 1")],
            [OK, ("x-a", b"b\nc")],
            [OK, ("x-a", b"b\rc")],
            [OK, ("x-a", b"b\x00c")],
            [OK, ("connection", "close")],
            [OK, ("keep-alive", "timeout=5")],
            [OK, ("proxy-connection", "keep-alive")],
            [OK, ("transfer-encoding", "chunked")],
            [OK, ("upgrade", "h2c")],
            [OK, ("content-length", "-1")],
            [OK, ("content-length", "+1")],
            [OK, ("content-length", "1_0")],
            [OK, ("content-length", "0x10")],
            [OK, ("content-length", "")],
            [OK, ("content-length", "1,2")],
            [OK, ("content-length", "1"), ("content-length", "2")],
            [OK, ("content-length", b"\xb2")],
            [OK, ("content-length", "9" * 5000)],
        ],
        ids=repr,
    )
    def test_a_malformed_head_fails_its_exchange(self, fields: list[Any]) -> None:
        """RFC 9113 §8.1.1, §8.2 and §8.3: a stream error of type PROTOCOL_ERROR."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(probe.headers(state.stream_id, *fields))
        malformed(probe, state, other)
        assert state.head is None

    @pytest.mark.parametrize(
        "fields",
        [
            [OK],
            [(":path", "/")],
            [("X-Upper", "x")],
            [("x-a", b"b\r\nc")],
            [("connection", "close")],
            [("", "x")],
        ],
        ids=repr,
    )
    def test_a_malformed_trailer_fails_its_exchange(self, fields: list[Any]) -> None:
        """No pseudo-header field is allowed in it (RFC 9113 §8.1)."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(probe.head(1), data(1, b"x"), probe.headers(1, *fields, end=True))
        malformed(probe, state, other)

    def test_fields_after_the_head_end_the_response(self) -> None:
        """RFC 9113 §8.1: trailers without END_STREAM are malformed, a second head as well."""
        for fields in ([OK], [("x-a", "b")]):
            probe = Probe()
            state, other = probe.request(), probe.request()
            probe.feed(probe.head(1), probe.headers(1, *fields))
            malformed(probe, state, other)

    def test_an_informational_head_after_the_final_one(self) -> None:
        """It would be taken for a trailer, or for the next response."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(probe.head(1), probe.head(1, 103))
        malformed(probe, state, other)

    def test_an_informational_head_that_ends_the_stream(self) -> None:
        """RFC 9113 §8.1: malformed."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(probe.head(1, 103, end=True))
        malformed(probe, state, other)

    @pytest.mark.parametrize("end", [False, True])
    def test_data_comes_after_the_head(self, end: bool) -> None:
        """RFC 9113 §8.1."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(data(1, b"x", end=end))
        malformed(probe, state, other)

    def test_nor_after_an_informational_one(self) -> None:
        """It is no head of a response."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(probe.head(1, 103), data(1, b"x"))
        malformed(probe, state, other)

    @pytest.mark.parametrize("line", [b"a\tb", b"a\x01b", b"\x7f", b"\xff\xfe", b"\xc3\xa4"])
    def test_other_characters_are_read(self, line: bytes) -> None:
        """RFC 9113 §8.2.1 names those that are not."""
        probe = Probe()
        state = probe.request()
        probe.feed(probe.head(1, 200, ("x-a", line), end=True))
        assert state.head is not None
        assert dict(state.head.raw_headers)[b"x-a"] == line


class TestContentLength:
    @pytest.mark.parametrize(
        ("length", "pieces"),
        [
            ("5", [b"1234"]),
            ("5", [b"123", b"456"]),
            ("5", [b"123456"]),
            ("0", [b"1"]),
            ("5", []),
            ("18446744073709551621", [b"12345"]),
        ],
    )
    @pytest.mark.parametrize("ends", ["data", "empty data", "trailers"])
    def test_the_data_is_as_long_as_announced(
        self, length: str, pieces: list[bytes], ends: str
    ) -> None:
        """RFC 9113 §8.1.1, however the stream ends."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(probe.head(1, 200, ("content-length", length)))
        last = pieces[-1:] if ends == "data" else []
        for piece in pieces[: len(pieces) - len(last)]:
            probe.feed(data(1, piece))
        if state.error is None:
            if ends == "trailers":
                probe.feed(probe.headers(1, ("x-a", "b"), end=True))
            else:
                probe.feed(data(1, *last, end=True))
        malformed(probe, state, other)

    def test_also_if_the_head_ends_the_stream(self) -> None:
        """There is no DATA to look at then."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(probe.head(1, 200, ("content-length", "5"), end=True))
        malformed(probe, state, other)

    @pytest.mark.parametrize("fields", [[("content-length", "5")] * 2, [("content-length", "5,5")]])
    def test_the_same_one_twice(self, fields: list[Any]) -> None:
        """RFC 9110 §8.6 lets a client read it."""
        probe = Probe()
        state = probe.request()
        probe.feed(probe.head(1, 200, *fields), data(1, b"12345", end=True))
        assert state.complete
        assert state.error is None

    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
    @pytest.mark.parametrize("end", ["head", "data"])
    def test_without_a_body_it_is_information(self, method: str, status: int, end: str) -> None:
        """RFC 9110 §8.6; the end may come with the head, or with empty DATA."""
        probe = Probe()
        state = probe.request(method)
        fields = [("content-length", "5")] if status != 204 else []
        probe.feed(probe.head(1, status, *fields, end=end == "head"))
        if end == "data":
            probe.feed(data(1, end=True))
        assert state.complete
        assert state.error is None
        assert probe.core.error is None

    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
    def test_and_no_data_may_come(self, method: str, status: int) -> None:
        """It is not the answer to anything."""
        probe = Probe()
        state, other = probe.request(method), probe.request()
        probe.feed(probe.head(1, status), data(1, b"x", end=True))
        malformed(probe, state, other)


class TestCompression:
    @pytest.mark.parametrize(
        "block",
        [
            b"\x80",  # index 0
            b"\xff\x80\x01",  # an index that the table does not have
            b"\xbe",  # the first one of the table, which is empty
            b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # an endless number
            b"\x88\x3f\xe1\x1f",  # a change of the table after a field
            b"\x3f\xe2\x1f",  # a table of 4097 bytes
            b"\x3f\xff\xff\xff\xff\x0f",  # a huge table
            b"\x88\x00",  # a field that is cut off
            b"\x88\x00\x05abc",
            b"\x88\x00\x01a\x7f\xff\xff\xff\x7f",
            b"\x88\x00\x81\xff\x01a",  # Huffman: 8 bits of padding
            b"\x88\x00\x84\xff\xff\xff\xff\x01a",  # Huffman: the end of a string
            b"\x88\x00\x81\x00\x01a",  # Huffman: padding of zeros
        ],
        ids=bytes.hex,
    )
    def test_what_cannot_be_decompressed_ends_the_connection(self, block: bytes) -> None:
        """RFC 9113 §4.3: COMPRESSION_ERROR, as the table is no longer the server's."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
        assert probe.went_away == COMPRESSION_ERROR
        assert not probe.core.can_open
        assert state.failure is not None
        assert other.failure is not None

    def test_a_bomb_ends_the_connection(self) -> None:
        """CVE-2016-6581: a large field of the table, and thousands of bytes that name it."""
        probe = Probe()
        state = probe.request()
        probe.feed(probe.head(1, 103, ("x-bomb", "b" * 4000)))
        tracemalloc.start()
        probe.feed(frame(HEADERS, END_HEADERS, 1, b"\x88" + b"\xbe" * 16_000))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 2**21
        assert probe.went_away == ENHANCE_YOUR_CALM
        assert state.failure is not None

    def test_its_limit_holds_from_the_first_byte(self) -> None:
        """Not from the acknowledgement of the SETTINGS that tell it.

        What is a little too large fails its exchange only, as it can still be decompressed.
        """
        probe = Probe(Http2Options(max_header_list_size=2000), greeted=False)
        state, other = probe.request(), probe.request()
        probe.feed(settings(), probe.head(1, 200, *[("x-a", "b")] * 80, end=True))
        malformed(probe, state, other, ENHANCE_YOUR_CALM)
        probe.feed(probe.head(probe.request().stream_id, 200, *[("x-a", "b")] * 200, end=True))
        assert probe.went_away == ENHANCE_YOUR_CALM

    def test_many_small_fields_cost_what_they_are(self) -> None:
        """A field of one byte counts 32 more (RFC 7541 §4.1)."""
        probe = Probe()
        probe.request()
        block = b"\x88" + b"\x0f\x00\x00" * 15_000  # accept-charset, empty
        calls = calls_of(lambda: probe.core.receive(frame(HEADERS, END_HEADERS, 1, block)))
        assert probe.went_away == ENHANCE_YOUR_CALM
        assert calls < 200_000

    def test_a_block_of_nothing_but_changes_of_the_table(self) -> None:
        """Each of them is one byte; two are of use (RFC 7541 §4.2)."""
        probe = Probe()
        probe.request()
        block = b"\x20" * 16_000
        calls = calls_of(lambda: probe.core.receive(frame(HEADERS, END_HEADERS, 1, block)))
        assert calls < 200_000
        probe.read()


class TestContinuation:
    def test_what_is_joined_is_bounded(self) -> None:
        """CVE-2024-27316, CVE-2024-28182 and others: a section that never ends."""
        probe = Probe()
        state = probe.request()
        tracemalloc.start()
        probe.feed(frame(HEADERS, 0, 1, probe.block(OK)))
        for _ in range(200):
            if probe.core.error is None:
                probe.feed(frame(CONTINUATION, 0, 1, bytes(16_384)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert probe.went_away == ENHANCE_YOUR_CALM
        assert state.failure is not None
        assert most < 2**20

    @pytest.mark.parametrize("size", [0, 1])
    def test_so_are_small_frames(self, size: int) -> None:
        """CVE-2019-9516 and others: frames of nothing."""
        probe = Probe()
        state = probe.request()
        probe.feed(frame(HEADERS, 0, 1, probe.block(OK)))
        for _ in range(1000):
            if probe.core.error is None:
                probe.feed(frame(CONTINUATION, 0, 1, bytes(size)))
        assert probe.went_away == ENHANCE_YOUR_CALM
        assert state.failure is not None

    def test_all_of_them_in_one_piece(self) -> None:
        """Not one recursion for each (sys.getrecursionlimit())."""
        probe = Probe()
        state = probe.request()
        flood = frame(CONTINUATION, 0, 1) * 100_000
        probe.feed(frame(HEADERS, 0, 1, probe.block(OK)) + flood)
        assert probe.went_away == ENHANCE_YOUR_CALM
        assert state.failure is not None

    def test_a_section_may_come_in_several_frames(self) -> None:
        """As servers send it when it is larger than a frame."""
        probe = Probe()
        state = probe.request()
        fields = [(f"x-{each}", "v" * 500) for each in range(80)]
        block = probe.block(OK, *fields)
        assert len(block) > 16_384
        first, second = block[:16_384], block[16_384:]
        probe.feed(frame(HEADERS, END_STREAM, 1, first))
        assert not state.complete
        probe.feed(frame(CONTINUATION, END_HEADERS, 1, second))
        assert state.complete
        assert state.head is not None
        assert len(state.head.raw_headers) == 80

    @pytest.mark.parametrize("kind", ["data", "headers", "ping", "other", "unknown", "priority"])
    def test_nothing_comes_between_them(self, kind: str) -> None:
        """RFC 9113 §6.10: PROTOCOL_ERROR, of whatever type and stream."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        between = {
            "data": data(1, b"x"),
            "headers": probe.head(1),
            "ping": ping(),
            "other": frame(CONTINUATION, END_HEADERS, 3),
            "unknown": frame(0x50),
            "priority": frame(2, 0, 1, bytes(5)),
        }
        probe.feed(frame(HEADERS, 0, 1, probe.block(OK)), between[kind])
        assert probe.went_away == PROTOCOL_ERROR
        assert state.failure is not None
        assert other.failure is not None

    def test_none_comes_without_a_start(self) -> None:
        """RFC 9113 §6.10: PROTOCOL_ERROR."""
        probe = Probe()
        state = probe.request()
        probe.feed(probe.head(1), frame(CONTINUATION, END_HEADERS, 1, probe.block(("x-a", "b"))))
        assert probe.went_away == PROTOCOL_ERROR
        assert state.failure is not None


class TestLimits:
    """Those of the session (``max_headers``, ``max_field_size``) fail one exchange only."""

    LIMITS = Limits(max_line_size=100, max_field_size=200, max_headers=10)

    @pytest.mark.parametrize(
        "fields",
        [
            [("x-a", "v" * 300)],
            [("x-" + "a" * 300, "v")],
            [(f"x-{each}", "v") for each in range(11)],
        ],
        ids=["value", "name", "number"],
    )
    def test_of_the_head(self, fields: list[Any]) -> None:
        """As over HTTP/1.1; the next exchange on the connection may have others."""
        probe = Probe()
        state, other = probe.request(limits=self.LIMITS), probe.request()
        probe.feed(probe.head(1, 200, *fields))
        assert state.head is None
        malformed(probe, state, other, ENHANCE_YOUR_CALM)

    @pytest.mark.parametrize(
        "fields", [[("x-a", "v" * 300)], [(f"x-{each}", "v") for each in range(11)]]
    )
    def test_of_the_trailer(self, fields: list[Any]) -> None:
        """It has as many as the head."""
        probe = Probe()
        state, other = probe.request(limits=self.LIMITS), probe.request()
        probe.feed(probe.head(1), probe.headers(1, *fields, end=True))
        malformed(probe, state, other, ENHANCE_YOUR_CALM)

    def test_of_an_informational_head(self) -> None:
        """As well."""
        probe = Probe()
        state, other = probe.request(limits=self.LIMITS), probe.request()
        probe.feed(probe.head(1, 103, ("link", "v" * 300)))
        malformed(probe, state, other, ENHANCE_YOUR_CALM)

    def test_what_is_at_the_limit_is_read(self) -> None:
        """Pseudo-header fields do not count: HTTP/1.1 has none."""
        probe = Probe()
        state = probe.request(limits=self.LIMITS)
        fields = [(f"x-{each}", "v" * 190) for each in range(10)]
        probe.feed(probe.head(1, 200, *fields, end=True))
        assert state.complete
        assert state.error is None

    def test_the_list_is_announced(self) -> None:
        """SETTINGS_MAX_HEADER_LIST_SIZE tells the server."""
        probe = Probe(Http2Options(max_header_list_size=12_345))
        assert probe.frames[0].settings[6] == 12_345  # type: ignore[attr-defined]


class TestSecrets:
    NAMES = ("Authorization", "Proxy-Authorization", "Cookie")

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("size", [1, 19, 20, 500])
    def test_credentials_are_never_indexed(self, name: str, size: int) -> None:
        """RFC 7541 §7.1.3: no table has them, neither here nor in a proxy between."""
        probe = Probe()
        value = "s" * size
        for _ in range(2):
            state = probe.request(fields=[(name, value)])
            (block,) = [one.data for one in probe.frames if one.stream_id == state.stream_id]  # type: ignore[attr-defined]
            found = [
                each
                for each in probe.decoder.decode(block, raw=True)
                if each[0] == name.lower().encode()
            ]
            assert [bytes(each[1]) for each in found] == [value.encode()]
            assert all(isinstance(each, NeverIndexedHeaderTuple) for each in found)
        assert name.lower().encode() not in {
            n for n, _ in probe.decoder.header_table.dynamic_entries
        }

    def test_several_cookies_are_never_indexed_either(self) -> None:
        """However they are split (RFC 9113 §8.2.3)."""
        probe = Probe()
        cookies = "; ".join(f"c{each}={'v' * 30}" for each in range(5))
        state = probe.request(fields=[("Cookie", cookies)])
        (block,) = [one.data for one in probe.frames if one.stream_id == state.stream_id]  # type: ignore[attr-defined]
        found = [each for each in probe.decoder.decode(block, raw=True) if each[0] == b"cookie"]
        assert b"; ".join(bytes(each[1]) for each in found).decode() == cookies
        assert all(isinstance(each, NeverIndexedHeaderTuple) for each in found)

    @pytest.mark.parametrize("name", NAMES)
    def test_nothing_is_kept_of_them(self, name: str) -> None:
        """A connection remembers heads that come again, but not what is secret in them."""
        probe = Probe()
        for number in (1, 3):
            probe.request(fields=[(name, SECRET), ("X-Other", "kept")])
            probe.feed(probe.head(number, end=True))
        probe.news.clear()
        kept = [each for each in reachable(probe.core) if isinstance(each, (str, bytes))]
        texts = [each if isinstance(each, str) else each.decode("latin-1") for each in kept]
        assert not [text for text in texts if SECRET in text]
        assert [text for text in texts if "kept" in text]

    def test_no_log_has_them(self, caplog: pytest.LogCaptureFixture) -> None:
        """The library beneath would log what it compresses, if a program logs everything."""
        probe = Probe()
        answer = probe.head(1, 200, ("set-cookie", f"a={SECRET}"), end=True)  # logged by the peer
        caplog.set_level(logging.DEBUG)
        state = probe.request(fields=[("Authorization", f"Bearer {SECRET}"), ("X-Key", SECRET)])
        probe.feed(answer)
        assert state.complete
        assert SECRET not in caplog.text
        assert not [one for one in caplog.records if one.name.startswith(("hpack", "h2", "hyper"))]

    def test_no_error_has_them(self) -> None:
        """Of a malformed field it names what is wrong, and of its value no more than HTTP/1.1."""
        probe = Probe()
        state = probe.request()
        probe.feed(probe.head(1, 200, ("set-cookie", f"a=b\r\nset-cookie: {SECRET}")))
        assert state.error is not None
        assert SECRET not in f"{state.error} {state.error!r} {state.failure}"

    def test_what_a_server_says_is_shown_printable(self) -> None:
        """No terminal obeys it."""
        for fields in ([(b"x-\x1b[31m", "v")], [(":status", b"\x1b[31m")], [(b"\x07" * 9000, "v")]):
            probe = Probe()
            state = probe.request()
            probe.feed(
                probe.headers(1, OK, *fields)
                if fields[0][0] != ":status"
                else probe.headers(1, *fields)
            )
            assert state.error is not None
            assert str(state.error).isprintable()
            assert len(str(state.error)) < 500

    def test_one_reset_for_one_malformed_response(self) -> None:
        """What follows on the stream is dropped: servers count resets (CVE-2025-8671)."""
        probe = Probe()
        state, other = probe.request(), probe.request()
        probe.feed(probe.headers(1, ("x-a", "b")))
        for _ in range(100):
            probe.feed(data(1, b"x"), probe.headers(1, ("X", "b")))
        assert len(probe.sent(RstStreamFrame)) == 1
        assert state.error is not None
        assert other.failure is None
