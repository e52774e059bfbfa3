"""Requests that are recorded by the first run and replayed by later ones."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import hypothesis
import pytest
from hypothesis import strategies as st
from yarl import URL

from anyhttp import (
    BaseConnector,
    BasicAuth,
    ClientConnectorError,
    ClientOSError,
    ClientPayloadError,
    ClientRequest,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    ServerDisconnectedError,
    TCPConnector,
    TraceConfig,
    UnixConnector,
)
from anyhttp.testing import (
    CassetteError,
    Filters,
    MockConnector,
    Recorder,
    UnrecordedRequest,
    drip,
)
from anyhttp.testing._har import read_har
from anyhttp.testing._replay import encoded_body
from tests.support.cancel import cancel_at_every_checkpoint
from tests.support.canned import Canned, CannedConnector
from tests.support.peer import Flag, Script, Wait
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.http2_server import Http2Server

URL_A = "http://api.test/a"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the cassette is."""
    return str(tmp_path / "some.har")


class StallingConnector(BaseConnector):
    """Never makes a connection."""

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        await anyio.sleep_forever()


def answering(*answers: bytes) -> CannedConnector:
    """A connector whose connections get these bytes, one after the other."""
    left = iter(answers)
    return CannedConnector(lambda: Canned(next(left)))


def entries(path: str) -> list[dict[str, Any]]:
    """The entries of a file."""
    found: list[dict[str, Any]] = json.loads(text_of(path))["log"]["entries"]
    return found


def text_of(path: str) -> str:
    """What a file holds."""
    return Path(path).read_text("utf-8")


def is_written(path: str) -> bool:
    """Whether there is a file."""
    return Path(path).exists()


def write(path: str, *entries: dict[str, Any]) -> None:
    """Write a file as another tool does."""
    Path(path).write_text(json.dumps({"log": {"entries": entries}}), "utf-8")


Seen = tuple[int, str | None, tuple[tuple[str, str], ...], bytes]


async def ask(session: ClientSession, url: str | URL = URL_A, **options: Any) -> Seen:
    """Make a request, and return what the program sees of the response."""
    method = options.pop("method", "GET")
    async with session.request(method, url, **options) as response:
        body = await response.read()
        return response.status, response.reason, tuple(response.headers.items()), body


async def both(path: str, connector: Any, use: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    """Record what *use* does over *connector*, replay it, and return what it saw in both."""
    seen = []
    for mode, real in (("all", connector), ("none", CannedConnector(OSError("no network")))):
        async with (
            Recorder(path, real, mode=mode) as recorder,  # type: ignore[arg-type]  # no literal
            ClientSession(connector=recorder) as session,
        ):
            assert recorder.records == (mode == "all")
            seen.append(await use(session))
        if mode == "none":
            recorder.assert_all_played()
            assert real.source.requests == []
        assert recorder.closed
        assert real.closed
    return seen


# -- record and replay ------------------------------------------------------------------


async def test_the_first_run_records_and_the_next_one_opens_no_connection(
    path: str, script: Script
) -> None:
    """The peer takes one connection for each request of the first run, and no more."""
    reply = b"HTTP/1.1 201 Made\r\nX-A: 1\r\nContent-Length: 5\r\nX-A: 2\r\n\r\nhello"
    peer = await script([(b"POST /a?b=1 ", reply)])
    seen = []
    for _ in range(3):
        async with ClientSession(connector=Recorder(path)) as session:
            seen.append(await ask(session, peer.url / "a" % {"b": "1"}, method="POST", data=b"x"))
    assert seen[0] == seen[1] == seen[2]
    fields = (("X-A", "1"), ("Content-Length", "5"), ("X-A", "2"))
    assert seen[0] == (201, "Made", fields, b"hello")


CODINGS = ["", "gzip", "x-gzip", "deflate", "br", "zstd", "gzip, br", "identity", "unheard-of"]

field_values = st.text(
    st.characters(min_codepoint=33, max_codepoint=126) | st.sampled_from("é日\udcff"), max_size=9
)


@hypothesis.given(
    status=st.sampled_from([200, 203, 206, 400, 404, 500, 503, 999]),
    reason=field_values,
    headers=st.lists(st.tuples(st.sampled_from(["X-A", "x-a", "X-B"]), field_values), max_size=4),
    body=st.binary() | st.text(max_size=30).map(str.encode),
    kind=st.sampled_from(["", "text/plain", "text/html; charset=latin-1", "image/png"]),
    coding=st.sampled_from(CODINGS),
    framing=st.sampled_from(["length", "chunked", "end"]),
    split=st.integers(1, 400),
    method=st.sampled_from(["GET", "HEAD", "PUT"]),
)
async def test_any_response_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    status: int,
    reason: str,
    headers: list[tuple[str, str]],
    body: bytes,
    kind: str,
    coding: str,
    framing: str,
    split: int,
    method: str,
) -> None:
    """Status, reason, headers and body; of the headers, only the length of coded bodies differs."""
    fields = [*headers, *([("Content-Type", kind)] if kind else [])]
    if coding:
        fields.insert(len(headers) // 2, ("Content-Encoding", coding))
    sent = encoded_body(body, coding)
    sent = body if sent is None else sent
    if framing == "length":
        fields.append(("Content-Length", str(len(sent))))
    elif framing == "chunked":
        fields.append(("Transfer-Encoding", "chunked"))
        sent = b"".join(b"1\r\n%c\r\n" % byte for byte in sent) + b"0\r\nX-Trailer: t\r\n\r\n"
    head = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in fields), "", ""]
    data = "\r\n".join(head).encode("utf-8", "surrogateescape")
    data += sent if method != "HEAD" else b""
    pieces = [data[start : start + split] for start in range(0, len(data), split)]
    path = str(tmp_path_factory.getbasetemp() / "any.har")
    connector = CannedConnector(lambda: Canned(*pieces))
    recorded, replayed = await both(path, connector, lambda session: ask(session, method=method))
    assert recorded[3] == (b"" if method == "HEAD" else body)

    def comparable(seen: Seen) -> Seen:
        if coding:
            fields = tuple(field for field in seen[2] if field[0] != "Content-Length")
            return seen[0], seen[1], fields, seen[3]
        return seen

    assert comparable(replayed) == comparable(recorded)


@pytest.mark.parametrize("version", [HttpVersion10, HttpVersion11])
async def test_what_a_server_answers_is_replayed(
    path: str, server: Server, version: HttpVersion
) -> None:
    """Over real sockets: codings, chunks, redirects, forms, errors, side by side."""
    requests: list[dict[str, Any]] = [
        *({"url": name} for name in ("gzip", "deflate", "deflate-raw", "br", "zstd")),
        {"url": "bytes/300000"},
        {"url": "stream/20"},
        {"url": "redirect/3"},
        {"url": "cookies/set?a=1"},
        {"url": "status/404"},
        {"url": "json", "method": "HEAD"},
        {"url": "gzip", "auto_decompress": False, "method": "HEAD"},
        {"url": "anything?x=%20ä", "method": "POST", "data": {"a": "1"}},
        {"url": "upload", "method": "PUT", "data": b"x" * 200_000},
        {"url": "echo-body", "method": "POST", "data": b"\xff\x00"},
        {"url": "basic-auth/me/secret", "auth": BasicAuth("me", "secret")},
    ]
    seen: list[list[Seen]] = []
    made: list[int] = []
    for _ in range(2):
        found: list[Seen] = []

        async def make(session: ClientSession, number: int, found: list[Seen] = found) -> None:
            options = dict(requests[number])
            url = str(server.url) + options.pop("url")
            found.append((number, *(await ask(session, url, **options))))  # type: ignore[arg-type]

        recorder = Recorder(path, TCPConnector())
        async with recorder, ClientSession(connector=recorder, version=version) as session:
            async with anyio.create_task_group() as tasks:
                for number in range(len(requests)):
                    tasks.start_soon(make, session, number)
        seen.append(sorted(found, key=str))
        made.append(len(server.requests))
        recorder.assert_all_played()
    assert made[0] == made[1] > len(requests)
    for before, now in zip(*seen, strict=True):
        url = requests[before[0]]["url"]
        assert before[:3] == now[:3], url
        assert sha256(before[4]).digest() == sha256(now[4]).digest(), url


async def test_bodies_are_readable_in_the_file(path: str) -> None:
    """Decoded text, also of what was compressed and chunked; the wire's headers stay."""
    coded = gzip.compress("grüße".encode())
    answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(coded), coded)
    )
    await both(path, answering(answer), ask)
    assert '"text": "grüße"' in text_of(path)
    assert '{"name": "Content-Encoding", "value": "gzip"}' in text_of(path)
    (entry,) = entries(path)
    assert entry["response"]["content"] == {"size": 7, "mimeType": "text/plain", "text": "grüße"}


@pytest.mark.parametrize("coding", ["br", "zstd"])
async def test_a_body_in_a_coding_that_is_not_known_here_is_replayed_without_it(
    path: str, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Browsers save bodies decoded.  A client that cannot undo the coding gets them so."""
    entry = {
        "request": {"method": "GET", "url": URL_A},
        "response": {
            "status": 200,
            "httpVersion": "h2",
            "headers": [{"name": "content-encoding", "value": coding}],
            "content": {"text": "hello"},
        },
    }
    write(path, entry)
    monkeypatch.setattr("anyhttp.testing._replay.decoder_for", lambda coding: None)
    async with ClientSession(connector=Recorder(path)) as session:
        assert await ask(session) == (200, "", (("Content-Length", "5"),), b"hello")


async def test_a_file_of_a_browser_is_replayed(path: str) -> None:
    """HTTP/2 has no reason phrases, and says nothing of lengths."""
    entry = {
        "request": {"method": "GET", "url": "https://api.test/a?b=1", "httpVersion": "h2"},
        "response": {
            "status": 200,
            "httpVersion": "h2",
            "headers": [
                {"name": ":status", "value": "200"},
                {"name": "content-encoding", "value": "gzip"},
                {"name": "transfer-encoding", "value": "gzip, chunked"},
                {"name": "content-type", "value": "application/json"},
            ],
            "content": {"text": '{"a": 1}', "size": 8},
        },
    }
    write(path, entry)
    async with (
        ClientSession(connector=Recorder(path)) as session,
        session.get("https://api.test/a?b=1#c") as response,
    ):
        assert await response.json() == {"a": 1}
        assert response.headers["content-encoding"] == "gzip"


async def test_an_undecodable_body_is_replayed_as_it_was(path: str) -> None:
    """The error is the same in both runs."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\nno gzip"

    async def use(session: ClientSession) -> bytes:
        with pytest.raises(ClientPayloadError, match="content-encoding"):
            await ask(session)
        async with session.get(URL_A) as response:
            with pytest.raises(ClientPayloadError, match="content-encoding"):
                await response.read()
        return (await ask(session, URL_A, auto_decompress=False))[3]

    recorded, replayed = await both(path, answering(answer, answer, answer), use)
    assert recorded == replayed == b"no gzip"
    assert [entry["response"]["content"]["_encoded"] for entry in entries(path)] == [True] * 3


async def test_a_bomb_is_written_as_it_was_sent(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not decoded to more than a bound."""
    monkeypatch.setattr("anyhttp.testing._replay.MAX_DECODED", 1000)
    coded = gzip.compress(bytes(5000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(coded)
    recorded, replayed = await both(path, answering(head + coded), ask)
    assert recorded == replayed
    assert entries(path)[0]["response"]["content"]["size"] == len(coded)


@pytest.mark.parametrize("status", [204, 304, 301])
async def test_responses_without_body(path: str, status: int) -> None:
    """Their headers may speak of a body that is elsewhere."""
    head = b"HTTP/1.1 %d X\r\nContent-Length: 7\r\n\r\n" % status
    data = head + b"1234567" if status == 301 else head
    recorded, replayed = await both(
        path, answering(data), lambda session: ask(session, allow_redirects=False)
    )
    assert recorded == replayed
    assert ("Content-Length", "7") in replayed[2]


async def test_trailers_are_replayed(path: str) -> None:
    """They come after a body in chunks."""
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n"

    async def use(session: ClientSession) -> Any:
        async with session.get(URL_A) as response:
            await response.read()
            return dict(response.trailers)

    assert await both(path, answering(answer), use) == [{"X-T": "1"}, {"X-T": "1"}]


async def test_redirects_and_cookies_are_those_of_the_client(path: str) -> None:
    """Each hop is an entry, and the values of cookies are not written."""
    mock = MockConnector()
    mock.get(URL_A, status=302, headers=[("Location", "/b"), ("Set-Cookie", "sid=secret; Path=/")])
    mock.get("http://api.test/b", text="end")
    sent = []

    async def use(session: ClientSession) -> Any:
        async with session.get(URL_A) as response:
            sent.append(response.request_info.headers["Cookie"])
            return await response.text(), len(response.history), response.url

    recorded, replayed = await both(path, mock, use)
    assert recorded == replayed == ("end", 1, URL("http://api.test/b"))
    assert sent == ["sid=secret", "sid=REDACTED"]
    assert "secret" not in text_of(path)


async def test_same_requests_are_replayed_in_order(path: str) -> None:
    """A program that tries again after a 500 does so when it is replayed."""
    mock = MockConnector()
    mock.get(URL_A, answers=[500, 503, b"hello"])

    async def use(session: ClientSession) -> Any:
        return [(await ask(session))[0] for _ in range(3)]

    assert await both(path, mock, use) == [[500, 503, 200]] * 2


async def test_requests_at_the_same_time_are_written_in_the_order_of_their_beginnings(
    path: str,
) -> None:
    """So that the file is the same, however long the responses take."""
    held = anyio.Event()

    async def slow(request: Any) -> bytes:
        await held.wait()
        return b"slow"

    mock = MockConnector()
    mock.get("http://api.test/slow", answer=slow)
    mock.get("http://api.test/fast", body=b"fast")
    async with Recorder(path, mock) as recorder, ClientSession(connector=recorder) as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, session, "http://api.test/slow")
            await anyio.wait_all_tasks_blocked()
            await ask(session, "http://api.test/fast")
            held.set()
    assert [entry["request"]["url"][-4:] for entry in entries(path)] == ["slow", "fast"]


async def test_https_and_a_proxy(path: str, server: Server, tls_ca: Authority) -> None:
    """The recorder sees what is inside of TLS, and does not write credentials for proxies."""
    url = server.https_url / "json"
    real = TCPConnector(ssl=tls_ca.client)
    recorded, replayed = await both(path, real, lambda session: ask(session, url))
    assert recorded == replayed
    assert entries(path)[0]["request"]["url"] == str(url)

    async def through_proxy(session: ClientSession) -> Seen:
        return await ask(session, proxy="http://me:secret@proxy.test")

    mock = MockConnector()
    mock.get(URL_A, text="x")
    recorded, replayed = await both(path, mock, through_proxy)
    assert recorded == replayed
    headers = {field["name"]: field["value"] for field in entries(path)[0]["request"]["headers"]}
    assert headers["Proxy-Authorization"] == "REDACTED"


async def test_a_connector_that_uses_no_proxy_says_so(path: str, tmp_path: Path) -> None:
    """Only when the request has to be sent."""
    real = UnixConnector(str(tmp_path / "socket"))
    async with ClientSession(connector=Recorder(path, real)) as session:
        with pytest.raises(ValueError, match="proxy: a UnixConnector cannot use one"):
            await ask(session, proxy="http://proxy.test")


# -- bodies of requests -----------------------------------------------------------------


async def test_a_body_decides_which_entry_answers(path: str) -> None:
    """If the rules say so: JSON is compared as a value."""
    mock = MockConnector()
    mock.post(URL_A, match_json={"id": 1}, text="one")
    mock.post(URL_A, match_json={"id": 2}, text="two")
    for order in ((1, 2), (2, 1)):
        recorder = Recorder(path, mock, match_on=("method", "url", "json"))
        async with ClientSession(connector=recorder) as session:
            found = [
                (await ask(session, method="POST", json={"id": number}))[3] for number in order
            ]
        assert found == [{1: b"one", 2: b"two"}[number] for number in order]


class Patient(Canned):
    """Answers when all of a body in chunks has been sent."""

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await until(lambda: self.sent.endswith(b"\r\n0\r\n\r\n"), "the end of the body")
        return await super().receive(max_bytes)


async def test_streamed_uploads_are_recorded_as_they_pass(path: str) -> None:
    """The peer gets each piece before the next one is made."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one", b"two", b"three"):
            yield piece
            (stream,) = real.source.streams
            await until(lambda: stream.sent.endswith(piece + b"\r\n"), "a piece")  # noqa: B023

    real = CannedConnector(lambda: Patient(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    async with Recorder(path, real) as recorder, ClientSession(connector=recorder) as session:
        assert (await ask(session, method="POST", data=pieces()))[0] == 200
    (entry,) = entries(path)
    assert entry["request"]["postData"]["text"] == "onetwothree"
    assert "_early" not in entry


@pytest.mark.parametrize("compress", [None, "gzip", "deflate"])
async def test_bodies_of_requests_are_decoded(path: str, compress: str | None) -> None:
    """So that they can be read, compared and filtered."""
    mock = MockConnector()
    mock.post(URL_A)
    async with ClientSession(connector=Recorder(path, mock)) as session:
        await ask(session, method="POST", data={"a": "1", "password": "x"}, compress=compress)
    assert entries(path)[0]["request"]["postData"]["text"] == "a=1&password=REDACTED"


async def test_a_request_that_waits_for_100_continue(path: str) -> None:
    """It gets it when it is replayed, too; a refusal comes instead of it."""
    mock = MockConnector()
    mock.post(URL_A, text="ok")
    mock.put(URL_A, status=417)
    sent = []

    async def body() -> AsyncIterator[bytes]:
        sent.append("body")
        yield b"hello"

    async def use(session: ClientSession) -> Any:
        first = await ask(session, method="POST", data=body(), expect100=True)
        second = await ask(session, method="PUT", data=body(), expect100=True)
        return first[0], second[0]

    assert await both(path, mock, use) == [(200, 417), (200, 417)]
    assert sent == ["body"] * 2
    assert [entry.get("_early") for entry in entries(path)] == [None, True]


async def test_a_response_before_the_end_of_the_request_is_replayed_before_it(path: str) -> None:
    """A program that sends more when it has received something would wait for ever."""
    answered = anyio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"question"
        await answered.wait()
        yield b"thanks"

    async def use(session: ClientSession) -> Any:
        nonlocal answered
        answered = anyio.Event()
        with anyio.fail_after(10):
            async with session.post(URL_A, data=body()) as response:
                answered.set()
                return await response.read()

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer"
    assert await both(path, answering(answer), use) == [b"answer"] * 2
    assert entries(path)[0]["_early"] is True


# -- errors in the middle ---------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 100",
        b"Transfer-Encoding: chunked",
        b"Content-Encoding: gzip",
        b"X: until-end",
    ],
)
async def test_a_body_that_breaks_off_is_replayed_as_one_that_breaks_off(
    path: str, head: bytes
) -> None:
    """It is never taken for a whole one."""
    body = b"5\r\nhello\r\n" if b"chunked" in head else b"hello"
    if b"gzip" in head:
        body = gzip.compress(b"hello" * 100)[:-9]

    def make() -> Canned:
        answer = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body
        return Canned(answer, error=anyio.BrokenResourceError())

    async def use(session: ClientSession) -> Any:
        async with session.get(URL_A) as response:
            with pytest.raises(ClientPayloadError):
                await response.read()
            return response.status, tuple(response.headers.items())

    recorded, replayed = await both(path, CannedConnector(make), use)
    assert recorded == replayed
    assert entries(path)[0]["response"]["_cut"] is True


async def test_a_response_that_the_program_did_not_read_to_its_end(path: str) -> None:
    """An endless stream is recorded as far as it came, and replayed as far."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"tick\n"

    mock = MockConnector()
    mock.get(URL_A, body=endless())

    async def use(session: ClientSession) -> Any:
        async with session.get(URL_A) as response:
            return [await response.content.readline() for _ in range(3)]

    assert await both(path, mock, use) == [[b"tick\n"] * 3] * 2
    assert entries(path)[0]["response"]["_cut"] is True


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (OSError("no route"), ClientConnectorError),
        (Canned, ServerDisconnectedError),
        (lambda: Canned(b"HTTP/1.1 200"), ServerDisconnectedError),
        (lambda: Canned(error=anyio.BrokenResourceError()), ClientOSError),
    ],
)
async def test_requests_without_a_response_are_not_recorded(
    path: str, make: Any, error: type[Exception]
) -> None:
    """They fail as they do without a recorder."""
    real = CannedConnector(make)
    async with ClientSession(connector=Recorder(path, real)) as session:
        with pytest.raises(Exception) as caught:
            await ask(session)
    assert isinstance(caught.value, error) or "HTTP" in str(caught.value)
    assert not is_written(path)


async def test_control_characters_in_values_are_replayed(path: str) -> None:
    """The client reads them, although no value should hold them."""
    control = b"HTTP/1.1 200 OK\r\nX: a\x0cb\r\nContent-Length: 0\r\n\r\n"
    recorded, replayed = await both(path, answering(control), ask)
    assert recorded == replayed
    assert replayed[2][0] == ("X", "a\x0cb")


class BytesPath(os.PathLike[Any]):
    """A path that is no text."""

    def __fspath__(self) -> bytes:
        return b"a"


# -- requests that the cassette lacks ---------------------------------------------------


async def test_a_request_that_was_not_recorded_is_refused_with_the_nearest_entries(
    path: str,
) -> None:
    """It is no ClientError, which programs handle; the test fails even if they do."""
    mock = MockConnector()
    mock.get("http://api.test/users", match_query={}, text="x")
    async with ClientSession(connector=Recorder(path, mock)) as session:
        await ask(session, "http://api.test/users?page=1")
    recorder = Recorder(path)

    async def use() -> None:
        async with recorder, ClientSession(connector=recorder) as session:
            with suppress(UnrecordedRequest):
                await ask(session, "http://api.test/users?page=2&api_key=secret")

    with pytest.raises(UnrecordedRequest) as raised:
        await use()
    assert recorder.unrecorded == [raised.value]
    message = str(raised.value)
    assert f"{path} has no entry for GET http://api.test/users?page=2&api_key=REDACTED" in message
    assert (
        "(GET http://api.test/users?page=1): query: recorded page=1, now api_key=REDACTED&page=2"
        in message
    )
    with pytest.raises(AssertionError, match=r"not played:\n  log.entries\[0\] \(GET "):
        recorder.assert_all_played()
    assert [str(request.url) for request in recorder.unplayed] == ["http://api.test/users?page=1"]


async def test_an_error_of_the_block_has_the_refusals_as_notes(path: str) -> None:
    """They may be its reason."""
    mock = MockConnector()
    mock.get(URL_A)
    async with ClientSession(connector=Recorder(path, mock)) as session:
        await ask(session)

    async def use() -> None:
        async with Recorder(path) as recorder, ClientSession(connector=recorder) as session:
            with suppress(UnrecordedRequest):
                await ask(session, "http://api.test/b")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        await use()
    assert "has no entry for GET http://api.test/b" in raised.value.__notes__[0]


@pytest.mark.parametrize("data", [b"2", b"2" * 100_000], ids=["inline", "upload"])
async def test_a_body_that_was_not_recorded_is_refused(path: str, data: bytes) -> None:
    """The error is the same, whoever sends the body."""
    mock = MockConnector()
    mock.post(URL_A)
    async with ClientSession(connector=Recorder(path, mock)) as session:
        await ask(session, method="POST", data=b"1")
    recorder = Recorder(path, match_on=("method", "url", "body"))
    async with ClientSession(connector=recorder) as session:
        with pytest.raises(UnrecordedRequest, match="body: recorded 1, now 2"):
            await ask(session, method="POST", data=data)
        assert (await ask(session, method="POST", data=b"1"))[0] == 200


async def test_new_episodes_sends_what_the_cassette_lacks(path: str) -> None:
    """By its head, or by its body, which is known late."""
    sent = []
    for mode in ("all", "new_episodes", "new_episodes"):
        mock = MockConnector()
        mock.post(URL_A, match_body=b"1", text="one")
        mock.post(URL_A, match_body=b"2" * 100_000, text="two")
        mock.get(URL_A, text="three")
        recorder = Recorder(path, mock, mode=mode, match_on=("method", "url", "body"))
        async with ClientSession(connector=recorder) as session:
            if mode == "new_episodes":
                assert (await ask(session, method="POST", data=b"2" * 100_000))[3] == b"two"
                assert (await ask(session, method="GET"))[3] == b"three"
            assert (await ask(session, method="POST", data=b"1"))[3] == b"one"
        sent.append([call.method for call in mock.calls])
    assert sent == [["POST"], ["POST", "GET"], []]
    assert len(entries(path)) == 3


async def test_new_episodes_that_cannot_be_sent(path: str) -> None:
    """The error of connecting comes out of the request."""
    mock = MockConnector()
    mock.post(URL_A)
    async with ClientSession(connector=Recorder(path, mock)) as session:
        await ask(session, method="POST", data=b"1")
    real = CannedConnector(OSError(111, "refused"))
    recorder = Recorder(path, real, mode="new_episodes", match_on=("method", "url", "body"))
    async with ClientSession(connector=recorder) as session:
        with pytest.raises(ClientOSError, match="refused"):
            await ask(session, method="POST", data=b"2")
        with pytest.raises(ClientConnectorError, match="refused"):
            await ask(session)


async def test_new_episodes_that_take_too_long_to_connect(path: str) -> None:
    """``sock_connect`` limits it, whether the head or only the body shows that it is needed."""
    mock = MockConnector()
    mock.post(URL_A)
    async with ClientSession(connector=Recorder(path, mock)) as session:
        await ask(session, method="POST", data=b"1")
    real = StallingConnector()
    recorder = Recorder(path, real, mode="new_episodes", match_on=("method", "url", "body"))
    timeout = ClientTimeout(sock_connect=0.02)
    async with ClientSession(connector=recorder, timeout=timeout) as session:
        with pytest.raises(ConnectionTimeoutError):
            await ask(session)
        with pytest.raises(ClientOSError, match="Connection timeout to host"):
            await ask(session, method="POST", data=b"2")


async def test_an_entry_that_cannot_be_replayed_is_named(path: str) -> None:
    """Browsers save without content, too."""
    entry = {
        "request": {"method": "GET", "url": URL_A},
        "response": {"status": 200, "content": {"size": 10}},
    }
    write(path, entry)
    async with ClientSession(connector=Recorder(path)) as session:
        with pytest.raises(CassetteError, match="its body was not saved") as caught:
            await ask(session)
    assert str(caught.value).startswith(f"{path}: log.entries[0] (GET {URL_A}): ")


def test_a_damaged_file_is_an_error_before_anything_is_sent(path: str) -> None:
    """When the recorder is made."""
    Path(path).write_text("{")
    with pytest.raises(CassetteError, match="it is not a HAR"):
        Recorder(path)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((), TypeError, "give the path of a cassette, or that of a har="),
        ((1,), TypeError, "path must be a str or a path, not int"),
        ((b"a",), TypeError, "path must be a str or a path, not bytes"),
        ((BytesPath(),), TypeError, "path must be text, not bytes"),
        (("",), ValueError, "path is not the path of a file: ''"),
        (("a\0",), ValueError, "path is not the path of a file"),
        (("a", "b"), TypeError, "connector"),
    ],
)
def test_arguments_that_are_refused(
    arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    """The message names them."""
    with pytest.raises(error, match=message):
        Recorder(*arguments)


def test_the_path_of_the_traffic_is_checked_as_well() -> None:
    """And by its own name."""
    with pytest.raises(ValueError, match="har is not the path of a file"):
        Recorder(har="")


async def failing(recorder: Recorder) -> None:
    """A test that makes a request and then fails."""
    async with recorder, ClientSession(connector=recorder) as session:
        await ask(session)
        raise ZeroDivisionError


# -- when the file is written -----------------------------------------------------------


async def test_a_block_that_fails_makes_no_cassette(path: str) -> None:
    """Half of a test would be replayed by the next run."""
    mock = MockConnector()
    mock.get(URL_A)
    with pytest.raises(ZeroDivisionError):
        await failing(Recorder(path, mock))
    assert not is_written(path)


async def test_a_cancelled_block_makes_no_cassette(path: str) -> None:
    """As one that fails."""
    mock = MockConnector()
    mock.get(URL_A)
    with anyio.CancelScope() as scope:
        async with Recorder(path, mock) as recorder, ClientSession(connector=recorder) as session:
            await ask(session)
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert not is_written(path)


async def test_without_a_block_the_file_is_written_when_the_session_closes(path: str) -> None:
    """Also if that is cancelled."""
    mock = MockConnector()
    mock.get(URL_A)
    session = ClientSession(connector=Recorder(path, mock))
    await ask(session)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await session.close()
    assert len(entries(path)) == 1


async def test_what_is_discarded_is_not_written(path: str) -> None:
    """For those who find out later that the test has failed."""
    mock = MockConnector()
    mock.get(URL_A)
    async with Recorder(path, mock) as recorder, ClientSession(connector=recorder) as session:
        await ask(session)
        recorder.discard()
    assert not is_written(path)


async def test_a_connection_that_is_open_at_the_end_is_recorded_as_far_as_it_came(
    path: str,
) -> None:
    """Closing the session closes it."""
    mock = MockConnector()
    mock.get(URL_A, body=drip(b"abc", size=1, seconds=0))
    async with ClientSession(connector=Recorder(path, mock)) as session:
        response = await session.get(URL_A)
    assert response.closed
    (entry,) = entries(path)
    assert entry["response"]["_cut"] is True


async def test_cancelling_a_request_leaves_nothing_open(path: str) -> None:
    """At each point at which it waits; in all ways that a request can go."""
    mock = MockConnector()
    mock.post(URL_A, match_body=b"1", text="one")
    mock.post(URL_A, match_body=b"2" * 70_000, text="two")
    async with ClientSession(connector=Recorder(path, mock)) as session:
        await ask(session, method="POST", data=b"1")
    for data in (b"1", b"2" * 70_000):
        recorders: list[Recorder] = []

        async def run(data: bytes = data, recorders: list[Recorder] = recorders) -> None:
            real = MockConnector()
            real.post(URL_A, text="two")
            recorder = Recorder(path, real, mode="new_episodes", match_on=("method", "url", "body"))
            recorders.append(recorder)
            async with recorder, ClientSession(connector=recorder) as session:
                await ask(session, method="POST", data=data)

        async def after(recorders: list[Recorder] = recorders) -> None:
            assert recorders[-1].closed
            assert recorders[-1].statistics().in_use == 0

        await cancel_at_every_checkpoint(run, after=after)


async def test_limits_hold_for_replays_too(path: str) -> None:
    """The connector is one like others."""
    mock = MockConnector()
    mock.get(URL_A, answers=[b"1", b"2"])
    async with ClientSession(connector=Recorder(path, mock)) as session:
        await ask(session)
        await ask(session)
    async with Recorder(path, limit=1) as recorder, ClientSession(connector=recorder) as session:
        first = await session.get(URL_A, timeout=ClientTimeout(total=None))
        assert recorder.statistics().idle == 0
        await first.read()
        assert (await ask(session))[3] == b"2"


# -- hosts that are not recorded --------------------------------------------------------


async def test_requests_to_some_hosts_are_not_recorded(path: str) -> None:
    """They go to the network in any mode."""
    counts = []
    for mode in ("all", "none"):
        mock = MockConnector()
        mock.get("/a")
        recorder = Recorder(path, mock, mode=mode)
        recorder.pass_through("local.test:81", "other.test")
        async with ClientSession(connector=recorder) as session:
            await ask(session, "http://local.test:81/a")
            await ask(session, "http://other.test/a")
            if mode == "all":
                await ask(session)
            else:
                with pytest.raises(UnrecordedRequest):
                    await ask(session, "http://local.test/a")
        counts.append(len(mock.calls))
    assert counts == [3, 2]
    assert [entry["request"]["url"] for entry in entries(path)] == [URL_A]
    with pytest.raises(ValueError, match="a host must be like"):
        recorder.pass_through("http://local.test")


# -- filters ----------------------------------------------------------------------------


async def test_filtered_values_match_when_they_are_replayed(path: str) -> None:
    """The program gets the true ones when it records."""
    filters = Filters(json=["token", "pin"], query=["key"])
    seen = []
    for _ in range(2):
        mock = MockConnector()
        mock.post("/login", match_query={}, json={"token": "secret", "user": "me"})
        recorder = Recorder(
            path, mock, filters=filters, match_on=("method", "url", "json", "header:authorization")
        )
        async with ClientSession(connector=recorder) as session:
            url = "http://api.test/login?key=secret&a=1"
            body = {"pin": "secret"}
            headers = {"Authorization": "Bearer secret"}
            async with session.post(url, json=body, headers=headers) as response:
                seen.append(await response.json())
    assert seen == [{"token": "secret", "user": "me"}, {"token": "REDACTED", "user": "me"}]
    assert "secret" not in text_of(path)


# -- the traffic of a session -----------------------------------------------------------


async def test_traffic_is_written_with_timings(tmp_path: Path, path: str) -> None:
    """Whether it was sent or replayed; also what failed."""
    mock = MockConnector()
    mock.get(URL_A, text="hello")
    mock.get("http://api.test/broken", exception=ConnectionResetError(104, "reset by peer"))
    mock.get("http://api.test/refused", exception=ConnectionRefusedError(111, "refused"))
    har = tmp_path / "traffic.har"
    async with ClientSession(connector=Recorder(connector=mock, har=har)) as session:
        await ask(session)
        with pytest.raises(ClientOSError):
            await ask(session, "http://api.test/broken")
        with pytest.raises(ClientOSError):
            await ask(session, "http://api.test/refused")
    first, broken, refused = entries(str(har))
    assert first["response"]["content"]["text"] == "hello"
    assert first["timings"]["connect"] >= 0
    assert first["time"] == pytest.approx(sum(first["timings"].values()), abs=0.01)
    assert {broken["response"]["status"], refused["response"]["status"]} == {0}
    assert "reset by peer" in broken["_error"]
    assert "refused" in refused["_error"]
    assert read_har(str(har)).entries[1].obstacle
    for _ in range(2):
        real = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        async with ClientSession(connector=Recorder(path, real, har=har)) as session:
            await ask(session)
    (replayed,) = entries(str(har))
    assert replayed["timings"]["connect"] == -1
    assert replayed["response"]["content"]["text"] == "hello"


async def test_traffic_is_written_when_the_block_fails(tmp_path: Path) -> None:
    """That is when one wants to see it."""
    mock = MockConnector()
    mock.get(URL_A)
    har = tmp_path / "traffic.har"
    recorder = Recorder(connector=mock, har=har)
    with pytest.raises(ZeroDivisionError):
        await failing(recorder)
    assert len(entries(str(har))) == 1
    assert recorder.unplayed == []
    recorder.assert_all_played()


async def test_a_request_that_was_not_sent_makes_no_traffic(tmp_path: Path) -> None:
    """The connection was made, and the program did not wait for more."""
    har = tmp_path / "traffic.har"
    mock = MockConnector()
    mock.get(URL_A)
    recorder = Recorder(connector=mock, har=har)
    request = ClientRequest("GET", URL(URL_A))
    connection = await recorder.connect(request)
    connection.close()
    await recorder.close()
    assert not is_written(str(har))


# -- the connector ----------------------------------------------------------------------


async def test_tracing_sees_one_connection_for_each_request(path: str, script: Script) -> None:
    """A recorded connection serves one exchange, and nothing is added to the request for that."""
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    peer = await script([(b"GET / ", reply)], [(b"GET / ", reply)])
    made = []

    async def on_made(*args: object) -> None:
        made.append(args)

    config = TraceConfig()
    config.on_connection_create_end.append(on_made)
    async with ClientSession(connector=Recorder(path), trace_configs=[config]) as session:
        await ask(session, peer.url)
        await ask(session, peer.url)
    assert len(made) == 2
    assert b"onnection: close" not in b"".join(peer.requests)


async def test_bytes_are_not_held_back(path: str, script: Script) -> None:
    """A piece of the response is there before the next one is sent."""
    flag = Flag()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"
    peer = await script([(b"GET / ", [head, Wait(flag), b"b"])])
    async with (
        ClientSession(connector=Recorder(path)) as session,
        session.get(peer.url) as response,
    ):
        assert await response.content.readany() == b"a"
        flag.set()
        assert await response.content.readany() == b"b"


def test_deflate_is_that_of_zlib() -> None:
    """RFC 9110 §8.4.1.2: the coding is the format of zlib, and not bare deflate."""
    assert zlib.decompress(encoded_body(b"hello", "deflate") or b"") == b"hello"
    assert encoded_body(b"hello", "gzip, nonsense") is None
    assert encoded_body(b"hello", " identity ") == b"hello"


async def test_what_is_around_a_connector_of_http2_speaks_http1(
    http2_server: Http2Server, tls_ca: Authority, path: str
) -> None:
    """It reads what passes, which is HTTP/1.1; the server would choose the other version."""
    recorder = Recorder(path, TCPConnector(http2=True, ssl=tls_ca.client))
    async with ClientSession(connector=recorder) as session:
        async with session.get(http2_server.https_url / "json") as response:
            assert (response.status, response.version) == (200, HttpVersion11)
