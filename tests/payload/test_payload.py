from __future__ import annotations

import configparser
import gzip
import io
import mmap
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO, Any

import anyio
import pytest

from anyhttp import FormData, hdrs, payload
from anyhttp._headers import part_headers
from anyhttp.client_exceptions import ClientPayloadError
from anyhttp.payload import (
    PAYLOAD_REGISTRY,
    READ_SIZE,
    AsyncIterablePayload,
    BufferedReaderPayload,
    BytesIOPayload,
    BytesPayload,
    IOBasePayload,
    JsonBytesPayload,
    JsonPayload,
    Order,
    Payload,
    PayloadRegistry,
    StreamerPayload,
    StreamReaderPayload,
    StringIOPayload,
    StringPayload,
    TextIOPayload,
    Writer,
    file_name,
    get_payload,
    payload_type,
    streamer,
)
from anyhttp.streams import StreamReader
from tests.support.collector import Collector
from tests.support.requests import pieces


async def written(body: Payload, limit: int | None = None) -> bytes:
    """Write *body* and return what it wrote."""
    collector = Collector()
    await body.write_with_length(collector, limit)
    return collector.data


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of twelve bytes."""
    path = tmp_path / "thing.txt"
    path.write_bytes(b"hello world!")
    return path


# -- bodies in memory


@pytest.mark.parametrize(
    ("body", "data", "content_type"),
    [
        (BytesPayload(b"ab"), b"ab", "application/octet-stream"),
        (BytesPayload(bytearray(b"ab")), b"ab", "application/octet-stream"),
        (BytesPayload(memoryview(b"ab")), b"ab", "application/octet-stream"),
        (BytesPayload(b"ab", content_type="a/b"), b"ab", "a/b"),
        (StringPayload("ä"), "ä".encode(), "text/plain; charset=utf-8"),
        (StringPayload("ä", encoding="latin1"), b"\xe4", "text/plain; charset=latin1"),
        (StringPayload("ä", content_type="a/b"), "ä".encode(), "a/b"),
        (
            StringPayload("ä", content_type='a/b; x=y; Charset="latin1"'),
            b"\xe4",
            'a/b; x=y; Charset="latin1"',
        ),
        (JsonPayload({"a": 1}), b'{"a": 1}', "application/json"),
        (JsonPayload("ä", "latin1", "a/b", lambda value: value), b"\xe4", "a/b"),
        (
            JsonBytesPayload([1], lambda _: b"[1]"),
            b"[1]",
            "application/json",
        ),
    ],
)
async def test_a_body_in_memory(body: Payload, data: bytes, content_type: str) -> None:
    """Text is encoded as its content type says, else as UTF-8; its type names the charset."""
    assert body.content_type == body.headers[hdrs.CONTENT_TYPE] == content_type
    assert body.size == len(data)
    assert body.in_memory() == data
    assert body.autoclose
    for _ in range(2):
        assert not body.consumed
        assert await written(body) == data
        assert await body.as_bytes() == data
    assert await written(body, 1) == data[:1]
    await body.close()
    assert await written(body) == data


async def test_a_subclass_says_what_is_written() -> None:
    """write() is all that a payload of one's own needs; how much goes out is seen to."""

    class Greeting(Payload):
        async def write(self, writer: Writer) -> None:
            await writer.write(b"hello ")
            await writer.write(b"world!")

    body = Greeting("world")
    assert await body.as_bytes() == b"hello world!"
    assert await written(body) == b"hello world!"
    assert await written(body, 8) == b"hello wo"
    assert body.size is None
    assert body.autoclose
    await body.close()


async def test_a_subclass_may_write_what_it_likes() -> None:
    """Also one of bytes, which would otherwise be sent without asking it to write them."""

    class Shouting(StringPayload):
        async def write_with_length(self, writer: Writer, content_length: int | None) -> None:
            await writer.write(self._data.upper()[:content_length])

    class Quiet(Shouting):
        """Inherits that."""

    for body in (Shouting("text"), Quiet("text")):
        assert body.in_memory() is None
        assert body.size == 4
        assert await written(body, 3) == b"TEX"
        assert await body.as_bytes() == b"TEXT"
        assert body.decode() == "text"


def test_a_subclass_needs_to_say_what_is_written() -> None:
    """Without a write() there is nothing to send."""
    with pytest.raises(TypeError, match="abstract"):
        Payload("nothing")  # type: ignore[abstract]  # that is the mistake


def test_a_body_in_memory_is_decoded() -> None:
    """decode() goes by the charset of the body, then by the one given."""
    assert BytesPayload("ä".encode()).decode() == "ä"
    assert BytesPayload(b"\xe4").decode("latin1") == "ä"
    assert BytesPayload(b"\xe4").decode(errors="replace") == "\ufffd"
    assert StringPayload("ä", encoding="latin1").decode() == "ä"


def test_string_io_is_sent_from_where_it_stands() -> None:
    """What has been read of a StringIO is not sent."""
    text = io.StringIO("abc")
    text.read(1)
    body = get_payload(text)
    assert isinstance(body, StringIOPayload)
    assert body.in_memory() == b"bc"


async def test_a_large_body_is_written_in_pieces() -> None:
    """One write of everything would keep others from the connection."""
    with pytest.warns(ResourceWarning, match="large body"):
        body = BytesPayload(bytes(payload.TOO_LARGE_BYTES + 1))
    collector = Collector()
    await body.write(collector)
    assert len(collector.data) == payload.TOO_LARGE_BYTES + 1
    assert {len(piece) for piece in collector.pieces} == {payload.READ_SIZE, 1}


def test_only_bytes_are_bytes() -> None:
    """A mistaken type is told at once, not when the body is sent."""
    with pytest.raises(TypeError, match="not str"):
        BytesPayload("text")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match="not list"):
        AsyncIterablePayload([b""])  # type: ignore[arg-type]  # what is tested


# -- headers


def test_what_describes_a_body() -> None:
    """Headers given win over the content type, and that over a guess from the file name."""
    assert BytesPayload(b"", filename="a.html").content_type == "text/html"
    assert BytesPayload(b"", filename="a.unknown").content_type == "application/octet-stream"
    assert BytesPayload(b"", filename="a.html", content_type="a/b").content_type == "a/b"
    body = BytesPayload(b"", {"content-type": "c/d", "X": "y"}, "a/b", "a.html", "latin1")
    assert body.content_type == "c/d"
    assert body.headers["x"] == "y"
    assert (body.filename, body.encoding) == ("a.html", "latin1")


def test_content_disposition() -> None:
    """RFC 6266: set_content_disposition() replaces the header."""
    body = BytesPayload(b"")
    body.set_content_disposition("attachment", filename="ä.txt")
    assert body.headers[hdrs.CONTENT_DISPOSITION] == 'attachment; filename="%C3%A4.txt"'
    body.set_content_disposition("form-data", False, name="n", filename="ä.txt")
    assert body.headers.getall(hdrs.CONTENT_DISPOSITION) == [
        'form-data; name="n"; filename="ä.txt"'
    ]
    with pytest.raises(ValueError, match="control character"):
        body.set_content_disposition("form-data", name="a\r\nb")


def test_headers_of_a_part() -> None:
    """RFC 2046 §5.1: the headers of a part, in UTF-8, and an empty line."""
    body = BytesPayload(b"", {"X": "ä\t"})
    assert part_headers(body.headers) == (
        "Content-Type: application/octet-stream\r\nX: ä\t\r\n\r\n".encode()
    )


@pytest.mark.parametrize(
    ("name", "value"), [("X\r\nY", "z"), ("X Y", "z"), ("", "z"), ("X", "y\r\nz"), ("X", "\0")]
)
def test_headers_of_a_part_cannot_be_split(name: str, value: str) -> None:
    """CVE-2026-84379: what could start another header is refused."""
    body = BytesPayload(b"")
    body.headers[name] = value
    with pytest.raises(ValueError, match="headers of a part"):
        part_headers(body.headers)


def test_only_files_describe_themselves_as_parts(path: Path) -> None:
    """A file in a multipart has its name in a header; other bodies only what is asked for."""
    plain = BytesPayload(b"", filename="a.txt")
    plain.describe_as_part()
    assert hdrs.CONTENT_DISPOSITION not in plain.headers
    plain.describe_as_part("form-data", "n")
    plain.describe_as_part("form-data", "second")
    assert plain.headers[hdrs.CONTENT_DISPOSITION] == 'form-data; name="n"'
    with path.open("rb") as file:
        part = IOBasePayload(file, "inline")
        assert hdrs.CONTENT_DISPOSITION not in part.headers
        part.describe_as_part()
        assert part.headers[hdrs.CONTENT_DISPOSITION] == 'inline; filename="thing.txt"'
        part = BufferedReaderPayload(file)
        part.describe_as_part("form-data", "n")
        assert part.headers[hdrs.CONTENT_DISPOSITION] == (
            'form-data; name="n"; filename="thing.txt"'
        )


# -- files


def opened(path: Path, kind: str) -> IO[Any]:
    """Open *path* so that another payload class sends it."""
    if kind == "memory":
        return io.BytesIO(path.read_bytes())
    if kind == "raw":
        return path.open("rb", buffering=0)
    return path.open({"reader": "rb", "random": "r+b", "text": "r"}[kind])


FILES = {
    "memory": BytesIOPayload,
    "raw": IOBasePayload,
    "reader": BufferedReaderPayload,
    "random": BufferedReaderPayload,
    "text": TextIOPayload,
}


async def test_members_of_an_archive_that_is_a_stream(path: Path) -> None:
    """Those of ``tarfile``'s mode ``r|`` cannot be rewound, and fail when they are asked."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as writer:
        writer.add(path, "thing.txt")
    archive.seek(0)
    with tarfile.open(fileobj=archive, mode="r|") as reader:
        for member in reader:
            body = get_payload(reader.extractfile(member))
            assert body.size == 12
            assert await written(body) == b"hello world!"
            assert body.consumed


def _member_of_tar(data: bytes) -> Any:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as writer:
        info = tarfile.TarInfo("a.txt")
        info.size = len(data)
        writer.addfile(info, io.BytesIO(data))
    archive.seek(0)
    return tarfile.open(fileobj=archive).extractfile("a.txt")


def _member_of_zip(data: bytes) -> Any:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("a.txt", data)
    return zipfile.ZipFile(archive).open("a.txt")


def _filled(file: Any, data: Any) -> Any:
    file.write(data)
    file.seek(0)
    return file


def _temporary(
    data: Any, make: Callable[..., Any] = tempfile.NamedTemporaryFile, *args: Any
) -> Any:
    return _filled(make(*args), data)


def _mapped(data: bytes) -> Any:
    return _filled(mmap.mmap(-1, len(data)), data)


class Duck:
    """A file by its method read() alone."""

    def __init__(self, data: bytes) -> None:
        self._content = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        """Read."""
        return self._content.read(size)


class SeekableDuck(Duck):
    """One that can be rewound too, and is closed."""

    closed = False

    def seek(self, to: int, whence: int = 0) -> None:
        """Seek."""
        self._content.seek(to, whence)

    def tell(self) -> int:
        """Tell."""
        return self._content.tell()

    def close(self) -> None:
        """Close."""
        self.closed = True


class SimpleDuck(SeekableDuck):
    """One that counts from the beginning only."""

    def seek(self, to: int, whence: int = 0) -> None:
        """Seek."""
        self._content.seek(to)


class StubbornDuck(SeekableDuck):
    """One that takes no second argument."""

    def seek(self, to: int) -> None:  # type: ignore[override]  # that is the difference
        """Seek."""
        self._content.seek(to)


class VagueDuck(SeekableDuck):
    """One that knows where it stands at its beginning only."""

    def tell(self) -> Any:
        """Tell."""
        return None if super().tell() else 0


#: Files, and whether their length is known from the start.
OTHER_FILES: dict[str, tuple[Callable[[bytes], Any], bool]] = {
    "named temporary": (lambda data: _temporary(data), True),
    "spooled temporary": (lambda data: _temporary(data, tempfile.SpooledTemporaryFile), True),
    "spooled to the disk": (lambda data: _temporary(data, tempfile.SpooledTemporaryFile, 1), True),
    "temporary text": (lambda data: _temporary("12345", tempfile.NamedTemporaryFile, "w+"), False),
    "spooled text": (
        lambda data: _temporary("12345", tempfile.SpooledTemporaryFile, 0, "w+"),
        False,
    ),
    "mapped memory": (_mapped, True),
    "member of tar": (_member_of_tar, True),
    "member of zip": (_member_of_zip, True),
    "gzip": (lambda data: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(data))), False),
    "gzip, buffered": (
        lambda data: io.BufferedReader(gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(data)))),
        False,
    ),
    "read()": (Duck, False),
    "read(), seek()": (SeekableDuck, True),
    "read(), simple seek()": (SimpleDuck, False),
    "read(), stubborn seek()": (StubbornDuck, False),
    "read(), vague tell()": (VagueDuck, False),
}


@pytest.mark.parametrize("kind", OTHER_FILES)
async def test_anything_with_a_read_is_a_file(kind: str) -> None:
    """Whatever its class: it is read piece by piece, and its length is announced if known."""
    make, is_sized = OTHER_FILES[kind]
    body = get_payload(make(b"12345"))
    assert body.size == (5 if is_sized else None)
    assert body.in_memory() is None
    assert await written(body) == b"12345"
    if not body.consumed:
        assert await written(body) == b"12345"
    await body.close()


@pytest.mark.parametrize("kind", [kind for kind in OTHER_FILES if OTHER_FILES[kind][1]])
async def test_the_length_of_what_is_left(kind: str) -> None:
    """A file is sent from where it stands, so its length counts from there."""
    file = OTHER_FILES[kind][0](b"12345")
    file.read(2)
    body = get_payload(file)
    assert body.size == 3
    assert await written(body) == b"345"
    await body.close()


async def test_a_file_that_is_empty_has_a_length() -> None:
    """Many servers want to know the length, also that of nothing."""
    for make in (tempfile.TemporaryFile, tempfile.SpooledTemporaryFile):
        body = get_payload(make())
        assert body.size == 0
        await body.close()
    assert get_payload(SeekableDuck(b"")).size == 0


def _opened(name: str, buffering: int = -1) -> Any:
    try:
        return open(name, "rb", buffering)
    except FileNotFoundError:
        pytest.skip(f"this kernel has no {name}")


@pytest.mark.skipif(sys.platform != "linux", reason="these files are those of Linux")
@pytest.mark.parametrize("buffering", [0, -1])
@pytest.mark.parametrize(
    "name", ["/proc/sys/kernel/ostype", "/sys/kernel/mm/transparent_hugepage/enabled"]
)
async def test_files_of_the_kernel(name: str, buffering: int) -> None:
    """They have content, whatever size the file system has them say."""
    with _opened(name) as file:
        content = file.read()
    body = get_payload(_opened(name, buffering))
    assert body.size is None
    assert await written(body) == content != b""
    await body.close()


async def test_a_sparse_file_has_its_length(path: Path) -> None:
    """A small file without blocks is read to find out; a large one cannot be of the kernel."""
    for size in (100, 10**6):
        os.truncate(path, size)
        body = get_payload(opened(path, "reader"))
        assert body.size == size
        await body.close()


async def test_a_file_must_return_bytes() -> None:
    """Text of unknown encoding is not guessed at; and a file that cannot be read says so."""

    class Texts:
        def read(self, size: int) -> str:
            return "text"

    with pytest.raises(TypeError, match="must return bytes, not str"):
        await written(get_payload(Texts()))
    with tempfile.TemporaryFile("wb") as file, pytest.raises(io.UnsupportedOperation):
        await written(get_payload(file))


@pytest.mark.parametrize("value", [Duck, zipfile.ZipFile, configparser.ConfigParser()])
def test_what_is_no_file(value: object) -> None:
    """A class is no instance, and a mapping is a form."""
    with pytest.raises(LookupError):
        get_payload(value)


# -- generators


def counted(*chunks: Any) -> Iterator[Any]:
    """Yield *chunks*; a test can see whether the generator is closed."""
    yield from chunks


@pytest.mark.parametrize("make", [counted, lambda *chunks: iter(chunks)])
async def test_an_iterator_is_a_body(make: Callable[..., Iterator[Any]]) -> None:
    """A plain generator is sent as an asynchronous one is: once, piece by piece."""
    body = get_payload(make(b"a", bytearray(b"b"), memoryview(b"c")))
    assert isinstance(body, AsyncIterablePayload)
    assert body.size is None
    assert await written(body) == b"abc"
    assert body.consumed
    with pytest.raises(ClientPayloadError, match="the iterator has been used up"):
        await written(body)
    with pytest.raises(TypeError, match="the iterator must yield bytes, not str"):
        await written(get_payload(make("text")))


async def test_a_generator_is_closed() -> None:
    """What the generator holds is freed at once when its body is not wanted to the end."""
    generator = counted(b"a", "text", b"b")
    with pytest.raises(TypeError, match="not str"):
        await written(get_payload(generator))
    assert getattr(generator, "gi_frame", None) is None
    assert get_payload(generator).consumed


@pytest.mark.parametrize("kind", FILES)
async def test_a_file_is_sent_from_where_it_stands_each_time(path: Path, kind: str) -> None:
    """A request that is sent again sends the same bytes, from where the file stood at first."""
    with opened(path, kind) as file:
        file.seek(6)
        body = get_payload(file)
        assert type(body) is FILES[kind]
        assert body.in_memory() is None
        assert not body.autoclose
        assert body.size == (None if kind == "text" else 6)
        for _ in range(2):
            assert await written(body) == b"world!"
            assert not body.consumed
        assert await written(body, 2) == b"wo"
        assert await written(body, 0) == b""
        assert await body.as_bytes() == b"world!"
        assert body.decode() == "world!"
        assert await written(body) == b"world!"
        assert get_payload(file, filename="other").decode() == ""
        await body.close()
        assert file.closed is (kind != "memory")


async def test_a_file_that_cannot_be_rewound_is_sent_once(path: Path) -> None:
    """A body that is used up fails; an empty one is never sent in its place."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    body = IOBasePayload(Pipe(b"data"))
    assert body.size is None
    assert await written(body) == b"data"
    assert body.consumed
    with pytest.raises(ClientPayloadError, match="cannot be rewound"):
        await written(body)
    with pytest.raises(ClientPayloadError, match="cannot be rewound"):
        body.decode()


async def test_a_text_file_that_is_read_by_lines_is_sent_once(path: Path) -> None:
    """A text file does not tell where it stands between two lines."""
    await anyio.Path(path).write_text("one\ntwo\n")
    with path.open() as file:
        next(file)
        body = TextIOPayload(file)
        assert await written(body) == b"two\n"
        assert body.consumed


@pytest.mark.skipif(sys.platform == "win32", reason="there are no device files")
def test_only_the_size_of_a_plain_file_is_known(path: Path) -> None:
    """The length of a device, or of what a compressed file holds, is not that of a file."""
    with open("/dev/null", "rb") as device:
        assert IOBasePayload(device).size is None
    path.write_bytes(gzip.compress(bytes(1000)))
    with gzip.open(path) as packed:
        assert get_payload(packed).size is None


async def test_text_is_encoded_as_its_type_says(tmp_path: Path) -> None:
    """A text file is read as text, in whatever charset, and sent in the one that is announced."""
    path = tmp_path / "text"
    path.write_text("ä\nb", encoding="utf-16")
    with path.open(encoding="utf-16") as file:
        body = TextIOPayload(file)
        assert body.content_type == "text/plain; charset=utf-8"
        assert await written(body) == "ä\nb".encode()
    with path.open(encoding="utf-16") as file:
        assert await written(TextIOPayload(file, content_type="a/b; charset=latin1")) == b"\xe4\nb"
        assert TextIOPayload(file, encoding="latin1").content_type == "text/plain; charset=latin1"


async def test_a_long_text_has_one_byte_order_mark() -> None:
    """However many pieces it is read in, and however often."""
    text = "ä" * (READ_SIZE + 1)
    body = TextIOPayload(io.StringIO(text), encoding="utf-16")
    for _ in range(2):
        is_right = await written(body) == text.encode("utf-16")
        assert is_right  # without the megabytes in the message of a failure


@pytest.mark.parametrize("charset", ["no-such", "undefined", "hex"])
def test_a_charset_that_encodes_no_text(charset: str) -> None:
    """It is refused before anything is sent, by the name of the argument that names it."""
    uses: list[tuple[str, Callable[[], object]]] = [
        ("encoding", lambda: StringPayload("a", encoding=charset)),
        ("encoding", lambda: StringIOPayload(io.StringIO("a"), encoding=charset)),
        ("encoding", lambda: TextIOPayload(io.StringIO("a"), encoding=charset)),
        ("encoding", lambda: JsonPayload("a", encoding=charset)),
        ("charset", lambda: FormData({"a": "b"}, charset=charset)),
    ]
    media_type = f"text/plain; charset={charset}"
    uses += [
        ("the charset of content_type", lambda: StringPayload("a", content_type=media_type)),
        (
            "the charset of content_type",
            lambda: TextIOPayload(io.StringIO("a"), content_type=media_type),
        ),
    ]
    for name, use in uses:
        with pytest.raises(ValueError, match=f"^{name} must be a charset that Python knows$"):
            use()


async def test_a_file_opened_by_anyio_is_a_file(path: Path) -> None:
    """anyio.open_file() gives a body like open() does, not an iterable of lines."""
    async with await anyio.open_file(path, "rb") as file:
        body = get_payload(file, content_type="a/b")
        assert isinstance(body, BufferedReaderPayload)
        assert (body.filename, body.size, body.content_type) == ("thing.txt", 12, "a/b")
        assert await written(body) == b"hello world!"


def test_the_name_of_a_file(path: Path) -> None:
    """Only the last component is told, and only where there is a path."""
    with path.open() as file:
        assert file_name(file) == "thing.txt"
        assert get_payload(file).filename == "thing.txt"
        assert get_payload(file, filename="other.txt").filename == "other.txt"
        with open(file.fileno(), closefd=False) as numbered:
            assert file_name(numbered) is None
    assert file_name(sys.__stdin__) is None
    assert file_name(io.BytesIO()) is None


# -- bodies that come piece by piece


async def test_an_async_iterable_is_sent_once() -> None:
    """A generator runs once; sending it again fails instead of sending nothing."""
    body = get_payload(pieces(b"ab", b"", b"cd"))
    assert type(body) is AsyncIterablePayload
    assert (body.size, body.in_memory(), body.consumed) == (None, None, False)
    assert await written(body) == b"abcd"
    assert body.consumed
    with pytest.raises(ClientPayloadError, match="used up"):
        await written(body)


async def test_an_async_iterable_can_be_read_into_memory() -> None:
    """as_bytes() keeps what it read, so that the body can be written after it."""
    body = AsyncIterablePayload(pieces(b"ab", b"cd"))
    with pytest.raises(TypeError, match="not in memory"):
        body.decode()
    for _ in range(2):
        assert await body.as_bytes() == b"abcd"
    assert not body.consumed
    assert body.decode() == "abcd"
    assert await written(body) == b"abcd"
    assert await written(body, 3) == b"abc"


async def test_surplus_is_dropped_but_the_iterable_runs_to_its_end() -> None:
    """§2.4: an explicit Content-Length bounds what is sent, not what the generator does."""
    ended = False

    async def generate() -> AsyncIterator[bytes]:
        nonlocal ended
        yield b"abc"
        yield b"def"
        yield b"ghi"
        ended = True

    assert await written(AsyncIterablePayload(generate()), 4) == b"abcd"
    assert ended


async def test_a_generator_is_closed_when_writing_fails() -> None:
    """What the generator holds open is freed at once, not by the garbage collector."""
    closed = False

    class Broken:
        async def write(self, chunk: bytes) -> None:
            raise OSError

    async def generate() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            yield b"abc"
        finally:
            closed = True

    with pytest.raises(OSError):
        await AsyncIterablePayload(generate()).write(Broken())
    assert closed


async def test_an_iterable_without_aclose_is_sent_too() -> None:
    """An asynchronous iterator need not be a generator."""

    class Once:
        def __init__(self) -> None:
            self.left = [b"a"]

        def __aiter__(self) -> Once:
            return self

        async def __anext__(self) -> bytes:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop()

    assert await written(AsyncIterablePayload(Once())) == b"a"


async def test_an_iterable_of_text_is_refused() -> None:
    """Text would need a charset."""

    async def generate() -> AsyncIterator[Any]:
        yield "text"

    with pytest.raises(TypeError, match="must yield bytes, not str"):
        await written(AsyncIterablePayload(generate()))


async def test_a_stream_reader_is_sent_as_it_is_fed() -> None:
    """A download can be the body of an upload."""
    reader = StreamReader()
    reader.feed_data(b"ab")
    reader.feed_data(b"cd")
    reader.feed_eof()
    body = get_payload(reader)
    assert type(body) is StreamReaderPayload
    assert await written(body) == b"abcd"
    assert body.consumed


async def test_a_streamer_is_called_each_time() -> None:
    """The deprecated decorator makes a body of a function, which can run again."""
    with pytest.warns(DeprecationWarning, match="generator"):

        @streamer
        async def count(writer: Writer, to: int = 2) -> None:
            for number in range(to):
                await writer.write(b"%d" % number)

    body = get_payload(count(to=4))
    assert isinstance(body, StreamerPayload)
    assert (body.size, body.consumed) == (None, False)
    for _ in range(2):
        assert await written(body) == b"0123"
    assert await written(body, 3) == b"012"
    assert await written(get_payload(count)) == b"01"


# -- the registry


class Thing:
    pass


class ThingPayload(BytesPayload):
    def __init__(self, value: Thing, **kwargs: Any) -> None:
        super().__init__(b"thing", **kwargs)


def test_a_registered_type_is_sent_by_its_factory() -> None:
    """get() passes the other arguments on; a payload is what it is."""
    registry = PayloadRegistry()
    registry.register(ThingPayload, Thing)
    body = registry.get(Thing(), filename="a.txt")
    assert isinstance(body, ThingPayload)
    assert body.filename == "a.txt"
    assert registry.get(body, filename="b.txt") is body
    with pytest.raises(LookupError, match="str"):
        registry.get("text")


@pytest.mark.parametrize(
    ("orders", "winner"),
    [
        ((Order.normal, Order.normal), 0),
        ((Order.normal, Order.try_first), 1),
        ((Order.try_last, Order.normal), 1),
        ((Order.try_first, Order.try_first), 0),
    ],
)
def test_order_decides_among_factories(orders: tuple[Order, Order], winner: int) -> None:
    """Several types may fit: what is to be tried first, and of equals the older one, wins."""
    registry = PayloadRegistry()
    for number, order in enumerate(orders):
        registry.register(lambda _, number=number: BytesPayload(b"%d" % number), Thing, order=order)
    assert registry.get(Thing()).in_memory() == b"%d" % winner


def test_a_type_that_another_thread_registers_meanwhile() -> None:
    """A search in progress may miss it; every later one finds it."""

    class Slow(type):
        def __instancecheck__(cls, value: object) -> bool:
            registry.register(ThingPayload, str, order=Order.try_first)
            return isinstance(value, str)

    class Text(metaclass=Slow):
        """Takes its time to say whether something is a ``str``."""

    registry = PayloadRegistry()
    registry.register(lambda value: BytesPayload(value.encode()), Text)
    assert isinstance(registry.get("text"), BytesPayload)
    assert isinstance(registry.get("text"), ThingPayload)


def test_an_order_is_a_member_of_order() -> None:
    """A misspelt order would put the factory nowhere."""
    with pytest.raises(ValueError, match="member of Order"):
        PayloadRegistry().register(ThingPayload, Thing, order="first")  # type: ignore[arg-type]  # what is tested


def test_payload_type_registers_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decorator is register() for classes, and returns the class."""
    registry = PayloadRegistry()
    monkeypatch.setattr(payload, "PAYLOAD_REGISTRY", registry)
    assert payload_type(Thing, order=Order.try_first)(ThingPayload) is ThingPayload
    assert isinstance(registry.get(Thing()), ThingPayload)


@pytest.mark.parametrize("value", [{"a": 1}, [1], 1, None, object()])
def test_what_is_no_body(value: object) -> None:
    """A mapping or a list is for a form to send, and needs one."""
    with pytest.raises(LookupError):
        PAYLOAD_REGISTRY.get(value)
