"""A guess at the charset of a text that does not tell, by charset-normalizer."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ._response import ClientResponse

__all__ = ("guess_charset",)

#: How much of a body is looked at, in bytes.  The guess takes time in proportion, on the
#: event loop, and becomes no better.
SAMPLE: Final = 32 * 1024


def guess_charset(response: ClientResponse, body: bytes) -> str:
    """Guess the charset of *body*, a text that does not tell; UTF-8 if nothing else fits.

    Give it to a session as ``fallback_charset_resolver``.  What is valid UTF-8 is taken
    for that.  Anything else is guessed from its first 32 KiB.

    :raises RuntimeError: charset-normalizer is not installed (extra ``charset``)
    """
    if body.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if b"\0" not in body:  # which UTF-16 has, though each half of it may be valid UTF-8
        try:
            body.decode()
        except UnicodeDecodeError:
            pass
        else:
            return "utf-8"
    try:
        from charset_normalizer import from_bytes
    except ImportError as exc:
        raise RuntimeError(
            "guess_charset needs charset-normalizer: pip install 'anyhttp[charset]'"
        ) from exc
    sample = body
    if len(body) > SAMPLE:
        # No multi-byte charset has the code of a line's end inside a character.
        sample = body[: body.rfind(b"\n", 0, SAMPLE) + 1] or body[:SAMPLE]
    best = from_bytes(sample).best()
    return "utf-8" if best is None else best.encoding
