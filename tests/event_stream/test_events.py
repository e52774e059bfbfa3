"""The HTML standard, section 9.2.6: how a ``text/event-stream`` is read."""

from __future__ import annotations

import copy
import pickle

import pytest

from anyhttp._event_stream import EventStream, ServerSentEvent
from anyhttp.http_exceptions import LineTooLong
from tests.support.cost import calls_of


def stream(limit: int = 100) -> EventStream:
    """Return a parser with a small limit."""
    return EventStream(limit, "max_event_size= of events()")


def events(body: bytes, step: int = 10**6) -> list[ServerSentEvent]:
    """What *body* holds, when its bytes come in pieces of *step*."""
    parser = stream(10**6)
    found: list[ServerSentEvent] = []
    for start in range(0, len(body), step):
        parser.feed(body[start : start + step])
        while (event := parser.next_event()) is not None:
            found.append(event)
    return found


# The examples of the standard, and what it says about them.
STOCKS = b"data: YHOO\ndata: +2\ndata: 10\n\n"
FOUR = (
    b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
)
TWO = b"data\n\ndata\ndata\n\ndata:"
SAME = b"data:test\n\ndata: test\n\n"


@pytest.mark.parametrize("step", [1, 2, 1000])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (STOCKS, [ServerSentEvent(data="YHOO\n+2\n10")]),
        (
            FOUR,
            [
                ServerSentEvent(data="first event", id="1"),
                ServerSentEvent(data="second event"),
                ServerSentEvent(data=" third event"),
            ],
        ),
        (TWO, [ServerSentEvent(), ServerSentEvent(data="\n")]),
        (SAME, [ServerSentEvent(data="test")] * 2),
    ],
    ids=["several lines", "fields", "empty data", "one space"],
)
def test_examples_of_the_standard(body: bytes, expected: list[ServerSentEvent], step: int) -> None:
    """They say what is an event, and what it holds, with each kind of line end."""
    for end in (b"\n", b"\r", b"\r\n"):
        assert events(body.replace(b"\n", end), step) == expected


def test_the_type_is_that_of_one_event() -> None:
    """It is reset also by an empty line that ends no event."""
    body = b"event: a\ndata: 1\n\ndata: 2\n\nevent: b\n\ndata: 3\n\nevent:\ndata: 4\n\n"
    assert [event.type for event in events(body)] == ["a", "message", "message", "message"]


def test_an_id_stays_until_another_comes() -> None:
    """An empty one is one, too; one with NUL is none (a header could not carry it)."""
    body = (
        b"id: 7\ndata: 1\n\ndata: 2\n\nid: a\0b\ndata: 3\n\nid\ndata: 4\n\nid: \xc3\xa4\ndata\n\n"
    )
    assert [event.id for event in events(body)] == ["7", "7", "7", "", "ä"]


def test_an_id_counts_when_an_empty_line_comes() -> None:
    """So an event that the connection broke off in is sent again after the reconnection."""
    parser = stream()
    parser.feed(b"id: 1\n")
    assert (parser.next_event(), parser.last_event_id) == (None, "")
    parser.feed(b"\n")
    assert (parser.next_event(), parser.last_event_id) == (None, "1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"0", 0), (b"1500", 1500), (b"9" * 12, 10**12 - 1), (b"9" * 13, None), (b"", None),
        (b"1.5", None), (b"-1", None), (b"+1", None), (b"1_0", None), (b" 1", None), (b"1 ", None),
        ("\N{SUPERSCRIPT TWO}".encode(), None), ("\N{ARABIC-INDIC DIGIT TWO}".encode(), None),
    ],
)  # fmt: skip
def test_retry_is_ascii_digits(value: bytes, expected: int | None) -> None:
    """Everything else is ignored, and what no clock needs."""
    parser = stream()
    parser.feed(b"retry: " + value + b"\ndata\n\n")
    event = parser.next_event()
    assert event is not None
    assert event.retry == parser.reconnection_time == expected


def test_retry_counts_without_an_event() -> None:
    """It is that of one event, but counts for the stream until another comes."""
    parser = stream()
    parser.feed(b"retry: 5\n\ndata: 1\n\nretry: 6")
    assert parser.next_event() == ServerSentEvent(data="1")
    assert parser.reconnection_time == 5
    parser.feed(b"\n")
    assert parser.next_event() is None
    assert parser.reconnection_time == 6


def test_unknown_fields_are_ignored() -> None:
    """Names are case-sensitive; comments have none."""
    assert events(b"Data: 1\n data: 2\nfoo: bar\nfoo\n:data: 3\n:\n\n") == []


@pytest.mark.parametrize("step", [1, 1000])
def test_one_byte_order_mark_is_dropped(step: int) -> None:
    """It stands at the beginning of the stream; anywhere else it is a character."""
    mark = "\ufeff".encode()
    assert events(mark + b"data: 1\n\n" + mark + b"data: 2\n\n", step) == [
        ServerSentEvent(data="1")
    ]
    assert events(mark + mark + b"data: 1\n\n", step) == []
    assert events(mark + b"\ndata: 1\n\n", step) == [ServerSentEvent(data="1")]


def test_what_is_no_utf8_is_replaced() -> None:
    """The standard names UTF-8 for all streams, and U+FFFD for what is none."""
    assert events(b"data: \xff\xe2\x82 \n\n", 1) == [ServerSentEvent(data="\ufffd\ufffd ")]


def test_an_event_has_a_bound() -> None:
    """It counts the data; each further call raises again, and nothing of the event is returned."""
    parser = stream(9)
    parser.feed(b"data: 1\n\ndata:1234\ndata:6789\n\ndata:1234\ndata:67890\n\ndata: 2\n\n")
    assert parser.next_event() == ServerSentEvent(data="1")
    assert parser.next_event() == ServerSentEvent(data="1234\n6789")
    for _ in range(2):
        with pytest.raises(LineTooLong, match=r"9 characters.*set by max_event_size= of events"):
            parser.next_event()


def test_a_line_of_an_event_has_a_bound() -> None:
    """So has a comment, and a line without an end."""
    parser = stream(9)
    parser.feed(b":23456789\n:234567890")
    for _ in range(2):
        with pytest.raises(LineTooLong, match="max_event_size"):
            parser.next_event()


def test_empty_data_counts() -> None:
    """A line that adds nothing but a line feed takes memory, too."""
    parser = stream(9)
    parser.feed(b"data\n" * 11)
    with pytest.raises(LineTooLong):
        parser.next_event()


def test_the_cost_is_linear() -> None:
    """Ten times as many bytes, one at a time, take ten times as many calls of functions."""

    def feed(count: int) -> None:
        events(b"data: x\n" * count + b"\n" + b": comment\n" * count, 1)

    assert calls_of(lambda: feed(1000)) < 11 * calls_of(lambda: feed(100))


def test_an_event_is_a_value() -> None:
    """It is compared, copied and pickled, and its data may be JSON."""
    event = ServerSentEvent("delta", '{"a": [1]}', "7", 100)
    assert pickle.loads(pickle.dumps(event)) == copy.copy(event) == event
    assert event.json() == {"a": [1]}
    assert event.json(loads=len) == 10
    with pytest.raises(ValueError, match="Expecting value"):
        ServerSentEvent(data="[DONE").json()
    with pytest.raises(AttributeError):
        event.data = ""  # type: ignore[misc]  # it is frozen
