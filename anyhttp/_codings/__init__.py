"""Content codings: compression of request and response bodies (:rfc:`9110#section-8.4`)."""

from __future__ import annotations

from .compression import ContentDecoder, DecodingError, accept_encoding, decoder_for
from .zlib_module import Compressor, set_zlib_backend, zlib_backend

__all__ = (
    "Compressor",
    "ContentDecoder",
    "DecodingError",
    "accept_encoding",
    "decoder_for",
    "set_zlib_backend",
    "zlib_backend",
)
