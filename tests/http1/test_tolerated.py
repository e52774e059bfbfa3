"""What is read although it breaks the grammar, however it is split, whichever engine reads it.

Each of it marks the connection, which carries no other response then.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from anyhttp._http1 import Limits, ParseError
from anyhttp._http1.chunks import ChunkReader
from anyhttp._http1.heads import HeadReader
from tests.support.cost import calls_of
from tests.support.engines import Answer, Refused, agreed
from tests.support.tolerated import CHUNKS, OK, TOLERATED, TWO

EMPTY = b"Content-Length: 0\r\n\r\n"


def tolerated(raw: bytes, method: str = "GET", limits: Limits | None = None) -> Answer:
    """Return what both engines make of a response that is read and marks its connection."""
    answer = agreed(raw, method=method, limits=limits)
    assert isinstance(answer, Answer), f"{raw!r} is refused: {answer}"
    assert not answer.keep_alive
    return answer


def refused(raw: bytes, limits: Limits) -> str:
    """Return why both engines refuse a response."""
    answer = agreed(raw, limits=limits)
    assert isinstance(answer, Refused), f"{raw!r} is accepted: {answer}"
    return answer.reason


def feed(reader: HeadReader, raw: bytes, step: int) -> None:
    """Give *raw* to *reader*, *step* bytes at a time."""
    for place in range(0, len(raw), step):
        reader.feed(raw[place : place + step])


@pytest.mark.parametrize("raw", TOLERATED.values(), ids=TOLERATED)
def test_it_is_read(raw: bytes) -> None:
    """However the bytes are split, the message ends where it would by the grammar."""
    answer = tolerated(raw)
    assert (answer.status, answer.body, answer.version) == (200, b"hi", (1, 1))
    assert [value for name, value in answer.headers if name == b"X"] in ([], [b"a b"])
    if b"a\r\n Content-Length: 9" in raw:
        assert (b"Z", b"a Content-Length: 9") in answer.headers


@pytest.mark.parametrize("raw", TOLERATED.values(), ids=TOLERATED)
def test_what_follows_is_surplus(raw: bytes) -> None:
    """No byte of the next message is taken for this one's, or the other way round."""
    assert tolerated(raw + b"\r\n" + OK).surplus == b"\r\n" + OK


def test_a_response_by_the_grammar_keeps_its_connection() -> None:
    """Zeros that make a size eight digits long, as some servers write it, belong to that."""
    body = b"00000002;a=b\r\nhi\r\n0000\r\nX: \ta\t b \r\n\r\n"
    for raw in (
        OK + b"X: \ta\t b \r\n" + TWO,
        b"HTTP/1.1 103 Early\r\n\r\n" + OK + TWO,
        CHUNKS + body,
    ):
        answer = agreed(raw)
        assert isinstance(answer, Answer)
        assert answer.keep_alive


class TestFolds:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            (b"X: a\r\n b", b"a b"),
            (b"X: a \t \r\n \t b \t", b"a b"),
            (b"X: a\r\n b\r\n\tc d\n  e", b"a b c d e"),
            (b"X:\r\n a", b"a"),
            (b"X: a\r\n ", b"a"),
            (b"X: a\r\n \r\n \r\n b", b"a b"),
            (b"X:\r\n \r\n ", b""),
            (b"X: a,\r\n :b", b"a, :b"),
            (b"X: \x0b\r\n \x0c\x01\r\n \x01\x01\x02\x03", b"\x0b \x0c\x01 \x01\x01\x02\x03"),
        ],
    )
    def test_a_fold_becomes_one_space(self, field: bytes, value: bytes) -> None:
        """RFC 9112 §5.2: a user agent must replace it; what is around it goes with it."""
        for end in (b"\r\n", b"\n"):
            answer = tolerated(OK + b"A: b" + end + field + end + EMPTY)
            assert answer.headers[:2] == ((b"A", b"b"), (b"X", value))

    @pytest.mark.parametrize(
        "field",
        [b"Content-Length: 1\r\n 0", b"Content-Length: 1,\r\n 2", b"Content-Length: 1\n\t,1,2",
         b"Transfer-Encoding: chun\r\n ked", b"Transfer-Encoding: chunked,\r\n chunked"],
    )  # fmt: skip
    def test_a_folded_length_is_as_strict_as_another(self, field: bytes) -> None:
        """A space is no digit."""
        assert isinstance(agreed(OK + field + b"\r\n\r\n0\r\n\r\n"), Refused)

    def test_a_folded_trailer_may_not_speak_of_framing(self) -> None:
        """Nor does a fold hide a field."""
        raw = CHUNKS + b"0\r\nX: a\r\n Content-Length: 5\r\n\r\n"
        assert tolerated(raw).body == b""
        raw = CHUNKS + b"0\r\nContent-Length:\r\n 5\r\n\r\n"
        assert "framing" in refused(raw, Limits())


class TestIdentity:
    @pytest.mark.parametrize("value", [b"identity", b"IDENTITY \t", b"\r\n identity"])
    def test_it_says_that_there_is_no_coding(self, value: bytes) -> None:
        """It was a coding in RFC 2616; alone it leaves the end to the connection."""
        answer = tolerated(OK + b"X: y\r\ntransfer-ENCODING:" + value + b"\r\nZ: y\r\n\r\nhi")
        assert answer.body == b"hi"
        name, value = answer.headers[1]
        assert (name, value.lower()) == (b"transfer-ENCODING", b"identity")

    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
    def test_without_a_body_too(self, method: str, status: int) -> None:
        """The connection could go on then, and does not."""
        raw = b"HTTP/1.1 %d A\r\nTransfer-Encoding: identity\r\n\r\n" % status
        assert tolerated(raw, method=method).body == b""


class TestLimits:
    """They hold for what is tolerated too, over any split of the bytes."""

    LIMITS = Limits(max_line_size=40, max_field_size=30, max_headers=3)

    @pytest.mark.parametrize("over", [0, 1])
    @pytest.mark.parametrize("end", [b"\r\n", b"\n"])
    def test_a_folded_line_is_one_line(self, end: bytes, over: int) -> None:
        """Its line ends and the space after them count, but the last line end does not."""
        fold = end + b" "
        field = b"X: a" + fold * 3 + b"b"
        field += b"c" * (32 - len(field) + over)
        raw = OK + field + end + EMPTY
        if over:
            assert "a header line is longer than 30" in refused(raw, self.LIMITS)
        else:
            assert tolerated(raw, limits=self.LIMITS).headers[0][1].startswith(b"a bc")
        raw = CHUNKS + b"0\r\n" + field + end + b"\r\n"
        if over:
            assert "a trailer line is longer than 30" in refused(raw, self.LIMITS)
        else:
            tolerated(raw, limits=self.LIMITS)

    def test_each_folded_line_has_its_own(self) -> None:
        """And counts as one header line, not as many."""
        field = b"X: " + b"a\r\n " * 6 + b"b\r\n"
        assert len(tolerated(OK + field * 2 + EMPTY, limits=self.LIMITS).headers) == 3
        assert "more than 3" in refused(OK + field * 3 + EMPTY, self.LIMITS)

    @pytest.mark.parametrize("over", [0, 1])
    def test_a_line_that_ends_in_a_bare_lf(self, over: int) -> None:
        """The LF does not count."""
        raw = b"HTTP/1.1 200 ".ljust(40 + over, b"x") + b"\n" + EMPTY
        if over:
            assert "the status line is longer than 40" in refused(raw, self.LIMITS)
        else:
            tolerated(raw, limits=self.LIMITS)

    @pytest.mark.parametrize("over", [0, 1])
    @pytest.mark.parametrize("line", [b"\r\n", b"\n"])
    def test_empty_lines(self, line: bytes, over: int) -> None:
        """As many as header lines, in front of each head."""
        raw = line * (3 + over) + b"HTTP/1.1 103 Early\r\n\r\n" + line * 3 + OK + EMPTY
        if over:
            assert "more than 3 empty lines" in refused(raw, self.LIMITS)
        else:
            assert len(tolerated(raw, limits=self.LIMITS).interim) == 1

    @pytest.mark.parametrize("over", [0, 1])
    def test_zeros_before_a_size(self, over: int) -> None:
        """They fill the line and no more."""
        raw = CHUNKS + b"2".rjust(40 + over, b"0") + b"\r\nhi\r\n0\r\n\r\n"
        if over:
            assert "a chunk-size line is longer than 40" in refused(raw, self.LIMITS)
        else:
            assert tolerated(raw, limits=self.LIMITS).body == b"hi"

    @pytest.mark.parametrize("step", [1, 7, 1000])
    @pytest.mark.parametrize(
        "start", [b"\n" * 200, OK + b"X: a" + b"\n " * 200, OK + b"X: a\n" * 200]
    )
    def test_what_never_ends_is_not_collected(self, start: bytes, step: int) -> None:
        """The limit strikes while it grows."""
        reader = HeadReader(self.LIMITS)
        with pytest.raises(ParseError, match="than"):
            feed(reader, start, step)
        assert len(reader.raw) <= 100


# -- cost ------------------------------------------------------------------------------


class TestCost:
    """CVE-2025-69229: bytes that come one at a time cost no more than their number."""

    @staticmethod
    def read_folds(lines: int) -> None:
        raw = b"\n" * lines + b"HTTP/1.1 200 OK\nX: a\n" + b" b\n" * lines + b"\n"
        reader = HeadReader(Limits(max_headers=lines, max_field_size=4 * lines))
        for place in range(len(raw) - 1):
            assert reader.feed(raw[place : place + 1]) is None
        read = reader.feed(raw[-1:])
        assert read is not None
        assert read[0].raw_headers == [(b"X", b"a" + b" b" * lines)]

    @staticmethod
    def read_trailers(lines: int) -> None:
        raw = b"02 ; a\r\nhi\r\n" * lines + b"0\r\nX: a\n" + b" b\n" * lines + b"\n"
        reader = ChunkReader(Limits(max_headers=lines, max_field_size=4 * lines), headers=0)
        for place in range(len(raw)):
            assert reader.feed(raw[place : place + 1])[2] == 1
        assert reader.complete
        assert reader.tolerated

    @pytest.mark.parametrize("work", [read_folds, read_trailers])
    def test_lines_seen_before_are_not_looked_at_again(self, work: Callable[[int], None]) -> None:
        """Four times as many lines, byte by byte, take four times as many calls."""
        assert calls_of(lambda: work(400)) < 4.2 * calls_of(lambda: work(100))
