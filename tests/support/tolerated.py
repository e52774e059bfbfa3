"""Malformed responses that are accepted, each for one reason; all have the same meaning."""

from __future__ import annotations

from typing import Final

OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKS: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TWO: Final = b"Content-Length: 2\r\n\r\nhi"

#: By name: responses whose status is 200 and whose body is ``hi``.  If there is a field ``X``,
#: its value is ``a b``.
TOLERATED: Final = {
    "lf": b"HTTP/1.1 200 OK\nX: a b\nContent-Length: 2\n\nhi",
    "lf-status-line": b"HTTP/1.1 200 OK\n" + TWO,
    "lf-field": OK + b"X: a b\n" + TWO,
    "lf-end": OK + b"Content-Length: 2\r\n\nhi",
    "lf-then-crlf-end": OK + b"Content-Length: 2\n\r\nhi",
    "fold": OK + b"X: a\r\n b\r\n" + TWO,
    "fold-with-tabs": OK + b"X: a \t\r\n\t b \r\n" + TWO,
    "fold-with-lf": OK + b"X: a\n b\n" + TWO,
    "fold-of-nothing": OK + b"X:\r\n a\r\n \r\n\tb\r\n \r\n" + TWO,
    "fold-with-a-colon": OK + b"X: a b\r\nZ: a\r\n Content-Length: 9\r\n" + TWO,
    "folded-length": OK + b"Content-Length:\r\n 2\r\n\r\nhi",
    "folded-coding": OK + b"Transfer-Encoding: \r\n\tchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "control-characters": OK + b"Y: \x01\x0b\x0c\x1b\x7f\r\n" + TWO,
    "empty-line-first": b"\r\n" + OK + TWO,
    "empty-lines-first": b"\n\r\n\n" + OK + TWO,
    "version": b"HTTP/1.2 200 OK\r\n" + TWO,
    "last-version": b"HTTP/1.9 200 OK\r\n" + TWO,
    "space-after-size": CHUNKS + b"2 \t\r\nhi\r\n0\r\n\r\n",
    "space-before-size": CHUNKS + b" 2\r\nhi\r\n0\r\n\r\n",
    "zeros-before-size": CHUNKS + b"0" * 8000 + b"2\r\nhi\r\n0\r\n\r\n",
    "zeros-of-the-last-size": CHUNKS + b"2\r\nhi\r\n" + b"0" * 17 + b"\r\n\r\n",
    "space-in-extension": CHUNKS + b'2 ; a\t= "b" ;c \r\nhi\r\n0\r\n\r\n',
    "space-after-the-last-size": CHUNKS + b"2\r\nhi\r\n0 \r\n\r\n",
    "trailer-lf": CHUNKS + b"2\r\nhi\r\n0\r\nX: a\n\r\n",
    "trailer-lf-end": CHUNKS + b"2\r\nhi\r\n0\r\n\n",
    "trailer-fold": CHUNKS + b"2\r\nhi\r\n0\r\nX: a\r\n b\r\n\r\n",
    "trailer-control-character": CHUNKS + b"2\r\nhi\r\n0\r\nX: a\x7f\r\n\r\n",
    "interim-lf": b"HTTP/1.1 103 Early\n\n" + OK + TWO,
    "interim-fold": b"HTTP/1.1 103 Early\r\nX: a\r\n b\r\n\r\n" + OK + TWO,
    "interim-identity": b"HTTP/1.1 103 Early\r\nTransfer-Encoding: identity\r\n\r\n" + OK + TWO,
    "interim-version": b"HTTP/1.3 103 Early\r\n\r\nHTTP/1.1 102 More\r\n\r\n" + OK + TWO,
    "empty-line-after-interim": b"HTTP/1.1 103 Early\r\n\r\n\r\n" + OK + TWO,
}
