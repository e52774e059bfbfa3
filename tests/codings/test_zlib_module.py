from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from anyhttp import ClientSession, MultipartWriter, set_zlib_backend
from tests.support.api import Api
from tests.support.routes import DOCUMENT


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """Names of the functions called of a backend that is put in the place of ``zlib``."""
    called: list[str] = []

    def counted(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            called.append(name)
            return getattr(zlib, name)(*args, **kwargs)

        return call

    names = ("compressobj", "decompressobj")
    module: Any = SimpleNamespace(**{name: counted(name) for name in names}, error=zlib.error)
    set_zlib_backend(module)
    yield called
    set_zlib_backend(zlib)


@pytest.fixture(params=["isal.isal_zlib", "zlib_ng.zlib_ng"])
def fast(request: pytest.FixtureRequest) -> Iterator[None]:
    """A real module that is faster than ``zlib``."""
    distribution = request.param.partition(".")[0].replace("_", "-")
    module = pytest.importorskip(request.param, reason=f"install {distribution}")
    set_zlib_backend(module)
    yield
    set_zlib_backend(zlib)


async def round_trips(api: Api) -> None:
    """Compress a body, and decompress three."""
    async with ClientSession() as session:
        for path in ("gzip", "deflate", "deflate-raw"):
            async with session.get(api.url / path) as response:
                assert await response.json() == DOCUMENT
        for coding in ("gzip", "deflate"):
            url = api.url / "echo-body"
            async with session.post(url, data=b"text " * 1000, compress=coding) as response:
                sent = await response.read()
            undone = gzip.decompress(sent) if coding == "gzip" else zlib.decompress(sent)
            assert undone == b"text " * 1000


async def test_bodies_go_through_the_backend(calls: list[str], api: Api) -> None:
    """Those that are sent compressed, and those that are received so."""
    await round_trips(api)
    assert calls.count("decompressobj") >= 3
    assert calls.count("compressobj") == 2


async def test_parts_go_through_the_backend(calls: list[str], api: Api) -> None:
    """A part of a multipart may be compressed by itself."""
    with MultipartWriter() as writer:
        writer.append(b"text", {"Content-Encoding": "gzip"})
    async with ClientSession() as session:
        async with session.post(api.url / "echo-body", data=writer) as response:
            sent = await response.read()
    assert calls == ["compressobj"]
    body = sent.partition(b"\r\n\r\n")[2]
    assert gzip.decompress(body[: body.rindex(b"\r\n--")]) == b"text"


async def test_faster_modules_do_the_same(fast: None, api: Api) -> None:
    """Those that have the interface of ``zlib``."""
    await round_trips(api)


def test_a_backend_has_the_interface_of_zlib() -> None:
    """What lacks part of it would fail in the middle of a body."""
    module: Any = importlib.import_module("json")
    with pytest.raises(TypeError, match="compressobj"):
        set_zlib_backend(module)
