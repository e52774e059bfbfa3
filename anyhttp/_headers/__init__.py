"""The grammar of header fields: tokens, media types, links, dispositions, challenges, cookies."""

from __future__ import annotations

from .block import (
    HeaderBlock,
    blocks_for_origin,
    blocks_for_proxy,
    extended_block,
    header_block,
    header_lines,
)
from .challenges import Challenge, parse_challenges, parse_parameters
from .content_type import (
    ContentType,
    codec_name,
    encoding_of,
    json_encoding,
    parse_content_type,
)
from .disposition import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    content_disposition,
    content_disposition_filename,
    parse_content_disposition,
)
from .fields import (
    IDEMPOTENT_METHODS,
    check_fields,
    checked_method,
    header_pairs,
    part_headers,
)
from .grammar import (
    CONTROL,
    CONTROL_BUT_TAB,
    CONTROL_RANGE,
    SURROGATE,
    TOKEN,
    is_token,
    quoted_string,
)
from .links import parse_links
from .mime_type import HeadersMixin, MimeType, parse_mimetype
from .retry_after import parse_retry_after
from .set_cookie import (
    ATTRIBUTES,
    BLANK,
    MAX_AGE,
    decoded_value,
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
    "CONTROL_BUT_TAB",
    "CONTROL_RANGE",
    "Challenge",
    "ContentType",
    "HeaderBlock",
    "HeadersMixin",
    "IDEMPOTENT_METHODS",
    "MAX_AGE",
    "MimeType",
    "SURROGATE",
    "TOKEN",
    "blocks_for_origin",
    "blocks_for_proxy",
    "extended_block",
    "check_fields",
    "checked_method",
    "codec_name",
    "content_disposition",
    "content_disposition_filename",
    "decoded_value",
    "encoding_of",
    "header_block",
    "header_lines",
    "header_pairs",
    "is_token",
    "json_encoding",
    "make_morsel",
    "octets",
    "parse_challenges",
    "parse_content_disposition",
    "parse_content_type",
    "parse_links",
    "parse_mimetype",
    "parse_date",
    "parse_parameters",
    "parse_retry_after",
    "part_headers",
    "quoted_string",
    "read_all",
    "response_cookies",
)
