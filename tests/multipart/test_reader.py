from __future__ import annotations

import base64
import gzip
import io
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar

import anyio
import anyio.lowlevel
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from anyhttp import hdrs
from anyhttp.client_exceptions import ClientPayloadError
from anyhttp.http_exceptions import LineTooLong
from anyhttp.multipart import (
    BodyPartReader,
    BodyPartReaderPayload,
    MultipartReader,
    MultipartResponseWrapper,
    MultipartWriter,
)
from anyhttp.payload import AsyncIterablePayload, BytesPayload, Payload, StringPayload, get_payload
from anyhttp.streams import StreamReader, begin_response
from tests.support.bombs import gzip_of_zeros
from tests.support.cancel import cancel_when
from tests.support.collector import Collector


async def written(body: Payload) -> bytes:
    """Write *body*, check that it keeps its word about its size, and return what it wrote."""
    size = body.size
    collector = Collector()
    await body.write(collector)
    assert size in {None, len(collector.data)}
    assert body.in_memory() in {None, collector.data}
    return collector.data


def mixed(subtype: str = "mixed") -> MultipartWriter:
    """A writer with ":" as its boundary."""
    return MultipartWriter(subtype, boundary=":")


TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
END = b"--:--\r\n"


# -- writing


async def test_no_parts() -> None:
    """A multipart without parts is its end alone, and still true."""
    body = mixed()
    assert body
    assert len(body) == 0
    assert body.content_type == 'multipart/mixed; boundary=":"'
    assert await written(body) == END


async def test_parts_of_known_length_announce_it() -> None:
    """RFC 2046 §5.1: delimiters, headers, an empty line and the body of each part."""
    with mixed() as body:
        body.append("ä", {"X": "y"})
        body.append(b"")
        body.append_json({"a": 1})
        body.append_form({"a": "1", "b": "ü"}, {"X": "z"})
        body.append_form([("x", "y z"), ("x", "2")])
    assert len(body) == 5
    assert [(encoding, te) for _, encoding, te in body] == [("", "")] * 5
    assert await written(body) == (
        b"--:\r\n" + TEXT + b"X: y\r\nContent-Length: 2\r\n\r\n\xc3\xa4\r\n"
        b"--:\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n\r\n"
        b'--:\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}\r\n'
        b"--:\r\nContent-Type: application/x-www-form-urlencoded\r\nX: z\r\n"
        b"Content-Length: 12\r\n\r\na=1&b=%C3%BC\r\n"
        b"--:\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 9\r\n\r\nx=y+z&x=2\r\n" + END
    )


async def test_what_is_in_memory_leaves_at_once() -> None:
    """Small parts are sent together, and in_memory() lets the whole request go out in one."""
    body = mixed()
    for _ in range(3):
        body.append("x")
    collector = Collector()
    await body.write(collector)
    assert collector.pieces == [body.in_memory()]
    assert body.decode() == collector.data.decode()
    large = mixed()
    large.append(bytes(600_000))
    large.append(bytes(600_000))
    assert large.in_memory() is None
    assert await large.as_bytes() == await written(large)
    assert large.decode() == (await written(large)).decode()


async def test_many_small_parts_are_sent_in_between() -> None:
    """What is gathered has a bound, whatever the number of parts."""
    body = mixed()
    for _ in range(50):
        body.append(b"x" * 10_000)
    collector = Collector()
    await body.write(collector)
    assert len(collector.data) == body.size
    assert max(map(len, collector.pieces)) < 100_000


async def test_numbers_in_headers_of_a_part() -> None:
    """A number is written as such; anything else that is no text is refused, with its name."""
    body = mixed()
    body.append(b"a", {"X-Number": 5})  # type: ignore[arg-type]  # as aiohttp takes it
    assert b"X-Number: 5\r\n" in await written(body)
    with pytest.raises(TypeError, match="X-None must be a str"):
        body.append(b"b", {"X-None": None})  # type: ignore[arg-type]  # what is tested


async def test_a_part_of_unknown_length() -> None:
    """The whole has no length then; what was gathered leaves before the part is waited for."""

    async def generate() -> AsyncIterator[bytes]:
        assert collector.data.endswith(b"\r\n\r\n")
        yield b"abc"

    collector = Collector()
    body = mixed()
    body.append("x")
    body.append(generate())
    assert body.size is None
    assert body.in_memory() is None
    with pytest.raises(TypeError, match="not in memory"):
        body.decode()
    assert not body.consumed
    await body.write(collector)
    assert collector.data.endswith(
        b"--:\r\nContent-Type: application/octet-stream\r\n\r\nabc\r\n" + END
    )
    assert body.consumed
    with pytest.raises(ClientPayloadError, match="used up"):
        await body.write(Collector())


async def test_other_parts_may_follow() -> None:
    """With close_boundary=False somebody else writes the end."""
    body = mixed()
    body.append("x")
    collector = Collector()
    await body.write(collector, close_boundary=False)
    assert collector.data == b"--:\r\n" + TEXT + b"Content-Length: 1\r\n\r\nx\r\n"
    empty = Collector()
    await mixed().write(empty, close_boundary=False)
    assert empty.data == b""


async def test_no_more_than_the_length_asked_for_is_written() -> None:
    """An explicit Content-Length of the request bounds what is sent."""
    body = mixed()
    body.append("x")
    whole = await body.as_bytes()
    for limit in (0, 5, len(whole) + 5):
        collector = Collector()
        await body.write_with_length(collector, limit)
        assert collector.data == whole[:limit]


async def test_a_multipart_inside() -> None:
    """RFC 2046 §5.1.5: parts may be multiparts, and may still grow after they were added."""
    inner = MultipartWriter("related", boundary="inner")
    body = mixed()
    assert body.append(inner) is inner
    inner.append("x")
    assert await written(body) == (
        b"--:\r\nContent-Type: multipart/related; boundary=inner\r\nContent-Length: 85\r\n\r\n"
        b"--inner\r\n" + TEXT + b"Content-Length: 1\r\n\r\nx\r\n--inner--\r\n\r\n" + END
    )


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"Content-Transfer-Encoding": "base64"}, base64.b64encode(b"a=" * 100)),
        ({"Content-Transfer-Encoding": "Quoted-Printable"}, b"a=3D" * 100),
        ({"Content-Encoding": "GZIP"}, None),
        ({"Content-Encoding": "deflate"}, None),
        ({"Content-Encoding": "deflate", "Content-Transfer-Encoding": "base64"}, None),
    ],
)
@pytest.mark.parametrize("in_memory", [True, False])
async def test_encodings_are_applied(
    headers: dict[str, str], data: bytes | None, in_memory: bool
) -> None:
    """A part that is encoded has no length that is known, and comes back when it is read."""

    async def generate() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"a"
            yield b"="

    body = mixed()
    part = body.append(b"a=" * 100 if in_memory else generate(), headers | {"Content-Length": "7"})
    assert hdrs.CONTENT_LENGTH not in part.headers
    assert body.size is None
    collector = Collector()
    await body.write(collector)
    if data is not None:
        assert collector.data.endswith(b"\r\n\r\n" + data + b"\r\n" + END)
    if in_memory:
        assert body.decode("latin1").encode("latin1")[-9:] == collector.data[-9:]
    received = await only_part(collector.data)
    assert await received.read(decode=True) == b"a=" * 100


@pytest.mark.parametrize(
    "headers",
    [{"Content-Encoding": "identity"}]
    + [{"Content-Transfer-Encoding": name} for name in ("binary", "8bit", "7bit")],
)
async def test_encodings_that_change_nothing(headers: dict[str, str]) -> None:
    """RFC 2045 §6.2: the length stays known."""
    body = mixed()
    body.append("x", headers)
    assert [part[1:] for part in body] == [("", "")]
    assert (await written(body)).endswith(b"Content-Length: 1\r\n\r\nx\r\n" + END)


@pytest.mark.parametrize("name", ["Content-Encoding", "Content-Transfer-Encoding"])
def test_unknown_encodings_are_refused(name: str) -> None:
    """A part must not be labelled as what it is not."""
    with pytest.raises(RuntimeError, match=r"unknown content.* encoding: x"):
        mixed().append("a", {name: "x"})


async def test_a_file_in_a_multipart_is_named(tmp_path: Path) -> None:
    """A file is an attachment with its name, unless it says something else."""
    path = tmp_path / "thing.txt"
    await anyio.Path(path).write_bytes(b"hello")
    body = mixed()
    body.append(path.open("rb"))
    body.append(path.open("rb")).set_content_disposition("inline", filename="x")
    first = (
        b"--:\r\nContent-Type: text/plain\r\n"
        b'Content-Disposition: attachment; filename="thing.txt"\r\nContent-Length: 5\r\n\r\n'
        b"hello\r\n"
    )
    second = first.replace(b'attachment; filename="thing.txt"', b'inline; filename="x"')
    for _ in range(2):
        assert await written(body) == first + second + END
    await body.close()


async def test_a_file_that_grows_is_cut(tmp_path: Path) -> None:
    """CVE-2026-84380: no part is longer than it was announced."""
    path = anyio.Path(tmp_path / "log")
    await path.write_bytes(b"12345")
    body = mixed()
    body.append((tmp_path / "log").open("rb"))
    size = body.size
    await path.write_bytes(b"1234567890")
    assert len(await written(body)) == size
    await body.close()


async def test_parts_of_a_form() -> None:
    """RFC 7578 §4.2: each part has a name, §4.8: and no Content-Length."""
    body = mixed("form-data")
    body.append("a")
    body.append("b", {"Content-Disposition": 'form-data; name="mine"'})
    body.append("c").set_content_disposition("form-data", name="later")
    file = io.BytesIO(b"d")
    file.name = "/tmp/d.txt"
    body.append(file)
    disposition = b"Content-Disposition: form-data; name="
    assert await written(body) == (
        b"--:\r\n" + TEXT + disposition + b'"section-0"\r\n\r\na\r\n'
        b"--:\r\n" + TEXT + disposition + b'"mine"\r\n\r\nb\r\n'
        b"--:\r\n" + TEXT + disposition + b'"later"\r\n\r\nc\r\n'
        b"--:\r\nContent-Type: text/plain\r\n"
        + disposition
        + b'"section-3"; filename="d.txt"\r\n\r\nd\r\n'
        + END
    )


@pytest.mark.parametrize(
    "name", ["Content-Encoding", "Content-Transfer-Encoding", "Content-Length"]
)
def test_headers_that_parts_of_a_form_must_not_have(name: str) -> None:
    """RFC 7578 §4.7, §4.8: servers do not expect encoded parts."""
    with pytest.raises(AssertionError, match=name):
        mixed("form-data").append("a", {name: "1"})


@pytest.mark.parametrize("obj", [object(), {"a": 1}, 5, None])
def test_what_cannot_be_a_part(obj: object) -> None:
    """A mapping could be JSON or a form: append() does not choose."""
    with pytest.raises(TypeError, match=type(obj).__name__):
        mixed().append(obj)


@pytest.mark.parametrize("form", ["abc", b"abc", 3])
def test_what_cannot_be_a_form(form: Any) -> None:
    """A form is made of pairs."""
    with pytest.raises(TypeError):
        mixed().append_form(form)


def test_headers_are_added_to_a_payload() -> None:
    """A payload stays what it is; headers given replace its own."""
    payload = StringPayload("a")
    body = mixed()
    assert body.append(payload, {"Content-Type": "a/b"}) is payload
    assert body.append(payload) is payload
    assert payload.content_type == "a/b"


@pytest.mark.parametrize(("name", "value"), [("X", "a\r\nb"), ("X\r\nY", "a"), ("X", "a\0")])
def test_control_characters_are_refused_before_anything_is_sent(name: str, value: str) -> None:
    """CVE-2026-84379: append() refuses them, and size, which is asked before sending, too."""
    body = mixed()
    with pytest.raises(ValueError, match="headers of a part"):
        body.append("x", {name: value})
    assert len(body) == 0
    body.append(AsyncIterablePayload(nothing()))
    body.append("x").headers[name] = value
    with pytest.raises(ValueError, match="headers of a part"):
        _ = body.size


async def nothing() -> AsyncIterator[bytes]:
    """An empty asynchronous generator."""
    return
    yield b""


@pytest.mark.parametrize(
    ("boundary", "parameter"),
    [
        ("abc'", "abc'"),
        ("a b", '"a b"'),
        ("a;b", '"a;b"'),
        ('a"\\b', r'"a\"\\b"'),
        ("x" * 70, "x" * 70),
    ],
)
async def test_a_boundary_is_quoted_if_needed(boundary: str, parameter: str) -> None:
    """RFC 2046 §5.1.1: what is no token is a quoted string, and a reader finds it."""
    body = MultipartWriter(boundary=boundary)
    assert body.boundary == boundary
    assert body.content_type == f"multipart/mixed; boundary={parameter}"
    body.append("x")
    received = [part async for part in reader(await written(body), body.content_type)]
    assert len(received) == 1


@pytest.mark.parametrize("boundary", ["", "x" * 71, "ü", "a\r\n", "a\0", "a "])
def test_what_cannot_be_a_boundary(boundary: str) -> None:
    """RFC 2046 §5.1.1: 1 to 70 characters of ASCII, the last one not a space."""
    with pytest.raises(ValueError, match="boundary"):
        MultipartWriter(boundary=boundary)
    with pytest.raises(ValueError, match="subtype"):
        MultipartWriter("mixed; x")


def test_boundaries_are_random() -> None:
    """A boundary that can be guessed could be put into a part."""
    assert MultipartWriter().boundary != MultipartWriter().boundary


async def test_closing_closes_each_part() -> None:
    """One part that cannot be closed does not keep the others open."""
    closed = []

    class Part(BytesPayload):
        async def close(self) -> None:
            closed.append(self)
            raise OSError("cannot be closed")

    body = mixed()
    parts = [body.append(Part(b"")) for _ in range(3)]
    with pytest.raises(OSError, match="cannot be closed"):
        await body.close()
    assert closed == parts[::-1]
    assert not body.autoclose
    body = mixed()
    body.append(b"")
    assert body.autoclose
    body.append(io.BytesIO())
    assert not body.autoclose


# -- reading


def stream(data: bytes, step: int = 0) -> StreamReader:
    """A reader of *data*, which arrive all at once or *step* bytes at a time."""
    reader = StreamReader()
    for start in range(0, len(data), step or len(data) or 1):
        reader.feed_data(data[start : start + (step or len(data))])
    reader.feed_eof()
    return reader


FORM = 'multipart/form-data; boundary=":"'


def reader(
    data: bytes, content_type: str = 'multipart/mixed; boundary=":"', step: int = 0, **limits: int
) -> MultipartReader:
    """A reader of the multipart *data*."""
    return MultipartReader({"Content-Type": content_type}, stream(data, step), **limits)


async def only_part(
    data: bytes, content_type: str = 'multipart/mixed; boundary=":"', **limits: int
) -> BodyPartReader:
    """The first part of the multipart *data*."""
    part = await reader(data, content_type, **limits).next()
    assert isinstance(part, BodyPartReader)
    return part


async def bodies(multipart: MultipartReader) -> list[Any]:
    """All bodies of *multipart*, those of multiparts inside as lists."""
    return [
        await (bodies(part) if isinstance(part, MultipartReader) else part.read())
        async for part in multipart
    ]


WELL_FORMED = {
    "no parts": (b"--:--\r\n", []),
    "one part": (b"--:\r\n\r\ntest\r\n--:--\r\n", [b"test"]),
    "no line break at the end": (b"--:\r\n\r\ntest\r\n--:--", [b"test"]),
    "preamble and epilogue": (b"pre\r\n --:\r\n--:\r\n\r\na\r\n--:--epi\r\n--:\r\n", [b"a"]),
    "padding": (b"--: \t\r\n\r\na\r\n--:\t\r\n\r\nb\r\n--:-- ", [b"a", b"b"]),
    "line breaks are data": (b"--:\r\n\r\n\r\na\r\n\r\n--:--", [b"\r\na\r\n"]),
    "almost a boundary": (b"--:\r\n\r\n--\r\n--;\r\n-:\n--:\r\n--:--", [b"--\r\n--;\r\n-:\n--:"]),
    "more than a boundary": (b"--:\r\n\r\na\r\n--:x\r\n\r\nb\r\n--:--", [b"a\r\n--:x\r\n\r\nb"]),
    "more than the first boundary": (b"--:x\r\n--:\r\n\r\na\r\n--:--", [b"a"]),
    "an inner boundary that begins like the outer one": (
        (
            b'--:\r\nContent-Type: multipart/x; boundary="::"\r\n\r\n'
            b"--::\r\n\r\na\r\n--::\r\n\r\nb\r\n--::--\r\n\r\n--:--"
        ),
        [[b"a", b"b"]],
    ),
    "no line break after a length": (
        b"--:\r\nContent-Length: 1\r\n\r\na--:\r\nContent-Length: 1\r\n\r\nb--:--",
        [b"a", b"b"],
    ),
    "empty parts": (b"--:\r\n\r\n\r\n--:\r\n\r\n--:\r\nA: b\r\n\r\n--:--", [b"", b"", b""]),
    "lengths": (
        b"--:\r\nContent-Length: 1\r\n\r\na\r\n--:\r\nContent-Length: 0\r\n\r\n\r\n--:--",
        [b"a", b""],
    ),
    "no body but a length": (b"--:\r\nContent-Length: 0\r\n\r\n--:--", [b""]),
    "a multipart inside": (
        (
            b"--:\r\nContent-Type: Multipart/x; boundary=q\r\n\r\n"
            b"--q\r\n\r\na\r\n--q\r\n\r\nb\r\n--q--\r\n--:\r\n\r\nc\r\n--:--"
        ),
        [[b"a", b"b"], b"c"],
    ),
    "boundaries that look alike": (
        (
            b'--:\r\nContent-Type: multipart/x; boundary="--:--"\r\n\r\n'
            b"----:--\r\n\r\na\r\n----:----\r\n\r\n--:--"
        ),
        [[b"a"]],
    ),
}


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("case", WELL_FORMED)
async def test_parts_are_read(case: str, step: int) -> None:
    """RFC 2046 §5.1.1, whatever the pieces in which the bytes arrive."""
    data, expected = WELL_FORMED[case]
    multipart = reader(data, step=step)
    assert await bodies(multipart) == expected
    assert multipart.at_eof()
    assert await multipart.next() is None


@pytest.mark.parametrize("step", [0, 1, 7])
async def test_a_boundary_with_the_hyphens_of_its_delimiter(step: int) -> None:
    """Some cameras send ``boundary=--x`` for the delimiter ``--x``; others mean what they say."""
    for delimiter in (b"--x", b"----x"):
        data = delimiter + b"\r\n\r\na\r\n" + delimiter + b"\r\n\r\nb\r\n" + delimiter + b"--"
        multipart = reader(data, "multipart/x-mixed-replace; boundary=--x", step)
        assert await bodies(multipart) == [b"a", b"b"]


@pytest.mark.parametrize("step", [0, 1])
async def test_what_comes_before_a_missing_delimiter_is_delivered(step: int) -> None:
    """A connection that is lost in the middle of a part takes none of the bytes before with it."""
    part = await reader(b"--:\r\n\r\nab\r\ncd\r\n--", step=step).next()
    assert isinstance(part, BodyPartReader)
    data = b""
    while len(data) < len(b"ab\r\ncd\r\n--"):
        data += await part.read_chunk(3)
    assert data == b"ab\r\ncd\r\n--"
    with pytest.raises(ValueError, match="last boundary"):
        await part.read_chunk(3)


async def test_only_what_may_be_a_delimiter_is_held_back() -> None:
    """A reader of a live stream has the last bytes before the next ones are sent."""
    content = StreamReader()
    content.feed_data(b"--:\r\n\r\nan event\r\n-")
    part = await MultipartReader({"Content-Type": 'multipart/x; boundary=":"'}, content).next()
    assert isinstance(part, BodyPartReader)
    assert await part.read_chunk() == b"an event"
    content.feed_data(b"x\r")
    assert await part.read_chunk() == b"\r\n-x"


async def test_a_part_by_hand() -> None:
    """Tests of applications make readers of parts from what they have: numbers, other streams."""

    class Content:
        def __init__(self) -> None:
            self._data = io.BytesIO(b"testing\r\n--:--")

        async def read(self, size: int) -> bytes:
            return self._data.read(size)

    content: Any = Content()
    headers: Any = {"Content-Length": 7}
    part = BodyPartReader(b"--:", headers, content)
    assert await part.read(decode=True) == b"testing"
    assert part.at_eof()


async def test_a_part_with_a_length_leaves_the_rest_to_others() -> None:
    """Not even a group of base64 that is incomplete makes it read on."""
    content = stream(b"QUJDR\r\n--:\r\n\r\nsecret\r\n--:--")
    headers = {"Content-Length": "5", "Content-Transfer-Encoding": "base64"}
    part = BodyPartReader(b"--:", headers, content)
    assert await part.read_chunk(100) == b"QUJDR"
    assert part.at_eof()
    assert b"secret" in await content.read()


MALFORMED = {
    "nothing": (b"", "first boundary"),
    "no boundary": (b"hello world", "first boundary"),
    "bare line feeds": (b"--:\n\ntest\n--:--\n", "first boundary"),
    "no end": (b"--:\r\n\r\ntest\r\n", "last boundary"),
    "no end after a boundary": (b"--:\r\n\r\ntest\r\n--:", "last boundary"),
    "no end of the headers": (b"--:\r\nA: b\r\n", "end of a line"),
    "too short for its length": (b"--:\r\nContent-Length: 9\r\n\r\na\r\n--:--", "shorter than"),
    "too short, with another part": (
        b"--:\r\nContent-Length: 9\r\n\r\na\r\n--:\r\n\r\nsecond\r\n--:--",
        "shorter than",
    ),
    "cut short": (b"--:\r\nContent-Length: 9\r\n\r\nabc", "6 bytes before the end of a part"),
    "too long for its length": (b"--:\r\nContent-Length: 1\r\n\r\nabcdef\r\n--:--", "longer than"),
    "a length in words": (b"--:\r\nContent-Length: x\r\n\r\na\r\n--:--", "Content-Length"),
    "a signed length": (b"--:\r\nContent-Length: +1\r\n\r\na\r\n--:--", "Content-Length"),
    "a length beyond reason": (
        b"--:\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\na\r\n--:--",
        "Content-Length",
    ),
    "no colon": (b"--:\r\nfoo\r\n\r\na\r\n--:--", "invalid header"),
    "a space before the colon": (b"--:\r\nfoo : x\r\n\r\na\r\n--:--", "invalid header"),
    "a NUL": (b"--:\r\nfoo: \0\r\n\r\na\r\n--:--", "invalid header"),
    "a carriage return": (b"--:\r\nfoo: \rx: y\r\n\r\na\r\n--:--", "invalid header"),
    "a line feed": (b"--:\r\nfoo: x\nx: y\r\n\r\na\r\n--:--", "invalid header"),
    "folding without a header": (b"--:\r\n foo: x\r\n\r\na\r\n--:--", "invalid header"),
    "no boundary inside": (b"--:\r\nContent-Type: multipart/x\r\n\r\n\r\n--:--", "no boundary"),
    "no end inside": (
        b"--:\r\nContent-Type: multipart/x; boundary=q\r\n\r\n--q\r\n\r\na\r\n--:--",
        "last boundary",
    ),
    "a part beyond the limit": (b"--:\r\n\r\n" + b"a" * 101 + b"\r\n--:--", "more than 100"),
}


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("case", MALFORMED)
async def test_malformed_multiparts_are_refused(case: str, step: int) -> None:
    """What is cut short or cannot be told apart is an error, never an empty or shorter part."""
    data, message = MALFORMED[case]
    with pytest.raises(ValueError, match=message):
        await bodies(reader(data, step=step, client_max_size=100))


@pytest.mark.parametrize(
    ("content_type", "error"),
    [
        (None, AssertionError),
        ("text/plain", AssertionError),
        ("multipart; boundary=x", AssertionError),
        ("multipart/mixed", ValueError),
        ('multipart/mixed; boundary=""', ValueError),
        ("multipart/mixed; boundary=" + "x" * 71, ValueError),
    ],
)
def test_what_is_no_multipart(content_type: str | None, error: type[Exception]) -> None:
    """RFC 2046 §5.1: a multipart says so, and has a boundary of at most 70 characters."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    with pytest.raises(error):
        MultipartReader(headers, stream(b""))


async def test_the_headers_of_a_part() -> None:
    """Names are found in any case; UTF-8 is read; MIME folds long lines (RFC 5322 §2.2.3)."""
    part = await only_part(
        b"--:\r\nX:\ty \r\nx: \xc3\xbc\xff\r\nContent-Disposition: form-data;\r\n\t name=n\r\n"
        b"\r\n\r\n--:--"
    )
    assert isinstance(part.headers, CIMultiDictProxy)
    assert part.headers.getall("x") == ["y", "ü\udcff"]
    assert part.headers["content-disposition"] == "form-data; name=n"
    assert part.name == "n"
    assert part.filename is None


@pytest.mark.parametrize("step", [0, 1, 100])
@pytest.mark.parametrize(
    "line", [b"X: " + b"y" * 8188, b"X: y" + b"\r\n z" * 4100, b"X: " + b"y" * 70_000]
)
async def test_headers_of_a_part_have_a_bound(line: bytes, step: int) -> None:
    """CVE-2026-54277: the length of a header is bounded, over any split of the bytes."""
    with pytest.raises(LineTooLong):
        await reader(b"--:\r\n" + line + b"\r\n\r\n\r\n--:--", step=step).next()


@pytest.mark.parametrize("step", [0, 1])
async def test_line_ends_inside_a_folded_header_count(step: int) -> None:
    """Folds with nothing in them take time, too: three bytes each, of a header of any length."""
    fold = b"\r\n "
    part = await only_part(b"--:\r\nX: y" + fold * 2728 + b"\r\n\r\n\r\n--:--", step=step)
    assert part.headers["X"] == "y"
    with pytest.raises(LineTooLong):
        await reader(b"--:\r\nX: y" + fold * 2729 + b"\r\n\r\n\r\n--:--", step=step).next()


async def test_the_number_of_headers_has_a_bound() -> None:
    """CVE-2026-34516: so is their number; both bounds can be set."""
    data = b"--:\r\n" + b"X: y\r\n" * 129 + b"\r\n\r\n--:--"
    with pytest.raises(ValueError, match="more than 128 headers"):
        await reader(data).next()
    part = await only_part(data, max_headers=129, max_field_size=4)
    assert len(part.headers) == 129
    with pytest.raises(LineTooLong):
        await only_part(data, max_headers=129, max_field_size=3)


async def test_the_limits_hold_inside() -> None:
    """A multipart inside of another has no limits of its own."""
    head = b"--:\r\nContent-Type: multipart/x; boundary=q\r\n\r\n--q\r\n"
    inner = await reader(head + b"X: " + b"y" * 90 + b"\r\n", max_field_size=80).next()
    assert isinstance(inner, MultipartReader)
    with pytest.raises(LineTooLong):
        await inner.next()


async def test_what_is_left_of_a_part_is_dropped() -> None:
    """next() goes on from wherever the reading of a part, or of parts inside, has stopped."""
    data, _ = WELL_FORMED["a multipart inside"]
    multipart = reader(data)
    inner = await multipart.next()
    assert isinstance(inner, MultipartReader)
    assert await inner.next() is not None
    part = await multipart.next()
    assert isinstance(part, BodyPartReader)
    assert await part.read() == b"c"
    assert await multipart.next() is None


async def test_release_drops_everything() -> None:
    """release() reads to the last boundary, of a part or of the whole."""
    data = b"--:\r\n\r\na\r\n--:\r\n\r\nb\r\n--:--"
    multipart = reader(data)
    await multipart.release()
    assert multipart.at_eof()
    multipart = reader(data)
    part = await multipart.next()
    assert isinstance(part, BodyPartReader)
    assert not part.at_eof()
    await part.release()
    assert part.at_eof()
    assert await part.read() == b""
    assert await bodies(multipart) == [b"b"]


async def test_classes_can_be_replaced() -> None:
    """Subclasses of the reader say by what parts and multiparts inside are read."""

    class Part(BodyPartReader):
        pass

    class Inner(MultipartReader):
        pass

    class Outer(MultipartReader):
        part_reader_cls = Part
        multipart_reader_cls: ClassVar[type[MultipartReader] | None] = Inner

    data, _ = WELL_FORMED["a multipart inside"]
    outer = Outer({"Content-Type": "multipart/mixed; boundary=:"}, stream(data))
    assert [type(part) async for part in outer] == [Inner, Part]
    Outer.multipart_reader_cls = None
    outer = Outer({"Content-Type": "multipart/mixed; boundary=:"}, stream(data))
    assert [type(part) async for part in outer] == [Outer, Part]


# -- reading one part


LINES = b"--:\r\n\r\none\r\ntwo\nthree\r\n\r\n--:--"


async def test_a_part_can_be_read_in_every_way() -> None:
    """Whole, in pieces, by lines or as the only item of an iteration; then it is at its end."""
    part = await only_part(LINES)
    assert await part.read() == b"one\r\ntwo\nthree\r\n"
    assert part.at_eof()
    assert (await part.read(), await part.next(), await part.readline()) == (b"", None, b"")
    part = await only_part(LINES)
    assert [line async for line in part] == [b"one\r\ntwo\nthree\r\n"]
    part = await only_part(LINES)
    assert [await part.readline() for _ in range(4)] == [b"one\r\n", b"two\n", b"three\r\n", b""]
    part = await only_part(LINES)
    assert await part.read_chunk(3) == b"one"
    assert await part.readline() == b"\r\n"
    assert await part.read_chunk() == b"two\nthree\r\n"
    assert part.at_eof()
    with pytest.raises(ValueError, match="at least 1"):
        await part.read_chunk(0)


async def test_a_reader_of_one_part_can_be_made_by_hand() -> None:
    """A part needs its boundary, its headers and what follows these."""
    part = BodyPartReader(b"--:", {"content-type": "a/b"}, stream(b"test\r\n--:--"))
    assert part.headers[hdrs.CONTENT_TYPE] == "a/b"
    assert await part.read() == b"test"
    form = BodyPartReader(
        b"--:", CIMultiDictProxy(CIMultiDict()), stream(b"\xe4\r\n--:"), default_charset="latin1"
    )
    assert await form.text() == "ä"


async def test_a_part_of_known_length_does_not_wait_for_the_next() -> None:
    """An endless stream of pictures shows each one when it is there."""
    source = StreamReader()
    source.feed_data(b"--:\r\nContent-Length: 4\r\n\r\none.")
    multipart = MultipartReader({"Content-Type": "multipart/x-mixed-replace; boundary=:"}, source)
    with anyio.fail_after(5):
        part = await multipart.next()
        assert isinstance(part, BodyPartReader)
        assert await part.read() == b"one."
    source.feed_data(b"\r\n--:\r\nContent-Length: 4\r\n\r\ntw")
    part = await multipart.next()
    assert isinstance(part, BodyPartReader)
    assert await part.read_chunk() == b"tw"
    source.feed_data(b"o.")
    assert await part.read_chunk() == b"o."
    assert part.at_eof()


async def test_a_part_is_never_held_as_a_whole() -> None:
    """What is read in pieces is bounded by the pieces, not by the part."""
    pulled = 0

    class Source:
        async def pull(self) -> bool:
            nonlocal pulled
            pulled += 1
            source.feed_data(b"x" * 100_000)
            return False

    source = StreamReader(Source())
    source.feed_data(b"--:\r\n\r\n")
    multipart = MultipartReader({"Content-Type": "multipart/mixed; boundary=:"}, source)
    part = await multipart.next()
    assert isinstance(part, BodyPartReader)
    assert pulled == 0
    for _ in range(10):
        assert 0 < len(await part.read_chunk()) <= 8192
    assert pulled <= 2


async def test_names_and_charset() -> None:
    """RFC 7578 §4.2: name and file name; the charset is that of the part, else the default."""
    part = await only_part(
        b"--:\r\nContent-Type: text/plain; charset=latin1\r\n"
        b"Content-Disposition: form-data; name*=utf-8''%C3%BC; filename=f\r\n\r\n\xe4\r\n--:--"
    )
    assert (part.name, part.filename) == ("ü", "f")
    assert (part.get_charset(), part.get_charset("x")) == ("latin1", "latin1")
    assert await part.text() == "ä"
    part = await only_part(b"--:\r\n\r\n\xc3\xa4\r\n--:--")
    assert (part.get_charset(), part.get_charset("x")) == (None, "x")
    assert (part.name, part.filename) == (None, None)
    assert await part.text() == "ä"
    part = await only_part(b"--:\r\n\r\n\xc3\xa4\r\n--:--")
    assert await part.text(encoding="latin1") == "Ã¤"


@pytest.mark.parametrize("charset", ["nope", "punycode", "IDNA", "base64"])
async def test_a_peer_cannot_choose_any_codec(charset: str) -> None:
    """Cost is linear in the bytes: some codecs of Python are not for text, or not linear."""
    data = f"--:\r\nContent-Type: a/b; charset={charset}\r\n\r\na\r\n--:--".encode()
    with pytest.raises(LookupError):
        await (await only_part(data)).text()


async def test_json_and_forms() -> None:
    """A part is parsed as asked for, whatever it says that it is; nothing is no JSON."""
    multipart = reader(
        b'--:\r\n\r\n{"a": "\xc3\xa4"}\r\n--:\r\n\r\n\r\n'
        b"--:\r\n\r\na=b&c=%C3%A4&d\r\n\r\n--:\r\n\r\n\r\n--:\r\n\r\na=%E4\r\n--:\r\n\r\n1\r\n"
        b'--:\r\n\r\n"\xe4"\r\n--:--'
    )
    parts = aiter(multipart)

    async def part() -> BodyPartReader:
        item = await anext(parts)
        assert isinstance(item, BodyPartReader)
        return item

    assert await (await part()).json() == {"a": "ä"}
    assert await (await part()).json() is None
    assert await (await part()).form() == [("a", "b"), ("c", "ä"), ("d", "")]
    assert await (await part()).form() == []
    assert await (await part()).form(encoding="latin1") == [("a", "ä")]
    assert await (await part()).json(loads=lambda text: f"<{text}>") == "<1>"
    assert await (await part()).json(encoding="latin1") == "ä"


@pytest.mark.parametrize("name", ["form-data", "mixed"])
async def test_the_charset_of_a_form(name: str) -> None:
    """RFC 7578 §4.6: a field _charset_ holds for those after it, and is not one of them."""
    field = b'--:\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    data = field % (b"a", b"\xc3\xa4") + field % (b"_charset_", b"latin1\r\n")
    multipart = reader(data + field % (b"b", b"\xe4") + b"--:--", f"multipart/{name}; boundary=:")
    texts = []
    async for part in multipart:
        assert isinstance(part, BodyPartReader)
        texts.append((part.name, part.get_charset()))
    if name == "form-data":
        assert texts == [("a", None), ("b", "latin1")]
    else:
        assert texts == [("a", None), ("_charset_", None), ("b", None)]


async def test_the_name_of_a_charset_has_a_bound() -> None:
    """A field _charset_ cannot be made to hold more than a name."""
    head = b'--:\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n'
    for step in (0, 1):
        with pytest.raises(RuntimeError, match="Invalid default charset"):
            await reader(head + b"x" * 32 + b"\r\n--:--", FORM, step).next()
    assert await reader(head + b"x" * 31 + b"\r\n--:--", FORM).next() is None


# -- decoding a part


def encoded_part(data: bytes, **headers: str) -> bytes:
    """A multipart of one part."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return b"--:\r\n" + lines.encode() + b"\r\n" + data + b"\r\n--:--"


async def test_a_part_is_decoded_when_asked() -> None:
    """read() gives the bytes as they came, read(decode=True) and text() what they stand for."""
    packed = gzip.compress(b"hello")
    data = encoded_part(
        base64.encodebytes(packed), Content_Encoding="gzip", Content_Transfer_Encoding="base64"
    )
    assert await (await only_part(data)).read() == base64.encodebytes(packed)
    assert await (await only_part(data)).read(decode=True) == b"hello"
    assert await (await only_part(data)).text() == "hello"
    part = await only_part(data)
    raw = await part.read()
    assert part.decode(raw) == b"hello"
    assert b"".join([piece async for piece in part.decode_iter(raw)]) == b"hello"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
async def test_json_shows_its_encoding(encoding: str) -> None:
    """As in the body of a response."""
    data = encoded_part('{"a": "é"}'.encode(encoding))
    assert await (await only_part(data)).json() == {"a": "é"}


async def test_parts_of_a_form_have_no_content_encoding() -> None:
    """RFC 7578 §4.8: such a header is ignored there, as is a length."""
    data = encoded_part(b"hello", Content_Encoding="gzip", Content_Length="3")
    assert await (await only_part(data, FORM)).read(decode=True) == b"hello"


@pytest.mark.parametrize("name", ["Content_Encoding", "Content_Transfer_Encoding"])
async def test_an_unknown_encoding_is_told(name: str) -> None:
    """Bytes that could not be decoded are not passed off as decoded."""
    part = await only_part(encoded_part(b"hello", **{name: "x"}))
    with pytest.raises(RuntimeError, match="unknown content"):
        await part.read(decode=True)
    with pytest.raises(RuntimeError, match="unknown content"):
        part.decode(b"hello")


@pytest.mark.parametrize(
    "data",
    [
        encoded_part(gzip.compress(b"hello")[:-1], Content_Encoding="gzip"),
        encoded_part(b"hello", Content_Encoding="gzip"),
        encoded_part(b"hell", Content_Encoding="gzip", Content_Transfer_Encoding="base64"),
        encoded_part(b"hel", Content_Transfer_Encoding="base64"),
    ],
    ids=["cut", "no gzip", "base64 of no gzip", "cut base64"],
)
async def test_what_cannot_be_decoded_is_told(data: bytes) -> None:
    """A part that was cut short inside of its encoding must not pass for a whole one."""
    with pytest.raises(ClientPayloadError):
        await (await only_part(data)).read(decode=True)


async def test_a_bomb_stops_at_the_limit() -> None:
    """CVE-2025-69223: client_max_size counts decoded bytes, step by step."""
    bomb = gzip_of_zeros(200)
    assert len(bomb) < 300_000
    data = encoded_part(bomb, Content_Encoding="gzip")
    for call in (BodyPartReader.text, BodyPartReader.json, BodyPartReader.form):
        with pytest.raises(ValueError, match="more than 300000 bytes"):
            await call(await only_part(data, client_max_size=300_000))
    part = await only_part(data, client_max_size=300_000)
    raw = await part.read()
    with pytest.raises(ValueError, match="more than 300000 bytes"):
        part.decode(raw)
    async for piece in part.decode_iter(raw):
        assert len(piece) <= 64 * 1024
        break


# 20 GB: as many members of a megabyte as fit into 20 MB
BOMB = gzip.compress(gzip.compress(bytes(2**20), mtime=0) * 20_000, 1)


class Drop:
    """Takes everything, and keeps nothing."""

    async def write(self, chunk: bytes) -> None:
        """Drop *chunk*."""


async def read_decoded(part: BodyPartReader) -> None:
    """Read the decoded part."""
    await part.read(decode=True)


async def iterate_decoded(part: BodyPartReader) -> None:
    """Iterate over the decoded pieces of the part."""
    async for _ in part.decode_iter(await part.read()):
        pass


async def send_on(part: BodyPartReader) -> None:
    """Write the part to where it is dropped."""
    await get_payload(part).write(Drop())


@pytest.mark.parametrize("use", [read_decoded, iterate_decoded, send_on])
async def test_decoding_a_part_gives_way(
    use: Callable[[BodyPartReader], Coroutine[Any, Any, None]],
) -> None:
    """Some kilobytes can decode to gigabytes: other tasks run meanwhile, and can cancel it."""
    part = await only_part(encoded_part(BOMB, Content_Encoding="gzip, gzip"))

    async def some_steps() -> None:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()

    assert await cancel_when(lambda: use(part), some_steps)


@pytest.mark.parametrize("use", [read_decoded, iterate_decoded, send_on])
async def test_decoding_a_part_ends_with_the_time_of_the_request(
    use: Callable[[BodyPartReader], Coroutine[Any, Any, None]],
) -> None:
    """Also if the body has arrived to its end."""
    content = stream(encoded_part(BOMB, Content_Encoding="gzip, gzip"))
    multipart = MultipartReader({"Content-Type": 'multipart/mixed; boundary=":"'}, content)
    part = await multipart.next()
    assert isinstance(part, BodyPartReader)
    begin_response(content, anyio.current_time() + 0.1)
    with pytest.raises(TimeoutError, match="total"):
        await use(part)


@pytest.mark.parametrize("use", [read_decoded, send_on])
async def test_a_part_that_decodes_to_nothing(
    use: Callable[[BodyPartReader], Coroutine[Any, Any, None]],
) -> None:
    """It is refused before it takes long, also where no other task can run."""
    nothing = gzip.compress(gzip.compress(gzip.compress(b"", mtime=0) * 100_000))
    data = encoded_part(nothing, Content_Encoding="gzip, gzip, gzip")
    with pytest.raises(ClientPayloadError, match="without content"):
        await use(await only_part(data))
    part = await only_part(data)
    with pytest.raises(ClientPayloadError, match="without content"):
        part.decode(nothing)


async def test_a_part_fails_with_its_body() -> None:
    """Bytes that were read ahead are no exception: the time of a request would have no end."""
    data = encoded_part(b"hello\nworld")
    content = StreamReader()
    content.feed_data(data)
    multipart = MultipartReader({"Content-Type": 'multipart/mixed; boundary=":"'}, content)
    part = await multipart.next()
    assert isinstance(part, BodyPartReader)
    assert await part.read_chunk(1) == b"h"
    content.set_exception(TimeoutError("total"))
    for read in (part.read, part.read_chunk, part.readline, part.text):
        with pytest.raises(TimeoutError, match="total"):
            await read()


@pytest.mark.parametrize("size", [1, 3, 4, 10, 77, 8192])
@pytest.mark.parametrize("step", [0, 1, 5])
async def test_pieces_of_encoded_parts_can_be_decoded(size: int, step: int) -> None:
    """read_chunk() never ends within a group of base64 or an escape of quoted-printable."""
    text = bytes(range(256)) * 2
    quoted = "".join(f"={byte:02X}" for byte in text).encode()
    for encoding, data in (
        ("base64", base64.encodebytes(text)),
        ("quoted-printable", quoted),
    ):
        multipart = reader(encoded_part(data, Content_Transfer_Encoding=encoding), step=step)
        part = await multipart.next()
        assert isinstance(part, BodyPartReader)
        pieces = []
        while piece := await part.read_chunk(size):
            assert len(piece) <= max(size, 5)
            pieces.append(piece)
        assert part.at_eof()
        assert b"".join(map(part.decode, pieces)) == text
        assert b"".join(pieces).replace(b"\n", b"") == data.replace(b"\n", b"")


async def test_ways_of_reading_an_encoded_part_can_be_mixed() -> None:
    """What read_chunk() holds back is not lost to the calls after it."""
    data = encoded_part(b"AAAABBBBCC\r\nCC", Content_Transfer_Encoding="base64")
    part = await only_part(data)
    assert await part.read_chunk(6) == b"AAAA"
    assert not part.at_eof()
    assert await part.read_chunk(1) == b"BBBB"
    assert await part.readline() == b"CC\r\n"
    assert await part.read() == b"CC"
    part = await only_part(data)
    assert await part.read_chunk(6) == b"AAAA"
    await part.release()
    assert part.at_eof()


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_blanks_within_a_group_of_base64_are_not_gathered(size: int) -> None:
    """They mean nothing (:rfc:`2045#section-6.8`): pieces do not grow with their number, and
    none is looked at again when the next one comes.
    """
    blanks = b" " * 5000
    data = b"QQ" + blanks + b"==" + blanks
    part = await only_part(encoded_part(data, Content_Transfer_Encoding="base64"))
    pieces = []
    while piece := await part.read_chunk(size):
        pieces.append(piece)
    assert max(map(len, pieces)) <= max(size, 4)
    assert b"".join(map(part.decode, pieces)) == b"A"


# -- parts sent on, and responses


async def test_a_part_can_be_sent_on() -> None:
    """A part that was received is a body: decoded, with its type and names, once."""
    data = encoded_part(
        base64.b64encode(zlib.compress(b"hello")),
        Content_Type="a/b",
        Content_Encoding="deflate",
        Content_Transfer_Encoding="base64",
        Content_Disposition='form-data; name="n"; filename="f"',
    )
    payload = get_payload(await only_part(data))
    assert isinstance(payload, BodyPartReaderPayload)
    assert (payload.content_type, payload.filename, payload.size) == ("a/b", "f", None)
    body = mixed()
    body.append(payload)
    assert await written(body) == (
        b'--:\r\nContent-Type: a/b\r\nContent-Disposition: attachment; name="n"; filename="f"\r\n'
        b"\r\nhello\r\n" + END
    )
    assert payload.consumed
    with pytest.raises(ClientPayloadError, match="cannot be sent again"):
        await written(payload)


async def test_a_part_sent_on_in_a_form_keeps_its_name() -> None:
    """A field of one form becomes the same field of another."""
    data = encoded_part(b"=41", Content_Disposition="form-data; name=n")
    body = mixed("form-data")
    body.append(await only_part(data.replace(b"=41", b"abc"), FORM))
    collector = Collector()
    await body.write(collector)
    assert b'\r\nContent-Disposition: form-data; name="n"\r\n\r\nabc\r\n' in collector.data
    quoted = encoded_part(b"a=", Content_Transfer_Encoding="quoted-printable")
    collector = Collector()
    await get_payload(await only_part(quoted)).write_with_length(collector, 1)
    assert collector.data == b"a"


class Response:
    """As much of a response as is needed."""

    def __init__(self, content: StreamReader) -> None:
        self.headers = CIMultiDictProxy(
            CIMultiDict({"Content-Type": "multipart/mixed; boundary=:"})
        )
        self.content = content
        self.released = 0

    def release(self) -> None:
        self.released += 1


async def test_a_response_is_released_after_its_last_part() -> None:
    """The connection is free once nothing is left to read, the epilogue included."""
    response = Response(stream(b"--:\r\n\r\na\r\n--:\r\n\r\nb\r\n--:--\r\nepilogue"))
    parts = MultipartReader.from_response(response)
    assert isinstance(parts, MultipartResponseWrapper)
    assert parts.resp is response
    read = []
    async for part in parts:
        assert isinstance(part, BodyPartReader)
        read.append(await part.read())
        assert response.released == 0
    assert read == [b"a", b"b"]
    assert response.released == 1
    assert parts.at_eof()
    assert parts.stream.at_eof()


async def test_a_response_can_be_released_early() -> None:
    """Who has seen enough does not read the rest."""
    response = Response(stream(b"--:\r\n\r\na\r\n--:--"))
    parts = MultipartReader.from_response(response)
    await parts.release()
    assert response.released == 1
    assert not parts.at_eof()


async def test_an_endless_epilogue_is_not_waited_for() -> None:
    """CVE-2026-54278: what is drained is at most 64 KiB and takes at most a short time."""
    response = Response(stream(b"--:--" + bytes(1_000_000), 10_000))
    assert await MultipartReader.from_response(response).next() is None
    assert response.released == 1
    assert not response.content.at_eof()


async def test_an_error_in_the_epilogue_releases_the_response() -> None:
    """The connection is let go of, however the reading ends."""
    content = StreamReader()
    content.feed_data(b"--:--")
    response = Response(content)
    parts = MultipartReader.from_response(response)
    assert await parts.stream.next() is None
    content.set_exception(ClientPayloadError("ended early"))
    with pytest.raises(ClientPayloadError, match="ended early"):
        await parts.next()
    assert response.released == 1
