"""The grammar of header fields: tokens, media types, links, dispositions, challenges, cookies."""

from __future__ import annotations

from .challenges import Challenge, parse_challenges, parse_parameters, quoted_string
from .content_type import announced_encoding, encoding_of, is_of_type, media_type
from .disposition import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    content_disposition,
    content_disposition_filename,
    parse_content_disposition,
    parse_media_type,
)
from .fields import check_fields, checked_method, header_pairs
from .links import LINK, LINK_PARAMETER
from .set_cookie import (
    ATTRIBUTES,
    BLANK,
    CONTROL,
    MAX_AGE,
    make_morsel,
    octets,
    parse_date,
    read_all,
    response_cookies,
)

__all__ = (
    "ATTRIBUTES",
    "BLANK",
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "CONTROL",
    "Challenge",
    "LINK",
    "LINK_PARAMETER",
    "MAX_AGE",
    "announced_encoding",
    "check_fields",
    "checked_method",
    "content_disposition",
    "content_disposition_filename",
    "encoding_of",
    "header_pairs",
    "is_of_type",
    "make_morsel",
    "media_type",
    "octets",
    "parse_challenges",
    "parse_content_disposition",
    "parse_date",
    "parse_media_type",
    "parse_parameters",
    "quoted_string",
    "read_all",
    "response_cookies",
)
