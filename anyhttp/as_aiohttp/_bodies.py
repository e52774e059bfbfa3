"""Bodies of this package in responses of the installed aiohttp's server."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ..payload import Payload, Writer


def accept_payloads(payload: ModuleType) -> None:
    """Let the server's responses take a payload of this package, such as a multipart, as body.

    :param payload: the module of the installed aiohttp; the server takes what is derived from its
        class, and finds a class for everything else in its registry
    """

    def init(self: Any, value: Payload) -> None:
        payload.Payload.__init__(self, value, value.headers)
        self.value = value

    def size(self: Any) -> int | None:
        held: Payload = self.value
        return held.size

    def decode(self: Any, encoding: str = "utf-8", errors: str = "strict") -> str:
        held: Payload = self.value
        return held.decode(encoding, errors)

    async def write(self: Any, writer: Writer) -> None:
        await self.value.write(writer)

    async def close(self: Any) -> None:
        await self.value.close()

    body = type(
        "Body",
        (payload.Payload,),
        {
            "__init__": init,
            "size": property(size),
            "decode": decode,
            "write": write,
            "close": close,
        },
    )
    payload.PAYLOAD_REGISTRY.register(body, Payload)
