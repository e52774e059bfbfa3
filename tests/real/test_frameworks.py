"""Against the parsers of real web frameworks: Starlette's and Flask's, served by hypercorn."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from anyhttp import (
    BasicAuth,
    ClientResponseError,
    ClientSession,
    CookieJar,
    FormData,
    MultipartWriter,
    TCPConnector,
)

ROOT = Path(__file__).parent.parent.parent
NEEDS = {
    "starlette": ("hypercorn", "starlette", "python_multipart"),
    "flask": ("hypercorn", "flask"),
}


def framework(name: str) -> Any:
    """Return a parameter that is skipped, with a word, where something is not installed."""
    missing = [package for package in NEEDS[name] if importlib.util.find_spec(package) is None]
    reason = f"{', '.join(missing)} not installed"
    return pytest.param(name, marks=[pytest.mark.skip(reason=reason)] if missing else [])


@pytest.fixture(scope="module", params=[framework("starlette"), framework("flask")])
def site(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an application of that framework, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The socket listens before the server starts: whoever connects waits for it.
        number = listener.fileno()
        port: int = listener.getsockname()[1]
        app = f"tests.support.{request.param}_app:app"
        process = subprocess.Popen(
            [sys.executable, "-m", "hypercorn", "--bind", f"fd://{number}", app],
            cwd=ROOT,
            pass_fds=[number],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
async def session(site: str, http1: str) -> AsyncIterator[ClientSession]:
    """A session whose relative URLs are those of the application."""
    connector = TCPConnector(http1=http1)
    async with ClientSession(
        site, connector=connector, cookie_jar=CookieJar(unsafe=True), raise_for_status=True
    ) as session:
        yield session


def sha256(data: bytes) -> str:
    """Return the digest that the applications tell."""
    return hashlib.sha256(data).hexdigest()


class Sent:
    """What an application says that it was sent."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.fields = [tuple(field) for field in answer["fields"]]
        self.files = [tuple(file) for file in answer["files"]]


async def send(session: ClientSession, data: object) -> Sent:
    """Send a form."""
    async with session.post("form", data=data) as response:
        return Sent(await response.json())


# -- forms -----------------------------------------------------------------------------

AWKWARD = [
    ("plain", "value"),
    ("empty", ""),
    ("two words", "a b"),
    ("signs", "a+b&c=d%20;e?f#g"),
    ("grüße", "grüße \N{SNOWMAN} \N{GRINNING FACE}"),
    ("lines", "a\r\nb\nc"),
    ("several", "1"),
    ("several", "2"),
    ('quo"ted', "'\"\\"),
]


async def test_an_urlencoded_form(session: ClientSession) -> None:
    """Every character arrives, in the order given; names may be repeated."""
    assert (await send(session, FormData(AWKWARD))).fields == AWKWARD


async def test_a_mapping_is_a_form(session: ClientSession) -> None:
    """Values that are sequences are repeated."""
    sent = await send(session, {"a": "1", "b": ["2", "3"], "c": 4})
    assert sent.fields == [("a", "1"), ("b", "2"), ("b", "3"), ("c", "4")]


async def test_the_same_fields_as_a_multipart(session: ClientSession) -> None:
    """RFC 7578: names that are not ASCII are sent in UTF-8, as browsers do."""
    form = FormData(AWKWARD, quote_fields=False, default_to_multipart=True)
    sent = await send(session, form)
    assert sent.fields == AWKWARD
    assert not sent.files


async def test_files(session: ClientSession, tmp_path: Path) -> None:
    """Name, type and every byte; line ends, zeros and what looks like a boundary included."""
    data = bytes(range(256)) * 100 + b"\r\n--boundary--\r\n--\r\n"
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    form = FormData()
    form.add_field("text", "beside it")
    form.add_field("guessed", path.open("rb"))
    form.add_field("told", data, filename="a.bin", content_type="application/x-thing")
    form.add_field("empty", b"", filename="nothing.txt")
    form.add_field("memory", io.BytesIO(data), filename="b.txt")
    sent = await send(session, form)
    assert sent.fields == [("text", "beside it")]
    assert sent.files == [
        ("guessed", "picture.png", "image/png", sha256(data)),
        ("told", "a.bin", "application/x-thing", sha256(data)),
        ("empty", "nothing.txt", "application/octet-stream", sha256(b"")),
        ("memory", "b.txt", "application/octet-stream", sha256(data)),
    ]


async def test_a_mapping_with_a_file_is_a_multipart(session: ClientSession, tmp_path: Path) -> None:
    """The field is named by the key, and the file by its path."""
    path = tmp_path / "report.txt"
    path.write_bytes(b"report")
    with path.open("rb") as file:
        sent = await send(session, {"field": "value", "file": file})
    assert sent.fields == [("field", "value")]
    assert sent.files == [("file", "report.txt", "text/plain", sha256(b"report"))]


async def test_several_files_of_one_name(session: ClientSession) -> None:
    """They stay several, in order."""
    form = FormData()
    for number in range(5):
        form.add_field("file", b"%d" % number, filename=f"{number}.txt")
    sent = await send(session, form)
    assert [(name, filename) for name, filename, _, _ in sent.files] == [
        ("file", f"{number}.txt") for number in range(5)
    ]
    assert [digest for *_, digest in sent.files] == [sha256(b"%d" % n) for n in range(5)]


@pytest.mark.parametrize("name", ["grüße.txt", "\N{SNOWMAN}.txt", "a b;c.txt", "100%.txt"])
async def test_file_names_in_utf_8(session: ClientSession, name: str) -> None:
    """With ``quote_fields=False`` they arrive as they are, as those of browsers do."""
    form = FormData(quote_fields=False)
    form.add_field("file", b"x", filename=name, content_type="text/plain")
    assert (await send(session, form)).files == [("file", name, "text/plain", sha256(b"x"))]


async def test_file_names_percent_encoded(session: ClientSession) -> None:
    """By default they arrive percent-encoded, which no parser undoes."""
    form = FormData()
    form.add_field("file", b"x", filename="grüße.txt", content_type="text/plain")
    sent = await send(session, form)
    assert sent.files == [("file", "gr%C3%BC%C3%9Fe.txt", "text/plain", sha256(b"x"))]


INJECTIONS = (
    'x"; name="admin',
    'x\\"; name="admin',
    "x\\",
    'x"; filename="evil.sh',
    'x\\\\"; filename="evil.sh',
    "x; name=admin",
    "x%22; name=%22admin",
    "x'; filename*=utf-8''evil.sh",
)


@pytest.mark.parametrize("quote", [True, False])
@pytest.mark.parametrize("text", INJECTIONS)
async def test_no_name_can_add_parameters(session: ClientSession, text: str, quote: bool) -> None:
    """CVE-2026-34514: quotes and backslashes in one stay in it, as real parsers see it."""
    form = FormData(quote_fields=quote, default_to_multipart=True)
    form.add_field(text, "value")
    form.add_field("file", b"x", filename=text, content_type="text/plain")
    sent = await send(session, form)
    ((name, value),) = sent.fields
    ((field, filename, kind, _),) = sent.files
    assert (value, field, kind) == ("value", "file", "text/plain")
    assert name not in {"admin", "file"}
    assert filename not in {"evil.sh", "admin"}


async def test_a_large_file_beside_a_stream(session: ClientSession, tmp_path: Path) -> None:
    """Neither of them is held in memory, and their lengths need not be known."""
    data = bytes(range(251)) * 8000
    path = tmp_path / "large.bin"
    path.write_bytes(data)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 100_000):
            yield data[start : start + 100_000]

    form = FormData()
    form.add_field("file", path.open("rb"))
    form.add_field("stream", pieces(), filename="stream.bin")
    sent = await send(session, form)
    assert [digest for *_, digest in sent.files] == [sha256(data)] * 2


async def test_a_form_made_by_hand(session: ClientSession) -> None:
    """With ``MultipartWriter``, whose parts say what they are by themselves."""
    with MultipartWriter("form-data") as writer:
        writer.append("value").set_content_disposition("form-data", name="field")
        part = writer.append(b"bytes", {"Content-Type": "image/gif"})
        part.set_content_disposition("form-data", name="file", filename="a.gif")
        part = writer.append_json({"a": 1})
        part.set_content_disposition("form-data", name="json", filename="a.json")
    sent = await send(session, writer)
    assert sent.fields == [("field", "value")]
    assert [(name, filename, kind) for name, filename, kind, _ in sent.files] == [
        ("file", "a.gif", "image/gif"),
        ("json", "a.json", "application/json"),
    ]


async def test_a_form_can_be_sent_again(session: ClientSession, tmp_path: Path) -> None:
    """Files from where they stood; also when a redirect keeps the method."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"skipped rest")
    with path.open("rb") as file:
        file.seek(8)
        form = FormData(quote_fields=False)
        form.add_field("file", io.BytesIO(b"whole"), filename="b.txt")
        form.add_field("field", "value")
        first, second = [await send(session, form) for _ in range(2)]
        assert first.files == second.files
        assert first.fields == second.fields == [("field", "value")]
        async with session.post("moved/307", data=file) as response:
            answer = await response.json()
    assert (answer["method"], answer["sha256"]) == ("POST", sha256(b"rest"))


# -- bodies and queries ----------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_bodies(session: ClientSession, method: str) -> None:
    """Text, bytes, JSON, with a length and in chunks, also after a 100."""
    data = bytes(range(256)) * 1000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]

    options: list[tuple[dict[str, Any], str, bytes]] = [
        ({"data": data}, "application/octet-stream", data),
        ({"data": pieces()}, "application/octet-stream", data),
        ({"data": data, "chunked": True}, "application/octet-stream", data),
        ({"data": data, "expect100": True}, "application/octet-stream", data),
        ({"data": io.BytesIO(data)}, "application/octet-stream", data),
        ({"data": "grüße"}, "text/plain; charset=utf-8", "grüße".encode()),
        ({"json": {"a": [1]}}, "application/json", b'{"a": [1]}'),
    ]
    for option, kind, body in options:
        async with session.request(method, "echo", **option) as response:
            answer = await response.json()
        assert answer["method"] == method
        assert answer["type"] == kind
        assert (answer["length"], answer["sha256"]) == (len(body), sha256(body))


async def test_queries(session: ClientSession) -> None:
    """Every character arrives, beside what the URL had already."""
    params = [pair for pair in AWKWARD if pair[0] != "lines"]
    async with session.get("echo?own=1", params=params) as response:
        answer = await response.json()
    assert [tuple(pair) for pair in answer["query"]] == [("own", "1"), *params]


async def test_a_streamed_answer(session: ClientSession) -> None:
    """Line by line, as it comes; then the connection is good for more."""
    async with session.get("lines") as response:
        lines = [line async for line in response.content]
    assert lines == [b"%d\n" % number for number in range(1000)]
    async with session.head("lines") as response:
        assert (response.status, await response.read()) == (200, b"")


# -- cookies, redirects, credentials ---------------------------------------------------


async def test_cookies_come_back_as_they_were_set(session: ClientSession) -> None:
    """However the framework quotes them: values go back octet for octet."""
    values = {"plain": "1", "quoted": "a b", "signs": 'a,b;c"d\\', "text": "grüße"}
    async with session.get("cookies/set", params=values) as response:
        assert await response.json() == values
        assert len(response.history) == 1
    async with session.get("cookies") as response:
        assert await response.json() == values


async def test_cookies_of_the_application(session: ClientSession) -> None:
    """They are quoted where they need it, and the framework takes the quotes away."""
    values = {"plain": "1", "quoted": "a b", "signs": "a,b;c"}
    async with session.get("cookies", cookies={**values, "more": "2"}) as response:
        assert await response.json() == {**values, "more": "2"}
    async with session.get("cookies") as response:
        assert await response.json() == {}


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
        (301, "DELETE", "DELETE"),
    ],
)
async def test_redirects(session: ClientSession, status: int, method: str, becomes: str) -> None:
    """RFC 9110 §15.4: who is asked for the rest, and how, and with which body."""
    async with session.request(method, f"moved/{status}", data=b"body") as response:
        answer = await response.json()
    assert (answer["path"], answer["method"]) == ("/echo", becomes)
    assert answer["length"] == (0 if becomes == "GET" else 4)
    assert [past.status for past in response.history] == [status]


async def test_basic_credentials(session: ClientSession, site: str) -> None:
    """RFC 7617: in UTF-8 if asked for; as an argument or in the URL."""
    with pytest.raises(ClientResponseError) as caught:
        await session.get("user")
    assert caught.value.status == 401
    async with session.get("user", auth=BasicAuth("grüße", "a:b c", "utf-8")) as response:
        assert await response.json() == ["grüße", "a:b c"]
    async with session.get(site.replace("//", "//user:p%40ss@") + "user") as response:
        assert await response.json() == ["user", "p@ss"]


async def test_one_connection_serves_all(session: ClientSession) -> None:
    """Bodies were read to their ends by both sides, so it is kept."""
    for _ in range(10):
        await send(session, FormData(AWKWARD, quote_fields=False, default_to_multipart=True))
    assert session.connector is not None
    assert session.connector.statistics().idle == 1
