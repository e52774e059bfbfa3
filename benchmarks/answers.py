"""What the Python server sends: whole answers, ready before the first request comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

# The pieces of each answer, by path; with more than one, there is a pause before each.
Answers: TypeAlias = Mapping[str, Sequence[bytes]]

# 90 bytes, a common size for an answer of a JSON API.
SMALL: Final = (
    b'{"id": 4711, "name": "anyhttp", "tags": ["http", "client"], "ok": true, "note": "ninety."}'
)
CHUNKS: Final = 100_000
CHUNK: Final = b"twenty bytes of text"

# As a language model's or a log's stream has it.
LINE: Final = b'{"id": 4711, "text": "a line of fifty bytes, ok"}\n'
LINES: Final = 5_000

# Delays between what comes one by one: the client must be waiting again each time.
PACE: Final = 4

EVENT: Final = b'data: {"choices": [{"index": 0, "delta": {"content": " word"}}]}\n\n'
EVENTS: Final = 1_000
PACED_EVENTS: Final = 20
FEW_CHUNKS: Final = 2_500

# Replaced by a number that is another each time, so that nobody sees the same value twice.
SERIAL: Final = b"########"

# Replaced by the present time in short answers, as a head that comes again may cost a client less.
DATE: Final = b"Sun, 29 Nov 2026 18:00:00 GMT"

STATUS: Final = b"HTTP/1.1 200 OK\r\n"
HEAD: Final = (
    b"Server: nginx/1.22.1\r\nDate: %b\r\n"
    b"Content-Type: application/json\r\nConnection: keep-alive\r\n"
) % DATE
# With the others a hundred, the most that some clients take.
HEADERS: Final = b"".join(b"X-Header-%d: the value of number %d\r\n" % (n, n) for n in range(95))
COOKIES: Final = (
    b"Set-Cookie: session=%b; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600\r\n"
    b"Set-Cookie: theme=dark-%b; Path=/; Expires=Mon, 29 Nov 2027 18:00:00 GMT\r\n"
) % (SERIAL, SERIAL)


def with_length(body: bytes, *, status: bytes = STATUS, more: bytes = b"") -> bytes:
    """Return the whole answer that carries *body*; *more* are lines of its head."""
    return b"%b%bContent-Length: %d\r\n%b\r\n%b" % (status, HEAD, len(body), more, body)


def in_chunks(chunk: bytes, number: int) -> list[bytes]:
    """Return the pieces of an answer of so many chunks: the head, each of them, the end."""
    head = b"%b%bTransfer-Encoding: chunked\r\n\r\n" % (STATUS, HEAD)
    return [head, *[b"%x\r\n%b\r\n" % (len(chunk), chunk)] * number, b"0\r\n\r\n"]


def all_answers() -> Answers:
    """Return all that is not a file."""
    missing = b"HTTP/1.1 404 Not Found\r\n"
    return {
        "/json": [with_length(SMALL)],
        "/numbered": [with_length(SMALL, more=b"X-Request-Id: %b\r\n" % SERIAL)],
        "/missing": [with_length(SMALL, status=missing)],
        "/headers": [with_length(SMALL, more=HEADERS)],
        "/cookies": [with_length(SMALL, more=COOKIES)],
        "/100k": [with_length(bytes(100_000))],
        "/2m": [with_length(bytes(2_000_000))],
        "/10m": [with_length(bytes(10_000_000))],
        "/lines": [with_length(LINE * LINES)],
        "/chunks": [b"".join(in_chunks(CHUNK, CHUNKS))],
        "/few-chunks": [b"".join(in_chunks(CHUNK, FEW_CHUNKS))],
        "/events": [b"".join(in_chunks(EVENT, EVENTS))],
        "/paced-events": in_chunks(EVENT, PACED_EVENTS),
    }
