"""Raw responses from public test suites, and the result of a strict parser for each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

DATA = Path(__file__).parent.parent / "data" / "http"

# ## Title … <!-- meta={…} --> ```http … ``` ```log … ```
_CASE = re.compile(
    r"^##+ (?P<title>[^\n]*)\n(?:(?!^##).)*?<!-- meta=(?P<meta>\{[^\n]*?\}) -->\n"
    r"```http\n(?P<text>.*?)\n```\n(?:(?!```).)*```log\n(?P<log>.*?)\n```",
    re.DOTALL | re.MULTILINE,
)
_EVENT = re.compile(r"off=(?P<off>\d+) (?:len=(?P<len>\d+) span\[(?P<span>\w+)\]=)?(?P<rest>.*)")
_HEADERS = re.compile(r"headers complete status=(\d+) v=(\d)/(\d) flags=([0-9a-f]+)")
_ERROR = re.compile(r'error code=(\d+) reason="(.*)"')

# llhttp's flags: with one of them, the body has an end other than the end of the connection.
_CHUNKED, _CONTENT_LENGTH = 0x8, 0x20
_PAUSED_FOR_UPGRADE = 22


@dataclass(frozen=True)
class Vector:
    """The bytes that one connection received, and the first final response in them.

    ``accepted`` is true if a strict parser accepts the response when the connection ends after
    these bytes.  If it is false, ``error`` is the reason, and the other fields have what was
    parsed before the error (``status`` is 0 if the head was refused).
    """

    name: str
    raw: bytes
    accepted: bool
    error: str
    protocol: str
    """``HTTP``; llhttp also takes ``RTSP`` and ``ICE``, which an HTTP client refuses."""
    status: int
    version: tuple[int, int]
    headers: list[tuple[bytes, bytes]]
    body: bytes
    rest: bytes
    """What follows the first response; empty unless its end is known before the connection's."""

    def __str__(self) -> str:
        return self.name


def llhttp() -> list[Vector]:
    """Return llhttp's cases of strict response parsing."""
    vectors = []
    for path in sorted((DATA / "llhttp").glob("*.md")):
        for case in _CASE.finditer(path.read_text(encoding="utf-8")):
            meta = json.loads(case["meta"])
            if meta["type"] == "response" and "skipBody" not in meta:
                name = re.sub(r"\W+", "-", f"{path.stem} {case['title']}").strip("-").lower()
                vectors.append(_read(name, _unescape(case["text"]), case["log"]))
    return vectors


@dataclass(frozen=True)
class LengthVector:
    """Content-Length fields before a body of 42 bytes, then the end of the connection."""

    fields: str
    raw: bytes
    browser: int | None
    """How many bytes a browser takes, or ``None`` if it fails."""

    def __str__(self) -> str:
        return repr(self.fields)


def wpt_content_lengths() -> Iterator[LengthVector]:
    """Yield the Content-Length cases of web-platform-tests."""
    for case in json.loads((DATA / "wpt" / "content-lengths.json").read_text()):
        fields = case["input"]
        raw = f"HTTP/1.1 200 OK\nConnection: close\n{fields}\n\n" + "0123456789" * 4 + "ab"
        yield LengthVector(fields, _crlf(raw), case["output"])


@dataclass(frozen=True)
class StatusVector:
    """A status line, and a browser's result for it: status and reason, or ``None``."""

    text: str
    raw: bytes
    browser: tuple[int, str] | None

    def __str__(self) -> str:
        return repr(self.text)


def wpt_status_codes() -> Iterator[StatusVector]:
    """Yield the status lines of web-platform-tests."""
    for case in json.loads((DATA / "wpt" / "status-code.json").read_text()):
        text, expected = case["input"], case["expected"]
        raw = _crlf(f"HTTP/1.1 {text}\nContent-Length: 0\n\n")
        browser = (expected["status"], expected["statusText"]) if expected else None
        yield StatusVector(text, raw, browser)


def wpt_lone_cr() -> list[bytes]:
    """Return responses with a CR that no LF follows; each must be refused."""
    return [_crlf(text) for text in json.loads((DATA / "wpt" / "lone-cr.json").read_text())]


def wpt_incomplete() -> list[bytes]:
    """Return responses that end within a header line; each must be refused."""
    texts = json.loads((DATA / "wpt" / "incomplete-response.json").read_text())
    return [_crlf(text) for text in texts]


def _crlf(text: str) -> bytes:
    """Make every line end CRLF, whatever it was."""
    return re.sub(r"\r?\n", "\r\n", text).encode()


def _unescape(text: str) -> bytes:
    r"""Return the bytes that the text of a fenced block means.

    A line end is CRLF, unless the line ends with a backslash, which joins it to the next one.
    ``\r``, ``\n``, ``\t`` and ``\f`` are characters that would be invisible.  They are
    replaced after the line ends, so that ``\n`` gives LF alone.
    """
    text = re.sub(r"\\\n", "", text).replace("\n", "\r\n")
    return re.sub(r"\\[rntf]", lambda match: _ESCAPES[match[0]], text).encode()


_ESCAPES = {r"\r": "\r", r"\n": "\n", r"\t": "\t", r"\f": "\f"}


def _read(name: str, raw: bytes, log: str) -> Vector:
    """Parse llhttp's log up to the end of the first final message."""
    first = _Message()
    for event in _EVENT.finditer(log):
        start = int(event["off"])
        first.take(event["span"], raw[start : start + int(event["len"] or 0)], event["rest"])
        if first.error or first.upgraded:
            break
        if event["rest"] == "message complete":
            if first.status >= 200 or first.status == 101:
                first.rest = raw[start:]
                break
            first = _Message()  # skip an interim response
    else:
        # There are no more bytes: what determines the end of the body?
        if not first.status:
            first.error = "the connection ended within the head"
        elif first.flags & (_CHUNKED | _CONTENT_LENGTH):
            first.error = "the connection ended within the body"
    return Vector(
        name=name,
        raw=raw,
        accepted=not first.error,
        error=first.error,
        protocol=first.protocol,
        status=first.status,
        version=first.version,
        headers=first.headers,
        body=first.body,
        rest=first.rest,
    )


@dataclass
class _Message:
    protocol: str = ""
    status: int = 0
    version: tuple[int, int] = (0, 0)
    flags: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    rest: bytes = b""
    error: str = ""
    upgraded: bool = False
    _name: bytes = b""
    _value: bytes = b""

    def take(self, span: str | None, data: bytes, rest: str) -> None:
        """Parse one line of the log; for a span, *data* are the bytes that the line refers to."""
        if span == "body":
            self.body += data
        elif span == "protocol":
            self.protocol = data.decode()
        elif self.status:
            pass  # trailer fields and chunk extensions
        elif span == "header_field":
            self._name += data
        elif span == "header_value":
            self._value += data
        elif rest == "header_value complete":
            self.headers.append((self._name, self._value.strip(b" \t")))
            self._name = self._value = b""
        if match := _HEADERS.match(rest):
            self.status, self.version = int(match[1]), (int(match[2]), int(match[3]))
            self.flags = int(match[4], 16)
        elif match := _ERROR.match(rest):
            self.upgraded = int(match[1]) == _PAUSED_FOR_UPGRADE
            self.error = "" if self.upgraded else match[2]
