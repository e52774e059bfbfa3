"""Bodies made of parts, read and written (:rfc:`2046#section-5.1`)."""

from __future__ import annotations

from .._headers import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    content_disposition_filename,
    parse_content_disposition,
)
from ._part import BodyPartReader, BodyPartReaderPayload
from ._reader import MultipartReader, MultipartResponseWrapper
from ._writer import MultipartWriter

__all__ = (
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "BodyPartReader",
    "BodyPartReaderPayload",
    "MultipartReader",
    "MultipartResponseWrapper",
    "MultipartWriter",
    "content_disposition_filename",
    "parse_content_disposition",
)
