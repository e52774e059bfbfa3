"""OpenTelemetry, as its SDK gets to see it."""

from __future__ import annotations

import contextvars
import gc
import gzip
import importlib
import subprocess
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

import anyio
import pytest
from hypothesis import given, strategies as st
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.metrics import CallbackOptions, NoOpMeterProvider, Observation
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler
from opentelemetry.semconv._incubating.metrics import http_metrics as metrics_in_development
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    url_attributes,
)
from opentelemetry.semconv.metrics import http_metrics
from opentelemetry.trace import SpanKind, StatusCode
from yarl import URL

from anyhttp import (
    ClientConnectorError,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    RetryMiddleware,
    TCPConnector,
    UnixConnector,
    WSServerHandshakeError,
    __version__,
)
from anyhttp.client_reqrep import RunningCall, set_call
from anyhttp.opentelemetry import REDACTED_QUERY, OpenTelemetryMiddleware
from anyhttp.testing import Answer, MockConnector, WebSocketPeer, drip, stall
from tests.support.cancel import cancel_at_every_checkpoint
from tests.support.client import get
from tests.support.peer import CLOSE, Script
from tests.support.server import Server
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.http2_server import Http2Server

API: Final = "https://api.test/"


class Telemetry:
    """An SDK that keeps what it gets in memory."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.tracer_provider.get_tracer("program")
        self.reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def middleware(self, **options: Any) -> OpenTelemetryMiddleware:
        """Return a middleware that tells this SDK."""
        given: dict[str, Any] = {"development_metrics": True} | options
        return OpenTelemetryMiddleware(
            tracer_provider=self.tracer_provider, meter_provider=self.meter_provider, **given
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans of requests that have ended, the first one first."""
        return [span for span in self.exporter.get_finished_spans() if span.kind is SpanKind.CLIENT]

    @property
    def span(self) -> ReadableSpan:
        """The only one of them."""
        (span,) = self.spans
        return span

    def _measured(self) -> list[Metric]:
        data = self.reader.get_metrics_data()
        resources = data.resource_metrics if data else ()
        return [
            each
            for resource in resources
            for scope in resource.scope_metrics
            for each in scope.metrics
        ]

    @property
    def metrics(self) -> list[str]:
        """The names of what has been measured."""
        return [each.name for each in self._measured()]

    def points(self, metric: str) -> list[Any]:
        """Return what has been measured of *metric*: one point for each set of attributes."""
        return [
            point
            for each in self._measured()
            if each.name == metric
            for point in each.data.data_points
        ]

    def assert_quiet(self) -> None:
        """Assert that every span has ended, and that no request counts as active."""
        assert {point.value for point in self.points("http.client.active_requests")} <= {0}


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """An SDK, and the check that nothing of it is left open."""
    telemetry = Telemetry()
    yield telemetry
    telemetry.assert_quiet()


@contextmanager
def attached(key: str) -> Iterator[None]:
    """Set *key* in the current context."""
    token = context.attach(context.set_value(key, True))
    yield
    context.detach(token)


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    """Return the attributes of *span*."""
    return dict(span.attributes or {})


def error_of(span: ReadableSpan) -> object:
    """Return the type of the error that *span* ended with, ``None`` if there was none."""
    error = attributes_of(span).get("error.type")
    assert span.status.status_code is (StatusCode.UNSET if error is None else StatusCode.ERROR)
    assert span.status.description is None
    return error


def resends(spans: list[ReadableSpan]) -> list[object]:
    """Return how often the request of each span had been sent before."""
    return [attributes_of(span).get("http.request.resend_count") for span in spans]


def parent_in(headers: Any) -> tuple[int, int, bool]:
    """Return trace, span and whether it is sampled, of the ``traceparent`` in *headers*."""
    _, trace_id, span_id, flags = headers["traceparent"].split("-")
    return int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & 1)


def ids(span: ReadableSpan | trace.Span) -> tuple[int, int, bool]:
    """Return what ``traceparent`` should say of *span*."""
    here = span.get_span_context()
    assert here is not None
    return here.trace_id, here.span_id, here.trace_flags.sampled


def session_of(
    mock: MockConnector, *middlewares: ClientMiddlewareType, **options: Any
) -> ClientSession:
    """Return a session that *mock* answers."""
    return ClientSession(API, connector=mock, middlewares=middlewares, **options)


# -- names


def test_the_names_are_those_of_the_conventions() -> None:
    """They are written out here, as the package with the names is no dependency."""
    ours = importlib.import_module("anyhttp.opentelemetry._conventions")
    theirs = {
        "ACTIVE_REQUESTS": metrics_in_development.HTTP_CLIENT_ACTIVE_REQUESTS,
        "ERROR_TYPE": error_attributes.ERROR_TYPE,
        "METHOD": http_attributes.HTTP_REQUEST_METHOD,
        "METHOD_ORIGINAL": http_attributes.HTTP_REQUEST_METHOD_ORIGINAL,
        "OTHER_METHOD": http_attributes.HttpRequestMethodValues.OTHER.value,
        "PEER_ADDRESS": network_attributes.NETWORK_PEER_ADDRESS,
        "PEER_PORT": network_attributes.NETWORK_PEER_PORT,
        "PROTOCOL_VERSION": network_attributes.NETWORK_PROTOCOL_VERSION,
        "REQUEST_BODY_SIZE": metrics_in_development.HTTP_CLIENT_REQUEST_BODY_SIZE,
        "REQUEST_DURATION": http_metrics.HTTP_CLIENT_REQUEST_DURATION,
        "REQUEST_HEADER": http_attributes.HTTP_REQUEST_HEADER_TEMPLATE,
        "RESEND_COUNT": http_attributes.HTTP_REQUEST_RESEND_COUNT,
        "RESPONSE_BODY_SIZE": metrics_in_development.HTTP_CLIENT_RESPONSE_BODY_SIZE,
        "RESPONSE_HEADER": http_attributes.HTTP_RESPONSE_HEADER_TEMPLATE,
        "SERVER_ADDRESS": server_attributes.SERVER_ADDRESS,
        "SERVER_PORT": server_attributes.SERVER_PORT,
        "STATUS_CODE": http_attributes.HTTP_RESPONSE_STATUS_CODE,
        "URL_FULL": url_attributes.URL_FULL,
    }
    assert {name: getattr(ours, name) for name in theirs} == theirs
    methods = {method.value for method in http_attributes.HttpRequestMethodValues}
    assert methods - {"_OTHER"} | {"QUERY"} == ours.KNOWN_METHODS


# -- spans


async def test_a_span(telemetry: Telemetry) -> None:
    """One request is one span, below that of the program; the server is told which."""
    mock = MockConnector()
    route = mock.get(f"{API}users?page=2", json=[])
    async with session_of(mock, telemetry.middleware()) as session:
        with telemetry.tracer.start_as_current_span("parent") as parent:
            await get(session, "users?page=2#top")
    span = telemetry.span
    assert (span.name, span.kind) == ("GET", SpanKind.CLIENT)
    assert attributes_of(span) == {
        "http.request.method": "GET",
        "server.address": "api.test",
        "server.port": 443,
        "url.full": "https://api.test/users?page=2",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "network.peer.address": "127.0.0.1",
        "network.peer.port": 80,
    }
    assert error_of(span) is None
    assert span.parent == parent.get_span_context()
    assert parent_in(route.calls[0].headers) == ids(span)
    assert (scope := span.instrumentation_scope) is not None
    assert (scope.name, scope.version) == ("anyhttp", __version__)
    assert str(scope.schema_url).startswith("https://opentelemetry.io/schemas/1.")
    assert not span.events


async def test_the_peer_of_a_socket(telemetry: Telemetry, server: Server) -> None:
    """What the socket is connected to; a proxy would be that, too."""
    async with ClientSession(middlewares=[telemetry.middleware()]) as session:
        await get(session, server.url / "json")
        await get(session, server.url / "json", headers={"Connection": "close"})
    kept, closed = map(attributes_of, telemetry.spans)
    assert kept["network.peer.address"] == kept["server.address"] == server.url.host
    assert kept["network.peer.port"] == kept["server.port"] == server.url.port
    assert "network.peer.address" not in closed or closed["network.peer.port"] == server.url.port


async def test_http2(telemetry: Telemetry, http2_server: Http2Server) -> None:
    """The conventions have "2" for its version; the rest is the same."""
    connector = TCPConnector(http2="prior-knowledge")
    async with ClientSession(connector=connector, middlewares=[telemetry.middleware()]) as session:
        await get(session, http2_server.url / "json")
    attributes = attributes_of(telemetry.span)
    assert attributes["network.protocol.version"] == "2"
    assert attributes["network.peer.port"] == http2_server.url.port


async def test_the_peer_of_a_unix_socket(telemetry: Telemetry, server: Server) -> None:
    """It has a path, and no port."""
    connector = UnixConnector(server.unix_path)
    async with ClientSession(connector=connector, middlewares=[telemetry.middleware()]) as session:
        await get(session, "http://any.test/json")
    attributes = attributes_of(telemetry.span)
    assert attributes["network.peer.address"] == server.unix_path
    assert "network.peer.port" not in attributes


async def test_a_scheme_without_a_port(telemetry: Telemetry) -> None:
    """A connector may know such a scheme."""

    async def handler(request: ClientRequest) -> ClientResponse:
        return ClientResponse.for_request(request)

    await telemetry.middleware()(ClientRequest("GET", URL("engine://containers/")), handler)
    attributes = attributes_of(telemetry.span)
    assert attributes["server.address"] == "containers"
    assert "server.port" not in attributes


@pytest.mark.parametrize(
    ("status", "is_error"), [(204, False), (304, False), (404, True), (500, True)]
)
async def test_statuses(telemetry: Telemetry, status: int, is_error: bool) -> None:
    """A client takes 4xx for an error as well; the status says all, so there is no description."""
    mock = MockConnector()
    mock.get(API, status=status)
    async with session_of(mock, telemetry.middleware()) as session:
        await get(session, API)
    assert attributes_of(telemetry.span)["http.response.status_code"] == status
    assert error_of(telemetry.span) == (str(status) if is_error else None)


async def test_an_error_before_the_response(telemetry: Telemetry) -> None:
    """Its class is there, and its text only if the program wants it."""
    mock = MockConnector()
    mock.get(f"{API}a?token=secret", exception=ConnectionRefusedError)
    for options in ({}, {"record_exceptions": True}):
        async with session_of(mock, telemetry.middleware(**options)) as session:
            with pytest.raises(ClientConnectorError):
                await get(session, "a?token=secret")
        mock = MockConnector()
        mock.get(f"{API}a?token=secret", exception=ConnectionRefusedError)
    quiet, telling = telemetry.spans
    assert error_of(quiet) == error_of(telling) == "anyhttp.client_exceptions.ClientConnectorError"
    assert "http.response.status_code" not in attributes_of(quiet)
    assert "secret" not in quiet.to_json()
    assert not quiet.events
    (event,) = telling.events
    assert event.attributes is not None
    assert event.attributes["exception.type"] == "anyhttp.client_exceptions.ClientConnectorError"


async def test_a_method_of_somebody_elses(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ``_OTHER``, unless the program or the environment knows it."""
    mock = MockConnector()
    mock.request("PROPFIND", API)
    mock.request("QUERY", API)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET, PROPFIND")
    from_environment = telemetry.middleware()
    monkeypatch.delenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS")
    given = telemetry.middleware(known_methods=["PROPFIND"])
    async with session_of(mock) as session:
        for middleware in (telemetry.middleware(), given, from_environment):
            async with session.request("PROPFIND", "", middlewares=[middleware]):
                pass
        async with session.request("QUERY", "", middlewares=[telemetry.middleware()]):
            pass
    assert [span.name for span in telemetry.spans] == ["HTTP", "PROPFIND", "PROPFIND", "QUERY"]
    unknown, known = map(attributes_of, telemetry.spans[:2])
    assert unknown["http.request.method"] == "_OTHER"
    assert unknown["http.request.method_original"] == "PROPFIND"
    assert known["http.request.method"] == "PROPFIND"
    assert "http.request.method_original" not in known


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a.test/", "http://a.test/"),
        ("http://a.test/#access_token=x", "http://a.test/"),
        ("http://a.test/?a=1#b?sig=x", "http://a.test/?a=1"),
        ("http://ada:pw@a.test/x", "http://REDACTED:REDACTED@a.test/x"),
        ("http://ada@a.test/", "http://REDACTED:REDACTED@a.test/"),
        ("http://a.test/?a=1&sig=x%26y&b=%C3%BC", "http://a.test/?a=1&sig=REDACTED&b=%C3%BC"),
        ("http://a.test/?X-Amz-Signature=x&x-amz-signature=y",
         "http://a.test/?X-Amz-Signature=REDACTED&x-amz-signature=REDACTED"),
        ("http://a.test/?%73ig=x", "http://a.test/?sig=REDACTED"),
        ("http://a.test/?sig&token=", "http://a.test/?sig&token=REDACTED"),
        ("http://a.test/?q=token=1?&sig=a=b", "http://a.test/?q=token=1?&sig=REDACTED"),
    ],
)  # fmt: skip
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    """Neither credentials nor the values that give access are for everybody to see."""
    conventions = importlib.import_module("anyhttp.opentelemetry._conventions")
    redacted = frozenset(map(str.lower, REDACTED_QUERY))
    assert conventions.full_url(URL(url), redacted) == shown


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "sig", "API_KEY", "%74oken"]), st.text("=?&#%+é", max_size=5)
        )
    )
)
def test_no_value_that_gives_access_is_shown(fields: list[tuple[str, str]]) -> None:
    """Whatever it is, and whatever stands beside it; the others stay as they are."""
    conventions = importlib.import_module("anyhttp.opentelemetry._conventions")
    query = "&".join(f"{name}={quote(value)}SECRET" for name, value in fields)
    url = URL(f"http://a.test/?{query}", encoded=True)
    shown = conventions.full_url(url, frozenset({"sig", "api_key", "token"}))
    expected = [
        f"{name}={quote(value)}SECRET" if name == "a" else f"{name}=REDACTED"
        for name, value in fields
    ]
    assert shown.partition("?")[2] == "&".join(expected)


async def test_other_names_in_the_query(telemetry: Telemetry) -> None:
    """Those of the program take the place of ours."""
    mock = MockConnector()
    mock.get(f"{API}?ticket=1&sig=2")
    async with session_of(mock, telemetry.middleware(redacted_query=["Ticket"])) as session:
        await get(session, f"{API}?ticket=1&sig=2")
    assert attributes_of(telemetry.span)["url.full"] == f"{API}?ticket=REDACTED&sig=2"


async def test_headers(telemetry: Telemetry) -> None:
    """Only those that the program names, with all values, as text that can be exported."""
    mock = MockConnector()
    raw = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: \xff2\r\nX-B: 3\r\nContent-Length: 0\r\n\r\n"
    mock.get(API, raw=raw)
    names = ["X-Tenant", "X-A", "X-None"]
    middleware = telemetry.middleware(
        captured_request_headers=names, captured_response_headers=names
    )
    async with session_of(mock, middleware, headers={"X-Tenant": "t", "X-Other": "o"}) as session:
        await get(session, API)
    attributes = attributes_of(telemetry.span)
    assert {name: value for name, value in attributes.items() if ".header." in name} == {
        "http.request.header.x-tenant": ("t",),
        "http.response.header.x-a": ("1", "?2"),
    }


async def test_hooks(telemetry: Telemetry) -> None:
    """They see the span before the request is sent, and when the head of the response is there."""

    def name_it(span: trace.Span, request: ClientRequest) -> None:
        span.update_name(f"{request.method} /users/{{id}}")
        assert trace.get_current_span() is span

    def look(span: trace.Span, request: ClientRequest, response: ClientResponse) -> None:
        span.set_attribute("kind", f"{request.method} {response.content_type}")

    mock = MockConnector()
    mock.get(f"{API}users/7", json={})
    async with session_of(
        mock, telemetry.middleware(request_hook=name_it, response_hook=look)
    ) as session:
        await get(session, "users/7")
    assert telemetry.span.name == "GET /users/{id}"
    assert attributes_of(telemetry.span)["kind"] == "GET application/json"


@pytest.mark.parametrize("hook", ["request_hook", "response_hook"])
async def test_a_hook_that_raises(telemetry: Telemetry, hook: str) -> None:
    """The request fails with it, and the span ends; no connection stays open."""

    def fail(*args: object) -> None:
        raise LookupError("no such tenant")

    mock = MockConnector()
    mock.get(API)
    async with session_of(mock, telemetry.middleware(**{hook: fail})) as session:
        with pytest.raises(LookupError, match="tenant"):
            await get(session, API)
        assert not mock.statistics().in_use
    assert error_of(telemetry.span) == "LookupError"


async def test_an_answer_from_inside(telemetry: Telemetry) -> None:
    """What another middleware has stored comes from no peer, and nothing was transferred."""

    async def answer(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        return ClientResponse.for_request(request, json=1)

    async with session_of(MockConnector(), telemetry.middleware(), answer) as session:
        await get(session, API)
    assert attributes_of(telemetry.span)["http.response.status_code"] == 200
    assert not {name for name in attributes_of(telemetry.span) if name.startswith("network.")}
    assert not telemetry.points("http.client.response.body.size")


# -- what is sent again


async def test_redirects(telemetry: Telemetry) -> None:
    """Each request that is sent has a span, and they count on."""
    mock = MockConnector()
    mock.get(f"{API}old", status=302, headers={"Location": "/new"})
    mock.get(f"{API}new")
    async with session_of(mock, telemetry.middleware()) as session:
        await get(session, "old")
    first, second = telemetry.spans
    assert [attributes_of(span)["http.response.status_code"] for span in (first, second)] == [
        302,
        200,
    ]
    assert resends(telemetry.spans) == [None, 1]
    assert [parent_in(call.headers) for call in mock.calls] == [ids(first), ids(second)]
    assert error_of(first) is None


async def test_retries(telemetry: Telemetry) -> None:
    """Last of the middlewares it sees each attempt, and first only what came of them all."""
    mock = MockConnector()
    mock.get(API, answers=[503, 200, 503, 200])
    ours, retry = telemetry.middleware(), RetryMiddleware(random=lambda: 0.0)
    async with session_of(mock) as session:
        await get(session, API, middlewares=[retry, ours])
        inner = telemetry.spans
        telemetry.exporter.clear()
        await get(session, API, middlewares=[ours, retry])
    assert [attributes_of(span)["http.response.status_code"] for span in inner] == [503, 200]
    assert [error_of(span) for span in inner] == ["503", None]
    assert resends(inner) == [None, 1]
    assert [parent_in(call.headers) for call in mock.calls[:2]] == [ids(span) for span in inner]
    assert attributes_of(telemetry.span)["http.response.status_code"] == 200
    assert resends(telemetry.spans) == [None]


async def test_a_stale_connection(telemetry: Telemetry, script: Script) -> None:
    """A server that has closed it is asked again, on another connection."""
    peer = await script(
        [(b"GET /a ", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), (b"GET /b ", CLOSE)],
        [(b"GET /b ", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
    )
    async with ClientSession(peer.url, middlewares=[telemetry.middleware()]) as session:
        await get(session, "/a")
        await get(session, "/b")
    assert resends(telemetry.spans) == [None, None, 1]
    errors = [error_of(span) for span in telemetry.spans]
    assert errors == [None, "anyhttp.client_exceptions.ServerDisconnectedError", None]


# -- the end of a span


async def test_a_span_ends_with_the_body(telemetry: Telemetry) -> None:
    """Not with the head; and it ends once."""
    mock = MockConnector()
    mock.get(API, body=[b"one", b"two"])
    async with session_of(mock, telemetry.middleware()) as session:
        async with session.get(API) as response:
            assert not telemetry.spans
            (active,) = telemetry.points("http.client.active_requests")
            assert active.value == 1
            await response.read()
            assert error_of(telemetry.span) is None
    (size,) = telemetry.points("http.client.response.body.size")
    assert (size.count, size.sum) == (1, 6)


async def test_a_body_that_is_not_read(telemetry: Telemetry) -> None:
    """The span ends when the response is released."""
    mock = MockConnector()
    mock.get(API, body=[b"one", b"two"])
    async with session_of(mock, telemetry.middleware()) as session:
        async with session.get(API):
            assert not telemetry.spans
        assert error_of(telemetry.span) is None


async def test_a_body_that_breaks_off(telemetry: Telemetry) -> None:
    """The status was fine, and the request has failed all the same."""
    mock = MockConnector()
    mock.get(API, body=[b"one"], exception=ConnectionResetError)
    async with session_of(mock, telemetry.middleware()) as session:
        async with session.get(API) as response:
            with pytest.raises(ClientPayloadError):
                await response.read()
    assert error_of(telemetry.span) == "anyhttp.client_exceptions.ClientPayloadError"
    assert attributes_of(telemetry.span)["http.response.status_code"] == 200
    assert not telemetry.points("http.client.response.body.size")
    (duration,) = telemetry.points("http.client.request.duration")
    assert duration.attributes["error.type"] == "anyhttp.client_exceptions.ClientPayloadError"


async def test_an_error_page_that_breaks_off(telemetry: Telemetry) -> None:
    """Its status says more."""
    mock = MockConnector()
    mock.get(API, status=502, body=[b"one"], exception=ConnectionResetError)
    async with session_of(mock, telemetry.middleware()) as session:
        async with session.get(API) as response:
            with pytest.raises(ClientPayloadError):
                await response.read()
    assert error_of(telemetry.span) == "502"


async def test_a_session_that_closes_before(telemetry: Telemetry) -> None:
    """It ends what is open, and so the span; the program wanted no more of it."""
    mock = MockConnector()
    mock.get(API, answers=[Answer(body=drip(b"ab", seconds=3600))])
    async with session_of(mock, telemetry.middleware()) as session:
        response = await session.get(API)
        assert not telemetry.spans
    assert error_of(telemetry.span) is None
    response.release()
    assert len(telemetry.spans) == 1


@pytest.mark.filterwarnings("ignore:Unclosed response:ResourceWarning")
async def test_a_response_that_is_forgotten(telemetry: Telemetry, server: Server) -> None:
    """Its connection is closed, and the span does not stay open."""
    async with ClientSession(middlewares=[telemetry.middleware()]) as session:
        response = await session.get((server.url / "drip").with_query(n=2, delay=3600))
        del response
        gc.collect()
        await until(lambda: telemetry.spans, "the end of the span")
        assert error_of(telemetry.span) == "anyhttp.client_exceptions.ClientConnectionError"


@pytest.mark.uvloop
async def test_cancelled_anywhere(telemetry: Telemetry) -> None:
    """No span stays open, and none is the current one afterwards."""
    mock = MockConnector()
    mock.post(API, body=[b"one", b"two"])

    async def operation() -> None:
        async with session.post(API, data=pieces()) as response:
            await response.read()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def after() -> None:
        assert not trace.get_current_span().get_span_context().is_valid
        telemetry.assert_quiet()

    async with session_of(mock, telemetry.middleware()) as session:
        assert await cancel_at_every_checkpoint(operation, after=after)
    assert {error_of(span) for span in telemetry.spans} == {None, "cancelled"}


async def test_the_time_limit(telemetry: Telemetry) -> None:
    """It is an error of that name, whatever was being waited for."""

    async def sleep(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        await anyio.sleep_forever()
        raise AssertionError

    mock = MockConnector()
    mock.get(API, answers=[stall()])
    options: dict[str, Any] = {"timeout": ClientTimeout(total=0.01)}
    async with session_of(mock) as session:
        for inner in ([], [sleep]):
            with pytest.raises(TimeoutError):
                await get(session, API, middlewares=[telemetry.middleware(), *inner], **options)
    assert [error_of(span) for span in telemetry.spans] == ["TimeoutError", "TimeoutError"]


def test_a_coroutine_that_is_closed_elsewhere(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """The span ends; the context is left as it is, and no event loop is needed."""

    class Suspension:
        def __await__(self) -> Generator[None]:
            yield

    async def handler(request: ClientRequest) -> ClientResponse:
        await Suspension()
        raise AssertionError

    for close in (contextvars.Context().run, contextvars.copy_context().run):
        call = telemetry.middleware()(ClientRequest("GET", URL(API)), handler)
        contextvars.copy_context().run(call.send, None)
        close(call.close)
    request = ClientRequest("GET", URL(API))
    set_call(request, cast("RunningCall", SimpleNamespace(total_at=0.0, sent=0)))
    call = telemetry.middleware()(request, handler)
    call.send(None)
    call.close()
    assert [error_of(span) for span in telemetry.spans] == ["cancelled"] * 3
    assert not trace.get_current_span().get_span_context().is_valid
    assert not caplog.records


async def test_websockets(telemetry: Telemetry) -> None:
    """The span is that of the handshake, and ends with it."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.receive()

    mock = MockConnector()
    mock.ws(f"{API}chat", script)
    mock.ws(f"{API}closed", status=403)
    async with session_of(mock, telemetry.middleware()) as session:
        async with session.ws_connect(f"{API}chat"):
            assert attributes_of(telemetry.span)["http.response.status_code"] == 101
        with pytest.raises(WSServerHandshakeError):
            await session.ws_connect(f"{API}closed")
    accepted, refused = telemetry.spans
    assert (error_of(accepted), error_of(refused)) == (None, "403")
    assert (accepted.name, attributes_of(accepted)["url.full"]) == ("GET", f"{API}chat")


# -- metrics


async def test_metrics(telemetry: Telemetry) -> None:
    """What the conventions ask for, and what is known of the bodies."""
    mock = MockConnector()
    mock.post(API, status=201, json={"id": 7})
    mock.get(API, text="hello")
    async with session_of(mock, telemetry.middleware()) as session:
        for _ in range(2):
            async with session.post(API, json=[1, 2]) as response:
                await response.read()
        await get(session, API)
    labels = {"server.address": "api.test", "server.port": 443, "network.protocol.version": "1.1"}
    posted = labels | {"http.request.method": "POST", "http.response.status_code": 201}
    got = labels | {"http.request.method": "GET", "http.response.status_code": 200}
    durations = telemetry.points("http.client.request.duration")
    assert [(dict(point.attributes), point.count) for point in durations] == [(posted, 2), (got, 1)]
    assert durations[0].explicit_bounds == (
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
    )  # fmt: skip
    seconds = [((span.end_time or 0) - (span.start_time or 0)) / 1e9 for span in telemetry.spans]
    assert durations[0].sum == pytest.approx(sum(seconds[:2]))
    (sent,) = telemetry.points("http.client.request.body.size")
    assert (dict(sent.attributes), sent.count, sent.sum) == (posted, 2, 2 * len("[1, 2]"))
    received = telemetry.points("http.client.response.body.size")
    assert [(point.count, point.sum) for point in received] == [(2, 2 * len(b'{"id": 7}')), (1, 5)]


async def test_only_the_stable_metric(telemetry: Telemetry) -> None:
    """The others may change, so a program has to ask for them."""
    mock = MockConnector()
    mock.post(API, json=1)
    async with session_of(mock, telemetry.middleware(development_metrics=False)) as session:
        async with session.post(API, json=1) as response:
            await response.read()
    assert telemetry.metrics == ["http.client.request.duration"]


async def test_a_body_of_unknown_length(telemetry: Telemetry) -> None:
    """It is not measured, and what was compressed counts as it came over the wire."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"

    mock = MockConnector()
    packed = gzip.compress(b"0" * 10_000)
    mock.post(API, body=packed, headers={"Content-Encoding": "gzip"})
    async with session_of(mock, telemetry.middleware()) as session:
        async with session.post(API, data=pieces()) as response:
            assert len(await response.read()) == 10_000
    assert not telemetry.points("http.client.request.body.size")
    (received,) = telemetry.points("http.client.response.body.size")
    assert received.sum == len(packed)


async def test_open_connections(telemetry: Telemetry) -> None:
    """The guide has this for programs: only the connector knows its connections."""

    def observe(options: CallbackOptions) -> Iterator[Observation]:
        assert session.connector is not None
        now = session.connector.statistics()
        for state, count in (("active", now.in_use), ("idle", now.idle)):
            yield Observation(count, {"http.connection.state": state})

    name = metrics_in_development.HTTP_CLIENT_OPEN_CONNECTIONS
    meter = telemetry.meter_provider.get_meter("program")
    meter.create_observable_up_down_counter(name, callbacks=[observe], unit="{connection}")
    mock = MockConnector()
    mock.get(API, body=[b"one"])
    async with session_of(mock) as session:
        async with session.get(API):
            points = telemetry.points(name)
    assert {point.attributes["http.connection.state"]: point.value for point in points} == {
        "active": 1, "idle": 0,
    }  # fmt: skip


# -- contexts


@pytest.mark.uvloop
async def test_what_is_sent_belongs_to_the_span(telemetry: Telemetry) -> None:
    """So do inner middlewares and the pieces of a body, in each of several tasks."""
    seen: dict[str, list[trace.Span]] = {}
    spans: dict[str, trace.Span] = {}

    async def look(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        path = request.url.path[1:]
        spans[path] = trace.get_current_span()
        response = await handler(request)
        seen[path].append(trace.get_current_span())
        return response

    async def pieces(path: str) -> AsyncIterator[bytes]:
        for _ in range(2):
            seen[path].append(trace.get_current_span())
            yield b"a"
            await anyio.lowlevel.checkpoint()

    async def ask(path: str) -> None:
        seen[path] = []
        with telemetry.tracer.start_as_current_span(path) as parent:
            async with session.post(path, data=pieces(path)) as response:
                await response.read()
                assert trace.get_current_span() is parent

    mock = MockConnector()
    mock.post(f"{API}{{name}}", body=[b"one", b"two"])
    async with session_of(mock, telemetry.middleware(), look) as session:
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(ask, f"p{number}")
    assert len({ids(span) for span in spans.values()}) == 3
    assert all(seen[path] == [spans[path]] * 3 for path in spans)
    assert {span.get_span_context().trace_id for span in spans.values()} == {
        span.context.trace_id for span in telemetry.spans if span.context
    }


async def test_propagation_where_the_program_wants_it(telemetry: Telemetry) -> None:
    """A callable decides for each origin, so a redirect elsewhere does not take it along."""
    mock = MockConnector()
    mock.get(API, status=302, headers={"Location": "https://other.test/"})
    mock.get("https://other.test/")
    token = context.attach(baggage.set_baggage("user", "ada"))
    async with session_of(mock) as session:
        for propagate_to in (True, False, lambda url: url.host == "api.test"):
            await get(session, API, middlewares=[telemetry.middleware(propagate=propagate_to)])
    context.detach(token)
    told = [
        sorted({"traceparent", "baggage"} & {name.lower() for name in call.headers})
        for call in mock.calls
    ]
    everything = ["baggage", "traceparent"]
    assert told == [everything, everything, [], [], everything, []]


async def test_the_global_propagator_is_used(telemetry: Telemetry) -> None:
    """It may be none, and then the request stays as it is."""
    mock = MockConnector()
    mock.get(API)
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(CompositePropagator([]))
    try:
        async with session_of(mock, telemetry.middleware()) as session:
            await get(session, API)
    finally:
        propagate.set_global_textmap(before)
    assert "traceparent" not in mock.calls[0].headers


@pytest.mark.parametrize(
    "key", ["_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "_SUPPRESS_INSTRUMENTATION_KEY"]
)
async def test_suppression(telemetry: Telemetry, key: str) -> None:
    """Exporters suppress the instrumentation of what they send themselves."""
    mock = MockConnector()
    mock.get(API)
    async with session_of(mock, telemetry.middleware()) as session:
        with attached(getattr(context, key)):
            await get(session, API)
    assert not telemetry.spans
    assert not telemetry.points("http.client.request.duration")
    assert "traceparent" not in mock.calls[0].headers


async def test_a_span_that_is_not_recorded() -> None:
    """No work is done for it; the server is told not to record either, and metrics go on."""

    def refuse(*args: object) -> None:
        raise AssertionError("there is no span to look at")

    telemetry = Telemetry(ParentBased(ALWAYS_OFF))
    middleware = telemetry.middleware(
        request_hook=refuse, response_hook=refuse, captured_response_headers=["X-A"]
    )
    mock = MockConnector()
    mock.get(API, status=404)
    async with session_of(mock, middleware) as session:
        await get(session, API)
    assert not telemetry.spans
    assert not parent_in(mock.calls[0].headers)[2]
    (duration,) = telemetry.points("http.client.request.duration")
    assert duration.attributes["error.type"] == "404"
    telemetry.assert_quiet()


async def test_without_an_sdk() -> None:
    """Nothing is done, but the trace that the program is part of goes on to the server."""
    mock = MockConnector()
    mock.get(API, json=1)
    remote = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    quiet = OpenTelemetryMiddleware(
        tracer_provider=trace.NoOpTracerProvider(), meter_provider=NoOpMeterProvider()
    )
    async with session_of(mock) as session:
        for middleware in (OpenTelemetryMiddleware(), quiet):
            await get(session, API, middlewares=[middleware])
            token = context.attach(propagate.extract({"traceparent": remote}))
            await get(session, API, middlewares=[middleware])
            context.detach(token)
    told = [call.headers.get("traceparent") for call in mock.calls]
    assert told == [None, remote, None, remote]


# -- arguments


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tracer_provider": 1}, TypeError, "tracer_provider must be an opentelemetry"),
        ({"meter_provider": 1}, TypeError, "meter_provider must be an opentelemetry"),
        ({"propagate": "no"}, TypeError, "propagate must be a bool"),
        ({"record_exceptions": 1}, TypeError, "record_exceptions must be a bool"),
        ({"development_metrics": 1}, TypeError, "development_metrics must be a bool"),
        ({"request_hook": 1}, TypeError, "request_hook must be a callable"),
        ({"response_hook": 1}, TypeError, "response_hook must be a callable"),
        ({"known_methods": "GET"}, TypeError, "known_methods must be a collection of str, not str"),
        ({"redacted_query": b""}, TypeError, "redacted_query must be a collection of str"),
        ({"redacted_query": [b"a"]}, TypeError, "redacted_query must contain str, not bytes"),
        ({"captured_request_headers": ["a b"]}, ValueError, "'a b' is not the name of a header"),
        ({"captured_request_headers": ["Cookie"]}, ValueError, "cookie contains credentials"),
        ({"captured_response_headers": ["Set-Cookie"]}, ValueError, "which no span must show"),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """The message names the argument and what was expected."""
    with pytest.raises(error, match=message):
        OpenTelemetryMiddleware(**options)


def test_how_a_middleware_is_shown() -> None:
    """By its name."""
    assert repr(OpenTelemetryMiddleware()) == "<OpenTelemetryMiddleware>"


def test_without_the_package() -> None:
    """The message says what to install."""
    code = """
import sys
sys.modules["opentelemetry"] = None
import anyhttp.opentelemetry
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "anyhttp.opentelemetry needs opentelemetry-api: pip install" in run.stderr
    assert "'anyhttp-client[otel]'" in run.stderr
