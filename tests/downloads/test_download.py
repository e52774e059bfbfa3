"""``download()``: what comes into the file, what is asked for, and what stays on the disk."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import re
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from trio.testing import MockClock
from yarl import URL

from anyhttp import (
    BodyTooLargeError,
    ClientConnectionError,
    ClientConnectionResetError,
    ClientConnectorCertificateError,
    ClientHandlerType,
    ClientOSError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DigestMismatchError,
    DownloadError,
    DownloadResult,
    RetryMiddleware,
    SocketTimeoutError,
    download,
)
from anyhttp._downloads import DownloadOptions
from anyhttp.client import OldOptions, RequestOptions
from anyhttp.testing import (
    Answer,
    AutojumpEventLoop,
    MockConnector,
    ReceivedRequest,
    drip,
    serve,
    stall,
)
from tests.support.cancel import How, cancel_at_every_checkpoint
from tests.support.errors import INFO
from tests.support.files import CONTENT, RemoteFile
from tests.support.waiting import until

FILE = "http://files.test/file.bin"
SIZE = len(CONTENT)

Given = Callable[[ReceivedRequest], Answer]


class Place:
    """A directory to download into, and a mock to download from."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "file.bin"
        self.part = directory / "file.bin.part"
        self.notes = directory / "file.bin.part.json"
        self.mock = MockConnector()
        self.answers: dict[str, list[Answer | Given]] = {}
        self.steps: list[tuple[int, int | None]] = []  # what was told of the progress

    def serve(self, *answers: Answer | Given, url: str = FILE) -> None:
        """Let *answers*, one after the other, be what requests get; the last of them stays."""
        if url not in self.answers:
            self.mock.get(url, answer=lambda request: self.answer(url, request))
        self.answers[url] = list(answers)

    def answer(self, url: str, request: ReceivedRequest) -> Answer:
        """Return the answer that is due."""
        answers = self.answers[url]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, Answer) else answer(request)

    def names(self) -> set[str]:
        """Return the names of the files that are there."""
        return set(os.listdir(self.path.parent))

    def progress(self, received: int, total: int | None) -> None:
        self.steps.append((received, total))

    async def get(self, url: str = FILE, /, **options: Any) -> DownloadResult:
        """Download the file, by a session of its own."""
        options.setdefault("backoff", 0)
        async with ClientSession(connector=self.mock, connector_owner=False) as session:
            return await download(session, url, self.path, progress=self.progress, **options)

    async def break_off(self, *options: Any, at: int = 100) -> RemoteFile:
        """Leave a part of *at* bytes, and return the file that it is a part of."""
        remote = RemoteFile(*options, breaks=[at])
        self.serve(remote)
        with pytest.raises(ClientPayloadError):
            await self.get(attempts=1)
        assert self.part.read_bytes() == remote.content[:at]
        self.steps.clear()
        return remote


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A directory and a mock of the test's own."""
    return Place(tmp_path)


def with_range(text: str, body: bytes = CONTENT[100:], **headers: str) -> Answer:
    """Return a response with status 206."""
    fields = {"ETag": '"1"', "Content-Range": text, "Content-Length": str(len(body)), **headers}
    return Answer(206, headers={name.replace("_", "-"): each for name, each in fields.items()},
                  body=body)  # fmt: skip


JUMPING_CLOCKS = [
    pytest.param(("asyncio", {"loop_factory": AutojumpEventLoop}), id="asyncio"),
    pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio"),
]


# -- nothing goes wrong


async def test_a_file_is_downloaded(place: Place) -> None:
    """It is there as a whole, and nothing else is."""
    remote = RemoteFile()
    place.serve(remote)
    result = await place.get()
    assert place.path.read_bytes() == CONTENT
    assert place.names() == {"file.bin"}
    assert (result.path, result.size, result.resumed_from) == (place.path.resolve(), SIZE, 0)
    assert (result.url, result.headers["ETag"]) == (URL(FILE), '"1"')
    assert remote.asked == [""]
    assert place.steps[0] == (0, SIZE)
    assert place.steps[-1] == (SIZE, SIZE)
    assert place.steps == sorted(place.steps)


async def test_a_file_of_unknown_size(place: Place) -> None:
    """The total is told in the end; the part is not useful until then."""
    place.serve(Answer(body=[CONTENT[:500], CONTENT[500:]]))
    await place.get()
    assert place.path.read_bytes() == CONTENT
    assert place.steps[0] == (0, None)
    assert place.steps[-1] == (SIZE, SIZE)


async def test_an_empty_file(place: Place) -> None:
    """It is a file, too."""
    place.serve(RemoteFile(b""))
    assert (await place.get()).size == 0
    assert place.path.read_bytes() == b""
    assert place.steps == [(0, 0)]


async def test_a_large_file(place: Place) -> None:
    """The digest is that of what is on the disk."""
    content = os.urandom(5_000_000)
    remote = RemoteFile(content, breaks=[3_000_000])
    place.serve(remote)
    await place.get(digest=f"sha256:{hashlib.sha256(content).hexdigest()}")
    assert remote.asked == ["", "bytes=3000000-"]


async def test_an_asynchronous_callback(place: Place) -> None:
    """It is awaited before more is received."""
    place.serve(RemoteFile())
    steps = []

    async def progress(received: int, total: int | None) -> None:
        await anyio.lowlevel.checkpoint()
        steps.append((received, total))

    async with ClientSession(connector=place.mock) as session:
        await download(session, FILE, str(place.path), progress=progress)
    assert steps == [(0, SIZE), (SIZE, SIZE)]


async def test_options_of_the_request(place: Place) -> None:
    """They go to each request, relative URLs and middlewares included; so do redirects."""
    sent = []

    async def watch(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        sent.append((str(request.url), request.headers["X-Key"]))
        return await handler(request)

    remote = RemoteFile(breaks=[10])
    place.mock.get("http://files.test/old?a=b", status=302, headers={"Location": "/file.bin"})
    place.serve(remote)
    async with ClientSession("http://files.test/", connector=place.mock) as session:
        result = await download(
            session,
            "old",
            place.path,
            backoff=0,
            params={"a": "b"},
            headers={"X-Key": "k"},
            middlewares=[watch],
        )
    assert sent == [("http://files.test/old?a=b", "k"), (FILE, "k")] * 2
    assert (remote.asked, result.url) == (["", "bytes=10-"], URL(FILE))
    assert place.path.read_bytes() == CONTENT


# -- broken connections


async def test_a_server_that_is_busy(place: Place) -> None:
    """Statuses are for a middleware; the rest is asked for where the connection broke."""
    remote = RemoteFile(breaks=[100])
    place.serve(Answer(503), remote, Answer(503), remote)
    await place.get(middlewares=[RetryMiddleware(backoff=0)], attempts=2)
    assert place.path.read_bytes() == CONTENT
    assert [call.headers.get("Range") for call in place.mock.calls] == [None] * 2 + [
        "bytes=100-",
        "bytes=100-",
    ]


async def test_what_has_come_is_not_asked_for_again(place: Place) -> None:
    """Each request goes on where the last one broke off."""
    remote = RemoteFile(breaks=[100, 0, 200])
    place.serve(remote)
    result = await place.get()
    assert place.path.read_bytes() == CONTENT
    assert remote.asked == ["", "bytes=100-", "bytes=100-", "bytes=300-"]
    assert result.resumed_from == 0
    assert place.steps[-1] == (SIZE, SIZE)


async def test_attempts_are_limited(place: Place) -> None:
    """The part stays for the next download, and the file as it was."""
    place.path.write_bytes(b"old")
    place.serve(RemoteFile(breaks=[100] * 2))
    with pytest.raises(ClientPayloadError):
        await place.get(attempts=2)
    assert place.path.read_bytes() == b"old"
    assert place.part.read_bytes() == CONTENT[:200]
    assert stat.S_IMODE(place.notes.stat().st_mode) == 0o600
    result = await place.get(attempts=1)
    assert (result.resumed_from, result.size) == (200, SIZE)
    assert place.path.read_bytes() == CONTENT
    assert place.names() == {"file.bin"}


async def test_a_connection_that_cannot_be_opened(place: Place) -> None:
    """It may be possible later; but never to a server that is another one."""
    refused = Answer(exception=ConnectionRefusedError())
    place.serve(refused, refused, RemoteFile())
    with pytest.raises(ClientOSError):
        await place.get(attempts=1)
    assert place.names() == set()
    await place.get(attempts=2)
    assert place.path.read_bytes() == CONTENT
    place.mock.get("https://other.test/", exception=ClientConnectorCertificateError)
    with pytest.raises(ClientConnectorCertificateError):
        await place.get("https://other.test/")
    assert [call.url.host for call in place.mock.calls].count("other.test") == 1


@pytest.mark.uvloop
async def test_a_real_connection_that_breaks(place: Place) -> None:
    """The same over sockets."""
    content = bytes(2_000_000)
    remote = RemoteFile(content, breaks=[1_000_000])
    async with serve(remote) as server, ClientSession(server.url) as session:
        await download(session, "file.bin", place.path, backoff=0)
    assert place.path.read_bytes() == content
    assert len(remote.asked) == 2
    assert re.fullmatch("bytes=[0-9]+-", remote.asked[1])


async def test_the_log_tells_of_it(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever wonders why it takes so long finds the reason."""
    caplog.set_level("DEBUG", "anyhttp.client")
    place.serve(RemoteFile(breaks=[100]), with_range("bytes 0-1/2", b"xx"), RemoteFile())
    await place.get()
    goes_on, anew = [text for text in caplog.messages if "the download to" in text]
    assert "goes on in 0.0 s, after 100 bytes: ClientPayloadError" in goes_on
    assert "begins anew" in anew


@pytest.mark.parametrize("anyio_backend", JUMPING_CLOCKS)
async def test_it_waits_before_it_asks_again(place: Place) -> None:
    """Ever longer, unless it is told not to."""
    place.serve(RemoteFile(breaks=[1] * 9))
    began = anyio.current_time()
    await place.get(attempts=10, backoff=30)
    assert anyio.current_time() > began


@pytest.mark.parametrize("anyio_backend", JUMPING_CLOCKS)
async def test_time_limits(place: Place) -> None:
    """A large file takes longer than any request by default; a server that is silent does not."""
    place.serve(Answer(body=drip(bytes(1000), size=100, seconds=50)))
    began = anyio.current_time()
    await place.get()
    assert anyio.current_time() - began > 400
    # A clock that jumps while a thread closes the file does not wait for that.
    place.path = place.path.with_name("second.bin")
    place.serve(Answer(body=drip(bytes(1000), size=100, seconds=50)))
    with pytest.raises(TimeoutError, match="total"):
        await place.get(timeout=ClientTimeout(total=120))
    place.path = place.path.with_name("third.bin")
    place.mock.get("http://files.test/stalls", answer=stall())
    with pytest.raises(SocketTimeoutError):
        await place.get("http://files.test/stalls", attempts=1)


async def test_more_than_a_middleware_has_announced(place: Place) -> None:
    """Where nothing could be asked for in another way, it is an error."""

    async def answer(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        return ClientResponse.for_request(request, headers={"Content-Length": "3"}, body=b"12345")

    with pytest.raises(ClientPayloadError, match="more than the announced 3 bytes"):
        await place.get(middlewares=[answer], attempts=2)
    assert place.names() == set()


async def test_a_session_that_is_closed(place: Place) -> None:
    """No further request could be made."""
    session = ClientSession(connector=place.mock)
    await session.close()
    with pytest.raises(RuntimeError, match="Session is closed"):
        await download(session, FILE, place.path)
    assert place.names() == set()


async def test_a_session_that_is_closed_before_another_request(place: Place) -> None:
    """Nobody waits for the time of that."""
    place.serve(Answer(exception=ConnectionResetError))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            async with ClientSession(connector=place.mock) as session:

                async def start() -> None:
                    with pytest.raises((RuntimeError, ClientConnectionError), match="closed"):
                        await download(session, FILE, place.path, backoff=30, attempts=100)

                group.start_soon(start)
                await until(lambda: place.mock.calls, "the first request")


# -- going on


async def test_a_later_download_goes_on(place: Place) -> None:
    """It asks for the rest only, if that belongs to what is there."""
    remote = await place.break_off()
    result = await place.get()
    assert place.path.read_bytes() == CONTENT
    assert remote.asked == ["", "bytes=100-"]
    assert result.resumed_from == 100
    assert place.steps[0] == (100, SIZE)


async def test_a_date_can_tell_that_it_is_the_same_file(place: Place) -> None:
    """Servers without entity tags often have it."""
    dates = {
        "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
        "Date": "Sun, 06 Nov 1994 08:50:37 GMT",
    }
    remote = RemoteFile(tag=None, headers=dates, breaks=[100])
    place.serve(remote)
    await place.get()
    assert remote.asked == ["", "bytes=100-"]
    assert place.path.read_bytes() == CONTENT


@pytest.mark.parametrize("tag", [None, 'W/"1"'])
async def test_nothing_tells_that_it_is_the_same_file(place: Place, tag: str | None) -> None:
    """Then it is begun anew each time, and no part is left."""
    remote = RemoteFile(tag=tag, breaks=[100, 100, 100])
    place.serve(remote)
    with pytest.raises(ClientPayloadError):
        await place.get(attempts=2)
    assert place.names() == set()
    await place.get()
    assert remote.asked == [""] * 4
    assert place.path.read_bytes() == CONTENT


async def test_no_wish_to_go_on(place: Place) -> None:
    """With ``resume=False`` the whole file is asked for."""
    remote = await place.break_off()
    result = await place.get(resume=False)
    assert (remote.asked, result.resumed_from) == (["", ""], 0)
    assert place.path.read_bytes() == CONTENT


async def test_a_file_that_has_changed(place: Place) -> None:
    """The server sends all of the new one, as ``If-Range`` asks for."""
    remote = await place.break_off()
    remote.content, remote.tag = b"new" * 50, '"2"'
    result = await place.get()
    assert remote.asked == ["", "bytes=100-"]
    assert place.path.read_bytes() == remote.content
    assert result.resumed_from == 0
    assert place.steps[0] == (0, 150)


async def test_a_file_that_changes_and_breaks_again(place: Place) -> None:
    """The notes are those of the new one."""
    remote = await place.break_off()
    remote.content, remote.tag = b"new" * 50, '"2"'
    remote.breaks.append(60)
    await place.get()
    assert remote.asked == ["", "bytes=100-", "bytes=60-"]
    assert place.path.read_bytes() == remote.content


@pytest.mark.parametrize(
    "answer",
    [
        with_range(f"bytes 100-{SIZE - 1}/{SIZE}", ETag='"2"'),
        with_range(f"bytes 100-{SIZE - 1}/{SIZE}", ETag='W/"1"'),
        with_range(f"bytes 99-{SIZE - 2}/{SIZE}"),
        with_range(f"bytes 100-{SIZE - 1}/*"),
        with_range(f"bytes 100-{SIZE}/{SIZE + 1}"),
        with_range(f"bytes 0-99/{SIZE}"),
        with_range(""),
        with_range(f"bytes 100-{SIZE - 1}/{SIZE}", CONTENT),
        with_range(f"bytes 100-{SIZE - 1}/{SIZE}", gzip.compress(CONTENT), Content_Encoding="gzip"),
        with_range("", Content_Type="multipart/byteranges; boundary=x"),
        Answer(416, headers={"Content-Range": f"bytes */{SIZE}", "ETag": '"1"'}),
        Answer(416),
    ],
    ids=lambda answer: f"{answer.status} {dict(answer.headers).get('Content-Range')}",
)
async def test_an_answer_that_does_not_fit(place: Place, answer: Answer) -> None:
    """Whatever is wrong, the file is asked for as a whole, and is right."""
    remote = await place.break_off()

    def wrong(request: ReceivedRequest) -> Answer:
        return answer if "Range" in request.headers else remote(request)

    place.serve(wrong)
    result = await place.get(attempts=1)
    assert place.path.read_bytes() == CONTENT
    assert (result.resumed_from, place.names()) == (0, {"file.bin"})


async def test_a_server_that_sends_less_than_was_asked_for(place: Place) -> None:
    """The rest is asked for again (RFC 9110 §15.3.7)."""
    remote = await place.break_off()
    few = with_range(f"bytes 100-199/{SIZE}", CONTENT[100:200])
    place.serve(few, remote)
    await place.get()
    assert place.path.read_bytes() == CONTENT
    assert remote.asked == ["", "bytes=200-"]


async def test_a_part_that_has_all_bytes(place: Place) -> None:
    """Its last byte is asked for again, which tells whether the file is still the same."""
    remote = await place.break_off()
    place.part.write_bytes(CONTENT)
    result = await place.get()
    assert remote.asked == ["", f"bytes={SIZE - 1}-"]
    assert result.resumed_from == SIZE
    assert place.path.read_bytes() == CONTENT


async def test_a_part_that_has_more_bytes(place: Place) -> None:
    """It is no part of this file."""
    remote = await place.break_off()
    place.part.write_bytes(CONTENT + b"!")
    await place.get()
    assert remote.asked == ["", ""]
    assert place.path.read_bytes() == CONTENT


async def test_a_part_of_another_url(place: Place) -> None:
    """The same entity tag of another file means nothing (RFC 9110 §8.8.3)."""
    await place.break_off()
    other = RemoteFile(CONTENT[::-1])
    place.serve(other, url="http://files.test/other")
    await place.get("http://files.test/other")
    assert other.asked == ["bytes=100-", ""]
    assert place.path.read_bytes() == CONTENT[::-1]


# -- statuses


@pytest.mark.parametrize("status", [204, 206, 302, 404, 503])
async def test_a_status_without_a_file(place: Place, status: int) -> None:
    """The error has what the server says; the file is as it was, and so is a part."""
    await place.break_off()
    place.path.write_bytes(b"old")
    answer = Answer(status) if status == 204 else Answer(status, text="because")
    place.serve(answer)
    with pytest.raises(ClientResponseError) as caught:
        await place.get(allow_redirects=False, resume=status != 206)
    assert caught.value.status == status
    assert caught.value.body == (b"because" if status >= 400 else None)
    assert place.path.read_bytes() == b"old"
    assert place.part.exists() == (status != 206)


# -- content codings


async def test_a_server_that_codes_although_it_should_not(place: Place) -> None:
    """The file is decoded; how large it is, is known in the end, and parts are of no use."""
    coded = gzip.compress(CONTENT)
    headers = {"ETag": '"1"', "Content-Encoding": "gzip", "Content-Length": str(len(coded))}
    broken = Answer(headers=headers, body=coded[:200], exception=ConnectionResetError)
    place.serve(broken, Answer(headers=headers, body=coded))
    with pytest.raises(ClientPayloadError):
        await place.get(attempts=1)
    assert place.names() == set()
    await place.get()
    assert place.path.read_bytes() == CONTENT
    assert place.steps[-1] == (SIZE, SIZE)
    assert None in {total for _, total in place.steps}


async def test_bytes_as_they_are_sent(place: Place) -> None:
    """Some servers call an archive coded that is meant to stay compressed."""
    coded = gzip.compress(os.urandom(1000))
    remote = RemoteFile(coded, headers={"Content-Encoding": "gzip"}, breaks=[300])
    place.serve(remote)
    await place.get(auto_decompress=False)
    assert place.path.read_bytes() == coded
    assert remote.asked == ["", "bytes=300-"]


# -- digest and size


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("algorithm", ["sha256", "MD5", "blake2b"])
async def test_a_digest(place: Place, algorithm: str, interrupted: bool) -> None:
    """It is that of the whole file, wherever its bytes come from."""
    place.serve(RemoteFile(breaks=[100] if interrupted else []))
    right = hashlib.new(algorithm, CONTENT, usedforsecurity=False).hexdigest()
    await place.get(digest=f"{algorithm}:{right.upper()}")
    assert place.path.read_bytes() == CONTENT


async def test_a_wrong_digest(place: Place) -> None:
    """What came is not kept, as there is nothing to go on with; the next download begins anew."""
    remote = await place.break_off()
    place.path.write_bytes(b"old")
    with place.part.open("r+b") as file:
        file.write(b"damage")
    right = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(DigestMismatchError, match=f"should be {right}") as caught:
        await place.get(digest=f"sha256:{right}")
    assert (caught.value.algorithm, caught.value.expected) == ("sha256", right)
    assert caught.value.got in str(caught.value)
    assert place.path.read_bytes() == b"old"
    assert place.names() == {"file.bin"}
    await place.get(digest=f"sha256:{right}")
    assert remote.asked == ["", "bytes=100-", ""]


@pytest.mark.parametrize("announced", [True, False])
async def test_more_bytes_than_are_wanted(place: Place, announced: bool) -> None:
    """Not one byte beyond the limit is written, and nothing is kept or asked for again."""
    place.serve(RemoteFile() if announced else Answer(body=[CONTENT[:600], CONTENT[600:]]))
    with pytest.raises(BodyTooLargeError, match=r"max_body_size \(1023 bytes\)"):
        await place.get(max_body_size=SIZE - 1)
    assert place.names() == set()
    assert len(place.mock.calls) == 1
    assert max(size for size, _ in [(0, None), *place.steps]) < SIZE
    await place.get(max_body_size=SIZE)


async def test_the_limit_is_that_of_the_whole_file(place: Place) -> None:
    """What an earlier download has left counts."""
    await place.break_off()
    with pytest.raises(BodyTooLargeError):
        await place.get(max_body_size=SIZE - 1)
    assert place.names() == set()


async def test_a_limit_of_the_session(place: Place) -> None:
    """It cannot be passed by asking for the rest, and that of the call overrides it."""
    place.serve(RemoteFile())
    async with ClientSession(connector=place.mock, max_body_size=500) as session:
        with pytest.raises(BodyTooLargeError):
            await download(session, FILE, place.path)
        assert len(place.mock.calls) == 1
        assert place.names() == set()
        await download(session, FILE, place.path, max_body_size=SIZE)


# -- what is at the path


async def test_a_file_is_replaced(place: Place) -> None:
    """It keeps its permissions, which the part has before it has a byte."""
    place.path.write_bytes(b"old")
    place.path.chmod(0o640)
    await place.break_off()
    assert stat.S_IMODE(place.part.stat().st_mode) == 0o640
    await place.get()
    assert place.path.read_bytes() == CONTENT
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o640


async def test_a_file_that_may_not_be_written_to(place: Place) -> None:
    """A later download writes to the part all the same."""
    place.path.write_bytes(b"old")
    place.path.chmod(0o440)
    await place.break_off()
    assert stat.S_IMODE(place.part.stat().st_mode) == 0o640
    await place.get()
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o440


async def test_a_new_file_has_the_usual_permissions(place: Place) -> None:
    """Those that the umask leaves."""
    place.serve(RemoteFile())
    before = os.umask(0o027)
    try:
        await place.get()
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o640


async def test_a_file_that_must_stay(place: Place) -> None:
    """It is seen before a request is made, and also if it appears meanwhile."""
    place.serve(RemoteFile())
    place.path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        await place.get(overwrite=False)
    assert place.mock.calls == []
    place.path.unlink()

    async with ClientSession(connector=place.mock) as session:
        with pytest.raises(FileExistsError):
            await download(
                session, FILE, place.path, overwrite=False,
                progress=lambda *_: place.path.write_bytes(b"mine"),
            )  # fmt: skip
    assert place.path.read_bytes() == b"mine"
    assert place.part.read_bytes() == CONTENT  # whoever moves the file away can go on


@pytest.mark.parametrize("target", ["there", "not there"])
async def test_a_symbolic_link(place: Place, target: str) -> None:
    """It stays, and what it points to is replaced."""
    elsewhere = place.path.parent / "elsewhere"
    elsewhere.mkdir()
    if target == "there":
        (elsewhere / "real").write_bytes(b"old")
    place.path.symlink_to(elsewhere / "real")
    place.serve(RemoteFile())
    result = await place.get()
    assert place.path.is_symlink()
    assert result.path == (elsewhere / "real").resolve()
    assert os.listdir(elsewhere) == ["real"]
    assert place.path.read_bytes() == CONTENT


async def test_a_symbolic_link_of_somebody_else(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux may refuse to follow it, in a directory for all (``fs.protected_symlinks``)."""
    target = place.path.with_name("precious")
    place.path.symlink_to(target)
    follow = os.stat

    def refuse(path: Any, **options: Any) -> os.stat_result:
        if path == str(place.path) and options.get("follow_symlinks", True):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return follow(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        with pytest.raises(PermissionError):
            await place.get()
    assert place.names() == {"file.bin"}
    assert place.path.is_symlink()
    assert place.mock.calls == []


def _directory(place: Place) -> None:
    place.path.mkdir()


def _pipe(place: Place) -> None:
    os.mkfifo(place.path)


def _bound_socket(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.path.relpath(place.path))


def _no_directory(place: Place) -> None:
    place.path = place.path / "below" / "file.bin"


def _file_as_directory(place: Place) -> None:
    place.path.write_bytes(b"")
    place.path = place.path / "file.bin"


def _other_part(place: Place) -> None:
    place.part.write_bytes(b"a file of the user's own")


def _part_with_another_name(place: Place) -> None:
    place.part.write_bytes(b"")
    os.link(place.part, place.path.with_name("other"))


def _part_that_is_a_link(place: Place) -> None:
    place.part.symlink_to(place.path.with_name("other"))


def _part_that_is_a_pipe(place: Place) -> None:
    os.mkfifo(place.part)


def _foreign_notes(place: Place) -> None:
    place.part.write_bytes(b"a file of the user's own")
    place.notes.write_bytes(b"x" * 10_000)


def _notes_that_are_a_link(place: Place) -> None:
    place.part.write_bytes(b"a file of the user's own")
    place.notes.symlink_to(place.path)


def _notes_that_are_a_pipe(place: Place) -> None:
    place.part.write_bytes(b"a file of the user's own")
    os.mkfifo(place.notes)


@pytest.mark.parametrize(
    ("occupy", "error"),
    [
        (_directory, IsADirectoryError),
        (_pipe, FileExistsError),
        (_bound_socket, FileExistsError),
        (_no_directory, FileNotFoundError),
        (_file_as_directory, NotADirectoryError),
        (_other_part, FileExistsError),
        (_part_with_another_name, FileExistsError),
        (_part_that_is_a_link, OSError),
        (_part_that_is_a_pipe, FileExistsError),
        (_foreign_notes, FileExistsError),
        (_notes_that_are_a_link, FileExistsError),
        (_notes_that_are_a_pipe, FileExistsError),
    ],
)
async def test_a_place_that_cannot_be_used(
    place: Place,
    occupy: Callable[[Place], None],
    error: type[OSError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is refused before a request is made, and nothing there is touched."""
    monkeypatch.chdir(place.path.parent)  # names of sockets are short
    occupy(place)
    before = sorted(place.part.parent.iterdir())
    with pytest.raises(error) as caught:
        await place.get()
    assert str(place.part.parent) in str(caught.value)
    assert sorted(place.part.parent.iterdir()) == before
    assert place.mock.calls == []
    if place.part.is_file() and place.part.stat().st_size:
        assert place.part.read_bytes() == b"a file of the user's own"


async def test_notes_without_a_part(place: Place) -> None:
    """A program that is killed between two steps leaves them; they say nothing."""
    remote = await place.break_off()
    place.part.unlink()
    await place.get()
    assert remote.asked == ["", ""]
    assert place.names() == {"file.bin"}


async def test_two_downloads_to_one_path(place: Place) -> None:
    """The second is refused, and takes nothing away from the first."""
    remote = RemoteFile()
    place.serve(remote)

    async def progress(received: int, total: int | None) -> None:
        if received == 0:
            with pytest.raises(DownloadError, match=re.escape(str(place.part))) as caught:
                await place.get()
            assert caught.value.path == str(place.part.resolve())

    async with ClientSession(connector=place.mock, connector_owner=False) as session:
        await download(session, FILE, place.path, progress=progress)
    assert remote.asked == [""]
    assert place.path.read_bytes() == CONTENT
    await place.get()


@pytest.mark.parametrize("replaced", [True, False])
async def test_a_part_that_is_moved_while_it_is_opened(
    place: Place, replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock is of no use then: what would be written to is a file of somebody else."""
    place.serve(RemoteFile())
    fcntl = pytest.importorskip("fcntl")
    real = fcntl.flock
    moved = place.path.with_name("moved")

    def flock(descriptor: int, operation: int) -> None:
        if not moved.exists():
            place.part.rename(moved)
            if replaced:
                place.part.touch()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    await place.get()
    assert moved.read_bytes() == b""
    assert place.path.read_bytes() == CONTENT


async def test_a_file_system_without_locks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download does without."""
    place.serve(RemoteFile())
    fcntl = pytest.importorskip("fcntl")

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    await place.get()
    assert place.path.read_bytes() == CONTENT


async def test_a_disk_that_is_full(place: Place) -> None:
    """The error of the operating system comes out, and what was written stays."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    place.serve(RemoteFile(bytes(100_000)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            await place.get()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert place.part.stat().st_size == 50_000
    result = await place.get()
    assert (result.resumed_from, result.size) == (50_000, 100_000)


# -- interruptions


@pytest.mark.parametrize(
    "error",
    [
        LookupError("no bar"),
        ClientConnectionResetError("no bar"),
        ClientResponseError(INFO, (), status=416, message="no bar"),
    ],
)
async def test_a_callback_that_raises(place: Place, error: Exception) -> None:
    """Its exception comes out, and the next download goes on.

    No other request is made, even if it could be taken for a failure of this one.
    """
    remote = await place.break_off()

    def progress(received: int, total: int | None) -> None:
        if received == SIZE:
            raise error

    async with ClientSession(connector=place.mock, connector_owner=False) as session:
        with pytest.raises(type(error), match="no bar"):
            await download(session, FILE, place.path, progress=progress, backoff=0)
    assert remote.asked == ["", "bytes=100-"]
    assert place.part.read_bytes() == CONTENT
    assert (await place.get()).resumed_from == SIZE


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="there is no /proc")


def open_files(directory: Path) -> list[str]:
    """Return the files of *directory* that this process has open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:  # closed meanwhile
            continue
    return [path for path in found if path.startswith(str(directory.resolve()))]


@needs_proc
@pytest.mark.parametrize("how", ["scope", "native"])
@pytest.mark.uvloop
async def test_it_can_be_cancelled_everywhere(place: Place, how: How) -> None:
    """No file is open then, none is half of what it should be, and what was written is not lost."""
    digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    place.path.write_bytes(b"old")
    remote = RemoteFile()
    place.serve(remote)
    longest = 0

    async def operation() -> None:
        remote.breaks[:] = [300]
        await place.get(digest=digest)

    async def after() -> None:
        nonlocal longest
        await until(lambda: not open_files(place.path.parent), "closed files")
        content = place.path.read_bytes()
        assert content in (b"old", CONTENT)
        if place.part.exists():
            left = place.part.read_bytes()
            assert left == CONTENT[: len(left)]
            assert json.loads(place.notes.read_bytes())["validator"] == '"1"'
            longest = max(longest, len(left))
        else:
            assert place.names() == {"file.bin"}
            assert content == CONTENT or longest == 0
        if content == CONTENT:
            place.path.write_bytes(b"old")
            longest = 0

    assert await cancel_at_every_checkpoint(operation, after=after, how=how) > 10
    assert place.names() == {"file.bin"}


@needs_proc
@pytest.mark.once
async def test_a_coroutine_that_is_closed(place: Place) -> None:
    """It cannot await anything, and leaves no file open all the same."""
    place.serve(RemoteFile())
    async with ClientSession(connector=place.mock) as session:
        operation = download(session, FILE, place.path)
        operation.send(None)
        operation.close()
    await until(lambda: not open_files(place.path.parent), "closed files")
    assert "file.bin" not in place.names()


# -- arguments


def test_the_options_are_those_of_a_request() -> None:
    """But for those that describe a body, and those that a download has itself."""
    own = {"max_body_size", "raise_for_status"}
    of_body = {"data", "json", "compress", "chunked", "expect100", "upload_tracker"}
    others = {"read_until_eof", "version"}
    old = OldOptions.__optional_keys__
    expected = RequestOptions.__optional_keys__ - own - of_body - others - old
    assert DownloadOptions.__optional_keys__ == expected


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"digest": "sha256"}, ValueError, "digest must have 64 hexadecimal digits after"),
        ({"digest": "sha256:xyz"}, ValueError, "digest must have 64 hexadecimal"),
        ({"digest": f"sha256:{'g' * 64}"}, ValueError, "digest must have 64 hexadecimal"),
        ({"digest": "crc32:00000000"}, ValueError, "digest must begin with the name of an algor"),
        ({"digest": "shake_128:00"}, ValueError, "digest must begin with the name"),
        ({"digest": "0" * 64}, ValueError, "digest must begin with the name"),
        ({"digest": b"sha256:"}, TypeError, "digest must be a str"),
        ({"digest": "\ud800:00"}, ValueError, "digest must begin with the name of an algorithm"),
        ({"attempts": 0}, ValueError, "attempts must be at least 1"),
        ({"attempts": "3"}, TypeError, "attempts must be an int"),
        ({"backoff": -1}, ValueError, "backoff must not be negative"),
        ({"backoff": None}, TypeError, "backoff must be a number of seconds"),
        ({"max_body_size": 0}, ValueError, "max_body_size must be at least 1"),
        ({"resume": "no"}, TypeError, "resume must be a bool"),
        ({"overwrite": None}, TypeError, "overwrite must be a bool"),
        ({"progress": 1}, TypeError, "progress must be a callable"),
        ({"headers": {"range": "bytes=0-1"}}, ValueError, "headers must not hold range"),
        ({"headers": [("Accept-Encoding", "br")]}, ValueError, "not hold Accept-Encoding"),
        ({"headers": {"X": "a\r\nb"}}, ValueError, "control character"),
        ({"data": b""}, TypeError, "'data'"),
        ({"raise_for_status": False}, TypeError, "'raise_for_status'"),
        ({"path": ""}, ValueError, "path must be that of a file"),
        ({"path": "directory/"}, ValueError, "path must be that of a file, got 'directory/'"),
        ({"path": "a\0b"}, ValueError, "path must be that of a file"),
        ({"path": b"file"}, TypeError, "path must be a str or a path, not bytes"),
        ({"session": None}, TypeError, "session must be an anyhttp.ClientSession"),
    ],
)
async def test_arguments_are_checked(
    place: Place, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The message names the argument, before anything is opened or sent."""
    place.serve(RemoteFile())
    async with ClientSession(connector=place.mock) as session:
        given: dict[str, Any] = {"session": session, "url": FILE, "path": place.path, **options}
        with pytest.raises(error, match=message):
            await download(**given)
    assert (place.names(), place.mock.calls) == (set(), [])
