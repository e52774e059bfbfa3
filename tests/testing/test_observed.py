"""What is read along while bytes pass."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute
from yarl import URL

from anyhttp.testing._memory import memory_connection
from anyhttp.testing._observed import ExchangeObserver, ObservedStream
from anyhttp.testing._redaction import Filters

ASK = b"POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nho"


class Watched:
    """An observer, and how often it has told of the end."""

    def __init__(self) -> None:
        self.ends = 0
        self.observer = ExchangeObserver(URL("http://a.test/a"), self.end)

    def end(self, observer: ExchangeObserver) -> None:
        """Take note of the end."""
        assert observer is self.observer
        self.ends += 1

    def record(self, *, is_timed: bool = False) -> dict[str, Any] | None:
        """What would be written."""
        entry = self.observer.entry(Filters(), is_timed=is_timed)
        return None if entry is None else entry.record


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_exchange_is_over_with_both_of_its_sides(size: int) -> None:
    """However the bytes are split; what comes later belongs to something else."""
    watched = Watched()
    for start in range(0, len(ASK), size):
        watched.observer.sent(ASK[start : start + size])
    answer = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + ANSWER
    for start in range(0, len(answer), size):
        assert watched.ends == 0
        watched.observer.received(answer[start : start + size])
    assert watched.ends == 1
    watched.observer.sent(b"more")
    watched.observer.received(b"more")
    watched.observer.closed()
    assert watched.ends == 1
    record = watched.record()
    assert record is not None
    assert record["request"]["postData"]["text"] == "hi"
    assert record["response"]["content"]["text"] == "ho"
    assert "_early" not in record


def test_an_answer_before_the_end_of_the_request_is_early() -> None:
    """Whether the request ends later or never."""
    for rest in (b"", ASK[-1:]):
        watched = Watched()
        watched.observer.sent(ASK[:-1])
        watched.observer.received(ANSWER)
        assert watched.ends == 0
        watched.observer.sent(rest)
        watched.observer.closed()
        record = watched.record()
        assert record is not None
        assert record["_early"] is True


def test_nothing_is_written_of_a_connection_without_a_request() -> None:
    """It may have been closed before."""
    watched = Watched()
    watched.observer.closed()
    assert watched.ends == 1
    assert watched.record() is None


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b""),  # without Host
        (ASK, b"nonsense\r\n\r\n"),
        (ASK, b"HTTP/1.1 200 OK\r\nA B: c\r\nContent-Length: 0\r\n\r\n"),
        (b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
         b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nbytes"),
    ],
    ids=["request", "response", "name", "upgrade"],
)  # fmt: skip
def test_what_is_no_http_cannot_be_replayed(sent: bytes, received: bytes) -> None:
    """The observer says so, and reads on no more."""
    watched = Watched()
    watched.observer.sent(sent)
    watched.observer.received(received)
    watched.observer.sent(b"more")
    watched.observer.received(b"more")
    assert not watched.observer.is_replayable
    assert watched.ends == 0
    watched.observer.closed()
    assert watched.ends == 1


def test_a_failure_is_written_with_its_reason() -> None:
    """Of two, the first one, which explains the other; only where traffic is written."""
    watched = Watched()
    watched.observer.sent(ASK)
    watched.observer.failed(OSError("first"))
    watched.observer.failed(OSError("second"))
    watched.observer.closed()
    record = watched.record(is_timed=True)
    assert record is not None
    assert (record["_error"], record["response"]["status"]) == ("first", 0)
    record = watched.record()
    assert record is not None
    assert "_error" not in record


def test_an_error_without_text_is_named() -> None:
    """Anyio's have none."""
    watched = Watched()
    watched.observer.sent(ASK)
    watched.observer.failed(anyio.BrokenResourceError())
    record = watched.record(is_timed=True)
    assert record is not None
    assert record["_error"] == "BrokenResourceError"


async def test_bytes_pass_and_errors_too() -> None:
    """The stream is that of the connection, with its attributes."""
    watched = Watched()
    ours, theirs = memory_connection()
    stream = ObservedStream(ours, ours, watched.observer)
    assert stream.extra(SocketAttribute.remote_port) == 80
    await stream.send(ASK)
    await stream.send_eof()
    assert await theirs.receive() == ASK
    with pytest.raises(anyio.EndOfStream):
        await theirs.receive()
    await theirs.send(ANSWER)
    assert await stream.receive(5) == ANSWER[:5]
    await stream.aclose()
    assert watched.ends == 1
    with pytest.raises(anyio.ClosedResourceError):
        await stream.send(b"x")
    with pytest.raises(anyio.ClosedResourceError):
        await stream.receive()
    record = watched.record(is_timed=True)
    assert record is not None
    assert record["_error"] == "ClosedResourceError"


async def test_aborting_ends_the_exchange() -> None:
    """And resets the connection."""
    watched = Watched()
    ours, theirs = memory_connection()
    stream = ObservedStream(ours, ours, watched.observer)
    stream.abort()
    assert watched.ends == 1
    with pytest.raises(anyio.BrokenResourceError):
        await theirs.receive()
    await stream.aclose()
    assert watched.ends == 1
