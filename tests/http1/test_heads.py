"""What is refused in a response, however it is split, whichever engine reads it.

What is read although it breaks the grammar is in ``http1/test_tolerated.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from anyhttp import HttpVersion, HttpVersion10, HttpVersion11
from anyhttp._http1 import Limits, ParseError
from anyhttp._http1.chunks import ChunkReader
from anyhttp._http1.heads import (
    CHUNKED,
    UNTIL_EOF,
    Head,
    HeadReader,
    ResponseHead,
    as_text,
    content_type_of,
    names,
    read_plain_head,
    text_fields,
)
from anyhttp._http1.response_framing import read_content_length, read_framing
from anyhttp._http1.response_grammar import StatusLine
from tests.support.cost import calls_of
from tests.support.engines import Answer, Refused, agreed
from tests.support.responses import CHUNKS, OK_LINE as OK


def accepted(raw: bytes, **options: Any) -> Answer:
    """Return what both engines make of a response that they accept."""
    answer = agreed(raw, **options)
    assert isinstance(answer, Answer), f"{raw!r} is refused: {answer}"
    return answer


def refused(raw: bytes, **options: Any) -> str:
    """Return why both engines refuse a response."""
    answer = agreed(raw, **options)
    assert isinstance(answer, Refused), f"{raw!r} is accepted: {answer}"
    return answer.reason


def with_field(line: bytes) -> bytes:
    """Return a response with a header line of that kind."""
    return OK + line + b"\r\nContent-Length: 0\r\n\r\n"


def fed_head(reader: HeadReader, data: bytes) -> tuple[bytes, bytes] | None:
    """Return the bytes of the head that is complete with *data*, and those after it."""
    read = reader.feed(data)
    return None if read is None else (bytes(reader.raw), data[read[1] :])


def feed(reader: HeadReader | ChunkReader, raw: bytes, step: int) -> None:
    """Give *raw* to *reader*, *step* bytes at a time."""
    for start in range(0, len(raw), step):
        reader.feed(raw[start : start + step])


# -- the status line -------------------------------------------------------------------


class TestStatusLine:
    @pytest.mark.parametrize(
        ("line", "status", "reason"),
        [
            (b"HTTP/1.1 200 OK", 200, "OK"),
            (b"HTTP/1.0 299 Fine", 299, "Fine"),
            (b"HTTP/1.1 404", 404, ""),
            (b"HTTP/1.1 404 ", 404, ""),
            (b"HTTP/1.1 999 Not\tFound  at all", 999, "Not\tFound  at all"),
            (b"HTTP/1.1 200 gr\xc3\xbcn", 200, "grün"),
            (b"HTTP/1.1 200 gr\xfcn", 200, "gr\udcfcn"),
        ],
    )
    def test_a_reason_is_optional_text(self, line: bytes, status: int, reason: str) -> None:
        """RFC 9112 §4: three digits, then text of any kind, or none.

        Bytes that are no UTF-8 are kept as lone surrogates.
        """
        answer = accepted(line + b"\r\nContent-Length: 0\r\n\r\n")
        assert (answer.status, answer.reason) == (status, reason)

    @pytest.mark.parametrize(
        "line",
        [
            b"HTTP/1.1 20 OK",
            b"HTTP/1.1 2000 OK",
            b"HTTP/1.1 099 OK",
            b"HTTP/1.1 +20 OK",
            b"HTTP/1.1 2_0 OK",
            b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK",
            b"HTTP/1.1  200 OK",
            b"HTTP/1.1\t200 OK",
            b"HTTP/1.1 200\tOK",
            b"HTTP/1.1 200OK",
            b"HTTP/1.1",
            b"HTTP/1.1 200 O\x00K",
            b"HTTP/1.1 200 O\x1bK",
            b"HTTP/1.1 200 O\x7fK",
            b" HTTP/1.1 200 OK",
        ],
    )
    def test_anything_else_in_the_line_is_refused(self, line: bytes) -> None:
        """Three ASCII digits from 100 on, single spaces, no control characters but tab."""
        refused(line + b"\r\nContent-Length: 0\r\n\r\n")

    def test_a_status_below_100_is_not_an_informational_one(self) -> None:
        """So it is not passed over for what follows it either."""
        refused(b"HTTP/1.1 099 Early\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n")

    @pytest.mark.parametrize(
        "version",
        [
            b"HTTP/0.9",
            b"HTTP/2.0",
            b"HTTP/1.",
            b"HTTP/1.x",
            b"HTTP/1.10",
            b"HTTP/11",
            b"http/1.1",
            b"HTTP/1,1",
        ],
    )
    def test_versions_other_than_1_are_refused(self, version: bytes) -> None:
        """Their framing is not ours to guess; the name is in capital letters (RFC 9112 §2.3)."""
        refused(version + b" 200 OK\r\nContent-Length: 0\r\n\r\n")

    @pytest.mark.parametrize(
        "start", [b"ICY 200 OK\r\n\r\n", b"RTSP/1.0 200 OK\r\n\r\n", b" HTTP/1.1 200 OK\r\n\r\n"]
    )
    def test_another_protocol_is_noticed_at_its_first_bytes(self, start: bytes) -> None:
        """A peer that speaks something else need not send a whole head to be refused."""
        for length in (1, 4, len(start)):
            with pytest.raises(ParseError, match=r"not an HTTP/1\.x response"):
                feed(HeadReader(Limits()), start[:length], step=1)


# -- header lines ----------------------------------------------------------------------


class TestHeaderLines:
    def test_names_keep_their_case_and_values_lose_the_space_around_them(self) -> None:
        """RFC 9110 §5.5: white space before and after a value is not part of it."""
        answer = accepted(with_field(b"x-MiXeD:\t a \t b\t \r\nX-Empty:\r\nX-High: \xff"))
        assert answer.headers[:3] == (
            (b"x-MiXeD", b"a \t b"),
            (b"X-Empty", b""),
            (b"X-High", b"\xff"),
        )
        assert all(type(part) is bytes for pair in answer.headers for part in pair)

    @pytest.mark.parametrize("character", [0, 13])
    def test_nul_and_cr_in_values_are_refused(self, character: int) -> None:
        """CVE-2026-34520: a value that ends early for somebody never reaches the caller."""
        refused(with_field(b"X: a%cb" % character))
        refused(with_field(b"X: %c" % character))

    @pytest.mark.parametrize("fold", [b" X: a", b"\tX: a", b" ", b"\t\r\nX: a"])
    def test_a_fold_has_a_field_before_it(self, fold: bytes) -> None:
        """RFC 9112 §2.2: white space after the status line hides what follows it."""
        assert "goes on with the one before" in refused(with_field(fold))

    @pytest.mark.parametrize(
        "fold", [b"X: a\r\n \0", b"X: a\r\n b\rc", b"X: a\r\n b\r", b"X\r\n : a", b"X \r\n b: a"]
    )
    def test_a_folded_line_is_as_strict_as_another(self, fold: bytes) -> None:
        """And the name is never folded."""
        refused(with_field(fold))

    @pytest.mark.parametrize("line", [b"X : a", b"X\t: a", b"Content-Length : 5", b" : a"])
    def test_space_before_the_colon_is_refused(self, line: bytes) -> None:
        """RFC 9112 §5.1; some read such a line as another field (CVE-2023-47627)."""
        refused(with_field(line))

    @pytest.mark.parametrize("name", [b"", b"X Y", b"X\x00Y", b"(X)", b"X@", b"X/Y", b"\xc3\xbc"])
    def test_names_are_tokens(self, name: bytes) -> None:
        """RFC 9110 §5.6.2 lists the characters."""
        refused(with_field(name + b": a"))

    @pytest.mark.parametrize(
        "line",
        [
            b"Set-Cookie: a=secret\x00",
            b"Set-Cookie : a=secret",
            b"X: a\r\n secret: b\0",
            b"X: a\r\n\tsecret\0",
            b"X:\x00secret:a",
            b"secret",
            b"Set-Cookie; a=secret",
            b"see secret://here",
            b"\xffsecret: a",
        ],
    )
    def test_values_are_not_shown(self, line: bytes) -> None:
        """The line that is wrong may hold a cookie or a token."""
        error = refused(with_field(line))
        assert "malformed header line" in error
        assert "secret" not in error

    def test_a_line_that_follows_the_status_line_in_the_wrong_way_is_not_shown(self) -> None:
        """It is meant as a header line, whatever it is for us."""
        assert "secret" not in refused(b"HTTP/1.1 200 OK\rSet-Cookie: a=secret\r\n\r\n")

    @pytest.mark.parametrize("line", [b"X : secret", b"X\t: secret", b"X: secret\0"])
    def test_a_name_is_shown(self, line: bytes) -> None:
        """It tells which of many lines is wrong."""
        assert "malformed header line b'X" in refused(with_field(line))

    def test_a_line_without_colon_is_refused(self) -> None:
        """There is no field without a name."""
        assert "malformed header line without a colon" in refused(with_field(b"nothing"))

    @pytest.mark.parametrize(
        "raw",
        [
            b"HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\rContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\r\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\rX: a\r\n\r\n",
            b"\rHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ],
    )
    def test_a_cr_belongs_to_an_lf(self, raw: bytes) -> None:
        """Alone it ends a line for one reader and not for another (RFC 9112 §2.2)."""
        refused(raw)

    @pytest.mark.parametrize("step", [1, 2, 7, 100])
    @pytest.mark.parametrize(
        ("start", "words"),
        [
            (b"HTTP/1.1 200 OK\r\rX: a", "CR"),
            (OK + b"X: a\rY: b", "CR"),
            (OK + b"X: a\r\r\nbody", "CR|header line"),
            (OK + b"X: a\0\r\n", "header line"),
            (OK + b"X : a\r\n", "header line"),
            (OK + b"X: a\r\n b\0\r\n", "header line"),
            (b"HTTP/1.1 20 OK\r\n", "status line"),
        ],
    )
    def test_a_malformed_line_is_noticed_before_the_end_of_the_head(
        self, start: bytes, words: str, step: int
    ) -> None:
        """The peer may take it for the end, and wait as we do."""
        with pytest.raises(ParseError, match=words):
            feed(HeadReader(Limits()), start, step=step)

    def test_a_line_end_in_two_pieces_is_one(self) -> None:
        """A CR is alone only if something else than LF follows it."""
        reader = HeadReader(Limits())
        for piece in (b"HTTP/1.1 200 OK\r", b"\nX: a\r", b"\n\r"):
            assert fed_head(reader, piece) is None
        assert fed_head(reader, b"\nbody") == (b"HTTP/1.1 200 OK\r\nX: a\r\n\r\n", b"body")


# -- framing ---------------------------------------------------------------------------


class TestContentLength:
    @pytest.mark.parametrize(
        "value",
        [b"", b"+5", b"-5", b"5_0", b"0x5", b"5.0", b"5 5", b"5;", b"five", b"\xd9\xa5",
         b"\xc2\xb2", b"5,", b",5", b"5,,5", b"1" * 20],
    )  # fmt: skip
    def test_only_ascii_digits_are_a_length(self, value: bytes) -> None:
        """CVE-2023-47627, CVE-2024-23829: no sign, underscore, space or foreign digit."""
        refused(OK + b"Content-Length: " + value + b"\r\n\r\nhello")

    @pytest.mark.parametrize(
        "fields",
        [
            b"Content-Length: 5\r\nContent-Length: 6",
            b"Content-Length: 6\r\nX: y\r\ncontent-length: 5",
            b"Content-Length: 5, 6",
            b"Content-Length: 5\r\nContent-Length: 05",
            b"Content-Length: 5\r\nContent-Length: five",
        ],
    )
    def test_two_different_lengths_are_refused(self, fields: bytes) -> None:
        """RFC 9112 §6.3: such a response has no length that all readers agree on."""
        refused(OK + fields + b"\r\n\r\nhello")

    @pytest.mark.parametrize(
        "fields",
        [
            b"Content-Length: 5\r\nContent-Length: 5",
            b"content-length:5\r\nX: y\r\nCONTENT-LENGTH: 5 \r\nContent-Length: 5",
            b"Content-Length: 5, 5",
            b"Content-Length: 5 ,\t5\r\nContent-Length: 5",
        ],
    )
    def test_the_same_length_twice_counts_once(self, fields: bytes) -> None:
        """RFC 9110 §8.6 lets a recipient replace equal lengths by one, so only one is shown."""
        answer = accepted(OK + fields + b"\r\n\r\nhello")
        assert answer.body == b"hello"
        assert answer.keep_alive
        lengths = [value for name, value in answer.headers if name.lower() == b"content-length"]
        assert lengths == [b"5"]

    def test_leading_zeros_are_digits(self) -> None:
        """RFC 9110 §8.6 asks for digits, not for the shortest form."""
        assert read_content_length(b"0005") == 5
        assert accepted(OK + b"Content-Length: 0005\r\n\r\nhello").body == b"hello"


class TestTransferEncoding:
    @pytest.mark.parametrize(
        "fields",
        [
            b"Content-Length: 5\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nContent-Length: 5",
            b"Transfer-Encoding: chunked\r\nContent-Length: 0",
            b"Transfer-Encoding: identity\r\nContent-Length: 0",
            b"Content-Length: 5\r\nTransfer-Encoding: identity",
        ],
    )
    def test_length_and_coding_together_are_refused(self, fields: bytes) -> None:
        """RFC 9112 §6.3: this is how responses are smuggled (CVE-2025-53643)."""
        raw = OK + fields + b"\r\n\r\n0\r\n\r\n"
        refused(raw)
        refused(raw, method="HEAD")

    @pytest.mark.parametrize(
        "fields",
        [
            b"Transfer-Encoding: chunked, chunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: chunked, gzip",
            b"Transfer-Encoding: identity, identity",
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: identity",
            b"Transfer-Encoding: identity;q=1",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: chunkedchunked",
            b"Transfer-Encoding: chunked;q=1",
            b'Transfer-Encoding: "chunked"',
            b"Transfer-Encoding: \x0bchunked",
            b"Transfer-Encoding: ",
            b"Transfer-Encoding: ,chunked",
        ],
    )
    def test_chunked_once_and_alone_is_the_only_coding(self, fields: bytes) -> None:
        """We send no ``TE``, so nothing else may come; repeated ``chunked`` is an attack."""
        refused(OK + fields + b"\r\n\r\n0\r\n\r\n")

    @pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"CHUNKED", b"chunked \t"])
    def test_its_case_and_the_space_around_it_do_not_matter(self, value: bytes) -> None:
        """RFC 9112 §7: names of transfer codings are compared without regard to case."""
        raw = OK + b"Transfer-encoding:" + value + b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        assert accepted(raw).body == b"hi"


class TestChunks:
    def test_sizes_are_hexadecimal_in_either_case(self) -> None:
        """RFC 9112 §7.1, leading zeros included."""
        answer = accepted(CHUNKS + b"00a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n")
        assert answer.body == b"0123456789" * 2
        assert answer.chunk_ends == (10, 20)

    @pytest.mark.parametrize(
        "line",
        [b"", b"+2", b"-2", b"0x2", b"0_2", b"2 2", b"+ 2", b" ", b"2g", b"\xd9\xa2", b"2\x00",
         b"2\r", b"\n2", b"2\x0b", b"2\x0c", b"\xa02", b"1" + b"0" * 16],
    )  # fmt: skip
    def test_anything_but_digits_is_refused(self, line: bytes) -> None:
        """CVE-2024-52304, CVE-2025-69224: no sign, space, prefix, underscore or foreign digit."""
        refused(CHUNKS + line + b"\r\nhi\r\n0\r\n\r\n")

    @pytest.mark.parametrize(
        "body",
        [
            b"2\r\nhi0\r\n\r\n",
            b"2\r\nhixx0\r\n\r\n",
            b"2\r\nhi\n0\r\n\r\n",
            b"2\r\nhi\r0\r\n\r\n",
            b"2\r\nhi\r\r\n0\r\n\r\n",
            b"2\nhi\r\n0\r\n\r\n",
            b"2\r\nhi\r\n0\n\r\n",
            b"2 \nhi\r\n0\r\n\r\n",
            b"2;a\nhi\r\n0\r\n\r\n",
            b"2\rhi\r\n0\r\n\r\n",
        ],
    )
    def test_exactly_crlf_follows_a_chunk_and_its_size(self, body: bytes) -> None:
        """CVE-2025-43859: two bytes that are not looked at hide a second response."""
        refused(CHUNKS + body)

    def test_the_crlf_after_a_chunk_is_not_that_of_the_chunk_before(self) -> None:
        """The data may begin with the end of a chunk, and go on with whole ones."""
        reader = ChunkReader(Limits(), headers=0)
        assert reader.feed(b"3\r\nabc") == ([b"abc"], [], 6)
        assert reader.feed(b"\r\n5\r\nhello\r\n2\r\nhi\r\n") == ([b"hello", b"hi"], [3, 8, 10], 19)
        reader = ChunkReader(Limits(), headers=0)
        reader.feed(b"3\r\nabc")
        with pytest.raises(ParseError, match="chunk data is not followed by CRLF"):
            reader.feed(b"\r\n5\r\nhelloxx0\r\n\r\n")

    @pytest.mark.parametrize(
        "extension",
        [b";a", b";a=b", b";a=b;c", b';a="b;c=\\"d\\""', b';a=""', b";a=b;a=b", b';a="\t\xff"'],
    )
    def test_well_formed_extensions_are_passed_over(self, extension: bytes) -> None:
        """RFC 9112 §7.1.1: a recipient ignores what it does not know."""
        raw = CHUNKS + b"2%b\r\nhi\r\n0%b\r\n\r\n" % (extension, extension)
        assert accepted(raw).body == b"hi"

    @pytest.mark.parametrize(
        "extension",
        [b";", b"; ", b";;a", b";a b", b";a=b c", b';a="b', b';a="b"c', b";=b", b"a=b",
         b";a\n", b";a\rb", b";a=\x00", b';a="\x00"', b';a="\\\x00"', b";a=b=c", b";\xff"],
    )  # fmt: skip
    def test_malformed_extensions_are_refused(self, extension: bytes) -> None:
        """CVE-2025-53643: nobody may disagree on where such a line ends."""
        refused(CHUNKS + b"2%b\r\nhi\r\n0\r\n\r\n" % extension)
        refused(CHUNKS + b"2\r\nhi\r\n0%b\r\n\r\n" % extension)

    def test_trailers_are_read_and_dropped(self) -> None:
        """They are not headers: a trailer may not pretend to have been in the head."""
        answer = accepted(CHUNKS + b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\n\r\n")
        assert answer.headers == ((b"Transfer-Encoding", b"chunked"),)
        assert answer.set_cookies == ()
        assert answer.body == b"hi"

    @pytest.mark.parametrize(
        "trailer",
        [b"X : a", b"X", b" X: a", b"X: a\x00", b"X: a\r\n b\0", b": a", b"X: a\r", b"X: a\rY: b",
         b"X\n: a"],
    )  # fmt: skip
    def test_malformed_trailers_are_refused(self, trailer: bytes) -> None:
        """CVE-2023-47627: the rules of header lines hold for trailers too."""
        refused(CHUNKS + b"2\r\nhi\r\n0\r\n%b\r\n\r\n" % trailer)

    def test_what_a_malformed_trailer_says_is_not_shown(self) -> None:
        """It may be a token as well as a header line may."""
        error = refused(CHUNKS + b"0\r\nsecret\r\n\r\n")
        assert "malformed trailer line without a colon, of 6 bytes" in error
        assert "secret" not in error

    @pytest.mark.parametrize("name", [b"Content-Length", b"TRANSFER-ENCODING"])
    def test_a_trailer_must_not_speak_of_framing(self, name: bytes) -> None:
        """RFC 9110 §6.5.1: the body has been framed by then."""
        assert "framing" in refused(CHUNKS + b"0\r\n%b: 5\r\n\r\n" % name)

    def test_a_body_that_ends_within_a_chunk_is_refused(self) -> None:
        """A chunked message tells its end; without that it is cut short, wherever it stops."""
        whole = CHUNKS + b"2;a=b\r\nhi\r\n0\r\nX: y\r\n\r\n"
        for end in range(len(CHUNKS), len(whole)):
            assert "closed in the middle of a chunked body" in refused(whole[:end])
        assert accepted(whole).body == b"hi"


class TestFields:
    """They are taken apart when somebody looks; what the client acts on is found at once."""

    RAW = (
        OK + b"Server: a: b\r\nX:c\r\nX: \t d\te \t\r\nY:\r\nZ: \t\r\nContent-Type: text/plain \r\n"
        b"Content-Encoding: gzip \r\nSet-Cookie: a=b; c=\xc3\xbc \r\nset-cookie:d=\xff\xc3\r\n\r\n"
    )
    FIELDS = (
        (b"Server", b"a: b"), (b"X", b"c"), (b"X", b"d\te"), (b"Y", b""), (b"Z", b""),
        (b"Content-Type", b"text/plain"), (b"Content-Encoding", b"gzip"),
        (b"Set-Cookie", b"a=b; c=\xc3\xbc"), (b"set-cookie", b"d=\xff\xc3"),
    )  # fmt: skip

    def heads(self) -> list[Head]:
        """Return the head as it is read at once, and in pieces."""
        plain, read = read_plain_head(self.RAW, Limits()), HeadReader(Limits()).feed(self.RAW)
        assert plain is not None
        assert read is not None
        assert plain[1] == read[1] == len(self.RAW)
        return [plain[0], read[0]]

    def test_both_ways_to_read_a_head_find_the_same(self) -> None:
        """The text does not depend on what has been looked at before."""
        heads: list[ResponseHead] = [*self.heads(), Kept(self.FIELDS)]
        for head in heads:
            text = list(text_fields(head))
            assert tuple(head.raw_headers) == self.FIELDS
            assert text == list(text_fields(head)) == as_text(self.FIELDS)
            assert content_type_of(head) == "text/plain"
        for read in self.heads():
            assert read.content_encoding == "gzip"
            assert list(read.set_cookies) == ["a=b; c=ü", "d=\udcff\udcc3"]

    @pytest.mark.parametrize("space", [b" ", b"\t", b" \t", b"\t ", b"   "])
    def test_white_space_after_a_value_is_no_part_of_it(self, space: bytes) -> None:
        """However it is read, and whatever the other fields of the head end with."""
        raw = OK + b"X: a" + space + b"\r\nY:b\r\n\r\n"
        plain, read = read_plain_head(raw, Limits()), HeadReader(Limits()).feed(raw)
        assert plain is not None
        assert read is not None
        for head in (plain[0], read[0]):
            assert list(text_fields(head)) == [("X", "a"), ("Y", "b")]
            assert list(head.raw_headers) == [(b"X", b"a"), (b"Y", b"b")]

    def test_other_white_space_is_a_part_of_a_value(self) -> None:
        """RFC 9110 §5.5 knows spaces and tabs; other control characters are tolerated."""
        read = HeadReader(Limits()).feed(OK + b"Content-Type: text/plain\x0b \r\n\r\n")
        assert read is not None
        assert read[0].tolerated
        assert content_type_of(read[0]) == "text/plain\x0b"

    def test_names_do_not_fill_the_memory(self) -> None:
        """Only short ones are kept, and few of them."""
        for number in range(1000):
            name = b"X-%d" % number
            read = read_plain_head(OK + name + b": y\r\n\r\n", Limits())
            assert read is not None
            assert list(read[0].text_fields()) == [(name.decode(), "y")]
        assert len(names) <= 256
        before = len(names)
        assert names["x" * 100] == "x" * 100
        assert len(names) == before

    def test_a_head_may_have_no_fields(self) -> None:
        """Then there is nothing to find."""
        read = read_plain_head(OK + b"\r\n", Limits())
        assert read is not None
        assert list(read[0].text_fields()) == []
        assert list(read[0].raw_headers) == []
        assert content_type_of(read[0]) is content_type_of(Kept(())) is None

    def test_the_first_of_several_types_counts(self) -> None:
        """As where the headers are looked at."""
        types = ((b"content-TYPE", b"a/b"), (b"Content-Type", b"c/d"))
        head = Head(StatusLine(HttpVersion11, 200, "", tolerated=False))
        head.take_fields(types)
        assert content_type_of(head) == content_type_of(Kept(types)) == "a/b"

    @pytest.mark.parametrize(
        "raw", [OK + b"Content-Length: %b\r\n\r\n" % value for value in (b"", b"1 ", b"+1", b"1,1")]
    )
    def test_a_length_with_anything_but_digits_is_not_plain(self, raw: bytes) -> None:
        """Whether it is one all the same is decided elsewhere."""
        assert read_plain_head(raw, Limits()) is None

    def test_a_head_near_a_limit_is_read_line_by_line(self) -> None:
        """Where it says which limit was hit."""
        raw = OK + b"X: y\r\n" * 3 + b"\r\n"
        for limits, plain in (
            (Limits(), True),
            (Limits(max_headers=3), True),
            (Limits(max_headers=2), False),
            (Limits(max_line_size=len(raw)), True),
            (Limits(max_line_size=len(raw) - 1), False),
            (Limits(max_field_size=len(raw) - 1), False),
        ):
            assert (read_plain_head(raw, limits) is not None) is plain


@dataclass(frozen=True)
class Kept:
    """A head that somebody has made by hand."""

    raw_headers: tuple[tuple[bytes, bytes], ...]
    version: HttpVersion = HttpVersion11
    status: int = 200
    reason: str = ""


class TestFraming:
    """RFC 9112 §6.3, in its order, and §9.3."""

    @staticmethod
    def head(
        *headers: tuple[bytes, bytes],
        method: str = "GET",
        status: int = 200,
        minor: int = 1,
        asked_upgrade: bool = False,
    ) -> Head:
        version = HttpVersion11 if minor else HttpVersion10
        start = StatusLine(version, status, "", tolerated=False)
        head = Head(start)
        head.take_fields(headers)
        read_framing(head, method, asked_upgrade)
        return head

    @pytest.mark.parametrize(
        ("method", "status"),
        [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("GET", 304), ("GET", 100), ("CONNECT", 200)],
    )
    def test_some_responses_never_have_a_body(self, method: str, status: int) -> None:
        """Whatever their fields announce is about another message."""
        for field in ((b"Content-Length", b"10"), (b"Transfer-Encoding", b"chunked")):
            assert self.head(field, method=method, status=status).length == 0
        assert self.head(method=method, status=status).length == 0

    def test_a_refused_connect_has_a_body(self) -> None:
        """Only a 2xx answer turns the connection into a tunnel."""
        assert self.head((b"Content-Length", b"10"), method="CONNECT", status=407).length == 10

    def test_a_response_without_length_runs_until_the_end(self) -> None:
        """And its connection cannot carry another."""
        assert self.head().length == UNTIL_EOF
        assert not self.head().keep_alive
        assert self.head((b"Content-Length", b"0")).length == 0
        assert self.head((b"Transfer-Encoding", b"chunked")).length == CHUNKED

    @pytest.mark.parametrize(
        ("minor", "connection", "kept"),
        [
            (1, None, True),
            (1, b"", True),
            (1, b"close", False),
            (1, b"Close", False),
            (1, b"x, \tCLOSE ,y", False),
            (1, b"closed", True),
            (1, b"keep-alive", True),
            (1, b"keep-alive, close", False),
            (0, None, False),
            (0, b"keep-alive", True),
            (0, b"Keep-Alive", True),
            (0, b"upgrade", False),
            (0, b"keep-alive, close", False),
        ],
    )
    def test_persistence_is_the_versions_default_or_what_connection_says(
        self, minor: int, connection: bytes | None, kept: bool
    ) -> None:
        """RFC 9112 §9.3: ``close`` wins, HTTP/1.0 has to ask for more."""
        headers = [(b"Content-Length", b"0")]
        if connection is not None:
            headers.append((b"connection", connection))
        assert self.head(*headers, minor=minor).keep_alive is kept

    def test_several_connection_fields_are_one_list(self) -> None:
        """RFC 9110 §5.3."""
        fields = [(b"Connection", b"keep-alive"), (b"Connection", b"close")]
        assert not self.head((b"Content-Length", b"0"), *fields).keep_alive

    def test_a_chunked_1_0_response_ends_the_connection(self) -> None:
        """RFC 9112 §6.1: such a peer has faulty framing."""
        fields = [(b"Transfer-Encoding", b"chunked"), (b"Connection", b"keep-alive")]
        head = self.head(*fields, minor=0)
        assert (head.length, head.keep_alive) == (CHUNKED, False)

    def test_a_switch_of_protocols_has_to_be_asked_for(self) -> None:
        """RFC 9110 §7.8: otherwise the bytes after it would be nobody's."""
        with pytest.raises(ParseError, match="101"):
            self.head(status=101)
        assert self.head(status=101, asked_upgrade=True).length == 0

    def test_encodings_and_cookies_are_collected(self) -> None:
        """RFC 9110 §5.3 for the one; a cookie is never joined with another (RFC 6265 §3)."""
        head = self.head(
            (b"content-encoding", b"gzip"),
            (b"Content-Encoding", b"br"),
            (b"Set-Cookie", b"a=1"),
            (b"set-cookie", b"b=\xff"),
        )
        assert head.content_encoding == "gzip,br"
        assert tuple(head.set_cookies) == ("a=1", "b=\udcff")


# -- limits ----------------------------------------------------------------------------


class TestLimits:
    """CVE-2026-22815, CVE-2026-34516, CVE-2026-54277: counted over any split of the bytes."""

    LIMITS = Limits(max_line_size=40, max_field_size=30, max_headers=3)

    @pytest.mark.parametrize("over", [0, 1])
    def test_status_line(self, over: int) -> None:
        """``max_line_size`` bytes without the line's end."""
        line = OK[:-2].ljust(40 + over, b"x")
        raw = line + b"\r\nContent-Length: 0\r\n\r\n"
        if over:
            assert "the status line is longer than 40" in refused(raw, limits=self.LIMITS)
        else:
            assert accepted(raw, limits=self.LIMITS).status == 200

    @pytest.mark.parametrize("over", [0, 1])
    @pytest.mark.parametrize("name", [b"X", b"X-Long-Name-Of-A-Header-Of-29B"[:29]])
    def test_header_line(self, name: bytes, over: int) -> None:
        """``max_field_size`` bytes of name and value."""
        field = name + b": " + b"y" * (30 + over - len(name))
        raw = OK + field + b"\r\nContent-Length: 0\r\n\r\n"
        if over:
            assert "a header line is longer than 30" in refused(raw, limits=self.LIMITS)
        else:
            assert accepted(raw, limits=self.LIMITS).headers[0][0] == name

    @pytest.mark.parametrize("over", [0, 1])
    def test_number_of_header_lines(self, over: int) -> None:
        """``max_headers`` of them."""
        for limits in (self.LIMITS, Limits(max_headers=3)):
            raw = OK + b"X: y\r\n" * (2 + over) + b"Content-Length: 0\r\n\r\n"
            if over:
                assert "more than 3 header lines" in refused(raw, limits=limits)
            else:
                assert len(accepted(raw, limits=limits).headers) == 3

    @pytest.mark.parametrize("over", [0, 1])
    def test_short_header_lines(self, over: int) -> None:
        """They are counted, however few bytes they have."""
        raw = OK + b"Content-Length: 0\r\n" + b"a:\r\n" * (999 + over) + b"\r\n"
        limits = Limits(max_headers=1000)
        if over:
            assert "more than 1000 header lines" in refused(raw, limits=limits)
        else:
            assert len(accepted(raw, limits=limits).headers) == 1000

    @pytest.mark.parametrize("over", [0, 1])
    def test_trailer_lines_count_with_the_headers(self, over: int) -> None:
        """One header and two trailers are three lines."""
        raw = CHUNKS + b"0\r\n" + b"X: y\r\n" * (2 + over) + b"\r\n"
        if over:
            assert "more than 3 header and trailer lines" in refused(raw, limits=self.LIMITS)
        else:
            assert accepted(raw, limits=self.LIMITS).status == 200

    @pytest.mark.parametrize("over", [0, 1])
    def test_trailer_line(self, over: int) -> None:
        """``max_field_size``, as for headers."""
        raw = CHUNKS + b"0\r\nX: " + b"y" * (29 + over) + b"\r\n\r\n"
        if over:
            assert "a trailer line is longer than 30" in refused(raw, limits=self.LIMITS)
        else:
            assert accepted(raw, limits=self.LIMITS).status == 200

    @pytest.mark.parametrize("over", [0, 1])
    @pytest.mark.parametrize("last", [False, True])
    def test_chunk_size_line(self, last: bool, over: int) -> None:
        """``max_line_size``, extensions included, for the last chunk too."""
        line = (b"0" if last else b"2") + b";" + b"x" * (38 + over) + b"\r\n"
        raw = CHUNKS + line + (b"\r\n" if last else b"hi\r\n0\r\n\r\n")
        if over:
            assert "a chunk-size line is longer than 40" in refused(raw, limits=self.LIMITS)
        else:
            assert accepted(raw, limits=self.LIMITS).status == 200

    @pytest.mark.parametrize("size", range(3, 24))
    def test_chunk_size_line_shorter_than_a_number(self, size: int) -> None:
        """Even if the limit is less than what a size without extensions may have."""
        reader = ChunkReader(Limits(max_line_size=3), headers=0)
        line = b"5".rjust(size, b"0") + b"\r\n"
        if size > 3:
            with pytest.raises(ParseError, match="a chunk-size line is longer than 3 bytes"):
                reader.feed(line + b"hello\r\n")
        else:
            assert reader.feed(line + b"hello\r\n") == ([b"hello"], [5], 12)

    @pytest.mark.parametrize(
        "start",
        [OK[:-4] + b"x" * 100, OK + b"X: " + b"y" * 100, OK + b"X" * 100, OK + b"X: y\r\n" * 100],
    )
    def test_a_head_without_end_is_not_collected(self, start: bytes) -> None:
        """The limit strikes while the line grows, not when it ends."""
        for step in (1, 7, len(start)):
            with pytest.raises(ParseError, match="than"):
                feed(HeadReader(self.LIMITS), start[: len(OK) + 40], step)

    @pytest.mark.parametrize("start", [b"2;" + b"x" * 100, b"0\r\nX: " + b"y" * 100])
    def test_neither_is_a_chunk_line_or_trailer(self, start: bytes) -> None:
        """The same holds after the head."""
        for step in (1, 7, len(start)):
            with pytest.raises(ParseError, match="is longer than"):
                feed(ChunkReader(self.LIMITS, headers=1), start[:60], step)

    def test_the_lines_after_one_that_came_in_pieces_are_counted_apart(self) -> None:
        """Where the search for a line's end was left off does not matter to the next line."""
        reader = HeadReader(self.LIMITS)
        start, end = OK + b"X: " + b"y" * 25, b"yy\r\nY: zzzzzzzzzzzz\r\nContent-Length: 0\r\n\r\n"
        assert fed_head(reader, start) is None
        assert fed_head(reader, end) == (start + end, b"")

    def test_the_engines_have_no_limits_of_their_own(self) -> None:
        """What is within our limits is never too much for h11 either."""
        line = b"X: " + b"y" * 8000 + b"\r\n"
        head = OK + line * 20 + b"Transfer-Encoding: chunked\r\n\r\n"
        extension = b";" + b"x" * 8000
        answer = accepted(head + b"2" + extension + b"\r\nhi\r\n0\r\n" + line * 10 + b"\r\n")
        assert answer.body == b"hi"

    def test_each_head_has_its_own_limits(self) -> None:
        """Informational responses before the final one do not count against it."""
        interim = b"HTTP/1.1 103 Early\r\n" + b"Link: x\r\n" * 3 + b"\r\n"
        raw = interim * 5 + OK + b"X: y\r\nX: y\r\nContent-Length: 0\r\n\r\n"
        assert len(accepted(raw, limits=self.LIMITS).interim) == 5


# -- cost ------------------------------------------------------------------------------


class TestCost:
    """CVE-2025-69229: bytes that come one at a time cost no more than their number."""

    @staticmethod
    def read_head(lines: int) -> None:
        raw = OK + b"X: yyy\r\n" * lines + b"\r\n"
        reader = HeadReader(Limits(max_headers=lines))
        for position in range(len(raw) - 1):
            assert reader.feed(raw[position : position + 1]) is None
        assert fed_head(reader, raw[-1:]) == (raw, b"")

    @staticmethod
    def read_chunks(lines: int) -> None:
        raw = b"2;xxx\r\nhi\r\n" * lines + b"0\r\n" + b"X: yyy\r\n" * lines + b"\r\n"
        reader = ChunkReader(Limits(max_headers=lines), headers=0)
        for position in range(len(raw)):
            assert reader.feed(raw[position : position + 1])[2] == 1
        assert reader.complete

    @pytest.mark.parametrize("work", [read_head, read_chunks])
    def test_lines_seen_before_are_not_looked_at_again(self, work: Callable[[int], None]) -> None:
        """Four times as many lines, byte by byte, take four times as many calls."""
        assert calls_of(lambda: work(400)) < 4.2 * calls_of(lambda: work(100))
