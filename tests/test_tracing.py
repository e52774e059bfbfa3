"""Tracing: who is told what, in which order, and what handlers can do to a request."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import logging
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast

import anyio
import anyio.lowlevel
import pytest
from multidict import CIMultiDict
from yarl import URL

import anyhttp
from anyhttp import (
    BasicAuth,
    ClientConnectionError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ServerDisconnectedError,
    TCPConnector,
    TooManyRedirects,
    TraceConfig,
    UnixConnector,
)
from anyhttp.client_middlewares import tell_of_retry
from anyhttp.connector import ConnectorStatistics
from anyhttp.tracing import Signal, TraceParams
from tests.support.api import Api
from tests.support.cancel import cancel_when
from tests.support.census import assert_no_tokens
from tests.support.client import assert_free, get
from tests.support.names import Names
from tests.support.peer import CLOSE, STALL, Head, Script
from tests.support.responses import OK
from tests.support.server import Server
from tests.support.waiting import DEADLINE

SHORT = 0.05

PARAMS: dict[str, type[TraceParams]] = {
    "on_request_start": anyhttp.TraceRequestStartParams,
    "on_request_headers_sent": anyhttp.TraceRequestHeadersSentParams,
    "on_request_chunk_sent": anyhttp.TraceRequestChunkSentParams,
    "on_request_redirect": anyhttp.TraceRequestRedirectParams,
    "on_request_retry": anyhttp.TraceRequestRetryParams,
    "on_request_end": anyhttp.TraceRequestEndParams,
    "on_request_exception": anyhttp.TraceRequestExceptionParams,
    "on_response_chunk_received": anyhttp.TraceResponseChunkReceivedParams,
    "on_connection_queued_start": anyhttp.TraceConnectionQueuedStartParams,
    "on_connection_queued_end": anyhttp.TraceConnectionQueuedEndParams,
    "on_connection_create_start": anyhttp.TraceConnectionCreateStartParams,
    "on_connection_create_end": anyhttp.TraceConnectionCreateEndParams,
    "on_connection_reuseconn": anyhttp.TraceConnectionReuseconnParams,
    "on_dns_resolvehost_start": anyhttp.TraceDnsResolveHostStartParams,
    "on_dns_resolvehost_end": anyhttp.TraceDnsResolveHostEndParams,
    "on_dns_cache_hit": anyhttp.TraceDnsCacheHitParams,
    "on_dns_cache_miss": anyhttp.TraceDnsCacheMissParams,
    "on_connection_tls_start": anyhttp.TraceConnectionTlsStartParams,
    "on_connection_tls_end": anyhttp.TraceConnectionTlsEndParams,
    "on_response_end": anyhttp.TraceResponseEndParams,
    "on_connection_tunnel": anyhttp.TraceConnectionTunnelParams,
}
# The last four have tests of their own in test_tracing_of_tls_and_ends.py.
ALL = list(PARAMS)[:-4]

Handler = Callable[[Any, Any, Any], Awaitable[None]]


class Recorder:
    """A configuration that writes down what it is told."""

    def __init__(self) -> None:
        self.config = TraceConfig()
        self.seen: list[tuple[str, Any]] = []
        self.contexts: list[Any] = []
        for name in ALL:
            signal_of(self.config, name).append(self._handler(name))

    def _handler(self, name: str) -> Handler:
        async def record(session: ClientSession, context: object, params: TraceParams) -> None:
            assert type(params) is PARAMS[name]
            self.contexts.append(context)
            self.seen.append((name.removeprefix("on_"), params))
            await anyio.lowlevel.checkpoint()

        return record

    def take(self) -> list[str]:
        """Return the names of what came since the last time."""
        names = [name for name, _ in self.seen]
        self.seen.clear()
        return names

    def params(self, name: str) -> list[Any]:
        """Return what the handlers of one signal were told."""
        return [params for signal, params in self.seen if signal == name]


def signal_of(config: TraceConfig, name: str) -> Signal[Any]:
    """Return the signal of that name."""
    return cast("Signal[Any]", getattr(config, name))


def one_handler(name: str, handler: Handler) -> TraceConfig:
    """Return a configuration with one handler."""
    config = TraceConfig()
    signal_of(config, name).append(handler)
    return config


async def is_cancelled_while_it_hangs(session: ClientSession, server: Server) -> bool:
    """Cancel a request that is not answered, when it has arrived; tell whether it ended so."""

    async def ask() -> None:
        await session.get("/hang")

    return await cancel_when(ask, lambda: server.until_asked("/hang"))


async def nothing(session: object, context: object, params: object) -> None:
    """Be a handler that does nothing."""


async def for_ever(session: object, context: object, params: object) -> None:
    """Be a handler that never ends."""
    await anyio.sleep_forever()


async def pieces() -> AsyncIterator[bytes]:
    """Yield a body in three pieces, one of them empty."""
    for piece in (b"one", b"", b"two"):
        yield piece


# -- signals and configurations --------------------------------------------------------


class TestSignal:
    def test_it_is_a_list(self) -> None:
        """Handlers are added and taken away by all ways that lists have."""

        async def other(session: object, context: object, params: object) -> None: ...

        signal: Signal[object] = Signal()
        assert not signal
        signal.append(nothing)
        signal.insert(0, other)
        signal.extend([nothing])
        assert list(signal) == [other, nothing, nothing]
        signal.remove(nothing)
        signal[1] = other
        signal[:] = [nothing, other]
        assert signal[0] is nothing
        assert signal[1:] == [other]
        del signal[0]
        assert signal.pop() is other
        assert len(signal) == 0
        assert repr(signal) == "<Signal frozen=False []>"

    def test_it_is_a_decorator(self) -> None:
        """Calling it with a function appends that, and leaves it what it was."""
        config = TraceConfig()

        @config.on_request_start
        async def handler(session: object, context: object, params: object) -> None: ...

        assert list(config.on_request_start) == [handler]

    def test_frozen_it_cannot_be_changed(self) -> None:
        """In no way that lists have."""
        signal: Signal[object] = Signal()
        signal.append(nothing)
        assert not signal.frozen
        signal.freeze()
        signal.freeze()
        assert signal.frozen
        changes: list[Callable[[], object]] = [
            lambda: signal.append(nothing),
            lambda: signal.insert(0, nothing),
            lambda: signal.extend([nothing]),
            lambda: signal.remove(nothing),
            lambda: signal.__setitem__(0, nothing),
            lambda: signal.__delitem__(0),
            lambda: signal(nothing),
            signal.clear,
            signal.pop,
        ]
        for change in changes:
            with pytest.raises(RuntimeError, match="cannot be changed"):
                change()
        assert list(signal) == [nothing]

    async def test_sending(self) -> None:
        """Handlers are awaited in order; what one raises ends it."""
        order: list[object] = []

        async def first(*told: object) -> None:
            order.append(told)

        async def second(*told: object) -> None:
            raise LookupError("mine")

        signal: Signal[object] = Signal()
        signal.extend([first, second, first])
        with pytest.raises(RuntimeError, match="frozen"):
            await signal.send("session", "context", "params")
        signal.freeze()
        with pytest.raises(LookupError, match="mine"):
            await signal.send("session", "context", "params")
        assert order == [("session", "context", "params")]


class TestConfig:
    def test_it_has_signals(self) -> None:
        """Each is there under its documented name, and freeze() freezes them all."""
        config = TraceConfig()
        assert {name for name in dir(config) if name.startswith("on_")} == PARAMS.keys()
        signals = [signal_of(config, name) for name in PARAMS]
        assert len({id(signal) for signal in signals}) == len(PARAMS)
        config.freeze()
        assert all(signal.frozen for signal in signals)

    def test_a_signal_cannot_be_replaced(self) -> None:
        """It is changed as a list, so that freezing it means something."""
        with pytest.raises(AttributeError):
            TraceConfig().on_request_start = Signal()  # type: ignore[assignment]  # the error is the test

    def test_the_context_is_made_by_the_factory(self) -> None:
        """It gets what the request was given; by default it is a namespace that has it."""
        assert TraceConfig().trace_config_ctx() == SimpleNamespace(trace_request_ctx=None)
        assert TraceConfig().trace_config_ctx(7).trace_request_ctx == 7
        config = TraceConfig(trace_config_ctx_factory=dict)
        assert config.trace_config_ctx(trace_request_ctx="id") == {"trace_request_ctx": "id"}

    def test_it_can_be_marked(self) -> None:
        """Instrumentation tells its own configurations from others by an attribute."""
        config = TraceConfig()
        config.mine = True  # type: ignore[attr-defined]  # what others do
        assert vars(config)["mine"]
        config.freeze()

    @pytest.mark.parametrize("params", PARAMS.values(), ids=lambda params: params.__name__)
    def test_params_are_frozen(self, params: Any) -> None:
        """Their fields come in the documented order, and stay as they are."""
        names = [field.name for field in dataclasses.fields(params)]
        told = params(*names)
        assert [getattr(told, name) for name in names] == names
        for name in [*names, "other"]:
            with pytest.raises((AttributeError, TypeError)):
                setattr(told, name, None)
        assert told == params(**{name: name for name in names})

    def test_params_are_values(self) -> None:
        """Equal to others of the same signal with the same fields; they can be pickled."""
        told = [anyhttp.TraceDnsCacheHitParams("a"), anyhttp.TraceConnectionReuseconnParams()]
        assert pickle.loads(pickle.dumps(told)) == told
        assert told[0] != anyhttp.TraceDnsCacheMissParams("a")
        assert told[1] != anyhttp.TraceConnectionQueuedEndParams()
        assert repr(told) == (
            "[TraceDnsCacheHitParams(host='a'), TraceConnectionReuseconnParams()]"
        )

    def test_params_show_no_secrets(self) -> None:
        """Headers and bodies are not in their repr."""
        url = URL("http://example.com/")
        headers = CIMultiDict({"Authorization": "Basic secret"})
        start = anyhttp.TraceRequestStartParams("GET", url, headers)
        chunk = anyhttp.TraceRequestChunkSentParams("GET", url, b"secret")
        assert "example.com" in repr(start)
        assert "secret" not in repr((start, chunk))


class TestSession:
    async def test_configurations_are_frozen(self) -> None:
        """A session freezes what it is made with; two sessions may share it."""
        config = TraceConfig()
        async with ClientSession(trace_configs=[config]) as session:
            assert session.trace_configs == [config]
            with pytest.raises(RuntimeError, match="cannot be changed"):
                config.on_request_start.append(nothing)
            async with ClientSession(trace_configs=(config,)) as other:
                assert other.trace_configs == [config]
        async with ClientSession() as session:
            assert session.trace_configs == []

    @pytest.mark.parametrize("what", ["close", "detach"])
    async def test_a_handler_that_ends_the_session(self, server: Server, what: str) -> None:
        """The request fails, and nothing is connected for it."""

        async def end(*_: object) -> None:
            if what == "close":
                await session.close()
            else:
                session.detach()

        config = TraceConfig()
        config.on_request_start.append(end)
        async with anyhttp.TCPConnector() as connector:
            async with ClientSession(connector=connector, trace_configs=[config]) as session:
                with pytest.raises(ClientConnectionError, match=r"^Session is closed$"):
                    await session.get(server.url)
        assert server.connections == 0

    async def test_a_configuration_may_come_and_go(self, api: Api) -> None:
        """The session's list can be changed, and freezes what it has got at its first use."""
        recorder = Recorder()
        async with ClientSession(api.url, trace_configs=[]) as session:
            session.trace_configs.append(recorder.config)
            assert not recorder.config.on_request_start.frozen
            await get(session)
            assert recorder.config.on_request_end.frozen
            assert "request_end" in recorder.take()
            session.trace_configs.remove(recorder.config)
            await get(session)
            assert not recorder.take()

    def test_wrong_types(self) -> None:
        """Anything but configurations is refused by name."""
        wrong: Any = [lambda: None]
        with pytest.raises(
            TypeError, match=r"must hold anyhttp\.TraceConfig objects, not function"
        ):
            ClientSession(trace_configs=wrong)

    async def test_a_wrong_type_that_is_added(self, api: Api) -> None:
        """It is refused by name where the list is used next."""
        wrong: Any = object()
        async with ClientSession(api.url, trace_configs=[TraceConfig()]) as session:
            session.trace_configs.append(wrong)
            with pytest.raises(
                TypeError, match=r"trace_configs must hold anyhttp\.TraceConfig.*make"
            ):
                await session.get("json")

    async def test_contexts(self, api: Api) -> None:
        """Each configuration makes one for each request, from what the request gives."""
        first, second = Recorder(), Recorder()
        async with ClientSession(api.url, trace_configs=[first.config, second.config]) as session:
            await get(session, trace_request_ctx="a")
            await get(session, "/redirect/1", trace_request_ctx={"b": 1})
            await get(session)
        contexts = [id(context) for context in first.contexts + second.contexts]
        assert len(set(contexts)) == 6
        values = [context.trace_request_ctx for context in first.contexts]
        assert [value for n, value in enumerate(values) if values.index(value) == n] == [
            "a",
            {"b": 1},
            None,
        ]

    async def test_a_factory_that_fails(self, api: Api) -> None:
        """Its error is the request's, and nobody has heard of the request."""
        recorder = Recorder()

        def factory(trace_request_ctx: object) -> object:
            raise LookupError("mine")

        configs = [recorder.config, TraceConfig(factory)]
        async with ClientSession(api.url, trace_configs=configs) as session:
            with pytest.raises(LookupError, match="mine"):
                await session.get("/json")
            assert not recorder.seen
            assert_free(session)

    async def test_wrong_arguments_are_not_traced(self, api: Api) -> None:
        """They are refused before the request begins."""
        recorder = Recorder()
        async with ClientSession(api.url, trace_configs=[recorder.config]) as session:
            with pytest.raises(ValueError):
                await session.get("/json", data=b"a", json=1)
            assert not recorder.seen

    async def test_handlers_get_the_session(self, api: Api) -> None:
        """As their first argument."""
        sessions: list[object] = []

        async def handler(session: object, context: object, params: object) -> None:
            sessions.append(session)

        async with ClientSession(
            api.url, trace_configs=[one_handler("on_request_end", handler)]
        ) as session:
            await get(session)
            assert sessions == [session]


# -- the order, and what is told -------------------------------------------------------

NEW = ["connection_create_start", "connection_create_end"]
REUSED = ["connection_reuseconn"]
ENDED = ["request_end", "response_chunk_received"]


class TestOrder:
    async def test_new_and_reused_connections(self, server: Server, http1: str) -> None:
        """To an address nothing is looked up; a connection is made once."""
        recorder = Recorder()
        connector = TCPConnector(http1=http1)
        async with ClientSession(
            server.url, connector=connector, trace_configs=[recorder.config]
        ) as session:
            await get(session)
            assert recorder.take() == ["request_start", *NEW, "request_headers_sent", *ENDED]
            await get(session)
            assert recorder.take() == ["request_start", *REUSED, "request_headers_sent", *ENDED]

    async def test_names(self, server: Server) -> None:
        """Looking up is part of making a connection; then the cache knows the name."""
        recorder = Recorder()
        connector = TCPConnector(resolver=Names(), force_close=True)
        url = server.url.with_host("name.test") / "json"
        looked_up = ["dns_cache_miss", "dns_resolvehost_start", "dns_resolvehost_end"]
        async with ClientSession(connector=connector, trace_configs=[recorder.config]) as session:
            await get(session, url)
            assert recorder.params("dns_cache_miss")[0].host == "name.test"
            assert recorder.params("dns_resolvehost_start")[0].host == "name.test"
            assert recorder.params("dns_resolvehost_end")[0].host == "name.test"
            assert recorder.take() == [
                "request_start",
                NEW[0],
                *looked_up,
                NEW[1],
                "request_headers_sent",
                *ENDED,
            ]
            await get(session, url)
            assert recorder.params("dns_cache_hit")[0].host == "name.test"
            assert recorder.take()[1:4] == [NEW[0], "dns_cache_hit", NEW[1]]

    async def test_an_old_answer_is_none(self, server: Server) -> None:
        """What the cache has kept for too long it does not know."""
        recorder, names = Recorder(), Names()
        connector = TCPConnector(resolver=names, force_close=True, ttl_dns_cache=0)
        url = server.url.with_host("name.test") / "json"
        async with ClientSession(connector=connector, trace_configs=[recorder.config]) as session:
            for _ in range(2):
                await get(session, url)
        assert len(names.asked) == len(recorder.params("dns_cache_miss")) == 2

    async def test_names_without_a_cache(self, server: Server) -> None:
        """It is neither hit nor missed, and each lookup is told."""
        recorder = Recorder()
        connector = TCPConnector(resolver=Names(), use_dns_cache=False, force_close=True)
        url = server.url.with_host("name.test") / "json"
        async with ClientSession(connector=connector, trace_configs=[recorder.config]) as session:
            for _ in range(2):
                await get(session, url)
                assert recorder.take()[2:4] == ["dns_resolvehost_start", "dns_resolvehost_end"]

    async def test_a_lookup_that_is_shared(self, server: Server) -> None:
        """Who waits for another's lookup hits the cache."""
        first, second, names = Recorder(), Recorder(), Names()
        gate = names.gate = anyio.Event()
        connector = TCPConnector(resolver=names)
        url = server.url.with_host("name.test") / "json"
        async with (
            ClientSession(connector=connector, trace_configs=[first.config]) as one,
            ClientSession(
                connector=connector, connector_owner=False, trace_configs=[second.config]
            ) as other,
            anyio.create_task_group() as group,
        ):
            group.start_soon(get, one, url)
            with anyio.fail_after(DEADLINE):
                while not names.asked:
                    await anyio.lowlevel.checkpoint()
                group.start_soon(get, other, url)
                while not second.params("dns_cache_hit"):
                    await anyio.lowlevel.checkpoint()
            gate.set()
        assert len(names.asked) == 1
        assert "dns_resolvehost_end" in first.take()
        assert "dns_resolvehost_start" not in second.take()

    @pytest.mark.parametrize("per_host", [False, True], ids=["limit", "limit_per_host"])
    async def test_queueing(self, server: Server, per_host: bool) -> None:
        """Only a request that finds no free slot is told to wait."""
        recorder = Recorder()
        limits: dict[str, Any] = {"limit_per_host": 1} if per_host else {"limit": 1}
        connector = TCPConnector(**limits)
        async with ClientSession(
            server.url, connector=connector, trace_configs=[recorder.config]
        ) as session:
            async with anyio.create_task_group() as group:
                async with session.get("/bytes/1000000"):
                    assert "connection_queued_start" not in recorder.take()
                    group.start_soon(get, session)
                    with anyio.fail_after(DEADLINE):
                        while not connector.statistics().waiting:
                            await anyio.lowlevel.checkpoint()
                    assert recorder.take() == ["request_start", "connection_queued_start"]
            assert recorder.take()[:2] == ["connection_queued_end", "connection_create_start"]

    @pytest.mark.parametrize("limit", [{"limit": 1}, {"limit_per_host": 1}], ids=str)
    async def test_what_becomes_idle_meanwhile(self, server: Server, limit: dict[str, Any]) -> None:
        """A connection given back while handlers are told of the wait is for whoever waits."""
        connector = TCPConnector(**limit)
        gate = anyio.Event()

        async def tarry(session: ClientSession, context: object, params: TraceParams) -> None:
            await gate.wait()

        config = one_handler("on_connection_queued_start", tarry)
        async with (
            ClientSession(server.url, connector=connector, trace_configs=[config]) as session,
            anyio.create_task_group() as group,
        ):
            async with session.get("/bytes/1000000") as response:
                group.start_soon(get, session)
                await anyio.wait_all_tasks_blocked()
                assert connector.statistics().waiting == 1
                await response.read()
            gate.set()
            with anyio.fail_after(DEADLINE):
                while connector.statistics() != ConnectorStatistics(0, 1, 0):
                    await anyio.lowlevel.checkpoint()
        assert server.connections == 1
        assert_no_tokens(connector)

    async def test_closing_when_the_wait_has_ended(self, server: Server) -> None:
        """No connection is announced that cannot be made any more."""
        recorder = Recorder()
        connector = TCPConnector(limit=1)

        async def close(session: ClientSession, context: object, params: TraceParams) -> None:
            await connector.close()

        recorder.config.on_connection_queued_end.append(close)
        async with ClientSession(
            server.url, connector=connector, trace_configs=[recorder.config]
        ) as session:

            async def ask() -> None:
                with pytest.raises(ClientConnectionError, match="Connector is closed"):
                    await get(session)

            async with anyio.create_task_group() as group:
                async with session.get("/bytes/1000000"):
                    recorder.take()
                    group.start_soon(ask)
                    await anyio.wait_all_tasks_blocked()
            assert recorder.take() == [
                "request_start",
                "connection_queued_start",
                "connection_queued_end",
                "request_exception",
            ]
        assert_no_tokens(connector)

    async def test_redirects(self, server: Server) -> None:
        """Each hop has its own head, and its own connection or the one of before."""
        recorder = Recorder()
        async with ClientSession(server.url, trace_configs=[recorder.config]) as session:
            await get(session, "/redirect/2")
            hop = [*REUSED, "request_headers_sent"]
            told = recorder.params("request_redirect")
            assert [(each.method, each.url.path) for each in told] == [
                ("GET", "/redirect/2"),
                ("GET", "/redirect/1"),
            ]
            assert [each.response.status for each in told] == [302, 302]
            assert recorder.params("request_start")[0].url == server.url / "redirect/2"
            (end,) = recorder.params("request_end")
            assert (end.method, end.url.path, end.response.status) == ("GET", "/redirect/0", 200)
            assert len(end.response.history) == 2
            assert recorder.take() == [
                "request_start",
                *NEW,
                "request_headers_sent",
                "request_redirect",
                *hop,
                "request_redirect",
                *hop,
                *ENDED,
            ]

    async def test_redirects_over_the_limit(self, api: Api) -> None:
        """The last one is told too."""
        recorder = Recorder()
        async with ClientSession(api.url, trace_configs=[recorder.config]) as session:
            with pytest.raises(TooManyRedirects) as caught:
                await session.get("/redirect/5", max_redirects=2)
            assert len(recorder.params("request_redirect")) == 2
            (failed,) = recorder.params("request_exception")
            assert failed.exception is caught.value
            assert (failed.method, failed.url.path) == ("GET", "/redirect/4")
            assert recorder.take()[-2:] == ["request_redirect", "request_exception"]

    async def test_redirects_that_are_left_alone(self, api: Api) -> None:
        """With allow_redirects=False the response is the end."""
        recorder = Recorder()
        async with ClientSession(api.url, trace_configs=[recorder.config]) as session:
            await get(session, "/redirect/2", allow_redirects=False)
            assert "request_redirect" not in recorder.take()

    async def test_a_second_attempt(self, script: Script, http1: str) -> None:
        """A request on a stale connection is sent again: two connections, two heads, one end."""
        peer = await script(
            [(b"GET /a ", OK), (b"GET /b ", CLOSE)],
            [(b"GET /b ", OK)],
        )
        recorder = Recorder()
        async with ClientSession(
            peer.url, connector=TCPConnector(http1=http1), trace_configs=[recorder.config]
        ) as session:
            await get(session, "/a")
            recorder.take()
            await get(session, "/b")
            assert recorder.take() == [
                "request_start",
                *REUSED,
                "request_headers_sent",
                *NEW,
                "request_headers_sent",
                *ENDED,
            ]

    async def test_a_connection_that_fails(self, free_tcp_port: int) -> None:
        """It has no end."""
        recorder = Recorder()
        async with ClientSession(trace_configs=[recorder.config]) as session:
            with pytest.raises(ClientConnectorError) as caught:
                await session.get(f"http://127.0.0.1:{free_tcp_port}/")
            assert recorder.params("request_exception")[0].exception is caught.value
            assert recorder.take() == ["request_start", NEW[0], "request_exception"]

    async def test_a_lookup_that_fails(self) -> None:
        """It has no end either."""
        recorder = Recorder()
        async with ClientSession(
            connector=TCPConnector(resolver=Names()), trace_configs=[recorder.config]
        ) as session:
            with pytest.raises(ClientConnectorDNSError):
                await session.get("http://unknown.test/")
            assert recorder.take() == [
                "request_start",
                NEW[0],
                "dns_cache_miss",
                "dns_resolvehost_start",
                "request_exception",
            ]

    async def test_unix_sockets(self, server: Server) -> None:
        """They have connections, but no names."""
        recorder = Recorder()
        async with ClientSession(
            connector=UnixConnector(server.unix_path), trace_configs=[recorder.config]
        ) as session:
            await get(session, "http://name.test/json")
            assert recorder.take() == ["request_start", *NEW, "request_headers_sent", *ENDED]

    async def test_a_status_that_is_not_wanted(self, api: Api) -> None:
        """A request that raise_for_status fails has no end but a failure."""
        recorder = Recorder()

        async def judge(response: ClientResponse) -> None:
            raise LookupError("mine")

        async with ClientSession(api.url, trace_configs=[recorder.config]) as session:
            with pytest.raises(ClientResponseError):
                await session.get("/status/404", raise_for_status=True)
            with pytest.raises(LookupError):
                await session.get("/json", raise_for_status=judge)
            names = recorder.take()
            assert names.count("request_exception") == 2
            assert "request_end" not in names

    async def test_an_early_answer(self, script: Script) -> None:
        """The end is told when the head is there, though the body is still being sent."""
        peer = await script([(Head(b"POST / "), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")])
        recorder = Recorder()

        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            await anyio.sleep_forever()

        async with ClientSession(peer.url, trace_configs=[recorder.config]) as session:
            async with session.post("/", data=body()):
                assert recorder.params("request_end")
                assert len(recorder.params("request_chunk_sent")) == 1


class TestWhatIsTold:
    async def test_the_start(self, api: Api) -> None:
        """The URL has the query of *params*, the headers are those of session and request."""
        recorder = Recorder()
        async with ClientSession(
            headers={"X-Session": "s"}, trace_configs=[recorder.config]
        ) as session:
            url = api.url.with_user("user").with_password("secret") / "echo"
            await get(session, url.with_query(a=1), params={"b": 2}, headers={"X-Request": "r"})
            (start,) = recorder.params("request_start")
            assert start.method == "GET"
            assert str(start.url) == f"{api.url}echo?a=1&b=2"  # no credentials in it
            assert dict(start.headers) == {"X-Session": "s", "X-Request": "r"}
            (sent,) = recorder.params("request_headers_sent")
            assert (sent.method, sent.url) == ("GET", start.url)
            assert sent.headers["Host"] == f"127.0.0.1:{api.url.port}"
            assert sent.headers["Accept"] == "*/*"
            with pytest.raises(TypeError):
                sent.headers["X-Late"] = "never sent"

    async def test_headers_that_the_start_adds(self, api: Api) -> None:
        """They are sent, on each hop, and stay with the one request."""

        async def handler(session: object, context: object, params: Any) -> None:
            params.headers["traceparent"] = "00-1-2-00"

        config = one_handler("on_request_start", handler)
        async with ClientSession(api.url, trace_configs=[config]) as session:
            for options in ({}, {"headers": {"A": "b"}}):
                async with session.get("/redirect/1", **cast(Any, options)) as response:
                    sent = (await response.json())["headers"]
                    assert ["traceparent", "00-1-2-00"] in sent
            assert not session.headers

    async def test_headers_that_cannot_be_sent(self, api: Api) -> None:
        """CVE-2023-49081: what a handler adds is checked like everything else."""

        async def handler(session: object, context: object, params: Any) -> None:
            params.headers["X"] = "a\r\nY: b"

        config = one_handler("on_request_start", handler)
        async with ClientSession(api.url, trace_configs=[config]) as session:
            with pytest.raises(ValueError, match="control character"):
                await session.get("/json")
        assert not api.requests

    async def test_credentials_that_the_start_adds(self, api: Api) -> None:
        """They are refused where ``auth`` has been given as well."""

        async def handler(session: object, context: object, params: Any) -> None:
            params.headers["Authorization"] = "Bearer token"

        config = one_handler("on_request_start", handler)
        async with ClientSession(api.url, trace_configs=[config]) as session:
            async with session.get("/echo") as response:
                assert ["Authorization", "Bearer token"] in (await response.json())["headers"]
            with pytest.raises(ValueError, match="on_request_start"):
                await session.get("/echo", auth=BasicAuth("user", "password"))

    @pytest.mark.parametrize(
        ("options", "chunks"),
        [
            ({}, []),
            ({"data": b""}, []),
            ({"data": b"small"}, [b"small"]),
            ({"json": {"a": 1}}, [b'{"a": 1}']),
            ({"data": {"a": "b"}}, [b"a=b"]),
            ({"data": b"longer", "headers": {"Content-Length": "4"}}, [b"long"]),
            ({"data": b"small", "chunked": True}, [b"small"]),
            ({"data": b"small", "compress": "gzip"}, [b"small"]),
            ({"data": b"small", "expect100": True}, [b"small"]),
            ({"data": BytesIO(b"file")}, [b"file"]),
            ({"data": BytesIO(b"x" * 2**20 + b"y")}, [b"x" * 2**20, b"y"]),
        ],
        ids=lambda value: ",".join(value) or "none" if isinstance(value, dict) else "",
    )
    async def test_bodies(
        self, api: Api, http1: str, options: dict[str, Any], chunks: list[bytes]
    ) -> None:
        """Each piece is told as the body gave it, after the head and before the end."""
        recorder = Recorder()
        if isinstance(options.get("data"), BytesIO):
            options = {"data": BytesIO(options["data"].getvalue())}
        async with ClientSession(
            api.url, connector=TCPConnector(http1=http1), trace_configs=[recorder.config]
        ) as session:
            async with session.post("/upload", **options) as response:
                assert response.status == 200
            told = recorder.params("request_chunk_sent")
            assert [each.chunk for each in told] == chunks
            assert {(each.method, each.url.path) for each in told} <= {("POST", "/upload")}
            sent = ["request_headers_sent", *["request_chunk_sent"] * len(chunks)]
            assert recorder.take() == ["request_start", *NEW, *sent, "request_end"]

    @pytest.mark.parametrize("bare", [False, True], ids=["block", "await"])
    @pytest.mark.parametrize("entered", [True, False], ids=["entered", "unentered"])
    async def test_streamed_bodies(self, api: Api, entered: bool, bare: bool) -> None:
        """The task that writes them tells of each piece that is not empty."""
        recorder = Recorder()
        session = ClientSession(api.url, trace_configs=[recorder.config])
        try:
            if entered:
                await session.__aenter__()
            if bare:
                response = await session.post("/echo-body", data=pieces(), compress="gzip")
                body = await response.read()
            else:
                async with session.post("/echo-body", data=pieces(), compress="gzip") as response:
                    body = await response.read()
            assert gzip.decompress(body) == b"onetwo"
            told = recorder.params("request_chunk_sent")
            assert [each.chunk for each in told] == [b"one", b"two"]
        finally:
            if entered:
                await session.__aexit__(None, None, None)
            await session.close()

    async def test_bodies_of_each_hop(self, api: Api) -> None:
        """A body that is sent again is told again."""
        recorder = Recorder()
        async with ClientSession(api.url, trace_configs=[recorder.config]) as session:
            url = URL("/redirect-to").with_query(url="/upload", status=307)
            async with session.put(url, data=b"body") as response:
                assert response.status == 200
            assert len(recorder.params("request_chunk_sent")) == 2

    @pytest.mark.parametrize("path", ["/json", "/bytes/300000", "/gzip", "/status/204"])
    async def test_the_body_of_the_response(self, api: Api, path: str) -> None:
        """It is told once, whole and decoded, when it is read whole."""
        recorder = Recorder()
        async with ClientSession(api.url, trace_configs=[recorder.config]) as session:
            async with session.get(path) as response:
                assert not recorder.params("response_chunk_received")
                body = await response.read()
                await response.read()
                await response.text("latin-1")
            (told,) = recorder.params("response_chunk_received")
            assert (told.method, told.url.path, told.chunk) == ("GET", path, body)

    async def test_bodies_read_otherwise(self, api: Api) -> None:
        """text() and json() tell of it, a stream does not."""
        recorder = Recorder()
        async with ClientSession(api.url, trace_configs=[recorder.config]) as session:
            async with session.get("/json") as response:
                await response.json()
            async with session.get("/json") as response:
                await response.text()
            assert len(recorder.params("response_chunk_received")) == 2
            async with session.get("/stream/3") as response:
                assert [line async for line in response.content]
            assert len(recorder.params("response_chunk_received")) == 2

    async def test_the_end_may_read_the_body(self, api: Api) -> None:
        """A handler that does leaves it to the caller too."""
        bodies: list[bytes] = []

        async def handler(session: object, context: object, params: Any) -> None:
            bodies.append(await params.response.read())

        config = one_handler("on_request_end", handler)
        async with ClientSession(api.url, trace_configs=[config]) as session:
            for path in ("/json", "/stream/5"):
                async with session.get(path) as response:
                    assert await response.read() == bodies.pop()

    async def test_a_failure(self, server: Server) -> None:
        """The handler is told what the caller gets, when the request holds nothing any more."""
        seen: list[BaseException] = []

        async def handler(session: ClientSession, context: object, params: Any) -> None:
            assert (params.method, params.url.path) == ("GET", "/close")
            assert_free(session, idle=0)
            seen.append(params.exception)

        config = one_handler("on_request_exception", handler)
        async with ClientSession(server.url, trace_configs=[config]) as session:
            with pytest.raises(ServerDisconnectedError) as caught:
                await session.get("/close")
            assert seen == [caught.value]


# -- what handlers can do --------------------------------------------------------------


async def say_again(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Tell of a retry, as middlewares that retry do."""
    await tell_of_retry(request, attempt=2, delay=0.0)
    return await handler(request)


class Stage:
    """A session whose requests are traced, another whose are not, and their connector."""

    def __init__(self, server: Server, config: TraceConfig, **options: Any) -> None:
        self.base = server.url.with_host("name.test")
        self.connector = TCPConnector(resolver=Names(), limit=1)
        self.plain = ClientSession(self.base, connector=self.connector)
        self.traced = ClientSession(
            self.base,
            connector=self.connector,
            connector_owner=False,
            trace_configs=[config],
            **options,
        )

    async def __aenter__(self) -> Self:
        await self.plain.__aenter__()
        await self.traced.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:  # noqa: PYI036  (they are passed on)
        await self.traced.__aexit__(*exc)
        await self.plain.__aexit__(*exc)

    async def play(self, signal: str) -> None:
        """Make a request in the course of which *signal* is sent."""
        if signal.startswith("on_connection_queued"):
            await self._queue()
        elif signal == "on_dns_cache_hit":
            await get(self.plain)
            await get(self.plain, self.base.with_host("other.test") / "json")  # makes room
            await get(self.traced)
        elif signal == "on_connection_reuseconn":
            await get(self.plain)
            await get(self.traced)
        elif signal == "on_request_exception":
            await get(self.traced, "/close")
        elif signal == "on_request_redirect":
            await get(self.traced, "/redirect/1")
        elif signal == "on_request_retry":
            await get(self.traced, middlewares=[say_again])
        elif signal == "on_request_chunk_sent":
            async with self.traced.put("/upload", data=b"small") as response:
                await response.read()
        else:
            await get(self.traced)

    async def _queue(self) -> None:
        over = anyio.Event()
        failure: BaseException | None = None

        async def hold() -> None:
            async with self.plain.get("/bytes/1000000"):
                held.set()
                while not (over.is_set() or self.connector.statistics().waiting):
                    await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            held = anyio.Event()
            group.start_soon(hold)
            await held.wait()
            try:
                await get(self.traced)
            except Exception as exc:  # noqa: BLE001  (raised below, outside of the group)
                failure = exc
            over.set()
        if failure is not None:
            raise failure

    async def check(self) -> None:
        """Assert that the requests have left nothing, and that the next one works."""
        assert_no_tokens(self.connector)
        with anyio.fail_after(DEADLINE):
            await get(self.plain)


ERRORS = [ValueError, OSError, ServerDisconnectedError, TimeoutError]


class TestFailingHandlers:
    @pytest.mark.parametrize("error_class", ERRORS)
    @pytest.mark.parametrize("signal", ALL)
    async def test_its_error_is_the_requests(
        self, server: Server, signal: str, error_class: type[Exception]
    ) -> None:
        """As it is, taken for no error of the network, and not tried again."""
        error = error_class("mine")
        raised = 0

        async def fail(session: object, context: object, params: object) -> None:
            nonlocal raised
            raised += 1
            await anyio.lowlevel.checkpoint()
            raise error

        async with Stage(server, one_handler(signal, fail)) as stage:
            with pytest.raises(error_class) as caught:
                await stage.play(signal)
            assert caught.value is error
            assert error.__cause__ is None
            assert raised == 1
            await stage.check()

    @pytest.mark.parametrize("error_class", ERRORS)
    @pytest.mark.parametrize("bare", [False, True], ids=["block", "await"])
    @pytest.mark.parametrize("entered", [True, False], ids=["entered", "unentered"])
    async def test_in_the_task_that_writes(
        self, server: Server, error_class: type[Exception], entered: bool, bare: bool
    ) -> None:
        """The piece is not sent, and the error reaches the caller."""
        error = error_class("mine")
        cause = error.__cause__ = LookupError("the cause")
        raised = 0

        async def fail(session: object, context: object, params: Any) -> None:
            nonlocal raised
            if params.chunk == b"two":
                raised += 1
                raise error

        async def upload(session: ClientSession) -> None:
            # A body that could be sent again, on a connection that could have been stale.
            request = session.put("/upload", data=BytesIO(b"x" * 2**20 + b"two"))
            if bare:
                await request
            else:
                async with request:
                    pytest.fail("the body has not been sent")

        session = ClientSession(
            server.url, trace_configs=[one_handler("on_request_chunk_sent", fail)]
        )
        try:
            if entered:
                await session.__aenter__()
            await get(session)
            with pytest.raises(error_class) as caught:
                await upload(session)
            assert caught.value is error
            assert error.__cause__ is cause
            assert raised == 1
            assert_free(session, idle=0)
            await get(session)
        finally:
            if entered:
                await session.__aexit__(None, None, None)
            await session.close()

    async def test_of_a_body_that_has_been_read(self, api: Api) -> None:
        """The response is closed then, as after any other failure of read()."""

        async def fail(session: object, context: object, params: object) -> None:
            raise LookupError("mine")

        config = one_handler("on_response_chunk_received", fail)
        async with ClientSession(api.url, trace_configs=[config]) as session:
            for path in ("/json", "/stream/5"):
                response = await session.get(path)
                with pytest.raises(LookupError):
                    await response.read()
                assert response.closed
                with pytest.raises(ClientConnectionError, match="Connection closed"):
                    await response.read()

    async def test_nothing_is_sent(self, api: Api) -> None:
        """What is told before the head goes out can still stop it."""

        async def fail(session: object, context: object, params: object) -> None:
            raise LookupError("mine")

        for signal in ("on_request_start", "on_request_headers_sent", "on_request_chunk_sent"):
            async with ClientSession(api.url, trace_configs=[one_handler(signal, fail)]) as session:
                with pytest.raises(LookupError):
                    await session.post("/echo", data=b"body")
        assert not api.requests

    async def test_only_those_hear_of_a_failure_who_heard_of_the_start(self, api: Api) -> None:
        """The configuration that fails at the start has not."""
        first, last = Recorder(), Recorder()

        async def fail(session: object, context: object, params: object) -> None:
            raise LookupError("mine")

        failing = Recorder()
        failing.config.on_request_start.append(fail)
        configs = [first.config, failing.config, last.config]
        async with ClientSession(api.url, trace_configs=configs) as session:
            with pytest.raises(LookupError):
                await session.get("/json")
        assert first.take() == ["request_start", "request_exception"]
        assert failing.take() == ["request_start"]
        assert last.take() == []

    async def test_a_lookup_that_is_shared(self, server: Server) -> None:
        """A handler that fails costs others that wait for the same name nothing."""

        async def fail(session: object, context: object, params: object) -> None:
            raise OSError("mine")

        connector = TCPConnector(resolver=Names())
        url = server.url.with_host("name.test") / "json"
        failed: list[OSError] = []

        async def ask() -> None:
            try:
                await get(traced, url)
            except OSError as exc:
                failed.append(exc)

        async with (
            ClientSession(connector=connector) as plain,
            ClientSession(
                connector=connector,
                connector_owner=False,
                trace_configs=[
                    one_handler("on_dns_resolvehost_start", fail),
                    one_handler("on_dns_resolvehost_end", fail),
                ],
            ) as traced,
            anyio.create_task_group() as group,
        ):
            for _ in range(3):
                group.start_soon(ask)
                group.start_soon(get, plain, url)
        assert all(str(exc) == "mine" for exc in failed)


class TestSlowHandlers:
    @pytest.mark.parametrize("signal", [name for name in ALL if name != "on_request_exception"])
    async def test_total_covers_them(self, server: Server, signal: str) -> None:
        """A handler is part of its request, and of the time that this may take."""
        config = one_handler(signal, for_ever)
        # Whoever reads after that time is not limited by it: it must not have passed by then.
        total = 10 * SHORT if signal == "on_response_chunk_received" else SHORT
        async with Stage(server, config, timeout=ClientTimeout(total=total)) as stage:
            with pytest.raises(TimeoutError, match="total timeout"), anyio.fail_after(DEADLINE):
                await stage.play(signal)
            await stage.check()

    async def test_total_covers_them_in_the_task_that_writes(self, api: Api) -> None:
        """No piece of the body waits longer for its handler than that."""
        config = one_handler("on_request_chunk_sent", for_ever)
        async with ClientSession(api.url, trace_configs=[config]) as session:
            with pytest.raises(TimeoutError, match="total timeout"), anyio.fail_after(DEADLINE):
                await session.post("/upload", data=pieces(), timeout=SHORT)
            assert_free(session)

    async def test_the_message_names_the_handlers(self, api: Api) -> None:
        """The phase that ran out is theirs."""
        config = one_handler("on_request_start", for_ever)
        async with ClientSession(api.url, trace_configs=[config]) as session:
            with pytest.raises(TimeoutError, match="while running trace handlers"):
                await session.get("/json", timeout=SHORT)

    async def test_connect_covers_those_of_the_connection(self, server: Server) -> None:
        """Its time limits hold for what happens meanwhile."""
        for limits in (ClientTimeout(connect=SHORT), ClientTimeout(sock_connect=SHORT)):
            for signal in ("on_connection_create_start", "on_connection_create_end"):
                config = one_handler(signal, for_ever)
                async with ClientSession(server.url, trace_configs=[config]) as session:
                    with pytest.raises(anyhttp.ConnectionTimeoutError):
                        await session.get("/json", timeout=limits)
                    assert_free(session, idle=0)

    async def test_a_body_that_came_in_time(self, api: Api) -> None:
        """Reading it later than *total* succeeds, and its handlers run."""
        recorder = Recorder()
        async with ClientSession(api.url, trace_configs=[recorder.config]) as session:
            for total in (SHORT, 1, 5):  # the first is enough, unless the machine is busy
                try:
                    response = await session.get("/json", timeout=ClientTimeout(total=total))
                except TimeoutError:
                    continue
                await anyio.sleep(total)
                assert await response.json()
                break
            assert recorder.params("response_chunk_received")

    async def test_a_failure_after_total(self, server: Server) -> None:
        """Its handlers get time of their own, as that of the request is over."""
        seen: list[BaseException] = []

        async def slow(session: object, context: object, params: Any) -> None:
            await anyio.sleep(0.01)
            seen.append(params.exception)

        config = one_handler("on_request_exception", slow)
        async with ClientSession(server.url, trace_configs=[config]) as session:
            with pytest.raises(TimeoutError) as caught:
                await session.get("/hang", timeout=SHORT)
            assert seen == [caught.value]

    @pytest.mark.parametrize("cancelled", [False, True], ids=["failed", "cancelled"])
    async def test_a_failure_waits_for_handlers_not_for_ever(
        self,
        server: Server,
        cancelled: bool,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """One that never ends is cancelled, and the log says so."""
        monkeypatch.setattr(
            "anyhttp.client._call_tracing.CLEAN_UP_SECONDS", SHORT
        )  # five seconds else
        config = one_handler("on_request_exception", for_ever)
        async with ClientSession(server.url, trace_configs=[config]) as session:
            with anyio.fail_after(DEADLINE):
                if cancelled:
                    assert await is_cancelled_while_it_hangs(session, server)
                else:
                    with pytest.raises(ServerDisconnectedError):
                        await session.get("/close")
        assert "on_request_exception took more than" in caplog.text

    @pytest.mark.parametrize("what", ["session", "entered session", "connector"])
    @pytest.mark.parametrize("data", [b"small", "streamed"])
    @pytest.mark.parametrize(
        "signal",
        [
            "on_request_start",
            "on_connection_reuseconn",
            "on_connection_create_start",
            "on_connection_create_end",
            "on_request_headers_sent",
        ],
    )
    async def test_what_is_closed_meanwhile(
        self, server: Server, signal: str, data: object, what: str
    ) -> None:
        """A request that its handlers hold up ends with an error, whatever it had got by then."""
        reached, closed = anyio.Event(), anyio.Event()

        async def wait(session: object, context: object, params: object) -> None:
            reached.set()
            with anyio.CancelScope(shield=True):  # it will not even be cancelled
                await closed.wait()

        async def ask() -> None:
            body = pieces() if data == "streamed" else data
            with pytest.raises(ClientConnectionError):
                await session.post("/upload", data=body)

        async def go_on() -> None:
            while not (session.closed or connector.closed):
                await anyio.lowlevel.checkpoint()
            for _ in range(5):  # closing waits only for connections that are being made
                await anyio.lowlevel.checkpoint()
            closed.set()

        async def close() -> None:
            if what == "connector":
                await connector.close()
            elif what == "session":
                await session.close()
            else:
                await session.__aexit__(None, None, None)

        connector = TCPConnector()
        if signal == "on_connection_reuseconn":
            async with ClientSession(
                server.url, connector=connector, connector_owner=False
            ) as plain:
                await get(plain)
        session = ClientSession(
            server.url,
            connector=connector,
            connector_owner=what != "connector",
            trace_configs=[one_handler(signal, wait)],
        )
        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as group:
                if what == "entered session":
                    await session.__aenter__()
                group.start_soon(ask)
                await reached.wait()
                group.start_soon(go_on)
                await close()
        assert_no_tokens(connector, idle=0)
        await session.close()


class TestCancellation:
    @pytest.mark.parametrize("fails", [False, True], ids=["ends", "fails"])
    async def test_handlers_are_told(
        self, server: Server, fails: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """They may wait though all around is cancelled; whatever they do, it stays cancelled."""
        seen: list[BaseException] = []

        async def handler(session: object, context: object, params: Any) -> None:
            await anyio.sleep(0.01)
            seen.append(params.exception)
            if fails:
                raise LookupError("mine")

        config = one_handler("on_request_exception", handler)
        async with ClientSession(server.url, trace_configs=[config]) as session:
            assert await is_cancelled_while_it_hangs(session, server)
            (cancelled,) = seen
            assert isinstance(cancelled, anyio.get_cancelled_exc_class())
            assert_free(session, idle=0)
        logged = [(record.name, record.levelno) for record in caplog.records]
        assert logged == ([("anyhttp.client", logging.ERROR)] if fails else [])

    @pytest.mark.once
    @pytest.mark.parametrize("fails", [False, True], ids=["ends", "fails"])
    async def test_a_task_of_asyncio(self, server: Server, fails: bool) -> None:
        """task.cancel() cancels the task, after its handlers."""
        told = False

        async def handler(session: object, context: object, params: Any) -> None:
            nonlocal told
            await asyncio.sleep(0.01)
            told = True
            if fails:
                raise LookupError("mine")

        config = one_handler("on_request_exception", handler)
        async with ClientSession(server.url, trace_configs=[config]) as session:

            async def ask() -> None:
                await session.get("/hang")

            task = asyncio.create_task(ask())
            await server.until_asked("/hang")
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert told
            assert_free(session, idle=0)

    async def test_a_body_that_ends_as_a_generator_does(self, script: Script) -> None:
        """A ``GeneratorExit`` of the body is no end of the coroutine: handlers are told of it."""
        seen: list[BaseException] = []

        async def handler(_: Any, context: Any, params: Any) -> None:
            await anyio.lowlevel.checkpoint()
            seen.append(params.exception)

        async def body() -> AsyncIterator[bytes]:
            yield b"x"
            raise GeneratorExit

        peer = await script([(Head(b"POST "), STALL)])
        config = one_handler("on_request_exception", handler)
        session = await ClientSession(trace_configs=[config]).__aenter__()
        with pytest.raises(GeneratorExit) as caught:
            await session.post(peer.url, data=body())
        assert seen == [caught.value]
        with pytest.raises(GeneratorExit):  # once more, as it ends programs
            await session.close()

    async def test_a_handler_that_raises_the_cancellation(self, server: Server) -> None:
        """Raising what it was told changes nothing."""

        async def handler(session: object, context: object, params: Any) -> None:
            raise params.exception

        config = one_handler("on_request_exception", handler)
        async with ClientSession(server.url, trace_configs=[config]) as session:
            assert await is_cancelled_while_it_hangs(session, server)

    @pytest.mark.once
    async def test_a_request_that_is_thrown_away(self, api: Api) -> None:
        """Closing its coroutine awaits no handler."""
        told = False

        async def handler(session: object, context: object, params: object) -> None:
            nonlocal told
            told = True

        config = one_handler("on_request_exception", handler)
        config.on_connection_create_start.append(for_ever)
        async with ClientSession(api.url, trace_configs=[config]) as session:
            request = session.get("/json")
            request.send(None)
            request.close()
            assert not told
            assert_free(session)


async def test_without_configurations_nothing_is_told(api: Api) -> None:
    """The option of a request has no effect then."""
    async with ClientSession(api.url) as session:
        await get(session, trace_request_ctx={"id": 1})


async def test_the_private_session_of_a_request(api: Api) -> None:
    """It has no configurations, and takes the option."""
    async with anyhttp.request("GET", api.url / "json", trace_request_ctx=1) as response:
        assert response.status == 200


def test_all_are_exported() -> None:
    """The configuration and the classes of parameters, at the top."""
    for params in PARAMS.values():
        assert getattr(anyhttp, params.__name__) is params
        assert params.__name__ in anyhttp.__all__
    assert "TraceConfig" in anyhttp.__all__
    assert Path(anyhttp.tracing.__file__).name == "tracing.py"
