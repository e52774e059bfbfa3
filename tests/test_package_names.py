"""Names that packages written for aiohttp use: what there is nothing in aiohttp to compare with.

The others are in ``tests/compat/test_package_names.py``.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

import anyhttp
from anyhttp import ClientSession, ClientTimeout, ClientWSTimeout, TraceRequestStartParams
from anyhttp.abc import AbstractStreamWriter
from anyhttp.client_proto import ResponseHandler
from anyhttp.payload import Payload
from tests.support.server import Server

pytestmark = pytest.mark.anyio


def test_attrs_is_not_imported() -> None:
    """Its fields are made for whoever has imported it, so it need not be installed."""
    code = """
import sys
import anyhttp
print(hasattr(anyhttp.ClientTimeout, "__attrs_attrs__"), "attr" in sys.modules)
import attr
print(hasattr(anyhttp.ClientTimeout, "__attrs_attrs__"))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False", "True"]


def test_values_are_dataclasses_too() -> None:
    """Aiohttp has none of its own; here the functions of the standard library work."""
    assert dataclasses.replace(ClientTimeout(total=5), total=1) == ClientTimeout(total=1)
    assert dataclasses.asdict(ClientWSTimeout(ws_close=5)) == {"ws_receive": None, "ws_close": 5}
    assert [field.name for field in dataclasses.fields(TraceRequestStartParams)] == [
        "method", "url", "headers",
    ]  # fmt: skip


async def test_a_payload_is_given_a_writer(server: Server) -> None:
    """A class of a library can say what its payload writes to."""

    class Twice(Payload):
        async def write(self, writer: AbstractStreamWriter) -> None:
            await writer.write(self._value)
            await writer.write(self._value)

    async with ClientSession(server.url) as session:
        async with session.post("/echo-body", data=Twice(b"ab")) as response:
            assert await response.read() == b"abab"


def test_a_protocol_for_a_reader() -> None:
    """It takes a loop, as aiohttp's does, and needs none."""
    assert ResponseHandler() is not ResponseHandler(loop=object())
    assert not hasattr(anyhttp, "ResponseHandler")
