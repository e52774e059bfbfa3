"""What is done with WebSockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .ws_clients import Socket


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing to do over and over.

    :ivar route: of the server
    :ivar size: bytes of a message
    :ivar sockets: how many are open, and busy, at once
    """

    name: str
    title: str
    route: str
    size: int
    sockets: int = 1
    compress: bool = False


WORKLOADS: Final = (
    Workload("echo20", "echo of 20 bytes", "echo", 20),
    Workload("echo10k", "echo of 10 kB", "echo", 10_000),
    Workload("echo1m", "echo of 1 MB", "echo", 1_000_000),
    Workload("send20", "sending messages of 20 bytes", "sink", 20),
    Workload("send1m", "sending messages of 1 MB", "sink", 1_000_000),
    Workload("receive20", "receiving messages of 20 bytes", "source", 20),
    Workload("receive1m", "receiving messages of 1 MB", "source", 1_000_000),
    Workload("echo20z", "echo of 20 bytes, compressed", "echo", 20, compress=True),
    Workload("echo10kz", "echo of 10 kB, compressed", "echo", 10_000, compress=True),
    Workload("echo1mz", "echo of 1 MB, compressed", "echo", 1_000_000, compress=True),
    Workload("echo1000", "echo of 20 bytes on 1000 sockets", "echo", 20, sockets=1000),
)


def message_of(size: int) -> bytes | str:
    """Return a message as JSON has it: text, neither random nor all the same."""
    line = "".join(f'{{"id":{number},"ok":true}},' for number in range(size // 18 + 1))
    return line[:size]


async def do(socket: Socket, workload: Workload, times: int) -> None:
    """Do *workload* so many times."""
    if workload.route == "echo":
        message = message_of(workload.size)
        for _ in range(times):
            await socket.send(message)
            if len(await socket.receive()) != workload.size:
                raise RuntimeError("wrong length")
    elif workload.route == "sink":
        data = bytes(workload.size)
        for _ in range(times):
            await socket.send(data)
        await socket.send("end")
        await socket.receive()
    else:
        await socket.send(f"{times} {workload.size}")
        for _ in range(times):
            if len(await socket.receive()) != workload.size:
                raise RuntimeError("wrong length")
