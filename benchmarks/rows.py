"""The kinds of work that are counted in instructions, and what is asked of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias

from . import answers, jobs
from .clients import Options, no_options
from .in_process import Answering, mocked, mocked_by_function, served
from .jobs import Job
from .ws_workloads import Workload

# What the ratio to aiohttp should be at least, by backend; on uvloop, to aiohttp on uvloop.
Asked: TypeAlias = Mapping[str, float]
# How one thing is done, by package; bare sockets are those of "asyncio" and "trio".
Jobs: TypeAlias = Mapping[str, Job]

Server: TypeAlias = Literal["plain", "tls", "websocket", "http2"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """Something done over HTTP again and again.

    :ivar path: what is asked for
    :ivar result: what the job has to return; None if that differs from client to client
    :ivar in_flight: tasks that each do it one time after the other
    :ivar together: how one task does it as often at once, of those whose tasks would not share a
        connection
    :ivar server: the one that is asked
    :ivar hosts: names that it has; they are asked in turn
    :ivar keep: whether a connection is used again
    :ivar options: of the session of aiohttp and anyhttp, from the library
    :ivar answering: what answers in the same process, in the place of a server
    """

    path: str
    jobs: Jobs
    result: int | None = len(answers.SMALL)
    in_flight: int = 1
    together: Jobs = field(default_factory=dict)
    server: Server = "plain"
    hosts: int = 1
    keep: bool = True
    options: Options = no_options
    answering: Answering | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work.

    :ivar times: how often it is done in the shorter of the two runs; the other is twice as long;
        a multiple of what is in flight
    :ivar quick: whether it belongs to the quick selection
    """

    name: str
    title: str
    group: str
    work: Exchange | Workload
    asked: Asked
    times: int
    quick: bool = False


def both(ratio: float) -> Asked:
    """Ask for the same on asyncio and on trio."""
    return {"asyncio": ratio, "trio": ratio}


def ours(job: Job, **peers: Job) -> Jobs:
    """Return the way aiohttp and anyhttp do it, beside that of *peers*."""
    return {"aiohttp": job, "anyhttp": job, **peers}


def everybody(job: Job, **more: Job) -> Jobs:
    """Return a way that is the same for every library's session."""
    return ours(job, httpx2=job, pyreqwest=job, **more)


def with_sockets(job: Job) -> Jobs:
    """Return a way that is the same for every session, that of bare sockets included."""
    return everybody(job, asyncio=job, trio=job)


def _streams() -> Iterator[Row]:
    size = len(answers.LINE) * answers.LINES

    def row(name: str, title: str, path: str, jobs: Jobs, result: int, ratio: float) -> Row:
        return Row(name, title, "streams", Exchange(path, jobs, result), both(ratio), 1)

    by_line = ours(jobs.lines, httpx2=jobs.httpx_lines)
    title = "250 kB of lines of 50 bytes, `async for line in resp.content`"
    yield Row(
        "lines", title, "streams", Exchange("/lines", by_line, answers.LINES), both(1.5), 1, True
    )
    one_by_one = ours(jobs.readline)
    yield row("readline", "the same, `readline()`", "/lines", one_by_one, answers.LINES, 1.5)
    chunks = "2500 chunks of 20 bytes, `iter_chunks()`"
    yield row("chunks", chunks, "/few-chunks", ours(jobs.chunks), answers.FEW_CHUNKS, 1.5)
    events = "1000 server-sent events, taken apart line by line"
    yield row("events", events, "/events", ours(jobs.events), answers.EVENTS, 1.5)
    by_kilobyte = ours(jobs.pieces_of(1024), httpx2=jobs.httpx_pieces_of(1024))
    title = "2 MB, `iter_chunked(1024)`"
    yield row("chunked1k", title, "/2m", by_kilobyte, 2_000_000, 1.2)
    exactly = ours(jobs.exactly(len(answers.LINE), answers.LINES))
    yield row("exactly", "250 kB, `readexactly(50)`", "/lines", exactly, size, 1.2)
    by_block = ours(jobs.pieces_of(8192), httpx2=jobs.httpx_pieces_of(8192))
    work = Exchange("/100k", by_block, 100_000)
    yield Row("chunked8k", "100 kB, `iter_chunked(8192)`", "streams", work, both(1.2), 20)
    paced = len(answers.EVENT) * answers.PACED_EVENTS
    work = Exchange("/paced-events", everybody(jobs.stream), paced)
    title = "20 events that come one by one, `iter_any()`"
    yield Row("paced", title, "streams", work, both(1.0), 2, quick=True)
    title = "the same, line by line"
    number = 2 * answers.PACED_EVENTS
    yield row("paced-lines", title, "/paced-events", by_line, number, 1.0)


def _bodies() -> Iterator[Row]:
    def row(name: str, title: str, work: Exchange, ratio: float, times: int) -> Row:
        return Row(name, title, "bodies", work, both(ratio), times, name == "read100k")

    read = with_sockets(jobs.read)
    yield row("read100k", "GET of 100 kB, `read()`", Exchange("/100k", read, 100_000), 1.2, 20)
    stream = Exchange("/100k", with_sockets(jobs.stream), 100_000)
    yield row("any100k", "GET of 100 kB, `iter_any()`", stream, 1.2, 20)
    yield row("read10m", "GET of 10 MB, `read()`", Exchange("/10m", read, 10_000_000), 0.9, 2)
    sent = ours(
        jobs.upload_bytes,
        httpx2=jobs.httpx_upload_bytes,
        pyreqwest=jobs.pyreqwest_upload_bytes,
    )
    yield row("post10m", "POST of 10 MB of bytes", Exchange("/upload", sent, 10_000_000), 1.3, 2)
    file = ours(jobs.upload_file, httpx2=jobs.upload_file)
    yield row("file10m", "POST of a file of 10 MB", Exchange("/upload", file, 10_000_000), 1.6, 2)
    form = Exchange("/upload", ours(jobs.upload_form), None)
    yield row("form10m", "multipart form with that file", form, 1.5, 2)
    for name, title, number, size, times in (
        ("generator64k", "10 MB from a generator, pieces of 64 kB", 160, 65_536, 1),
        ("generator100", "100 kB from a generator, pieces of 100 bytes", 1000, 100, 1),
        ("generator-tiny", "three pieces of 20 bytes from a generator", 3, 20, 30),
    ):
        generated = ours(jobs.generated(number, size), httpx2=jobs.httpx_generated(number, size))
        yield row(name, title, Exchange("/upload", generated, number * size), 1.1, times)
    small = Exchange("/upload", ours(jobs.small_form, httpx2=jobs.httpx_small_form), None)
    yield row("form-small", "small multipart form", small, 1.1, 30)


def _websockets() -> Iterator[Row]:
    def row(work: Workload, ratio: float, times: int, quick: bool = False) -> Row:
        name, title = f"ws-{work.name}", f"WebSocket, {work.title}"
        return Row(name, title, "WebSockets", work, both(ratio), times, quick)

    flood = Workload("receive20", "flood of messages of 20 bytes received", "source", 20)
    yield row(flood, 1.5, 2000, quick=True)
    yield row(Workload("send20", "flood of messages of 20 bytes sent", "sink", 20), 1.2, 2000)
    yield row(Workload("echo20", "echo of 20 bytes", "echo", 20), 1.1, 50, quick=True)
    yield row(Workload("echo10k", "echo of 10 kB", "echo", 10_000), 1.1, 50)
    yield row(Workload("paced20", "messages of 20 bytes, one by one", "paced", 20), 1.1, 50)
    packed = Workload("echo20z", "echo of 20 bytes, compressed", "echo", 20, compress=True)
    yield row(packed, 1.1, 50)
    work = Exchange("/echo", ours(jobs.open_websocket), 0, server="websocket")
    yield Row("ws-open", "WebSocket, opened and closed", "WebSockets", work, both(1.0), 20)


def _sessions() -> Iterator[Row]:
    def row(name: str, title: str, work: Exchange, asked: float, times: int = 20) -> Row:
        return Row(name, title, "sessions and connections", work, both(asked), times)

    yield row(
        "request", "`request()` without a session", Exchange("/json", ours(jobs.request_alone)), 1.0
    )
    own = ours(jobs.own_session, httpx2=jobs.httpx_own_session)
    yield row("session-get", "session for one GET", Exchange("/json", own), 1.0)
    unused = Exchange("/json", ours(jobs.unused_session), 0)
    yield row("session", "session opened and closed", unused, 0.5, 30)
    fresh = ours(jobs.read, httpx2=jobs.read)
    plain = Exchange("/json", fresh, keep=False)
    yield row("connect", "GET over a new TCP connection each", plain, 1.1)
    tls = Exchange("/json", fresh, server="tls", keep=False)
    yield row("connect-tls", "GET over a new TLS connection each", tls, 1.5, 10)


def _passing_on(number: int) -> Options:
    def middleware() -> Any:
        async def pass_on(request: Any, handler: Any) -> Any:
            return await handler(request)

        return pass_on

    return lambda library: {"middlewares": [middleware() for _ in range(number)]}


def _with_header(library: Any) -> dict[str, Any]:
    async def add(request: Any, handler: Any) -> Any:
        request.headers["X-Tenant"] = "a"
        return await handler(request)

    return {"middlewares": [add]}


def _retries(library: Any) -> dict[str, Any]:
    return {"middlewares": [library.RetryMiddleware()]}


def _rate_limit(library: Any) -> dict[str, Any]:
    return {"middlewares": [library.RateLimitMiddleware(1_000_000)]}


def _traces(library: Any) -> dict[str, Any]:
    async def note(session: Any, context: Any, parameters: Any) -> None:
        context.last = parameters

    def trace() -> Any:
        config = library.TraceConfig()
        config.on_request_start.append(note)
        config.on_request_end.append(note)
        return config

    return {"trace_configs": [trace(), trace()]}


def _cookies(library: Any) -> dict[str, Any]:
    return {"cookie_jar": library.CookieJar(unsafe=True)}  # the host is an address


def _requests() -> Iterator[Row]:
    def row(name: str, title: str, work: Exchange, asked: float) -> Row:
        return Row(name, title, "requests", work, both(asked), 30, name == "middlewares")

    get = with_sockets(jobs.read)
    plain = ours(jobs.read)
    work = Exchange("/json", get)
    asked = {**both(2.0), "uvloop": 1.8}
    yield Row("get1", "small GET, 1 in flight", "requests", work, asked, 60, quick=True)
    work = Exchange("/json", everybody(jobs.read), in_flight=50)
    yield Row("get50", "small GET, 50 in flight", "requests", work, asked, 100, quick=True)
    work = Exchange("/numbered", plain)
    title = "the same, 1 in flight, no head like the one before it"
    yield Row("get1-numbered", title, "requests", work, both(2.0), 60)
    work = Exchange("/json", plain, options=_passing_on(3))
    yield row("middlewares", "three middlewares", work, 1.1)
    yield row("traces", "two traces", Exchange("/json", plain, options=_traces), 1.1)
    missing = ours(jobs.missing, httpx2=jobs.httpx_missing)
    yield row("missing", "`raise_for_status` with 404", Exchange("/missing", missing, 404), 1.1)
    yield row("headers", "100 response headers", Exchange("/headers", get), 1.2)
    looked = ours(jobs.look_at_headers, httpx2=jobs.httpx_look_at_headers)
    work = Exchange("/headers", looked, 100)
    yield row("headers-read", "100 response headers, and looked at", work, 1.0)
    own = ours(jobs.own_header, httpx2=jobs.httpx_own_header, pyreqwest=jobs.pyreqwest_own_header)
    yield row("own-header", "a header of its own on each request", Exchange("/json", own), 1.3)
    work = Exchange("/cookies", plain, options=_cookies)
    yield row("cookies", "two cookies set by each response", work, 1.3)


def _http2() -> Iterator[Row]:
    """Yield what is done over TLS, by HTTP/2 on one connection and by HTTP/1.1 beside it.

    The yardstick is httpx2 on the same backend.
    """

    def row(name: str, title: str, work: Exchange, times: int) -> Row:
        return Row(f"http2-{name}", title, "HTTP/2", work, both(2.0), times, name == "get50")

    get: Jobs = {"anyhttp": jobs.read, "httpx2": jobs.read, "niquests": jobs.read}
    for number in (1, 50, 100):
        work = Exchange(
            "/json",
            get,
            in_flight=number,
            together={"niquests": jobs.niquests_together(number)} if number > 1 else {},
            server="http2",
        )
        yield row(
            f"get{number}", f"small GET, {number} in flight", work, 60 if number == 1 else 100
        )
    work = Exchange("/numbered", get, server="http2")
    yield row("get1-numbered", "the same, 1 in flight, a header is another each time", work, 60)
    own: Jobs = {"anyhttp": jobs.own_path, "httpx2": jobs.own_path, "niquests": jobs.own_path}
    work = Exchange("/json", own, server="http2")
    yield row("get1-paths", "the same, 1 in flight, each of another path", work, 60)
    work = Exchange("/10m", get, 10_000_000, server="http2")
    yield row("read10m", "GET of 10 MB, `read()`", work, 1)
    streams: Jobs = dict.fromkeys(get, jobs.stream)
    work = Exchange("/10m", streams, 10_000_000, server="http2")
    yield row("any10m", "GET of 10 MB, piece by piece as they come", work, 1)
    sent: Jobs = {
        "anyhttp": jobs.upload_bytes,
        "httpx2": jobs.httpx_upload_bytes,
        "niquests": jobs.niquests_upload_bytes,
    }
    work = Exchange("/upload", sent, 10_000_000, server="http2")
    yield row("post10m", "POST of 10 MB of bytes", work, 1)


# -- scale -------------------------------------------------------------------------------


def _jar_of(number: int) -> Options:
    def options(library: Any) -> dict[str, Any]:
        jar = library.CookieJar(unsafe=True)
        for site in range(number // 10):
            url = import_module("yarl").URL(f"http://site-{site}.example/")
            jar.update_cookies({f"name-{n}": f"value-{n}" for n in range(10)}, url)
        return {"cookie_jar": jar}

    return options


def _headers_of(number: int) -> Options:
    return lambda library: {"headers": {f"X-Header-{n}": f"value {n}" for n in range(number)}}


def _scale() -> Iterator[Row]:
    def row(kind: str, group: str, number: int, work: Exchange) -> Row:
        title = f"{number} {group}"
        return Row(f"{kind}{number}", title, group, work, {}, max(30, work.in_flight))

    get = ours(jobs.read)
    for number in (1, 10, 100, 1000, 5000):
        yield row("flight", "in flight", number, Exchange("/json", get, in_flight=number))
    for number in (1, 10, 100, 1000):
        yield row("hosts", "hosts", number, Exchange("/json", get, hosts=number))
    for number in (0, 10, 100, 1000, 10_000):
        work = Exchange("/json", get, options=_jar_of(number))
        yield row("jar", "cookies in the jar", number, work)
    for number in (0, 1, 10, 100):
        work = Exchange("/json", get, options=_headers_of(number))
        yield row("headers", "default headers", number, work)


def _through_middlewares() -> Iterator[Row]:
    group = "a small GET through a middleware"
    everybodys = ours(jobs.read)
    own = {"anyhttp": jobs.read}
    for name, title, do, options in (
        ("middleware", "that only passes on", everybodys, _passing_on(1)),
        ("middleware-header", "that sets a header", everybodys, _with_header),
        ("middleware-retry", "`RetryMiddleware`", own, _retries),
        ("middleware-rate", "`RateLimitMiddleware`", own, _rate_limit),
    ):
        yield Row(name, title, group, Exchange("/json", do, options=options), {}, 30)


# -- in tests of programs ----------------------------------------------------------------


def _in_tests() -> Iterator[Row]:
    group = "a small GET in a test, answered in the same process"
    for name, title, answering in (
        ("test-mock", "by a route of MockConnector", mocked),
        ("test-mock-function", "by a function in such a route", mocked_by_function),
        ("test-serve", "by serve(), on loopback", served),
    ):
        work = Exchange("", {"anyhttp": jobs.read}, answering=answering)
        yield Row(name, title, group, work, {}, 30)


ROWS: Final = (
    *(*_streams(), *_bodies(), *_websockets()),
    *(*_sessions(), *_requests(), *_http2()),
)
SCALE: Final = (*_scale(), *_through_middlewares(), *_in_tests())
