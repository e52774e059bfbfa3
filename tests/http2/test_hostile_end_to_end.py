"""Hostile HTTP/2 servers, and what a program sees of them.

The chapter "HTTP/2" of ``docs/explanation/trust.md`` says what must happen; each test names a rule.
What each frame does to the others is tested without a socket in the modules beside this one.
"""

from __future__ import annotations

import gzip
import logging
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from yarl import URL

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from hyperframe.frame import Frame, GoAwayFrame, PingFrame, RstStreamFrame, WindowUpdateFrame

from anyhttp import (
    ClientConnectionError,
    ClientError,
    ClientPayloadError,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    TCPConnector,
)
from anyhttp.abc import AbstractResolver, ResolveResult
from tests.support.client import assert_free, wait_free
from tests.support.http2_peer import Http2Connection, Http2Script, Request
from tests.support.http2_probe import (
    CONTINUATION,
    END_HEADERS,
    HEADERS,
    ORIGIN,
    PUSH_PROMISE,
    data,
    frame,
    goaway,
    number,
    ping,
    reset,
    settings,
    window_update,
)
from tests.support.peer import Flag
from tests.support.tls import Authority

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 1, 3, 5, 6
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 7, 8, 9, 11
SECRET = "nobody-may-read-this"
#: Compressed sections: a good one most of all.
BLOCKS = [b"\x88"] * 14 + [b"\x08\x03103", b"\x89", b"\x00\x01A\x01b", b"\x88\x0f\x0d\x043000", b""]


def session_of(**options: Any) -> ClientSession:
    """Return a session that speaks HTTP/2 in clear text."""
    return ClientSession(connector=TCPConnector(http2="prior-knowledge"), **options)


async def outcome(session: ClientSession, url: URL, **options: Any) -> bytes | Exception:
    """Return the body of a response, or what was raised."""
    try:
        async with session.get(url, **options) as response:
            return await response.read()
    except (ClientError, OSError) as exc:
        return exc


async def outcomes(session: ClientSession, *urls: URL) -> list[bytes | Exception]:
    """Ask for all of them at once."""
    found: dict[int, bytes | Exception] = {}

    async def ask(place: int, url: URL) -> None:
        found[place] = await outcome(session, url)

    async with anyio.create_task_group() as group:
        for place, url in enumerate(urls):
            group.start_soon(ask, place, url)
    return [found[place] for place in range(len(urls))]


def send_and_wait(peer: Http2Connection, *sent: Frame | bytes) -> None:
    """Send frames, and wait until the client has read them, or has left the exchange."""
    before = sum("ACK" in each.flags for each in peer.all(PingFrame))
    peer.send(*sent, ping())
    peer.until(
        lambda: (
            peer.all(RstStreamFrame)
            or sum("ACK" in each.flags for each in peer.all(PingFrame)) > before
        )
    )


def by_path(peer: Http2Connection, count: int) -> dict[str, Request]:
    """Return so many requests by their paths, whatever their order."""
    requests = [peer.whole_request() for _ in range(count)]
    return {request["path"]: request for request in requests}


FAULTS: dict[str, tuple[bytes, int]] = {
    "size": (frame(0, 0, 1, length=2**24 - 1), FRAME_SIZE_ERROR),
    "ping of a wrong size": (frame(6, 0, 0, b"1"), FRAME_SIZE_ERROR),
    "setting out of range": (settings((4, 2**31)), FLOW_CONTROL_ERROR),
    "window that overflows": (window_update(0, 2**31 - 1), FLOW_CONTROL_ERROR),
    "frame on a stream of nobody": (data(99, b"x"), PROTOCOL_ERROR),
    "push": (frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + b"\x82\x84\x87"), PROTOCOL_ERROR),
    "bad compression": (frame(HEADERS, END_HEADERS, 1, b"\xff\x80\x01"), COMPRESSION_ERROR),
    "endless head": (
        frame(HEADERS, 0, 1, b"\x88") + frame(CONTINUATION, 0, 1, bytes(16_000)) * 5,
        ENHANCE_YOUR_CALM,
    ),
    "flood of pings": (ping() * 1_100, ENHANCE_YOUR_CALM),
    "flood of settings": (settings((4, 65_535)) * 1_100, ENHANCE_YOUR_CALM),
}


class TestTheWholeConnection:
    @pytest.mark.parametrize("fault", FAULTS)
    async def test_a_fault_of_the_connection_fails_each_exchange(
        self, fault: str, http2_script: Http2Script
    ) -> None:
        """With a documented exception; the server is told why; the next request has a new one."""
        wrong, code = FAULTS[fault]

        def first(peer: Http2Connection) -> None:
            requests = by_path(peer, 3)
            peer.send(*peer.head(requests["/begun"], 200), peer.data(requests["/begun"], b"x"))
            peer.send(wrong)
            peer.wait_closed()

        def second(peer: Http2Connection) -> None:
            peer.respond(peer.request(), 200, body=b"again")

        peer = await http2_script(first, second, partial=True)
        async with session_of() as session:
            urls = [peer.url / "a", peer.url / "b", peer.url / "begun"]
            for found in await outcomes(session, *urls):
                assert isinstance(found, ClientError)
            assert await outcome(session, peer.url / "c") == b"again"
            await peer.wait_closed()
            assert_free(session, idle=1)
        assert [each.error_code for each in peer.connections[0].all(GoAwayFrame)] == [code]

    @pytest.mark.parametrize("answer", ["http1", "garbage", "tls alert"])
    async def test_a_server_that_does_not_speak_it_is_an_error_at_once(
        self, answer: str, http2_script: Http2Script
    ) -> None:
        """Prior knowledge that was wrong: nothing waits for the frame that ``HTTP`` would begin."""
        sent = {
            "http1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            "garbage": b"\x01" * 40,
            "tls alert": b"\x15\x03\x03\x00\x02\x02\x50",
        }

        def play(peer: Http2Connection) -> None:
            peer.send(sent[answer])
            if answer == "tls alert":
                peer.close()
            peer.wait_closed_deaf()

        peer = await http2_script(play, greets=False, partial=True)
        async with session_of() as session:
            with pytest.raises(ClientError) as caught:
                await session.get(peer.url)
            if answer == "http1":
                assert "HTTP/1" in str(caught.value)
            assert_free(session, idle=0)

    @pytest.mark.parametrize("how", ["close", "cut in a frame", "reset"])
    async def test_the_end_of_the_connection(self, how: str, http2_script: Http2Script) -> None:
        """Each exchange fails; one whose body had begun says that it is not complete."""

        def play(peer: Http2Connection) -> None:
            requests = by_path(peer, 2)
            peer.send(*peer.head(requests["/begun"], 200), peer.data(requests["/begun"], b"x"))
            if how == "cut in a frame":
                peer.send(b"\x00\x00\x09\x00\x00")
            if how == "reset":
                peer.reset()
            else:
                peer.close()

        peer = await http2_script(play, partial=True)
        async with session_of() as session:
            session_timeout = ClientTimeout(total=20)
            found: list[Exception] = []

            async def begun() -> None:
                try:
                    async with session.get(peer.url / "begun", timeout=session_timeout) as response:
                        await response.read()
                except (ClientError, OSError) as exc:
                    found.append(exc)

            async with anyio.create_task_group() as group:
                group.start_soon(begun)
                with pytest.raises(ClientConnectionError):
                    await session.post(peer.url / "a")
            assert isinstance(found[0], ClientError)
            assert_free(session, idle=0)


class TestOneExchange:
    @pytest.mark.parametrize(
        "fields",
        [
            [("x-a", "b")],
            [(":status", "200"), ("X-Upper", "b")],
            [(":status", "200"), ("x-a", "b\r\nevil: 1")],
            [(":status", "200"), ("transfer-encoding", "chunked")],
            [(":status", "200"), ("content-length", "1"), ("content-length", "2")],
        ],
        ids=["no status", "upper case", "line break", "of connection", "lengths"],
    )
    async def test_a_malformed_head_fails_its_exchange(
        self, fields: list[tuple[str, str]], http2_script: Http2Script
    ) -> None:
        """As one of HTTP/1.1 does; the others on the connection go on."""

        def play(peer: Http2Connection) -> None:
            requests = by_path(peer, 2)
            peer.send(*peer.headers(requests["/bad"], fields))
            assert peer.frame(RstStreamFrame).error_code == PROTOCOL_ERROR
            peer.respond(requests["/good"], 200, body=b"good")
            peer.respond(peer.request(), 200, body=b"next")

        peer = await http2_script(play)
        async with session_of() as session:
            bad, good = await outcomes(session, peer.url / "bad", peer.url / "good")
            assert isinstance(bad, ClientResponseError)
            assert bad.status == 400
            assert good == b"good"
            assert await outcome(session, peer.url / "next") == b"next"
            assert_free(session, idle=1)

    @pytest.mark.parametrize("fault", ["short", "long", "trailers", "second head"])
    async def test_a_malformed_body_fails_its_reads(
        self, fault: str, http2_script: Http2Script
    ) -> None:
        """What came before can be read; the rest is :exc:`ClientPayloadError`."""

        def play(peer: Http2Connection) -> None:
            request = peer.request()
            peer.send(*peer.head(request, 200, [("content-length", "8")]))
            peer.send(peer.data(request, b"1234"))
            if fault == "short":
                peer.send(peer.data(request, end=True))
            elif fault == "long":
                peer.send(peer.data(request, b"56789"))
            elif fault == "trailers":
                peer.send(*peer.headers(request, [(":path", "/")], end=True))
            else:
                peer.send(*peer.head(request, 200))
            assert peer.frame(RstStreamFrame).error_code == PROTOCOL_ERROR
            peer.respond(peer.request(), 200, body=b"next")

        peer = await http2_script(play)
        async with session_of() as session:
            async with session.get(peer.url) as response:
                with pytest.raises(ClientPayloadError):
                    await response.read()
            assert await outcome(session, peer.url) == b"next"

    @pytest.mark.parametrize(
        ("options", "fields"),
        [
            ({"max_field_size": 100}, [("x-a", "v" * 200)]),
            ({"max_headers": 5}, [(f"x-{each}", "v") for each in range(6)]),
        ],
    )
    async def test_the_limits_of_the_session_hold(
        self, options: dict[str, int], fields: list[tuple[str, str]], http2_script: Http2Script
    ) -> None:
        """For heads and trailers, on a connection that goes on."""

        def play(peer: Http2Connection) -> None:
            peer.respond(peer.request(), 200, fields)
            request = peer.request()
            peer.send(*peer.head(request), peer.data(request, b"x"))
            peer.send(*peer.headers(request, fields, end=True))
            peer.respond(peer.request(), 200, body=b"next")

        peer = await http2_script(play)
        async with session_of(**options) as session:
            first = await outcome(session, peer.url)
            assert isinstance(first, ClientResponseError)
            assert first.status == 400
            assert isinstance(await outcome(session, peer.url), ClientPayloadError)
            assert await outcome(session, peer.url) == b"next"

    async def test_informational_heads_do_not_go_on_for_ever(
        self, http2_script: Http2Script
    ) -> None:
        """One at a time or all at once."""

        def play(peer: Http2Connection) -> None:
            request = peer.request()
            for _ in range(20):
                peer.send(*peer.head(request, 103))
            request = peer.request()
            peer.send(*[each for _ in range(100) for each in peer.head(request, 103)])
            peer.frame(RstStreamFrame, request.stream_id)

        peer = await http2_script(play, partial=True)
        async with session_of() as session:
            slow = await outcome(session, peer.url, timeout=ClientTimeout(total=0.2))
            assert isinstance(slow, (TimeoutError, ClientError))
            assert isinstance(await outcome(session, peer.url), ClientResponseError)

    async def test_a_bomb_is_decoded_in_steps(self, http2_script: Http2Script) -> None:
        """``max_body_size`` counts decoded bytes, over HTTP/2 as well."""
        bomb = gzip.compress(bytes(2**24))

        def play(peer: Http2Connection) -> None:
            peer.respond(peer.request(), 200, [("content-encoding", "gzip")], body=bomb)
            peer.respond(peer.request(), 200, body=b"next")

        peer = await http2_script(play, partial=True)
        async with session_of(max_body_size=2**20) as session:
            assert isinstance(await outcome(session, peer.url), ClientError)
            assert await outcome(session, peer.url) == b"next"


class TestTime:
    @pytest.mark.parametrize("kind", ["ping", "settings", "window", "unknown", "empty data"])
    async def test_frames_that_bring_nothing_do_not_outlast_sock_read(
        self, kind: str, http2_script: Http2Script
    ) -> None:
        """Its time begins anew with what comes for the exchange, and not with each byte."""
        sent = {
            "ping": b"",
            "settings": settings(),
            "window": window_update(0, 1),
            "unknown": frame(0x50),
            "empty data": data(1),
        }

        def play(peer: Http2Connection) -> None:
            request = peer.request()
            if kind == "empty data":
                peer.send(*peer.head(request))
            while not peer.all(RstStreamFrame):
                send_and_wait(peer, sent[kind])

        peer = await http2_script(play, partial=True)
        async with session_of() as session:
            found = await outcome(session, peer.url, timeout=ClientTimeout(total=20, sock_read=0.1))
            assert isinstance(found, TimeoutError)

    async def test_nor_total(self, http2_script: Http2Script) -> None:
        """Although something arrives all the time, also for the exchange."""

        def play(peer: Http2Connection) -> None:
            request = peer.request()
            peer.send(*peer.head(request))
            while not peer.all(RstStreamFrame):
                send_and_wait(peer, peer.data(request, b"x"))

        peer = await http2_script(play, partial=True)
        async with session_of() as session:
            found = await outcome(session, peer.url, timeout=ClientTimeout(total=0.2))
            assert isinstance(found, TimeoutError)

    async def test_a_window_that_stays_shut_does_not_outlast_total(
        self, http2_script: Http2Script
    ) -> None:
        """An upload that the server takes nothing of; the connection goes on."""

        def play(peer: Http2Connection) -> None:
            peer.request()
            assert peer.frame(RstStreamFrame).error_code == CANCEL
            peer.respond(peer.request(), 200, body=b"next")

        peer = await http2_script(play, settings={4: 0})
        async with session_of() as session:
            with pytest.raises(TimeoutError):
                await session.post(peer.url, data=bytes(100_000), timeout=ClientTimeout(total=0.2))
            assert await outcome(session, peer.url) == b"next"

    async def test_a_window_of_one_byte_takes_bounded_work(self, http2_script: Http2Script) -> None:
        """A large upload in pieces of one byte: the server gets its bytes, or is left."""

        def play(peer: Http2Connection) -> None:
            peer.credits = False
            request = peer.request()
            while not peer.all(RstStreamFrame):
                send_and_wait(peer, WindowUpdateFrame(request.stream_id, window_increment=1))

        peer = await http2_script(play, settings={4: 0}, partial=True)
        async with session_of() as session:
            with pytest.raises((TimeoutError, ClientError)):
                await session.post(peer.url, data=bytes(900_000), timeout=ClientTimeout(total=0.3))
            assert_free(session)

    async def test_a_server_that_reads_nothing_is_owed_little(
        self, http2_script: Http2Script
    ) -> None:
        """It asks for answers, and does not take them; the time ends the exchange."""

        def play(peer: Http2Connection) -> None:
            peer.request()
            while True:
                peer.send(ping() * 6)

        peer = await http2_script(play, partial=True)
        async with session_of() as session:
            found = await outcome(session, peer.url, timeout=ClientTimeout(total=0.5))
            assert isinstance(found, (TimeoutError, ClientError))
            assert_free(session)

    async def test_no_requests_are_queued_for_a_server_that_reads_nothing(
        self, http2_script: Http2Script
    ) -> None:
        """Their heads would take memory for as long as the connection lasts."""
        flag = Flag()

        def deaf(peer: Http2Connection) -> None:
            peer.request()
            peer.give_window(2**30)
            peer.pause(flag)

        def play(peer: Http2Connection) -> None:
            while True:
                peer.respond(peer.request(), 200, body=b"of another")

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(2**18)

        async def upload() -> None:
            with pytest.raises(ClientError):
                await session.post(peer.url, data=endless())

        peer = await http2_script(deaf, play, settings={4: 2**30}, repeat=True, partial=True)
        async with session_of() as session, anyio.create_task_group() as group:
            group.start_soon(upload)
            await peer.settled()
            await anyio.wait_all_tasks_blocked()
            headers = {"X-Large": "x" * 8000}
            found: bytes | Exception = b""
            for seconds in [0.02] * 60 + [20]:  # the first ones wait behind the upload
                timeout = ClientTimeout(total=seconds)
                found = await outcome(session, peer.url, timeout=timeout, headers=headers)
                if found == b"of another":
                    break
            assert found == b"of another"
            flag.set()
            peer.connections[0].link.interrupt()

    async def test_streams_that_are_never_allowed_are_waited_for_in_vain(
        self, http2_script: Http2Script
    ) -> None:
        """MAX_CONCURRENT_STREAMS 0: no connection after the other, and the time holds."""

        def play(peer: Http2Connection) -> None:
            peer.wait_closed()

        peer = await http2_script(play, settings={3: 0}, repeat=True, partial=True)
        async with session_of() as session:
            found = await outcome(session, peer.url, timeout=ClientTimeout(total=0.3))
            assert isinstance(found, (TimeoutError, ClientError))
            assert len(peer.connections) <= 2


class TestAgain:
    @pytest.mark.parametrize("farewell", ["goaway", "end", "goaway and end"])
    async def test_connections_that_end_before_a_request_are_not_made_for_ever(
        self, farewell: str, http2_script: Http2Script
    ) -> None:
        """Each speaks HTTP/2, and is over at once."""

        def play(peer: Http2Connection) -> None:
            if farewell != "end":
                peer.go_away(0)
            if farewell != "goaway":
                peer.close()
            peer.wait_closed()

        peer = await http2_script(play, repeat=True, partial=True)
        async with session_of() as session:
            found = await outcome(session, peer.url, timeout=ClientTimeout(total=2))
            assert isinstance(found, ClientError)
            assert len(peer.connections) <= 10
            assert_free(session, idle=0)

    @pytest.mark.parametrize("how", ["refused", "goaway"])
    async def test_unprocessed_requests_are_sent_again_a_few_times(
        self, how: str, http2_script: Http2Script
    ) -> None:
        """A server that never processes any is not asked for ever."""
        asked: list[int] = []

        def play(peer: Http2Connection) -> None:
            while True:
                request = peer.request()
                asked.append(request.stream_id)
                assert len(asked) < 100
                if how == "refused":
                    peer.reset_stream(request, REFUSED_STREAM)
                else:
                    peer.go_away(request.stream_id - 2 if request.stream_id > 1 else 0)

        peer = await http2_script(play, repeat=True, partial=True)
        async with session_of() as session:
            found = await outcome(session, peer.url, timeout=ClientTimeout(total=20))
            assert isinstance(found, ClientError)
            assert 1 <= len(asked) <= 20

    @pytest.mark.parametrize(
        "debug", [b"", b"\x1b[31m\r\n" + SECRET.encode() + b"x" * 10_000], ids=["none", "much"]
    )
    async def test_what_a_goaway_says_is_shown_printable(
        self, debug: bytes, http2_script: Http2Script
    ) -> None:
        """And not much of it."""

        def play(peer: Http2Connection) -> None:
            request = peer.request()
            peer.send(*peer.head(request), peer.data(request, b"x"))
            peer.send(goaway(1, PROTOCOL_ERROR, debug))
            peer.close()

        peer = await http2_script(play, partial=True)
        async with session_of() as session:
            found = await outcome(session, peer.url)
        assert isinstance(found, ClientPayloadError)
        assert str(found).isprintable()
        assert len(str(found)) < 1000


class Everywhere(AbstractResolver):
    """Says that each name is this computer."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        """Return the loopback address."""
        await anyio.lowlevel.checkpoint()
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0)
        ]

    async def close(self) -> None:
        """Do nothing."""


class TestOrigins:
    async def test_a_connection_is_for_one_origin(
        self, http2_script: Http2Script, tls_ca: Authority
    ) -> None:
        """Neither its certificate nor ORIGIN (RFC 8336) lets it answer for another one."""
        authorities: list[str] = []

        def play(peer: Http2Connection) -> None:
            peer.send(frame(ORIGIN, 0, 0, b"\x00\x11https://two.test:"))
            request = peer.request()
            authorities.append(request["authority"])
            peer.respond(request, 200, body=b"of " + request["authority"].encode())

        context = tls_ca.server_for("one.test", "two.test")
        context.set_alpn_protocols(["h2"])
        peer = await http2_script(play, play, tls=context)
        connector = TCPConnector(http2=True, ssl=tls_ca.client, resolver=Everywhere())
        async with ClientSession(connector=connector) as session:
            for host in ("one.test", "two.test"):
                found = await outcome(session, peer.url.with_host(host))
                assert found == f"of {host}:{peer.port}".encode()
        assert len(peer.connections) == 2
        assert authorities == [f"one.test:{peer.port}", f"two.test:{peer.port}"]


class TestSecrets:
    async def test_nothing_shows_them(
        self, http2_script: Http2Script, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No log at DEBUG, of this package or of those beneath it, and no error."""
        caplog.set_level(logging.DEBUG)

        def play(peer: Http2Connection) -> None:
            request = peer.request()
            assert request["authorization"] == f"Bearer {SECRET}"
            peer.respond(request, 200, [("set-cookie", f"a={SECRET}")], body=b"x")
            peer.send(
                *peer.headers(peer.request(), [(":status", "200"), ("set-cookie", f"a={SECRET}\r")])
            )

        peer = await http2_script(play)
        headers = {"Authorization": f"Bearer {SECRET}", "Cookie": f"b={SECRET}"}
        async with session_of(headers=headers) as session:
            shown = []
            async with session.get(peer.url) as response:
                await response.read()
                shown.append(repr(response))
            failed = await outcome(session, peer.url)
            shown += [str(failed), repr(failed), repr(session), repr(session.connector)]
        of_client = [
            each.getMessage() for each in caplog.records if each.threadName == "MainThread"
        ]
        assert SECRET not in "\n".join(of_client)
        assert SECRET not in "\n".join(shown)


def any_frame(chance: random.Random, number: int) -> bytes:
    """Return a frame that a server may send, on one of the streams that the client has begun."""
    body = chance.randbytes(chance.choice([0, 1, 100, 3000]))
    makers: list[Callable[[], bytes]] = [
        lambda: frame(HEADERS, chance.choice([4, 4, 5]), number, chance.choice(BLOCKS)),
        lambda: data(number, body, end=chance.random() < 0.2),
        lambda: data(number, body, padding=9),
        lambda: settings((chance.choice([1, 3, 4, 99]), chance.choice([0, 1, 100, 65_535]))),
        lambda: reset(number, chance.choice([0, 1, 2, REFUSED_STREAM, CANCEL])),
        lambda: goaway(chance.choice([1, 3, 2**31 - 1]), 0),
        lambda: window_update(chance.choice([0, number]), chance.choice([1, 65_535])),
        lambda: ping(ack=chance.random() < 0.3),
        lambda: frame(chance.randrange(14), chance.randrange(256), number, body[:12]),
    ]
    (make,) = chance.choices(makers, [30, 30, 5, 5, 3, 1, 5, 3, 1])
    return make()


@pytest.mark.parametrize("seed", range(5))
async def test_anything_at_all(seed: int, http2_script: Http2Script) -> None:
    """Each exchange ends with a documented exception or with its response; nothing is left."""
    chance = random.Random(seed)

    def play(peer: Http2Connection) -> None:
        for _ in range(chance.randint(1, 5)):
            peer.request()
        for _ in range(chance.randint(1, 60)):
            peer.send(any_frame(chance, chance.choice(list(peer.requests))))
        if chance.random() < 0.5:
            peer.close()

    async def ask(number: int) -> None:
        timeout = ClientTimeout(total=0.2, sock_read=0.1)
        body = bytes(200_000) if number % 3 == 0 else None
        method = ("GET", "POST", "HEAD")[number % 3]
        try:
            with anyio.move_on_after(0.02 if number == 9 else 20):
                async with session.request(
                    method, peer.url / str(number), data=body, timeout=timeout
                ) as response:
                    await response.read()
        except (ClientError, TimeoutError):
            pass

    peer = await http2_script(play, repeat=True, partial=True)
    async with session_of() as session:
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(ask, number)
        await wait_free(session)
        assert_free(session)


def test_every_fault_has_its_code() -> None:
    """The table of faults above is what the page of documentation says."""
    assert {code for _, code in FAULTS.values()} == {
        PROTOCOL_ERROR,
        FLOW_CONTROL_ERROR,
        FRAME_SIZE_ERROR,
        COMPRESSION_ERROR,
        ENHANCE_YOUR_CALM,
    }
