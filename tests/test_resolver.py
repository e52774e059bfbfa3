"""Resolvers, and the cache that the connector puts before one."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import dns.name
import dns.nameserver
import dns.resolver
import pytest

from anyhttp import ClientConnectorDNSError, ClientSession, TCPConnector
from anyhttp.abc import ResolveResult
from anyhttp.resolver import (
    MAX_THREADS,
    AsyncResolver,
    DefaultResolver,
    DnsCache,
    ThreadedResolver,
    literal_address,
    thread_limiter,
)
from tests.support import census
from tests.support.cancel import cancel_at_every_checkpoint, cancel_when
from tests.support.nameserver import FAILS, LONG, NO_NAME, SILENT, NameServer
from tests.support.server import Server
from tests.support.waiting import until

KEY = ("name.test", 80)


def address(host: str) -> ResolveResult:
    """Return what a resolver says of one address."""
    return ResolveResult(
        hostname="name.test", host=host, port=80, family=socket.AF_INET, proto=0, flags=0
    )


ONE, TWO, THREE = (address(f"192.0.2.{number}") for number in (1, 2, 3))


class Asked:
    """A name server in the test's hand: it counts, and answers when it is told to."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.count = 0
        self.go = anyio.Event()

    async def __call__(self) -> list[ResolveResult]:
        """Return or raise the next answer."""
        self.count += 1
        await self.go.wait()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return list(answer)


@pytest.fixture
async def asked() -> Asked:
    """A name server that answers at once, always the same."""
    asked = Asked([ONE, TWO, THREE])
    asked.go.set()
    await anyio.lowlevel.checkpoint()
    return asked


class Clock:
    """A clock that stands still until it is told."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


class TestDnsCache:
    async def test_an_answer_is_kept_for_its_time(self, asked: Asked) -> None:
        """For ``ttl`` seconds nobody is asked again; then somebody is."""
        clock = Clock()
        cache = DnsCache(ttl=10, clock=clock)
        await cache.resolve(KEY, asked)
        clock.now = 9.9
        await cache.resolve(KEY, asked)
        assert asked.count == 1
        clock.now = 10
        await cache.resolve(KEY, asked)
        assert asked.count == 2

    async def test_no_ttl_keeps_for_ever(self, asked: Asked) -> None:
        """``None`` means that an answer never gets old."""
        clock = Clock()
        cache = DnsCache(ttl=None, clock=clock)
        await cache.resolve(KEY, asked)
        clock.now = 1e9
        await cache.resolve(KEY, asked)
        assert asked.count == 1

    async def test_the_addresses_rotate(self, asked: Asked) -> None:
        """Each use of an answer begins with another address, so that all share the load."""
        cache = DnsCache()
        firsts = [(await cache.resolve(KEY, asked))[0] for _ in range(4)]
        assert firsts == [ONE, TWO, THREE, ONE]
        assert sorted(a["host"] for a in await cache.resolve(KEY, asked)) == [
            "192.0.2.1", "192.0.2.2", "192.0.2.3",
        ]  # fmt: skip

    async def test_the_number_of_answers_is_bounded(self, asked: Asked) -> None:
        """The least recently used answer makes room."""
        cache = DnsCache(max_size=2)
        for port in (1, 2, 1, 3):
            await cache.resolve(("name.test", port), asked)
        assert set(cache.answers) == {("name.test", 1), ("name.test", 3)}
        with pytest.raises(ValueError, match="at least 1"):
            DnsCache(max_size=0)

    async def test_a_caller_cannot_change_what_is_kept(self, asked: Asked) -> None:
        """Answers and the view of the cache are copies."""
        cache = DnsCache()
        (await cache.resolve(KEY, asked)).clear()
        (await cache.resolve(KEY, asked)).clear()
        cache.answers[KEY].clear()
        assert len(await cache.resolve(KEY, asked)) == 3

    async def test_answers_can_be_forgotten(self, asked: Asked) -> None:
        """One by its key, or all; one that is not there is no error."""
        cache = DnsCache()
        for port in (1, 2, 3):
            await cache.resolve(("name.test", port), asked)
        cache.clear(("name.test", 2))
        cache.clear(("name.test", 2))
        assert set(cache.answers) == {("name.test", 1), ("name.test", 3)}
        cache.clear()
        assert cache.answers == {}

    async def test_an_empty_answer_is_not_kept(self) -> None:
        """Nobody can connect to it, and it may be different soon."""
        asked = Asked([])
        asked.go.set()
        cache = DnsCache()
        assert await cache.resolve(KEY, asked) == []
        assert cache.answers == {}

    async def test_equal_queries_share_one_lookup(self) -> None:
        """A hundred requests at once ask one question."""
        asked = Asked([ONE])
        cache = DnsCache()
        answers: list[list[ResolveResult]] = []

        async def resolve() -> None:
            answers.append(await cache.resolve(KEY, asked))

        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(resolve)
            await anyio.wait_all_tasks_blocked()
            asked.go.set()
        assert asked.count == 1
        assert answers == [[ONE]] * 100

    async def test_a_failure_reaches_everyone_as_an_exception_of_his_own(self) -> None:
        """One exception object raised in several tasks would mix up their tracebacks."""
        asked = Asked(socket.gaierror(socket.EAI_NONAME, "no such name"))
        cache = DnsCache()
        errors: list[OSError] = []

        async def resolve() -> None:
            try:
                await cache.resolve(KEY, asked)
            except OSError as exc:
                errors.append(exc)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(resolve)
            await anyio.wait_all_tasks_blocked()
            asked.go.set()
        assert asked.count == 1
        assert len({id(error) for error in errors}) == 3
        for error in errors:
            assert type(error) is socket.gaierror
            assert (error.errno, error.strerror) == (socket.EAI_NONAME, "no such name")
        assert cache.answers == {}

    async def test_an_error_that_cannot_be_copied_reaches_everyone(self) -> None:
        """A resolver may raise an ``OSError`` whose class takes other arguments."""

        class NoServer(OSError):
            def __init__(self, host: str, *, tried: int) -> None:
                super().__init__(f"{tried} servers do not know {host}")

        asked = Asked(NoServer("name.test", tried=3))
        cache = DnsCache()
        errors: list[BaseException] = []

        async def resolve() -> None:
            try:
                await cache.resolve(KEY, asked)
            except Exception as exc:  # noqa: BLE001 (which one is the question)
                errors.append(exc)

        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(resolve)
            await anyio.wait_all_tasks_blocked()
            asked.go.set()
        assert [str(error) for error in errors] == ["3 servers do not know name.test"] * 2
        assert all(isinstance(error, OSError) for error in errors)

    async def test_a_failure_is_not_kept(self) -> None:
        """The next one asks again."""
        asked = Asked(OSError("no"), [ONE])
        asked.go.set()
        cache = DnsCache()
        with pytest.raises(OSError, match="no"):
            await cache.resolve(KEY, asked)
        assert await cache.resolve(KEY, asked) == [ONE]

    async def test_a_bug_in_the_resolver_is_not_passed_on(self) -> None:
        """Those who waited ask for themselves when the lookup did not fail in the usual way."""
        asked = Asked(KeyError("bug"), [ONE])
        cache = DnsCache()
        results: list[object] = []

        async def resolve() -> None:
            try:
                results.append(await cache.resolve(KEY, asked))
            except KeyError as exc:
                results.append(exc.args)

        async with anyio.create_task_group() as group:
            group.start_soon(resolve)
            group.start_soon(resolve)
            await anyio.wait_all_tasks_blocked()
            asked.go.set()
        assert [ONE] in results
        assert ("bug",) in results

    async def test_one_who_stops_waiting_harms_nobody(self) -> None:
        """The lookup goes on for the others."""
        asked = Asked([ONE])
        cache = DnsCache()
        answers: list[list[ResolveResult]] = []
        given_up = anyio.CancelScope()

        async def resolve() -> None:
            answers.append(await cache.resolve(KEY, asked))

        async def give_up() -> None:
            with given_up:
                await resolve()

        async with anyio.create_task_group() as group:
            group.start_soon(resolve)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(give_up)
            group.start_soon(resolve)
            await anyio.wait_all_tasks_blocked()
            given_up.cancel()
            await anyio.wait_all_tasks_blocked()
            asked.go.set()
        assert answers == [[ONE], [ONE]]
        assert asked.count == 1

    async def test_when_the_one_who_asks_is_cancelled_another_takes_over(self) -> None:
        """His lookup is cancelled with him; exactly one of those who waited asks again."""
        asked = Asked([ONE])
        cache = DnsCache()
        answers: list[list[ResolveResult]] = []
        asker = anyio.CancelScope()

        async def resolve() -> None:
            answers.append(await cache.resolve(KEY, asked))

        async def ask_and_give_up() -> None:
            with asker:
                await resolve()

        async with anyio.create_task_group() as group:
            group.start_soon(ask_and_give_up)
            await anyio.wait_all_tasks_blocked()
            for _ in range(3):
                group.start_soon(resolve)
            await anyio.wait_all_tasks_blocked()
            asker.cancel()
            await anyio.wait_all_tasks_blocked()
            assert asked.count == 2
            asked.go.set()
        assert answers == [[ONE]] * 3
        assert asked.count == 2


class TestLiterals:
    @pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.255"])
    def test_ipv4(self, host: str) -> None:
        """An address needs no lookup."""
        found = literal_address(host, 8080)
        assert found is not None
        assert (found["host"], found["port"], found["family"]) == (host, 8080, socket.AF_INET)

    @pytest.mark.parametrize("host", ["::1", "2001:db8::7", "fe80::1%lo"])
    def test_ipv6(self, host: str) -> None:
        """With or without a zone."""
        found = literal_address(host, 8080)
        assert found is not None
        assert (found["host"], found["family"]) == (host, socket.AF_INET6)

    @pytest.mark.parametrize(
        ("host", "expected"),
        [
            ("fe80::1%lo", "fe80::1%lo"),
            ("fe80::1%25lo", "fe80::1%lo"),
            ("fe80::1%2", "fe80::1%2"),
            ("fe80::1%25", "fe80::1%25"),
        ],
    )
    def test_zones(self, host: str, expected: str) -> None:
        """RFC 6874 §2: URLs write the percent sign as "%25"; users often do not."""
        found = literal_address(host, 8080)
        assert found is not None
        assert found["host"] == expected

    @pytest.mark.parametrize("host", ["", "localhost", "1.example", "127.1", "0x7f000001", "a:b"])
    def test_names_are_none(self, host: str) -> None:
        """What only looks like an address is for the resolver."""
        assert literal_address(host, 80) is None


class TestThreadedResolver:
    async def test_loopback(self) -> None:
        """The operating system's answer, with family and port."""
        resolver = ThreadedResolver()
        found = await resolver.resolve("localhost", 80, family=socket.AF_INET)
        assert found[0]["host"] == "127.0.0.1"
        assert (found[0]["port"], found[0]["family"]) == (80, socket.AF_INET)
        assert found[0]["hostname"] == "localhost"
        await resolver.close()

    @pytest.mark.parametrize(
        "host",
        ["", "no-such-name.invalid", "a" * 64 + ".test", "a..test", "ü" * 64 + ".test", "ü..test"],
    )
    async def test_what_cannot_be_resolved(self, host: str) -> None:
        """Whatever is wrong with a name, the error is an ``OSError``."""
        with pytest.raises(OSError):
            await ThreadedResolver().resolve(host or "no such name", 80)

    def test_it_is_the_default(self) -> None:
        """``DefaultResolver`` is the one that needs nothing installed."""
        assert DefaultResolver is ThreadedResolver

    async def test_link_local_addresses_keep_their_zone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without it nobody could connect to them."""
        found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 80, 0, 3))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
        (address,) = await ThreadedResolver().resolve("a.test", 80, socket.AF_INET6)
        assert address["host"] == "fe80::1%3"

    async def test_international_names_are_encoded_as_in_urls(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By IDNA 2008; Python's own encoding would ask for "strasse"."""
        asked: list[bytes] = []

        def getaddrinfo(host: bytes, *args: object, **options: object) -> list[Any]:
            asked.append(host)
            return []

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        assert await ThreadedResolver().resolve("straße.test") == []
        assert asked == [b"xn--strae-oqa.test"]


class Stuck:
    """A ``getaddrinfo`` that answers when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self.asked = 0
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)

    def _getaddrinfo(self, *args: object, **options: object) -> list[Any]:
        self.asked += 1
        self.go.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]

    async def until_asked(self, times: int) -> None:
        """Wait until that many lookups have begun."""
        await until(lambda: self.asked >= times, f"{times} lookups to begin")


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    """An operating system whose name server does not answer."""
    stuck = Stuck(monkeypatch)
    yield stuck
    stuck.go.set()


class TestStuckLookups:
    async def test_files_can_be_read_meanwhile(self, stuck: Stuck) -> None:
        """Lookups have threads of their own, a bounded number of them."""
        found: list[str] = []

        async def resolve() -> None:
            found.append((await ThreadedResolver().resolve("a.test"))[0]["host"])

        async with anyio.create_task_group() as group:
            for _ in range(MAX_THREADS + 3):
                group.start_soon(resolve)
            await stuck.until_asked(MAX_THREADS)
            with anyio.fail_after(10):
                assert await anyio.Path(__file__).read_bytes()
            assert stuck.asked == MAX_THREADS
            stuck.go.set()
        assert found == ["127.0.0.1"] * (MAX_THREADS + 3)

    async def test_cancelling_does_not_wait(self, stuck: Stuck) -> None:
        """The thread is left behind, and counts until it is done."""
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                for _ in range(MAX_THREADS):
                    group.start_soon(ThreadedResolver().resolve, "a.test")
                await stuck.until_asked(MAX_THREADS)
                group.cancel_scope.cancel()
            resolve = partial(ThreadedResolver().resolve, "a.test")
            assert await cancel_when(resolve, anyio.wait_all_tasks_blocked)
        assert stuck.asked == MAX_THREADS
        stuck.go.set()
        with anyio.fail_after(5):
            assert await ThreadedResolver().resolve("a.test")

    async def test_cancelled_at_any_point(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The place among the threads is given back each time."""
        stuck = Stuck(monkeypatch)
        stuck.go.set()

        async def resolve() -> None:
            assert await ThreadedResolver().resolve("a.test")

        async def after() -> None:
            await until(lambda: not thread_limiter().borrowed_tokens, "the place to be free")

        for how in ("scope", "every-task"):
            assert await cancel_at_every_checkpoint(resolve, after=after, how=how)

    async def test_no_thread_to_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The place is free again."""

        def refuse(thread: object) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="new thread"):
                await ThreadedResolver().resolve("localhost")
        assert thread_limiter().borrowed_tokens == 0

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_the_program_can_end(self, backend: str) -> None:
        """Neither the end of the event loop nor that of the process waits for an answer."""
        code = (
            "import socket, sys, threading, anyio\n"
            "from anyhttp import ThreadedResolver\n"
            "asked, stuck = threading.Event(), threading.Event()\n"
            "socket.getaddrinfo = lambda *a, **o: (asked.set(), stuck.wait(50))\n"
            "async def main():\n"
            "    async with anyio.create_task_group() as group:\n"
            "        group.start_soon(ThreadedResolver().resolve, 'a.test')\n"
            "        await anyio.to_thread.run_sync(asked.wait)\n"
            "        group.cancel_scope.cancel()\n"
            "anyio.run(main, backend=sys.argv[1])\n"
            "print('over')\n"
        )
        output = subprocess.run(
            [sys.executable, "-c", code, backend], capture_output=True, check=True, timeout=30
        )
        assert (output.stdout, output.stderr) == (b"over\n", b"")

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_an_answer_that_nobody_waits_for_any_more(self, stuck: Stuck, backend: str) -> None:
        """It comes when the event loop is gone, and makes no noise."""

        async def main() -> None:
            resolve = partial(ThreadedResolver().resolve, "a.test")
            assert await cancel_when(resolve, partial(stuck.until_asked, 1))

        before = set(threading.enumerate())
        anyio.run(main, backend=backend)
        stuck.go.set()
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def nameserver() -> Iterator[NameServer]:
    """A DNS server; see :mod:`tests.support.nameserver`."""
    server = NameServer(
        {
            "a.test": ["A 192.0.2.1", "AAAA 2001:db8::1", "A 192.0.2.2"],
            "alias.test": ["CNAME a.test."],
            "four.test": ["A 192.0.2.4"],
            "nothing.test": [],
            "fails.test": [FAILS],
            "silent.test": [SILENT],
            "long.test": [LONG, "A 192.0.2.7"],
            "short.svc.test": ["A 192.0.2.8"],
        }
    )
    yield server
    server.stop()


NO_HOSTS: Any = {"hosts_file": None}


class TestAsyncResolver:
    async def test_addresses_of_both_families(self, nameserver: NameServer) -> None:
        """A and AAAA records, with the port that was asked for."""
        resolver = AsyncResolver([nameserver.address], **NO_HOSTS)
        found = await resolver.resolve("a.test", 8080, socket.AF_UNSPEC)
        assert [(a["host"], a["family"], a["port"], a["hostname"]) for a in found] == [
            ("2001:db8::1", socket.AF_INET6, 8080, "a.test"),
            ("192.0.2.1", socket.AF_INET, 8080, "a.test"),
            ("192.0.2.2", socket.AF_INET, 8080, "a.test"),
        ]
        await resolver.close()

    @pytest.mark.parametrize(
        ("host", "family", "expected"),
        [
            ("a.test", socket.AF_INET6, ["2001:db8::1"]),
            ("a.test.", socket.AF_INET6, ["2001:db8::1"]),
            ("four.test", socket.AF_UNSPEC, ["192.0.2.4"]),
            ("FOUR.test", socket.AF_INET, ["192.0.2.4"]),
            ("alias.test", socket.AF_INET6, ["2001:db8::1"]),
            ("long.test", socket.AF_INET, ["192.0.2.7"]),
            ("192.0.2.9", socket.AF_INET, ["192.0.2.9"]),
            ("2001:db8::9", socket.AF_UNSPEC, ["2001:db8::9"]),
        ],
    )
    async def test_what_is_found(
        self, nameserver: NameServer, host: str, family: socket.AddressFamily, expected: list[str]
    ) -> None:
        """Aliases are followed, long answers asked for by TCP, addresses are their own."""
        found = await AsyncResolver([nameserver.address], **NO_HOSTS).resolve(host, 80, family)
        assert [address["host"] for address in found] == expected

    @pytest.mark.parametrize(
        ("host", "family", "number"),
        [
            ("no.test", socket.AF_UNSPEC, socket.EAI_NONAME),
            ("nothing.test", socket.AF_UNSPEC, socket.EAI_NONAME),
            ("four.test", socket.AF_INET6, socket.EAI_NONAME),
            ("fails.test", socket.AF_INET, socket.EAI_AGAIN),
            ("silent.test", socket.AF_INET, socket.EAI_AGAIN),
            ("a..test", socket.AF_INET, socket.EAI_AGAIN),
        ],
    )
    async def test_what_is_not(
        self, nameserver: NameServer, host: str, family: socket.AddressFamily, number: int
    ) -> None:
        """The error names the host, and tells an unknown name from a failure."""
        resolver = AsyncResolver([nameserver.address], timeout=0.2, **NO_HOSTS)
        with pytest.raises(socket.gaierror, match=host) as caught:
            await resolver.resolve(host, 80, family)
        assert caught.value.errno == number

    async def test_the_next_server_is_asked(self, nameserver: NameServer) -> None:
        """When the first has failed."""
        broken = NameServer({"a.test": [FAILS]})
        resolver = AsyncResolver([broken.address, nameserver.address], **NO_HOSTS)
        assert await resolver.resolve("a.test", 80, socket.AF_INET)
        assert broken.asked == ["udp a.test A"]
        broken.stop()

    @pytest.mark.parametrize(
        ("family", "failure"),
        [("A", FAILS), ("A", NO_NAME), ("A", SILENT), ("AAAA", FAILS), ("AAAA", NO_NAME)],
    )
    async def test_one_family_does_not_answer_for_the_other(
        self, failure: str, family: str
    ) -> None:
        """RFC 4074 §4: servers deny names that have no AAAA record, fail, or keep silent."""
        address = {"A": "192.0.2.1", "AAAA": "::2"}[family]
        other = {"A": "AAAA", "AAAA": "A"}[family]
        nameserver = NameServer({"a.test": [f"{family} {address}", f"{failure} {other}"]})
        resolver = AsyncResolver([nameserver.address], **NO_HOSTS)
        with anyio.fail_after(4):
            (found,) = await resolver.resolve("a.test", 80, socket.AF_UNSPEC)
        assert found["host"] == address
        nameserver.stop()

    async def test_a_failure_counts_more_than_an_unknown_name(self) -> None:
        """It may be over soon."""
        nameserver = NameServer({"a.test": [f"{FAILS} A", f"{NO_NAME} AAAA"]})
        resolver = AsyncResolver([nameserver.address], **NO_HOSTS)
        with pytest.raises(socket.gaierror) as caught:
            await resolver.resolve("a.test", 80, socket.AF_UNSPEC)
        assert caught.value.errno == socket.EAI_AGAIN
        nameserver.stop()

    async def test_a_bug_comes_in_no_group(
        self, nameserver: NameServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What goes wrong below reaches the caller as it is."""

        def broken(*args: object, **options: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(dns.resolver.BaseResolver, "_get_qnames_to_try", broken)
        with pytest.raises(ZeroDivisionError):
            await AsyncResolver([nameserver.address], **NO_HOSTS).resolve(
                "a.test", 80, socket.AF_UNSPEC
            )

    async def test_short_names_are_completed(self, nameserver: NameServer) -> None:
        """By the search list of the operating system's configuration."""
        resolver = AsyncResolver([nameserver.address], **NO_HOSTS)
        resolver._resolver.search = [dns.name.from_text("svc.test")]
        (found,) = await resolver.resolve("short", 80, socket.AF_INET)
        assert found["host"] == "192.0.2.8"
        assert nameserver.asked == ["udp short.svc.test A"]

    async def test_a_short_name_is_one_host(self) -> None:
        """Two suffixes that each know one family do not make a host of both."""
        nameserver = NameServer(
            {"a.one.test": ["A 192.0.2.1", f"{NO_NAME} AAAA"], "a.two.test": ["AAAA ::2"]}
        )
        resolver = AsyncResolver([nameserver.address], **NO_HOSTS)
        resolver._resolver.search = [dns.name.from_text(f"{name}.test") for name in ("one", "two")]
        found = await resolver.resolve("a", 80, socket.AF_UNSPEC)
        assert [address["host"] for address in found] == ["192.0.2.1"]
        nameserver.stop()

    async def test_known_hosts_come_first(self, nameserver: NameServer, tmp_path: Path) -> None:
        """Nobody is asked for them; a change of the file is seen."""
        hosts = tmp_path / "hosts"
        hosts.write_text(
            "# known\n192.0.2.20 mine.test  Other.Test # both\n::2 mine.test\n"
            "192.0.2.20 mine.test\nnonsense x.test\n\n192.0.2.21\n"
        )
        resolver = AsyncResolver([nameserver.address], hosts_file=hosts)

        async def hosts_of(name: str, family: int = socket.AF_UNSPEC) -> list[str]:
            found = await resolver.resolve(name, 80, socket.AddressFamily(family))
            return [address["host"] for address in found]

        assert await hosts_of("mine.test") == ["192.0.2.20", "::2"]
        assert await hosts_of("MINE.test.", socket.AF_INET6) == ["::2"]
        assert await hosts_of("other.test") == ["192.0.2.20"]
        with pytest.raises(socket.gaierror, match="no address of this family"):
            await hosts_of("other.test", socket.AF_INET6)
        assert nameserver.asked == []
        assert "192.0.2.1" in await hosts_of("a.test")
        hosts.write_text("192.0.2.22 a.test mine.test changed.test")
        assert await hosts_of("a.test") == ["192.0.2.22"]
        hosts.unlink()
        assert "192.0.2.1" in await hosts_of("a.test")

    async def test_a_file_of_hosts_that_cannot_be_read(
        self, nameserver: NameServer, tmp_path: Path
    ) -> None:
        """Is none."""
        resolver = AsyncResolver([nameserver.address], hosts_file=tmp_path)
        assert await resolver.resolve("a.test", 80, socket.AF_INET)

    @pytest.mark.parametrize("host", ["localhost", "localhost.", "my.LocalHost"])
    async def test_localhost_stays_here(self, nameserver: NameServer, host: str) -> None:
        """RFC 6761 §6.3: no name server is told."""
        resolver = AsyncResolver([nameserver.address], **NO_HOSTS)
        found = await resolver.resolve(host, 80, socket.AF_UNSPEC)
        assert [address["host"] for address in found] == ["127.0.0.1", "::1"]
        assert nameserver.asked == []

    @pytest.mark.uvloop
    async def test_cancelled_at_any_point(self, nameserver: NameServer) -> None:
        """No socket is left open."""
        before = set(census.open_sockets())

        async def resolve() -> None:
            resolver = AsyncResolver([nameserver.address], **NO_HOSTS)
            assert await resolver.resolve("long.test", 80, socket.AF_INET)

        async def after() -> None:
            for _ in range(census.ROUNDS_OF_GRACE):
                await anyio.lowlevel.checkpoint()
            assert set(census.open_sockets()) <= before

        assert await cancel_at_every_checkpoint(resolve, after=after)

    @pytest.mark.parametrize(
        ("server", "expected"),
        [
            ("192.0.2.1", ("192.0.2.1", 53)),
            ("192.0.2.1:5353", ("192.0.2.1", 5353)),
            ("2001:db8::1", ("2001:db8::1", 53)),
            ("[2001:db8::1]", ("2001:db8::1", 53)),
            ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ],
    )
    def test_addresses_of_servers(self, server: str, expected: tuple[str, int]) -> None:
        """With a port or without."""
        (found,) = AsyncResolver([server])._resolver.nameservers
        assert isinstance(found, dns.nameserver.Do53Nameserver)
        assert (found.address, found.port) == expected

    @pytest.mark.parametrize("server", ["", "dns.test", "192.0.2.1:dns", "192.0.2", "https://a/"])
    def test_what_is_no_server(self, server: str) -> None:
        """A name would need a resolver; the message shows the entry."""
        with pytest.raises(ValueError, match=f"nameservers: '{server}' is not an IP address"):
            AsyncResolver([server])
        with pytest.raises(TypeError, match="iterable of addresses"):
            AsyncResolver("192.0.2.1")
        with pytest.raises(TypeError, match=r"^timeout must be a number of seconds, not '5'$"):
            AsyncResolver(timeout="5")  # type: ignore[arg-type]  # what is tested

    def test_a_system_without_configuration(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """resolv.conf(5): the server is the one on this machine then."""

        def nothing(*args: object) -> None:
            raise dns.resolver.NoResolverConfiguration

        monkeypatch.setattr(dns.resolver.BaseResolver, "read_resolv_conf", nothing)
        assert AsyncResolver()._resolver.nameservers == ["127.0.0.1"]

    async def test_in_a_session(self, server: Server) -> None:
        """A connector asks it, and the error says which host has no address."""
        nameserver = NameServer({"web.test": ["A 127.0.0.1"]})
        connector = TCPConnector(resolver=AsyncResolver([nameserver.address]))
        async with ClientSession(connector=connector) as session:
            url = server.url.with_host("web.test") / "json"
            for _ in range(2):
                async with session.get(url) as response:
                    assert response.status == 200
            with pytest.raises(ClientConnectorDNSError, match=r"no\.test:80.*does not exist"):
                await session.get("http://no.test/")
        assert sorted(question for question in nameserver.asked if "web" in question) == [
            "udp web.test A",
            "udp web.test AAAA",
        ]
        nameserver.stop()


def test_without_its_extra_the_resolver_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what to install."""
    monkeypatch.setitem(sys.modules, "dns.asyncresolver", None)
    with pytest.raises(RuntimeError, match=r"pip install 'anyhttp-client\[dns\]'"):
        AsyncResolver()
