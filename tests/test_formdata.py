from __future__ import annotations

import io
import re
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import date
from decimal import Decimal
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import anyio
import pytest
from multidict import MultiDict, MultiDictProxy

from anyhttp.formdata import FormData
from anyhttp.multipart import MultipartWriter
from anyhttp.payload import BytesPayload, JsonPayload, file_name


async def sent(form: FormData) -> bytes:
    """Return the body that *form* sends now, with ":" for its boundary."""
    body = form()
    assert isinstance(body, MultipartWriter)
    data = await body.as_bytes()
    if body.size is not None:
        assert len(data) == body.size
    return data.replace(body.boundary.encode(), b":")


def part(disposition: str, data: bytes, content_type: str = "text/plain; charset=utf-8") -> bytes:
    """The bytes of one part."""
    head = f"--:\r\nContent-Type: {content_type}\r\nContent-Disposition: form-data; {disposition}"
    return head.encode() + b"\r\n\r\n" + data + b"\r\n"


END = b"--:--\r\n"
OCTETS = "application/octet-stream"


# -- urlencoded


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ((), b""),
        ({}, b""),
        ({"a": "1", "b": "ü x&"}, b"a=1&b=%C3%BC+x%26"),
        ([("a", 1), ("a", 2.5)], b"a=1&a=2.5"),
        ((("a", "1"), ["b", "2"]), b"a=1&b=2"),
        (MultiDict([("a", "1"), ("a", "2")]), b"a=1&a=2"),
        (MultiDictProxy(MultiDict(a="1")), b"a=1"),
        (MappingProxyType({"a": "1"}), b"a=1"),
        ({"a": ["x", "y"]}, b"a=x&a=y"),
        ({"a": "x\r\ny"}, b"a=x%0D%0Ay"),
    ],
)
def test_plain_fields_are_urlencoded(fields: Any, data: bytes) -> None:
    """HTML: application/x-www-form-urlencoded; several values of a field follow each other."""
    form = FormData(fields)
    assert not form.is_multipart
    for _ in range(2):
        body = form()
        assert isinstance(body, BytesPayload)
        assert body.content_type == "application/x-www-form-urlencoded"
        assert body.in_memory() == data


def test_another_charset_is_named() -> None:
    """A server takes UTF-8 for granted, so anything else is said."""
    body = FormData({"a": "ü"}, charset="latin1")()
    assert body.content_type == "application/x-www-form-urlencoded; charset=latin1"
    assert body.in_memory() == b"a=%FC"
    utf8 = FormData({"a": "ü"}, charset="utf-8")()
    assert utf8.content_type == "application/x-www-form-urlencoded"


# -- multipart


async def test_a_multipart() -> None:
    """RFC 7578 §4: each part has a name, and none says how long it is."""
    form = FormData()
    form.add_field("a", "ü", filename="f.txt")
    form.add_field("b", b"\x00", filename="raw", content_type="x/y")
    form.add_field("c", "plain")
    assert form.is_multipart
    body = form()
    assert isinstance(body, MultipartWriter)
    assert body.content_type == f"multipart/form-data; boundary={body.boundary}"
    for _ in range(2):
        assert await sent(form) == (
            part('name="a"; filename="f.txt"', "ü".encode())
            + part('name="b"; filename="raw"', b"\x00", "x/y")
            + part('name="c"', b"plain")
            + END
        )
    assert form().headers == body.headers


@pytest.mark.parametrize(
    ("option", "is_multipart"),
    [
        ({}, False),
        ({"filename": "f"}, True),
        ({"content_type": "a/b"}, True),
    ],
)
def test_what_makes_a_multipart(option: dict[str, str], is_multipart: bool) -> None:
    """A file name or content type can be told in a multipart only."""
    form = FormData()
    form.add_field("a", "x", **option)
    assert form.is_multipart is is_multipart
    assert FormData({"a": "x"}, default_to_multipart=True).is_multipart


async def test_a_transfer_encoding_only_makes_a_multipart() -> None:
    """RFC 7578 §4.7: parts of a form are not encoded."""
    form = FormData()
    with pytest.warns(DeprecationWarning, match="not applied"):
        form.add_field("a", "x", content_transfer_encoding="base64")
    with pytest.warns(DeprecationWarning, match="not applied"):
        form.add_field("b", b"y", content_transfer_encoding="base64")
    assert await sent(form) == part('name="a"', b"x") + part('name="b"', b"y", OCTETS) + END


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x")])
async def test_bytes_are_a_file(data: Any) -> None:
    """Bytes without a file name are sent as a file, as ever, with a warning."""
    with pytest.warns(DeprecationWarning, match="filename"):
        form = FormData({"b": data})
    assert await sent(form) == part('name="b"; filename="b"', b"x", OCTETS) + END


async def test_quoted_names() -> None:
    """RFC 7578 §5.1: names are quoted strings in UTF-8; file names are percent-encoded."""
    form = FormData()
    form.add_field('a"\\', "x", filename='"ü\\ n')
    form.add_field("ü", "y")
    assert await sent(form) == (
        part(r'name="a\"\\"; filename="%22%C3%BC%5C%20n"', b"x") + part('name="ü"', b"y") + END
    )


async def test_unquoted_names() -> None:
    """RFC 7578 §5.1: with quote_fields=False names are sent in UTF-8, as browsers do."""
    form = FormData(quote_fields=False)
    form.add_field('a"\\', "x", filename='"ü\\ n')
    form.add_field("ü", "y")
    assert await sent(form) == (
        part(r'name="a\"\\"; filename="\"ü\\ n"', b"x") + part('name="ü"', b"y") + END
    )


async def test_the_charset_of_parts() -> None:
    """Text parts are encoded in the charset of the form, and name it."""
    form = FormData(charset="latin1", default_to_multipart=True)
    form.add_field("a", "ü")
    assert await sent(form) == part('name="a"', b"\xfc", "text/plain; charset=latin1") + END


async def test_payloads_and_iterables_are_parts() -> None:
    """What is a body of its own cannot be urlencoded."""

    async def generate() -> AsyncIterator[bytes]:
        yield b"piece"

    form = FormData({"a": JsonPayload([1]), "b": generate()})
    form.add_field("c", JsonPayload([2], headers={"Content-Length": "9"}), content_type="x/y")
    assert form.is_multipart
    assert form().size is None
    assert await sent(form) == (
        part('name="a"', b"[1]", "application/json")
        + part('name="b"', b"piece", OCTETS)
        + part('name="c"', b"[2]", "x/y")
        + END
    )
    assert form().consumed


# -- files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of five bytes."""
    path = tmp_path / "thing.txt"
    path.write_bytes(b"12345")
    return path


FILE_SOURCES: dict[str, Callable[[Any], FormData]] = {
    "dict": lambda file: FormData({"file": file}),
    "pairs": lambda file: FormData([("file", file)]),
    "multidict": lambda file: FormData(MultiDict({"file": file})),
}


@pytest.mark.parametrize("source", FILE_SOURCES)
async def test_a_file_is_named_after_itself(path: Path, source: str) -> None:
    """An open file makes a multipart, with its name and what that says about its type."""
    with path.open("rb") as file:
        form = FILE_SOURCES[source](file)
        assert (
            await sent(form)
            == part('name="file"; filename="thing.txt"', b"12345", "text/plain") + END
        )


async def test_the_names_of_files(path: Path) -> None:
    """An argument wins over the name of the file, and that over the field's; or it is unknown."""
    with path.open("rb") as file:
        form = FormData(file)
        form.add_field("b", file, filename="other", content_type="x/y")
        form.add_field("c", io.BytesIO(b"z"))
        form.add_fields(io.BytesIO(b"q"))
        assert await sent(form) == (
            part('name="thing.txt"; filename="thing.txt"', b"12345", "text/plain")
            + part('name="b"; filename="other"', b"12345", "x/y")
            + part('name="c"; filename="c"', b"z", OCTETS)
            + part('name="unknown"; filename="unknown"', b"q", OCTETS)
            + END
        )


async def test_a_file_name_may_be_empty() -> None:
    """A browser sends such a name for a file field in which no file was chosen."""
    form = FormData()
    form.add_field("a", io.BytesIO(), filename="")
    form.add_field("b", b"", filename="")
    assert await sent(form) == (
        part('name="a"; filename=""', b"", OCTETS)
        + part('name="b"; filename=""', b"", OCTETS)
        + END
    )


class Duck:
    """A file by its method read() alone."""

    def __init__(self) -> None:
        self._content = io.BytesIO(b"12345")

    def read(self, size: int = -1) -> bytes:
        """Read."""
        return self._content.read(size)


@pytest.mark.parametrize("make", [tempfile.NamedTemporaryFile, tempfile.SpooledTemporaryFile])
async def test_a_temporary_file_is_a_file(make: Callable[[], Any]) -> None:
    """Its class has no base in ``io``, or it is no file of the system yet."""
    with make() as file:
        file.write(b"12345")
        file.seek(0)
        form = FormData({"a": file})
        name = file_name(file) or "a"
        size = form().size
        data = await sent(form)
        assert data == part(f'name="a"; filename="{name}"', b"12345", OCTETS) + END
        assert size is not None


async def test_anything_with_a_read_is_a_file() -> None:
    """As a field, and as what gives a field its name."""
    expected = part('name="a"; filename="a"', b"12345", OCTETS) + END
    assert await sent(FormData({"a": Duck()})) == expected
    assert b'name="unknown"' in await sent(FormData(Duck()))  # type: ignore[arg-type]  # no IOBase


async def test_a_file_opened_by_anyio_is_a_file(path: Path) -> None:
    """What open_file() returns is treated as what open() returns."""
    async with await anyio.open_file(path, "rb") as file:
        form = FormData({"a": file})
        assert (
            await sent(form) == part('name="a"; filename="thing.txt"', b"12345", "text/plain") + END
        )


async def test_each_body_sends_the_file_from_where_it_stood(path: Path) -> None:
    """A redirected or retried request sends the same bytes as the first one."""
    with path.open("rb") as file:
        file.seek(2)
        form = FormData({"a": file})
        for _ in range(3):
            assert not form().consumed
            assert b"\r\n\r\n345\r\n" in await sent(form)


# -- what is refused


@pytest.mark.parametrize("fields", ["abc", ["abc"], [("a",)], [("a", "b", "c")], [1], b"x", 5])
def test_what_fields_are_not(fields: Any) -> None:
    """A form is made of pairs, multidicts and files."""
    with pytest.raises(TypeError, match="pairs"):
        FormData(fields)


@pytest.mark.parametrize("value", [1, None, True, ["x"], {}])
def test_values_that_cannot_be_parts(value: object) -> None:
    """Only what is a body can be a part; the error names the field."""
    form = FormData([("field", value)], default_to_multipart=True)
    with pytest.raises(TypeError, match="'field'"):
        form()


class WithAsyncRead:
    """As an upload that a web framework has received."""

    async def read(self, size: int = -1) -> bytes:
        """Read."""
        raise NotImplementedError


class Plain:
    """An object whose str() is its repr()."""


#: Values that are no text, and what the error says to write.
NO_TEXT: dict[str, tuple[Any, str]] = {
    "None": (None, "empty str"),
    "object": (Plain(), "give a str"),
    "function": (len, "give a str"),
    "class": (Plain, "give a str"),
    "generator": ((piece for piece in (b"x",)), "list of values"),
    "mapping": ({"a": 1}, "json.dumps"),
    "asynchronous read()": (WithAsyncRead(), "asynchronous generator"),
    "None in a list": ([None], "empty str"),
    "file in a list": ([io.BytesIO()], "pair of its own"),
    "list in a list": ([["a"]], "pair of its own"),
    "bytearray in a list": ([bytearray(b"x")], "give bytes"),
    "name and file": (("x.txt", io.BytesIO(b"x")), "add_field"),
    "name, file and type": (("x.txt", io.BytesIO(b"x"), "text/plain"), "add_field"),
    "name and bytes": (("x.txt", b"x"), "add_field"),
    "name, text and nothing": (("x.txt", "text", None), "add_field"),
}


@pytest.mark.parametrize("kind", NO_TEXT)
def test_a_repr_is_never_sent(kind: str) -> None:
    """Nobody wants ``f=<object at 0x7f…>``: the error names the field, and what to write."""
    value, advice = NO_TEXT[kind]
    with pytest.raises(TypeError, match=f"'field'.*{advice}"):
        FormData({"field": value})()
    with pytest.raises(TypeError, match="'field'"):
        FormData({"field": value}, default_to_multipart=True)()
    writer = MultipartWriter()
    with pytest.raises(TypeError, match=f"'field'.*{advice}"):
        writer.append_form({"field": value})


def test_what_is_awaitable_is_named() -> None:
    """The value of a field was meant, and not the coroutine that returns it."""

    async def value() -> str:
        raise NotImplementedError

    coroutine = value()
    with pytest.raises(TypeError, match="await it first"):
        FormData({"field": coroutine})()
    coroutine.close()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, b"True"),
        (Decimal("1.50"), b"1.50"),
        (UUID(int=5), b"00000000-0000-0000-0000-000000000005"),
        (date(2020, 1, 2), b"2020-01-02"),
        (PurePosixPath("a/b"), b"a%2Fb"),
        ([b"x"], b"x"),
        (("a", "b"), b"a&f=b"),
        ({"a": 1}.keys(), b"a"),
        ([], None),
    ],
)
def test_what_has_a_text_of_its_own_is_sent(value: object, text: bytes | None) -> None:
    """As ``str()`` gives it; a collection gives the field several values."""
    assert FormData({"f": value})().decode() == ("" if text is None else f"f={text.decode()}")


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (5, "str()"),
        (Decimal(5), "str()"),
        (["a"], "pair of its own"),
        (PurePosixPath("a"), "open the file"),
    ],
)
def test_what_a_multipart_cannot_hold(value: object, advice: str) -> None:
    """The parts of a multipart are bodies of their own."""
    with pytest.raises(TypeError, match=re.escape(advice)):
        FormData({"f": value}, default_to_multipart=True)()


@pytest.mark.parametrize("argument", ["filename", "content_type", "content_transfer_encoding"])
def test_arguments_are_text(argument: str) -> None:
    """A mistaken type is told at once."""
    option: dict[str, Any] = {argument: 3}
    with pytest.raises(TypeError, match=argument):
        FormData().add_field("a", "x", **option)
    with pytest.raises(TypeError, match="name"):
        FormData().add_field(None, "x")  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("name", ["quote_fields", "default_to_multipart"])
def test_flags_are_bools(name: str) -> None:
    """A word such as "no" would count as true."""
    options: dict[str, Any] = {name: "no"}
    with pytest.raises(TypeError, match=f"^{name} must be a bool, not str$"):
        FormData(**options)


@pytest.mark.parametrize("control", ["\r\n", *map(chr, range(32)), "\x7f"])
def test_control_characters_are_refused(control: str) -> None:
    """CVE-2026-34514: nothing given for a header can end it; told before anything is sent."""
    bad = f"a{control}b"
    for options in (
        {"filename": bad},
        {"content_transfer_encoding": bad},
        *([{"content_type": bad}] if control != "\t" else []),
    ):
        with pytest.raises(ValueError, match="control character"):
            FormData().add_field("a", "x", **options)
    with pytest.raises(ValueError, match="control character"):
        FormData({bad: "x"})


def test_a_subclass_with_a_step_of_aiohttp() -> None:
    """Nothing calls it, so a form that it encrypts would be sent as it is."""
    for name in ("_gen_form_data", "_gen_form_urlencoded"):
        with pytest.raises(TypeError, match=rf"Mine\.{name} would be passed over"):
            type("Mine", (FormData,), {name: lambda self: None})
