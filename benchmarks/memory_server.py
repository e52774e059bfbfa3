"""The other end of ``benchmarks.memory``: sends and takes bodies of any size.

It prints the port that it listens on, then serves until the process is ended.
"""

from __future__ import annotations

import gzip
import random
import socketserver
import sys
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Final

import h11

BLOCK: Final = bytes(1_000_000)


@cache
def gzip_member() -> bytes:
    """Return a million bytes of hexadecimal digits, compressed: about half as many."""
    return gzip.compress(random.Random(1).randbytes(500_000).hex().encode(), 1)


def bomb(size: int) -> Iterator[bytes]:
    """Yield *size* zeros, compressed as well as gzip can."""
    compressor = zlib.compressobj(9, wbits=31)
    for _ in range(size // len(BLOCK)):
        yield compressor.compress(BLOCK)
    yield compressor.compress(bytes(size % len(BLOCK))) + compressor.flush()


def plain(size: int) -> Iterator[bytes]:
    """Yield *size* zeros."""
    for _ in range(size // len(BLOCK)):
        yield BLOCK
    yield bytes(size % len(BLOCK))


def chunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield *pieces* as chunks."""
    for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def answer(kind: str, size: int) -> Iterator[bytes]:
    """Yield the response to a GET of ``/kind/size``."""
    start = b"HTTP/1.1 200 OK\r\n"
    in_chunks = b"Transfer-Encoding: chunked\r\n\r\n"
    if kind == "plain":
        yield start + b"Content-Length: %d\r\n\r\n" % size
        yield from plain(size)
    elif kind == "chunked":
        yield start + in_chunks
        yield from chunked(plain(size))
    elif kind == "gzip":
        yield start + b"Content-Encoding: gzip\r\n" + in_chunks
        yield from chunked(gzip_member() for _ in range(size // 1_000_000))
    elif kind == "bomb":
        yield start + b"Content-Encoding: gzip\r\n" + in_chunks
        yield from chunked(bomb(size))
    elif kind == "multipart":
        yield start + b"Content-Type: multipart/mixed; boundary=cut\r\n" + in_chunks
        parts = [iter([b"--cut\r\n\r\n"]), plain(size), iter([b"\r\n--cut--\r\n"])]
        yield from chunked(chain.from_iterable(parts))
    else:
        yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Handler(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Serve requests until the client closes."""
        connection = h11.Connection(h11.SERVER)
        target, received = b"", 0
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(self.request.recv(2**18))
            elif isinstance(event, h11.Request):
                target, received = event.target, 0
            elif isinstance(event, h11.Data):
                received += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.respond(connection, target.decode(), received)
                connection.start_next_cycle()
            else:
                return

    def respond(self, connection: h11.Connection, target: str, received: int) -> None:
        """Send the response; h11 is only told of one."""
        _, kind, *rest = target.split("/")
        if kind == "upload":
            body = str(received).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            self.request.sendall(head + body)
        else:
            for piece in answer(kind, int(rest[0])):
                self.request.sendall(piece)
        connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        connection.send(h11.EndOfMessage())


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that had enough."""


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.exit()
