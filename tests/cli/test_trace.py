"""``anyhttp --trace URL``: what the time was spent on, drawn on stderr."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from itertools import count

import pytest

pytest.importorskip("click")
pytest.importorskip("rich")
pytest.importorskip("trio")

from rich.console import Console

from anyhttp import ClientSession, RetryMiddleware, TCPConnector
from anyhttp._cli._bars import draw_phases
from anyhttp._cli._phases import Hop, Phase, Timeline
from tests.support.command import POLITE, Fetch, Peer, Talk, Terminal
from tests.support.peer import CLOSE, Step
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.websocket import Accept, CloseWith, close

HOPS = [
    Hop(
        "GET", "http://a.test/", "302 Found",
        [
            Phase("connect", 10.0, 10.0001), Phase("DNS", 10.0001, 10.010),
            Phase("connect", 10.010, 10.020), Phase("first byte", 10.020, 10.040),
        ],
    ),
    Hop(
        "GET", "http://a.test/\x1b[31m", "200 OK, 5 bytes",
        [Phase("first byte", 10.050, 10.100), Phase("body", 10.100, 10.100)],
    ),
    Hop("GET", "http://b.test/", "TimeoutError", [Phase("DNS", 10.050)]),
]  # fmt: skip


def drawn(*, terminal: bool, encoding: str = "utf-8") -> list[str]:
    """What is drawn of the hops, on a console of 47 columns: 20 for each bar."""
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding)
    console = Console(file=file, width=47, force_terminal=terminal, no_color=True, highlight=False)
    draw_phases(console, HOPS)
    file.flush()
    text = buffer.getvalue().decode(encoding)
    return re.sub("\x1b\\[[0-9;]*m", "", text).splitlines()


def test_bars_are_on_one_axis_of_time() -> None:
    """Each hop is a group, and a phase that was left and entered again is one row."""
    assert drawn(terminal=True) == [
        "GET http://a.test/: 302 Found",
        "  DNS        ██                          9.9 ms",
        "  connect      ██                       10.1 ms",
        "  first byte     ████                   20.0 ms",
        "GET http://a.test/␛[31m: 200 OK, 5 bytes",
        "  first byte           ██████████       50.0 ms",
        "  body                          █        0.0 ms",
        "GET http://b.test/: TimeoutError",
        "  total                                100.0 ms",
    ]


def test_a_terminal_that_has_no_blocks_gets_signs() -> None:
    """Its encoding decides."""
    dns = drawn(terminal=True, encoding="ascii")[1]
    assert dns == "  DNS        ##                          9.9 ms"


def test_there_are_no_bars_without_a_terminal() -> None:
    """A file gets the names and the times."""
    assert drawn(terminal=False)[:4] == [
        "GET http://a.test/: 302 Found",
        "  DNS                9.9 ms",
        "  connect           10.1 ms",
        "  first byte        20.0 ms",
    ]


def test_each_hop_is_one_group(peer: Peer, fetch: Fetch) -> None:
    """The body goes to stdout; a redirect takes the connection that is there."""
    status, out, err = fetch("--trace", f"{peer.url}/moved")
    assert (status, out) == (0, POLITE)
    lines = [re.sub(r" +[\d.]+ ms$", "", line) for line in err.splitlines()]
    assert lines == [
        f"GET {peer.url}/moved: 302 Found", "  connect", "  first byte",
        f"GET {peer.url}/json: 200 OK, {len(POLITE)} bytes", "  first byte", "  body", "  total",
    ]  # fmt: skip


def test_a_body_that_ends_early_says_why(peer: Peer, fetch: Fetch) -> None:
    """What has come is counted."""
    status, _, err = fetch("--trace", f"{peer.url}/cut")
    assert status == 1
    assert err.startswith(f"GET {peer.url}/cut: 200 OK, 4 bytes, ClientPayloadError\n")


def test_bars_on_a_terminal(peer: Peer, on_terminal: Terminal) -> None:
    """In the colour of their phase."""
    _, shown = on_terminal("--trace", f"{peer.url}/json")
    assert re.search(r"connect    \x1b\[34m *█+".encode(), shown)


async def test_the_phases_of_requests(server: Server, tls_ca: Authority) -> None:
    """A name is looked up, TLS comes behind the connection, and a long body is sent in pieces."""
    ticks = count()
    hops: list[Hop] = []
    timeline = Timeline(begins=hops.append, now=lambda: float(next(ticks)))

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    connector = TCPConnector(ssl=tls_ca.client)
    async with ClientSession(connector=connector, trace_configs=[timeline.config()]) as session:
        async with session.post(server.https_url / "echo", data=pieces()) as response:
            await response.read()
        async with session.get(server.https_url / "json") as response:
            await response.read()
    first, second = hops
    assert [phase.name for phase in first.phases] == [
        "connect", "DNS", "connect", "TLS", "connect", "send", "first byte", "body",
    ]  # fmt: skip
    assert [phase.name for phase in second.phases] == ["first byte", "body"]
    assert all(phase.end is not None and phase.end > phase.begin for phase in first.phases)
    assert first.seconds("send") == 2
    assert (first.method, second.url) == ("POST", str(server.https_url / "json"))


async def test_a_repeated_request_is_another_hop(server: Server) -> None:
    """It begins with the pause before it."""
    hops: list[Hop] = []
    timeline = Timeline(begins=hops.append)
    retry = RetryMiddleware(attempts=2, backoff=0.0)
    async with ClientSession(trace_configs=[timeline.config()], middlewares=[retry]) as session:
        async with session.get(server.url / "status/503") as response:
            await response.read()
    assert [hop.outcome for hop in hops] == ["503 Status", "503 Status, 10 bytes"]
    assert [phase.name for phase in hops[1].phases] == ["pause", "first byte", "body"]


def test_a_websocket_has_no_body(talk: Talk) -> None:
    """The phases are those of its handshake."""
    steps: list[Step] = [(b"GET / ", Accept(close(1000))), (CloseWith(1000), CLOSE)]
    status, _, err = talk(steps, "--trace")
    assert status == 0
    title, *lines = [re.sub(r" +[\d.]+ ms$", "", line) for line in err.splitlines()]
    assert re.fullmatch("GET ws://.*: 101 Switching Protocols", title)
    assert lines == ["  connect", "  first byte", "  total"]
