"""Shows a response on a terminal: coloured, and without control characters."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import AsyncIterator
from typing import Final

from anyio import to_thread
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from anyhttp import ClientResponse
from anyhttp._headers import codec_name

# Control characters that a terminal would interpret.  C0 controls and DEL are shown as their
# Unicode pictures; C1 controls have no pictures.
CONTROLS: Final = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}
# Characters that change the direction of writing.  In a line with words of our own, they would
# change the order of those, too.
DIRECTIONS: Final = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD)
# Bytes of JSON, and characters of it when indented: a few bytes that are deeply nested make
# megabytes of blanks.  A larger body is shown unchanged, because colouring would take seconds.
LARGEST_PRETTY: Final = 512 * 1024


class BinaryBodyError(Exception):
    """The body is binary, which would garble the terminal."""


def printable(text: str, encoding: str = "utf-8") -> str:
    """Return *text* without characters that the terminal would interpret or cannot encode."""
    return text.translate(CONTROLS).encode(encoding, "replace").decode(encoding)


def printable_line(text: str, encoding: str = "utf-8") -> str:
    """Return *text*, which stands in a head or in a message, as :func:`printable` does.

    Characters that change the direction of writing are replaced as well.
    """
    return printable(text.translate(DIRECTIONS), encoding)


def status_style(status: int) -> str:
    """Return the colour of a status code."""
    return {2: "green", 3: "cyan", 4: "yellow"}.get(status // 100, "red")


def version_name(response: ClientResponse) -> str:
    """Return the version of HTTP that *response* came by, as status lines name it."""
    major, minor = response.version or (1, 1)
    return f"HTTP/{major}.{minor}" if major < 2 else f"HTTP/{major}"


def show_head(console: Console, response: ClientResponse) -> None:
    """Show the status line, the header fields and a blank line."""
    status = printable_line(f"{response.status} {response.reason}", console.encoding)
    head = Text.assemble(
        (f"{version_name(response)} ", "dim"),
        (status, f"bold {status_style(response.status)}"),
    )
    for name, value in response.headers.items():
        head.append("\n" + printable_line(name, console.encoding), "cyan")
        head.append(": ", "dim")
        head.append(printable_line(value, console.encoding))
    console.print(head, soft_wrap=True)
    console.print()


def is_json(response: ClientResponse) -> bool:
    """Whether the response's media type is JSON (:rfc:`8259`, :rfc:`6839#section-3.1`)."""
    return response.content_type == "application/json" or response.content_type.endswith("+json")


def looks_binary(piece: bytes, response: ClientResponse) -> bool:
    """Whether the first *piece* has a NUL, or is neither declared as text nor UTF-8."""
    if b"\0" in piece:
        return True
    if response.content_type.startswith("text/") or response.charset:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(piece)
    except UnicodeDecodeError:
        return True
    return False


def usable_charset(response: ClientResponse) -> str:
    """Return the charset that the response names, or UTF-8 if Python does not know that charset."""
    return codec_name(response.charset or "") or "utf-8"


class TextPrinter:
    """Prints a text body while it arrives."""

    def __init__(self, console: Console, charset: str) -> None:
        decoder = codecs.getincrementaldecoder(charset)("replace")
        # Turn every line end into "\n": after a lone "\r", the terminal would overwrite the line.
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        self._console = console
        self._last = "\n"

    def feed(self, piece: bytes, *, final: bool = False) -> None:
        """Print the text that *piece* completes; at the end, finish the line."""
        text = printable(self._decoder.decode(piece, final), self._console.encoding)
        self._console.out(text, end="", highlight=False)
        self._last = text[-1:] or self._last
        if final and self._last != "\n":
            self._console.out("")


def indented(body: bytes) -> str | None:
    """Return *body* indented, or ``None`` if it is not JSON or becomes too long."""
    text = io.StringIO()
    try:
        for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(json.loads(body)):
            text.write(piece)
            if text.tell() > LARGEST_PRETTY:
                return None
    except (ValueError, RecursionError):
        return None
    return text.getvalue()


def coloured(console: Console, text: str) -> str:
    """Return JSON in colours, as *console* would show it."""
    shown = Text(printable(text, console.encoding))
    JSONHighlighter().highlight(shown)
    with console.capture() as captured:
        console.print(shown, soft_wrap=True)
    return captured.get()


async def show_body(
    console: Console, response: ClientResponse, pieces: AsyncIterator[bytes]
) -> None:
    """Show the body, which *pieces* yields.

    :raises BinaryBodyError: the body is binary
    """
    printer = TextPrinter(console, usable_charset(response))
    held = bytearray()
    holding = is_json(response)
    first = True
    async for piece in pieces:
        if first and looks_binary(piece, response):
            raise BinaryBodyError(
                f"the body is binary ({response.content_type}); save it with -o FILE"
            )
        first = False
        held += piece
        holding = holding and len(held) <= LARGEST_PRETTY
        if not holding:
            printer.feed(bytes(held))
            held.clear()
    text = indented(bytes(held)) if held else None
    if text is None:
        printer.feed(bytes(held), final=True)
    else:
        # In a thread: Ctrl-C need not wait until all is coloured.
        shown = await to_thread.run_sync(coloured, console, text, abandon_on_cancel=True)
        console.out(shown, end="", highlight=False)
