"""Racing the addresses of a host: one connection comes out of it, and nothing else is left."""

from __future__ import annotations

import errno
import math
import socket
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from anyhttp._network.sockets import AddrInfoType
from anyhttp._tasks import Expired
from anyhttp.abc import ResolveResult
from anyhttp.connector._dial import (
    ConnectLimit,
    TcpOptions,
    _attempt,
    _Race,
    dial_tcp,
    interleaved,
)
from tests.support import census
from tests.support.cancel import cancel_when
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop

REFUSED = "127.0.0.3"  # nobody listens there


def address(host: str, port: int = 0) -> ResolveResult:
    """Return an address as a resolver gives it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return ResolveResult(
        hostname="name.test", host=host, port=port, family=family, proto=0, flags=0
    )


class Doors:
    """One port on several addresses: some accept, some never answer, the rest refuse."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        first = self._listen("127.0.0.1", 0, backlog=16)
        self.port: int = first.getsockname()[1]

    def _listen(self, host: str, port: int, backlog: int) -> socket.socket:
        with census.lock:
            sock = socket.socket()
            census.adopt(sock)
        self._sockets.append(sock)
        sock.bind((host, port))
        sock.listen(backlog)
        return sock

    def open(self, host: str) -> None:
        """Accept connections on *host* too."""
        self._listen(host, self.port, backlog=16)

    def silent(self, host: str) -> None:
        """Answer no attempt on *host*: the queue of connections is full."""
        self._listen(host, self.port, backlog=0)
        for _ in range(2):
            with census.lock:
                filler = socket.socket()
                census.adopt(filler)
            self._sockets.append(filler)
            filler.setblocking(False)
            filler.connect_ex((host, self.port))

    def close(self) -> None:
        """Close everything."""
        for sock in self._sockets:
            census.close(sock)

    def at(self, *hosts: str) -> list[ResolveResult]:
        """Return the port on each of *hosts*."""
        return [address(host, self.port) for host in hosts]


@pytest.fixture
def doors() -> Iterator[Doors]:
    """One port, which accepts on 127.0.0.1."""
    doors = Doors()
    yield doors
    doors.close()


class Made:
    """A socket factory that remembers, in order, to where its sockets were to be connected."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.sockets: list[socket.socket] = []

    def __call__(self, info: AddrInfoType) -> socket.socket:
        """Make a socket."""
        sock = socket.socket(*info[:3])
        self.hosts.append(info[4][0])
        self.sockets.append(sock)
        return sock

    @property
    def open(self) -> list[str]:
        """Where the sockets lead that are open."""
        return [
            host for host, sock in zip(self.hosts, self.sockets, strict=True) if sock.fileno() != -1
        ]


async def dial(addresses: Sequence[ResolveResult], delay: float | None = 0.25) -> tuple[str, Made]:
    """Dial, and return which address won, and which sockets were made."""
    made = Made()
    stream = await dial_tcp(addresses, TcpOptions(None, made, delay, 1))
    assert len(made.open) == 1
    (winner,) = made.open
    await stream.aclose()
    assert made.open == []
    return winner, made


class TestRace:
    async def test_the_first_that_answers_is_the_only_one_tried(self, doors: Doors) -> None:
        """A second attempt begins only if the first fails or is slow."""
        doors.open("127.0.0.2")
        winner, made = await dial(doors.at("127.0.0.1", "127.0.0.2"))
        assert winner == "127.0.0.1"
        assert made.hosts == ["127.0.0.1"]

    @pytest.mark.parametrize("delay", [5.0, None])
    async def test_a_refusal_starts_the_next_at_once(
        self, doors: Doors, delay: float | None
    ) -> None:
        """RFC 8305 §5: nobody waits out the delay after a failure."""
        with anyio.fail_after(4):
            winner, made = await dial(doors.at(REFUSED, "127.0.0.4", "127.0.0.1"), delay)
        assert winner == "127.0.0.1"
        assert made.hosts == [REFUSED, "127.0.0.4", "127.0.0.1"]

    async def test_a_silent_address_costs_the_delay_and_no_more(self, doors: Doors) -> None:
        """The next one is tried beside it, and the loser is closed."""
        doors.silent("127.0.0.5")
        begin = anyio.current_time()
        winner, made = await dial(doors.at("127.0.0.5", "127.0.0.1"), 0.05)
        assert winner == "127.0.0.1"
        assert made.hosts == ["127.0.0.5", "127.0.0.1"]
        # uvloop counts in milliseconds
        assert 0.045 <= anyio.current_time() - begin < 5

    async def test_several_silent_addresses(self, doors: Doors) -> None:
        """Each costs its delay."""
        doors.silent("127.0.0.5")
        winner, made = await dial(doors.at("127.0.0.5", "127.0.0.5", REFUSED, "127.0.0.1"), 0.01)
        assert winner == "127.0.0.1"
        assert len(made.hosts) == 4

    async def test_one_after_the_other(self, doors: Doors) -> None:
        """Without a delay a silent address is waited for."""
        doors.silent("127.0.0.5")
        made = Made()
        with anyio.move_on_after(0.2) as scope:
            await dial_tcp(doors.at("127.0.0.5", "127.0.0.1"), TcpOptions(None, made, None, 0))
        assert scope.cancelled_caught
        assert made.hosts == ["127.0.0.5"]
        assert made.open == []

    @pytest.mark.parametrize("delay", [0.001, None])
    async def test_cancelling_leaves_no_socket(self, doors: Doors, delay: float | None) -> None:
        """All attempts end with the one who asked for them."""
        doors.silent("127.0.0.5")
        made = Made()
        dial = partial(
            dial_tcp, doors.at("127.0.0.5", "127.0.0.5"), TcpOptions(None, made, delay, 1)
        )
        count = 1 if delay is None else 2
        trying = partial(until, lambda: len(made.sockets) == count, f"{count} attempts")
        assert await cancel_when(dial, trying)
        assert made.sockets
        assert made.open == []

    async def test_one_who_comes_second_is_closed(self, doors: Doors) -> None:
        """It may have connected before it heard that somebody else had won."""
        made = Made()
        race = _Race(TcpOptions(None, made))
        (door,) = doors.at("127.0.0.1")
        assert await _attempt(race, door)
        winner = race.winner
        assert winner is not None
        assert not await _attempt(race, door)
        assert race.winner is winner
        assert [sock.fileno() != -1 for sock in made.sockets] == [True, False]
        await winner.aclose()

    async def test_cancelled_in_the_moment_of_success(self, doors: Doors) -> None:
        """Nobody is left to take the socket, so it is closed."""
        outer = anyio.CancelScope()
        made: list[socket.socket] = []

        class Quick(socket.socket):
            def connect_ex(self, address: Any) -> int:
                self.setblocking(True)
                code = super().connect_ex(address)
                self.setblocking(False)
                outer.cancel()
                return code

        def sockets(info: AddrInfoType) -> socket.socket:
            made.append(Quick(*info[:3]))
            return made[-1]

        with outer:
            await dial_tcp(doors.at("127.0.0.1", "127.0.0.1"), TcpOptions(None, sockets))
        assert outer.cancelled_caught
        assert [sock.fileno() for sock in made] == [-1]

    async def test_a_crash_beside_an_answer(self, doors: Doors) -> None:
        """It is no answer's business to hide it, and no socket is left."""

        class Broken(socket.socket):
            def close(self) -> None:
                was_open = self.fileno() != -1
                super().close()
                if was_open:
                    raise ZeroDivisionError

        doors.silent("127.0.0.5")
        made: list[socket.socket] = []

        def sockets(info: AddrInfoType) -> socket.socket:
            made.append((Broken if info[4][0] == "127.0.0.5" else socket.socket)(*info[:3]))
            return made[-1]

        with pytest.raises(ZeroDivisionError):
            await dial_tcp(doors.at("127.0.0.5", "127.0.0.1"), TcpOptions(None, sockets, 0.01, 1))
        assert [sock.fileno() for sock in made] == [-1, -1]


class TestFailure:
    @pytest.mark.parametrize("delay", [0.25, None])
    async def test_every_address_is_named(self, doors: Doors, delay: float | None) -> None:
        """The error lists who was tried, and keeps the number they agree on."""
        with pytest.raises(OSError, match=r"127\.0\.0\.3.*127\.0\.0\.4") as caught:
            await dial_tcp(doors.at(REFUSED, "127.0.0.4"), TcpOptions(None, None, delay, 1))
        assert caught.value.errno == errno.ECONNREFUSED

    async def test_different_reasons(self, doors: Doors) -> None:
        """Each address has its own; no one number says it all."""

        def unable(info: AddrInfoType) -> socket.socket:
            if info[4][0] == "127.0.0.4":
                raise OSError(errno.EMFILE, "too many files")
            return socket.socket(*info[:3])

        with pytest.raises(OSError, match=r"127.0.0.3: .*refused.*127.0.0.4: too many") as caught:
            await dial_tcp(doors.at(REFUSED, "127.0.0.4"), TcpOptions(None, unable, 0.25, 1))
        assert caught.value.errno == errno.EHOSTUNREACH

    async def test_one_address_has_its_own_error(self, doors: Doors) -> None:
        """Nothing is summed up when there is nothing to sum up."""
        with pytest.raises(ConnectionRefusedError):
            await dial_tcp(doors.at(REFUSED), TcpOptions())

    @pytest.mark.parametrize("exception", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
    @pytest.mark.parametrize(
        "hosts", [["127.0.0.1"], ["127.0.0.1"] * 2, ["127.0.0.5", "127.0.0.1"]]
    )
    async def test_what_a_callback_raises_comes_in_no_group(
        self, doors: Doors, exception: type[BaseException], hosts: list[str]
    ) -> None:
        """A bug, or the user's Ctrl-C, reaches the caller as it is; other attempts are closed."""
        doors.silent("127.0.0.5")
        mine = exception()
        made = Made()

        def broken(info: AddrInfoType) -> socket.socket:
            if info[4][0] == "127.0.0.1":
                raise mine
            return made(info)

        with pytest.raises(exception) as caught:
            await dial_tcp(doors.at(*hosts), TcpOptions(None, broken, 0.01, 1))
        assert caught.value is mine
        assert made.open == []


SOON = 0.03  # seconds that an attempt may take, if it is to take too long


class TestLimit:
    @pytest.mark.parametrize("delay", [60.0, 0.01, None])
    async def test_it_counts_anew_for_each_address(self, doors: Doors, delay: float | None) -> None:
        """Silent addresses use up their own time, and not that of the one that answers."""
        doors.silent("127.0.0.5")
        made = Made()
        hosts = ["127.0.0.5", "127.0.0.5", "127.0.0.5", "127.0.0.1"]
        limit = ConnectLimit(SOON)
        with limit.scope, anyio.fail_after(30):
            begin = anyio.current_time()
            stream = await dial_tcp(doors.at(*hosts), TcpOptions(None, made, delay, 1), limit)
            assert made.open == ["127.0.0.1"]
            # The time for the successful attempt goes on: TLS has to end within it.
            assert begin + SOON <= limit.scope.deadline <= anyio.current_time() + SOON
            await stream.aclose()

    @pytest.mark.parametrize("delay", [60.0, 0.01, None])
    @pytest.mark.parametrize("number", [1, 3])
    async def test_no_address_answers_in_time(
        self, doors: Doors, delay: float | None, number: int
    ) -> None:
        """Whoever set the limit says so; no socket is left."""
        doors.silent("127.0.0.5")
        made = Made()
        limit = ConnectLimit(SOON)
        with limit.scope, pytest.raises(Expired):
            await dial_tcp(
                doors.at(*["127.0.0.5"] * number), TcpOptions(None, made, delay, 1), limit
            )
        assert made.open == []
        assert len(made.sockets) == number

    @pytest.mark.parametrize("delay", [60.0, None])
    async def test_some_refuse_and_some_are_silent(self, doors: Doors, delay: float | None) -> None:
        """The error lists both."""
        doors.silent("127.0.0.5")
        limit = ConnectLimit(SOON)
        with limit.scope, pytest.raises(OSError, match=r"0\.5: no answer within 0\.03 s.*refused"):
            await dial_tcp(doors.at("127.0.0.5", REFUSED), TcpOptions(None, None, delay), limit)

    async def test_other_work_for_one_address(self) -> None:
        """Its time is that of the present address, which can then be that of the next."""
        limit = ConnectLimit(SOON)
        with limit.scope:
            with pytest.raises(Expired):
                await limit.attempt(anyio.sleep_forever())
            limit.restart()
            deadline = limit.scope.deadline
            await limit.attempt(anyio.lowlevel.checkpoint())
            assert limit.scope.deadline == deadline
        with ConnectLimit(None).scope as unlimited:
            assert unlimited.deadline == math.inf


class TestOptions:
    async def test_local_address(self, doors: Doors) -> None:
        """The connection comes from where it is told to."""
        stream = await dial_tcp(doors.at("127.0.0.1"), TcpOptions(("127.0.0.9", 0)))
        attributes = stream.stream
        assert attributes.extra(anyio.abc.SocketAttribute.local_address)[0] == "127.0.0.9"
        await stream.aclose()

    async def test_a_local_address_that_is_not_ours(self, doors: Doors) -> None:
        """It cannot be bound, and no socket is left."""
        made = Made()
        with pytest.raises(OSError):
            await dial_tcp(doors.at("127.0.0.1"), TcpOptions(("192.0.2.1", 0), made))
        assert made.open == []


class TestInterleaving:
    def test_families_alternate(self) -> None:
        """RFC 8305 §4: a family that does not work costs one attempt, not all of its own."""
        six = [address(f"2001:db8::{n}") for n in range(3)]
        four = [address(f"192.0.2.{n}") for n in range(2)]
        assert interleaved(six + four, 1) == [six[0], four[0], six[1], four[1], six[2]]
        assert interleaved(six + four, 2) == [six[0], six[1], four[0], six[2], four[1]]
        assert interleaved(four + six, 1) == [four[0], six[0], four[1], six[1], six[2]]

    @pytest.mark.parametrize("first", [0, None])
    def test_or_stay_as_they_are(self, first: int | None) -> None:
        """The resolver knows the order."""
        addresses = [address("2001:db8::1"), address("2001:db8::2"), address("192.0.2.1")]
        assert interleaved(addresses, first) == addresses


async def test_addresses_with_a_zone(doors: Doors) -> None:
    """The zone of a link-local address becomes its index; an unknown one is an ``OSError``."""
    seen: list[object] = []

    def note(info: AddrInfoType) -> socket.socket:
        seen.append(info[4])
        raise OSError(errno.EAFNOSUPPORT, "no IPv6 here")

    index = socket.if_nametoindex("lo")
    for host in ("fe80::1%lo", f"fe80::1%{index}", "fe80::1"):
        with pytest.raises(OSError, match="no IPv6"):
            await dial_tcp([address(host, 80)], TcpOptions(None, note))
    assert seen == [
        ("fe80::1", 80, 0, index), ("fe80::1", 80, 0, index), ("fe80::1", 80, 0, 0)
    ]  # fmt: skip
    with pytest.raises(OSError):
        await dial_tcp([address("fe80::1%no-such-zone", 80)], TcpOptions(None, note))
