"""Both engines: the bytes they send, and what they make of those they receive."""

from __future__ import annotations

import gc
import weakref

import pytest

from anyhttp._http1 import Limits, ParseError, engine_class
from tests.support.engines import NAMES, Answer, Refused, agreed, started
from tests.support.responses import EMPTY, OK_LINE as OK

engine = pytest.mark.parametrize("name", NAMES)


# -- which ----------------------------------------------------------------------------


class TestChoice:
    def test_our_own_reader_is_the_default(self) -> None:
        """``auto`` is its name, and the reference has the name of its library."""
        assert engine_class("auto").name == "auto"
        assert engine_class("h11").name == "h11"

    @pytest.mark.parametrize("name", ["http2", "httptools", ""])
    def test_other_names_are_refused(self, name: str) -> None:
        """The message lists those that exist."""
        with pytest.raises(ValueError, match=f'"auto" or "h11", not {name!r}'):
            engine_class(name)

    @engine
    def test_nothing_but_the_interface_is_needed(self, name: str) -> None:
        """An engine carries no dictionary, not even when it has been used: there is one engine for
        each request.
        """
        engine = started(name)
        engine.receive(OK + b"Content-Length: 2\r\n\r\nhi")
        assert engine.complete
        assert not any(type(held) is dict for held in gc.get_referents(engine))


# -- sending ---------------------------------------------------------------------------


@engine
class TestSending:
    def test_a_head_goes_out_as_it_is_given(self, name: str) -> None:
        """Order, case and repetition of the fields are the caller's."""
        sent = engine_class(name)(Limits()).send_head(
            "GET", "/a?b=%20", [("Host", "x.test:80"), ("x-LOW", "1"), ("X-Low", "2"), ("E", "")]
        )
        assert sent == (
            b"GET /a?b=%20 HTTP/1.1\r\nHost: x.test:80\r\nx-LOW: 1\r\nX-Low: 2\r\nE: \r\n\r\n"
        )

    def test_http_1_0(self, name: str) -> None:
        """The version is the last thing in the first line."""
        sent = engine_class(name)(Limits()).send_head("GET", "/", [("Host", "x")], http10=True)
        assert sent == b"GET / HTTP/1.0\r\nHost: x\r\n\r\n"

    def test_text_is_utf_8(self, name: str) -> None:
        """Targets that were not requoted too; lone surrogates are the bytes they stand for."""
        sent = engine_class(name)(Limits()).send_head(
            "GET", "/ü", [("Host", "x"), ("X", "grün\udcff")]
        )
        assert sent == b"GET /\xc3\xbc HTTP/1.1\r\nHost: x\r\nX: gr\xc3\xbcn\xff\r\n\r\n"

    def test_space_around_a_value_is_left_out(self, name: str) -> None:
        """RFC 9110 §5.5: it is not part of the value."""
        sent = engine_class(name)(Limits()).send_head("GET", "/", [("Host", "x"), ("X", "\t a b ")])
        assert sent == b"GET / HTTP/1.1\r\nHost: x\r\nX: a b\r\n\r\n"

    def test_a_body_with_a_length_goes_out_as_it_is(self, name: str) -> None:
        """RFC 9112 §6.2."""
        engine = engine_class(name)(Limits())
        engine.send_head("POST", "/", [("Host", "x"), ("Content-Length", "5")])
        assert engine.send_data(b"he") + engine.send_data(b"llo") == b"hello"
        assert engine.send_end() == b""

    def test_chunks_carry_their_size(self, name: str) -> None:
        """RFC 9112 §7.1: hexadecimal, and a last one of size zero."""
        engine = engine_class(name)(Limits())
        engine.send_head(
            "POST", "/", [("Host", "x"), ("Transfer-Encoding", "chunked")], chunked=True
        )
        assert engine.send_data(b"0123456789ab") == b"c\r\n0123456789ab\r\n"
        assert engine.send_end() == b"0\r\n\r\n"

    def test_the_answer_may_come_while_the_body_is_sent(self, name: str) -> None:
        """Both directions of an exchange are independent."""
        engine = engine_class(name)(Limits())
        engine.send_head("POST", "/", [("Host", "x"), ("Content-Length", "4")])
        engine.send_data(b"he")
        engine.receive(OK + b"Content-Length: 2\r\n\r\nhi")
        assert engine.complete
        assert engine.send_data(b"re") == b"re"
        assert engine.send_end() == b""


@engine
@pytest.mark.parametrize("field", [("A", "b\r\nC: d"), ("A", "b\rC"), ("A\n", "b")])
def test_no_field_splits_a_request(name: str, field: tuple[str, str]) -> None:
    """A safety net: callers check the parts of a head before they come here."""
    with pytest.raises(ValueError, match=r"not valid HTTP/1\.1"):
        engine_class(name)(Limits()).send_head("GET", "/", [("Host", "x"), field])


# -- receiving -------------------------------------------------------------------------


class TestReceiving:
    @engine
    def test_a_body_passes_through_in_the_pieces_it_came_in(self, name: str) -> None:
        """Nothing waits for the rest, and a whole piece is not copied."""
        engine = started(name)
        engine.receive(OK + b"Content-Length: 10\r\n\r\n")
        assert (engine.head is not None, engine.complete) == (True, False)
        first, second = bytes(bytearray(b"hello")), bytes(bytearray(b"world"))
        engine.receive(first)
        assert engine.pieces.popleft() is first
        assert not engine.complete
        engine.receive(second)
        assert engine.pieces.popleft() is second
        assert engine.complete

    @pytest.mark.parametrize(
        ("fields", "size"),
        [
            (b"Content-Length: 262143\r\n", 2**16),
            (b"Content-Length: 262144\r\n", 2**18),
            (b"", 2**18),
            (b"Transfer-Encoding: chunked\r\n", 2**16),
        ],
    )
    @engine
    def test_more_is_asked_for_where_much_is_to_come(
        self, name: str, fields: bytes, size: int
    ) -> None:
        """A small response must not take the memory of a large one."""
        engine = started(name)
        assert engine.wanted == 2**16
        engine.receive(OK + fields + b"\r\n")
        assert engine.wanted == size

    @engine
    def test_of_a_chunked_body_that_turned_out_large(self, name: str) -> None:
        """Nobody says how long it is, but where much has come more is asked for."""
        engine = started(name)
        engine.receive(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):
            assert engine.wanted == 2**16
            engine.receive(b"10000\r\n" + bytes(2**16) + b"\r\n")
        assert engine.wanted == 2**18

    @engine
    def test_chunks_are_told_apart(self, name: str) -> None:
        """Each ends at a place in the body; the last one, which carries nothing, does not."""
        engine = started(name)
        engine.receive(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel")
        assert list(engine.pieces) == [b"hel"]
        assert not engine.chunk_ends
        engine.pieces.clear()
        engine.receive(b"lo\r\n1\r\n!\r\n")
        assert list(engine.pieces) == [b"lo", b"!"]
        assert list(engine.chunk_ends) == [5, 6]
        engine.pieces.clear()
        for byte in b"0\r\n\r\n":
            assert not engine.complete
            engine.receive(bytes([byte]))
        assert engine.complete
        assert not engine.pieces

    def test_an_empty_chunked_body_has_no_chunk(self) -> None:
        """The end of the body is not the end of a chunk."""
        answer = agreed(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert isinstance(answer, Answer)
        assert (answer.body, answer.chunk_ends, answer.keep_alive) == (b"", (), True)

    def test_a_body_without_length_ends_with_the_connection(self) -> None:
        """RFC 9112 §6.3, rule 8."""
        answer = agreed(OK + b"\r\nhello\r\n\r\nHTTP/1.1 200 OK\r\n")
        assert isinstance(answer, Answer)
        assert answer.body == b"hello\r\n\r\nHTTP/1.1 200 OK\r\n"
        assert not answer.keep_alive

    def test_a_body_that_is_too_short_is_refused(self) -> None:
        """RFC 9112 §8: fewer bytes than announced are an incomplete message."""
        answer = agreed(OK + b"Content-Length: 6\r\n\r\nhello")
        assert isinstance(answer, Refused)
        assert answer == Refused("the connection was closed 1 bytes before the body's end", True)

    def test_a_head_that_is_cut_short_is_refused(self) -> None:
        """Even if what is there looks like a response."""
        head = OK + b"Content-Length: 0\r\n\r\n"
        for end in range(len(head)):
            answer = agreed(head[:end]) if end else agreed(b"H")
            assert isinstance(answer, Refused)
            assert "in the middle of the head" in answer.reason

    @pytest.mark.parametrize(
        "response",
        [
            EMPTY,
            OK + b"Content-Length: 2\r\n\r\nhi",
            OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ],
    )
    def test_bytes_after_the_response_are_kept_apart(self, response: bytes) -> None:
        """They are neither body nor the next response: whoever sees them ends the connection."""
        answer = agreed(response + b"HTTP/1.1 200 OK\r\n\r\n")
        assert isinstance(answer, Answer)
        assert answer.surplus == b"HTTP/1.1 200 OK\r\n\r\n"
        assert answer.body in (b"", b"hi")

    @engine
    def test_they_are_kept_in_order(self, name: str) -> None:
        """Also if they come in several pieces: after a switch of protocols all of them count."""
        engine = started(name)
        engine.receive(EMPTY + b"a")
        engine.receive(b"b")
        engine.receive(b"c")
        assert engine.surplus == b"abc"

    @pytest.mark.parametrize(
        ("fields", "surplus"),
        [
            (b"Content-Length: 10\r\n", b""),
            (b"Transfer-Encoding: chunked\r\n", b""),
            (b"Content-Length: 2\r\n", b"hi"),
            (b"", b"2\r\nhi\r\n0\r\n\r\n"),
        ],
    )
    def test_head_has_no_body_whatever_is_announced(self, fields: bytes, surplus: bytes) -> None:
        """RFC 9110 §9.3.2; a body that comes all the same is surplus."""
        answer = agreed(OK + fields + b"\r\n" + surplus, method="HEAD")
        assert isinstance(answer, Answer)
        assert (answer.body, answer.surplus) == (b"", surplus)
        assert answer.keep_alive


# -- informational responses -----------------------------------------------------------


class TestInformational:
    def test_they_come_before_the_final_one(self) -> None:
        """RFC 9110 §15.2: any number of them, each with a head of its own."""
        answer = agreed(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 199\r\nContent-Length: 7\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi"
        )
        assert isinstance(answer, Answer)
        assert [(item.status, item.reason) for item in answer.interim] == [
            (100, "Continue"),
            (103, "Early Hints"),
            (199, ""),
        ]
        assert answer.interim[1].headers == ((b"Link", b"</a>"),)
        assert (answer.status, answer.body, answer.surplus) == (200, b"hi", b"")

    @engine
    def test_a_response_has_begun_with_an_informational_one(self, name: str) -> None:
        """The server has seen the request by then, so it must not be sent again."""
        engine = started(name)
        assert not engine.has_started
        engine.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
        engine.next_response()
        assert engine.head is None
        assert engine.has_started

    @engine
    def test_a_response_has_begun_with_its_first_byte(self, name: str) -> None:
        """One is enough."""
        engine = started(name)
        engine.receive(b"H")
        assert engine.has_started

    @engine
    def test_what_follows_in_the_same_piece_is_checked(self, name: str) -> None:
        """Garbage after an informational response is an error of the final one."""
        engine = started(name)
        engine.receive(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2 200 OK\r\n\r\n")
        with pytest.raises(ParseError, match=r"not an HTTP/1\.x response"):
            engine.next_response()

    def test_a_switch_that_was_not_asked_for_is_refused(self) -> None:
        """RFC 9110 §7.8: the client chooses from its own list."""
        answer = agreed(
            b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: thing\r\n\r\nbytes"
        )
        assert isinstance(answer, Refused)

    @pytest.mark.parametrize(
        "fields",
        [
            b"Connection: upgrade\r\nUpgrade: thing\r\n",
            b"Connection: keep-alive, Upgrade\r\nUpgrade: other\r\nContent-Length: 5\r\n",
            b"Upgrade: thing\r\n",
            b"Connection: upgrade\r\n",
            b"",
        ],
    )
    def test_after_a_switch_the_bytes_are_another_protocols(self, fields: bytes) -> None:
        """Whether it is the right one is for those to judge who asked for it."""
        answer = agreed(b"HTTP/1.1 101 Switching\r\n" + fields + b"\r\nbytes", upgrade=True)
        assert isinstance(answer, Answer)
        assert (answer.status, answer.body, answer.surplus) == (101, b"", b"bytes")

    def test_a_malformed_switch_is_refused(self) -> None:
        """That its framing is about nothing does not make two lengths one."""
        answer = agreed(
            b"HTTP/1.1 101 Switching\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            upgrade=True,
        )
        assert isinstance(answer, Refused)

    def test_an_offer_that_is_declined_is_answered_as_usual(self) -> None:
        """RFC 9110 §7.8: a server may ignore ``Upgrade``."""
        raw = OK + b"Connection: upgrade\r\nUpgrade: thing\r\nContent-Length: 2\r\n\r\nhi"
        answer = agreed(raw, upgrade=True)
        assert isinstance(answer, Answer)
        assert answer.body == b"hi"

    @pytest.mark.parametrize("status", [200, 299])
    @pytest.mark.parametrize(
        "fields",
        [
            (),
            ((b"Content-Length", b"5"),),
            ((b"Content-Length", b"5"), (b"X", b"y"), (b"content-length", b"6")),
            ((b"Content-Length", b"five"),),
            ((b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")),
            ((b"X", b"y"), (b"Transfer-Encoding", b"Chunked"), (b"Transfer-Encoding", b"a")),
            ((b"Transfer-Encoding", b"identity"), (b"X", b"a\x0bb")),
        ],
    )
    def test_after_connect_the_bytes_are_the_tunnels(
        self, fields: tuple[tuple[bytes, bytes], ...], status: int
    ) -> None:
        """RFC 9110 §9.3.6: a client MUST ignore the framing fields of a 2xx answer."""
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        answer = agreed(b"HTTP/1.1 %d OK\r\n%b\r\nbytes" % (status, lines), method="CONNECT")
        assert isinstance(answer, Answer)
        assert (answer.headers, answer.body, answer.surplus) == (fields, b"", b"bytes")

    @pytest.mark.parametrize("status", [100, 300, 407])
    def test_before_connect_has_succeeded_they_are_not(self, status: int) -> None:
        """Any other answer is framed like those to other requests."""
        raw = b"HTTP/1.1 %d A\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" % status
        assert isinstance(agreed(raw, method="CONNECT"), Refused)


# -- the response before on the same connection ----------------------------------------


class TestKnownHeads:
    HEAD = OK + b"Content-Length: 2\r\nX: y\r\n\r\n"

    def test_a_head_that_comes_again_is_not_read_again(self) -> None:
        """Servers often send the same bytes again; nothing in a head depends on when it came."""
        first = started("auto")
        first.receive(self.HEAD + b"hi")
        second = started("auto", limits=first.known and first.known[2], after=first)
        second.receive(self.HEAD + b"ho")
        assert second.head is first.head
        assert (list(second.pieces), second.complete, second.keep_alive) == ([b"ho"], True, True)
        assert second.known is first.known

    def test_the_request_may_still_ask_to_close(self) -> None:
        """What is remembered of a head says what the peer would do."""
        first = started("auto")
        first.receive(self.HEAD + b"hi")
        assert first.known is not None
        second = engine_class("auto")(first.known[2], first.known)
        second.send_head("GET", "/", [("Host", "x"), ("Connection", "close")])
        second.receive(self.HEAD + b"ho")
        assert second.head is first.head
        assert (first.keep_alive, second.keep_alive) == (True, False)

    @pytest.mark.parametrize(
        "raw",
        [
            OK + b"Content-Length: 2\r\nSet-Cookie: a=b\r\n\r\nhi",
            OK + b"Content-Length: 2\r\nX: %b\r\n\r\nhi" % (b"y" * 1024),
            OK + b"Content-Length: 2\nX: y\r\n\r\nhi",
            OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
            b"HTTP/1.1 100 Continue\r\n\r\n",
        ],
    )
    def test_only_short_and_plain_heads_without_cookies_are_remembered(self, raw: bytes) -> None:
        """A connection may be idle for long, and a cookie may be a secret."""
        engine = started("auto")
        engine.receive(raw)
        assert engine.head is not None
        assert engine.known is None

    def test_h11_reads_each_head(self) -> None:
        """It is there to compare."""
        first = started("auto")
        first.receive(self.HEAD + b"hi")
        assert started("h11", after=first).known is None


# -- the end ---------------------------------------------------------------------------


@engine
def test_an_engine_is_freed_without_the_garbage_collector(name: str) -> None:
    """There is one for each request, so no circle of references may hold it."""
    # without slots of its own, so that it can be referred to weakly
    referable = type("Referable", (engine_class(name),), {})
    engine = referable(Limits())
    engine.send_head("GET", "/", [("Host", "x")])
    engine.send_end()
    engine.receive(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
    gone = weakref.ref(engine)
    gc.disable()
    try:
        del engine
        assert gone() is None
    finally:
        gc.enable()
