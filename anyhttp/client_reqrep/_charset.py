"""Guesses the charset of a text whose headers name none, with charset-normalizer."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ._response import ClientResponse

__all__ = ("guess_charset",)

#: How much of a body is examined, in bytes.  The time, during which the event loop is blocked,
#: grows with the sample, and a larger sample gives no better guess.
SAMPLE: Final = 32 * 1024


def guess_charset(response: ClientResponse, body: bytes) -> str:
    """Guess the charset of *body*, a text whose headers name none; UTF-8 if nothing else fits.

    Give this function to a session as ``fallback_charset_resolver``.  A body that is valid UTF-8
    is taken to be UTF-8.  For any other, the charset is guessed from the first 32 KiB.

    :raises RuntimeError: charset-normalizer is not installed (``anyhttp-client[charset]``)
    """
    if body.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if b"\0" not in body:  # UTF-16 may be valid UTF-8 too, but then it contains NUL
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
            "guess_charset needs charset-normalizer: pip install 'anyhttp-client[charset]'"
        ) from exc
    sample = body
    if len(body) > SAMPLE:
        # Cut after a line feed: no multi-byte charset has that byte inside a character.
        sample = body[: body.rfind(b"\n", 0, SAMPLE) + 1] or body[:SAMPLE]
    best = from_bytes(sample).best()
    return "utf-8" if best is None else best.encoding
