"""``anyhttp bench``: a request many times, and how long that takes."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from tests.support.command import BACKENDS, Fetch, closed_port
from tests.support.peer import CLOSE, STALL, Flag, Peer, Step, Tell
from tests.support.server import Server

pytest.importorskip("click")
pytest.importorskip("rich")
pytest.importorskip("trio")

from anyhttp._cli._bench import _size
from anyhttp._cli._commands import run
from anyhttp._cli._figures import Latencies

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@contextmanager
def running(*connections: list[Step], repeat: bool = False, partial: bool = False) -> Iterator[str]:
    """Give the URL of a peer that plays *connections*."""
    peer = Peer(connections, repeat=repeat, partial=partial)
    try:
        yield str(peer.url)
    finally:
        peer.stop()


def test_figures_are_printed(server: Server, fetch: Fetch) -> None:
    """Rates, percentiles, statuses and a histogram; the warm-up opens the connections."""
    status, out, err = fetch("bench", str(server.url / "bytes/100"), "-n", "20", "-c", "3")
    assert (status, err) == (0, "")
    lines = out.decode().splitlines()
    assert lines[0] == f"GET {server.url}bytes/100: 20 requests, 3 at a time"
    assert lines[1] == "warm-up: 3 requests, which are not counted"
    assert lines[2] in BACKENDS
    assert re.fullmatch(r"  requests  20 in \d+\.\d\d s, \d+\.\d per second", lines[3])
    assert re.fullmatch(r"  bodies    2000 bytes, \d+\.\d ([KM]iB|bytes) per second", lines[4])
    time = r"\d+\.\d ms"
    assert re.fullmatch(rf"  latency   50 % {time}, 90 % {time}, 99 % {time}, max {time}", lines[5])
    assert lines[6] == "  status    200: 20"
    rows = [re.fullmatch(r" *([\d.]+) - +([\d.]+) ms  █* (\d+)", line) for line in lines[7:]]
    assert sum(int(row[3]) for row in rows if row) == 20
    assert all(rows)
    assert server.connections == 3


def test_both_backends_measure_by_default(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    """One after the other."""
    assert run(["bench", str(server.url / "status/404"), "-n", "2", "-c", "1"]) == 0
    out = capfd.readouterr().out
    assert [line for line in out.splitlines() if line in BACKENDS] == list(BACKENDS)
    assert out.count("  status    404: 2\n") == 2


def test_a_backend_that_is_missing_is_left_out(
    server: Server, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it was asked for."""
    monkeypatch.setitem(sys.modules, "trio", None)
    command = ["bench", str(server.url / "json"), "-n", "1", "-c", "1"]
    assert run(command) == 0
    out, err = capfd.readouterr()
    assert ([line for line in out.splitlines() if line in BACKENDS], err) == (["asyncio"], "")
    assert run([*command, "--backend", "trio"]) == 2
    assert "trio is not installed" in capfd.readouterr().err


def test_each_request_has_the_same_body(fetch: Fetch) -> None:
    """It is a POST, with the type of the body and what the sender adds; no redirect is followed."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
    peer = Peer([[(b"POST /?c=d ", moved)] * 3])
    try:
        status, out, _ = fetch(
            "bench",
            str(peer.url),
            "-n",
            "2",
            "-c",
            "1",
            "--json",
            "[1]",
            "-q",
            "c=d",
            "-H",
            "X-A: b",
        )
    finally:
        peer.stop()
    assert status == 0
    assert b"  status    302: 2\n" in out
    received = peer.requests[0].decode()
    for part in ("\r\nX-A: b\r\n", "\r\nContent-Type: application/json\r\n", "\r\n\r\n[1]"):
        assert received.count(part) == 3


def test_each_connection_is_warm(server: Server, fetch: Fetch) -> None:
    """None is left out because another one has been answered before, and could be used again."""
    status, out, _ = fetch("bench", str(server.url / "bytes/100"), "-n", "1", "-c", "20")
    assert status == 0
    assert b"  requests  1 in " in out
    assert server.connections == 20


def test_errors_are_counted_by_kind(fetch: Fetch) -> None:
    """With the first message of each; the exit status tells of them."""
    with running([(b"GET / ", LAST), CLOSE], [(b"GET / ", CLOSE)], repeat=True) as url:
        status, out, err = fetch("bench", url, "-n", "3", "-c", "1")
    assert (status, err) == (1, "")
    assert re.search(rb"^  error     ServerDisconnectedError: 3 \(.+\)$", out, re.MULTILINE)
    assert b"  requests  0 in " in out
    assert b"latency" not in out


def test_a_server_that_does_not_answer_is_given_up(fetch: Fetch) -> None:
    """``--timeout`` holds for each request, also for those of the warm-up."""
    with running([(b"GET / ", STALL)]) as url:
        status, _, err = fetch("bench", url, "-c", "1", "--timeout", "0.1")
    assert (status, err) == (1, "anyhttp: no complete answer within 0.1 seconds\n")


def test_a_duration_has_an_end(fetch: Fetch) -> None:
    """What is on its way then is not counted."""
    steps: list[Step] = [(b"GET / ", OK), (b"GET / ", OK), (b"GET / ", STALL)]
    with running(steps, partial=True) as url:
        status, out, _ = fetch("bench", url, "--duration", "0.2", "-c", "1")
    assert status == 0
    assert b"at most 0.2 s, 1 at a time\n" in out
    assert re.search(rb"^  requests  [01] in ", out, re.MULTILINE)
    assert b"error" not in out


def test_a_server_that_is_not_there_is_said_at_once(fetch: Fetch) -> None:
    """The warm-up fails, and nothing is measured."""
    status, out, err = fetch("bench", f"127.0.0.1:{closed_port()}")
    assert status == 1
    assert out.count(b"\n") == 2
    assert err.count("\n") == 1
    assert err.startswith("anyhttp: ")


@pytest.mark.usefixtures("handled_sigint")
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_prints_what_has_been_measured(
    capfd: pytest.CaptureFixture[str], backend: str
) -> None:
    """The status is that of an interrupted command."""
    asked = Flag()

    def interrupt() -> None:
        asked.wait()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    steps: list[Step] = [(b"GET / ", OK), (b"GET / ", OK), (b"GET / ", [Tell(asked), STALL])]
    with running(steps) as url:
        status = run(["bench", url, "-c", "1", "--backend", backend])
    thread.join()
    assert status == 130
    assert "  status    200: 1\n" in capfd.readouterr().out


# -- statistics


def test_percentiles_are_right_to_one_percent() -> None:
    """Shortest and longest are exact."""
    latencies = Latencies()
    numbers = [number / 1000 for number in range(1, 1001)]
    random.Random(1).shuffle(numbers)
    for number in numbers:
        latencies.add(number)
    for percent in (1, 50, 90, 99):
        assert latencies.percentile(percent) == pytest.approx(percent / 100, rel=0.011)
    assert (latencies.shortest, latencies.longest) == (0.001, 1.0)
    assert latencies.percentile(100) == pytest.approx(1.0, rel=0.011)
    assert Latencies().percentile(50) == 0.0


def test_what_is_measured_bounds_percentiles() -> None:
    """The middle of a bucket may lie beside the only latency in it."""
    latencies = Latencies()
    latencies.add(0.0123)
    assert [latencies.percentile(percent) for percent in (0, 50, 100)] == [0.0123] * 3


def test_a_histogram_has_few_rows_that_hold_everything() -> None:
    """The memory does not grow with the number of requests either."""
    latencies = Latencies()
    numbers = random.Random(1)
    for _ in range(5000):
        latencies.add(10 ** numbers.uniform(-8, 5))
    assert len(latencies._counts) < 1100
    rows = list(latencies.histogram(12))
    assert len(rows) <= 12
    assert sum(count for *_, count in rows) == 5000
    for (_, upper, _), (lower, *_) in pairwise(rows):
        assert upper == pytest.approx(lower)
    assert list(Latencies().histogram(12)) == []


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0.0 bytes"), (1024, "1.0 KiB"), (1.5 * 2**20, "1.5 MiB"), (2**41, "2048.0 GiB")],
)
def test_sizes_have_units(size: float, shown: str) -> None:
    """People cannot read ten digits."""
    assert _size(size) == shown
