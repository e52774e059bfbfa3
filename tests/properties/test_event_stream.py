from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import example, given, strategies as st

from anyhttp._event_stream import EventStream, ServerSentEvent, TextLines
from anyhttp.http_exceptions import LineTooLong

# Bytes that are likely to be taken for something.
tricky = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    b"\n",
                    b"\r",
                    b"\r\n",
                    b"\n\n",
                    b":",
                    b" ",
                    b"data",
                    b"data:",
                    b"data: x",
                    b"event",
                ),
                *(b"event: e", b"id", b"id: 7", b"id: \0", b"retry: 10", b"retry: x", b"Data: x"),
                *(b"\xef\xbb\xbf", b"\xef\xbb", b"\xc3\xa4", b"\xe2\x82\xac", b"\xff", b"\0"),
            ]
        ),
        st.binary(max_size=3),
    ),
    max_size=30,
).map(b"".join)
cuts = st.lists(st.integers(0, 1000), max_size=20)


def split(whole: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut *whole* at some places."""
    ordered = [0, *sorted(cut % (len(whole) + 1) for cut in places), len(whole)]
    return [whole[start:end] for start, end in pairwise(ordered)]


def reference(body: bytes) -> list[ServerSentEvent]:
    """Read a whole stream, as the steps of the HTML standard are written."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _ = re.split("\r\n|\n|\r", text)
    found: list[ServerSentEvent] = []
    data = kind = last_id = ""
    retry: int | None = None
    for line in lines:
        if not line:
            if data:
                found.append(ServerSentEvent(kind or "message", data[:-1], last_id, retry))
            data, kind, retry = "", "", None
            continue
        match = re.fullmatch("([^:]*)(?:: ?(.*))?", line, re.DOTALL)
        assert match is not None
        value = match[2] or ""
        if match[1] == "data":
            data += value + "\n"
        elif match[1] == "event":
            kind = value
        elif match[1] == "id" and "\0" not in value:
            last_id = value
        elif match[1] == "retry" and re.fullmatch("[0-9]{1,12}", value):
            retry = int(value)
    return found


@given(tricky, cuts)
@example(b"data: 1\r\n\r\n", [8, 10])
@example("data: \u20ac\n\n".encode(), [7, 8])
def test_any_split_gives_the_events_of_the_standard(body: bytes, places: list[int]) -> None:
    """How the bytes happen to arrive changes nothing of what they mean."""
    parser = EventStream(10**4, "it")
    found: list[ServerSentEvent] = []
    for piece in split(body, places):
        parser.feed(piece)
        while (event := parser.next_event()) is not None:
            found.append(event)
    assert found == reference(body)


def outcome(pieces: Iterable[bytes], encoding: str, limit: int) -> list[object]:
    """The lines, and the error that ends them."""
    lines = TextLines(encoding, "replace", limit, "it")
    found: list[object] = []

    def take() -> None:
        while (line := lines.next_line()) is not None:
            found.append(line)

    try:
        for piece in pieces:
            lines.feed(piece)
            take()
        lines.feed_eof()
        take()
    except LineTooLong:
        found.append(LineTooLong)
    return found


@given(tricky, cuts, st.sampled_from(["utf-8", "latin-1", "utf-16-le", "gb18030"]))
def test_any_split_gives_the_lines_of_the_text(
    body: bytes, places: list[int], encoding: str
) -> None:
    """They are those of Python's text files, whose ends are not kept."""
    text = body.decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")
    expected = text.removesuffix("\n").split("\n") if text else []
    assert outcome(split(body, places), encoding, 10**4) == expected


@given(tricky, cuts, st.integers(1, 10))
def test_any_split_meets_the_limit_at_the_same_line(
    body: bytes, places: list[int], limit: int
) -> None:
    """The lines before one that is too long are there."""
    assert outcome(split(body, places), "utf-8", limit) == outcome([body], "utf-8", limit)
