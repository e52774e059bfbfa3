"""The query of a URL, as the option ``params`` extends it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from .._common import has_surrogate
from ..typedefs import Query

__all__ = ("with_params",)


def with_params(url: URL, params: Query) -> URL:
    """Return *url* with the query that *params* adds.

    :param params: text is a query as it is sent: only characters that no URL can hold are quoted
    :raises TypeError: *params* are of a type that no query can be made of
    :raises ValueError: a value cannot be sent
    """
    try:
        if isinstance(params, str):
            return _with_query(url, params)
        extended = url.extend_query(params)
        _check_texts(params)
    except UnicodeEncodeError:
        raise ValueError("params: a lone surrogate cannot be sent") from None
    except (TypeError, ValueError) as exc:
        raise type(exc)(f"params: {exc}") from exc
    return extended


def _check_texts(params: Any) -> None:
    """Refuse lone surrogates in *params*, from which yarl can make a query: it leaves them out."""
    for name, value in params.items() if isinstance(params, Mapping) else params:
        for text in (name, *value) if isinstance(value, (list, tuple)) else (name, value):
            if isinstance(text, str) and has_surrogate(text):
                raise ValueError("a lone surrogate cannot be sent")


# A percent sign that begins no escape, so that it has to be escaped itself.
_BARE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _with_query(url: URL, text: str) -> URL:
    """Return *url* with *text* after its query (:rfc:`3986#section-3.4`)."""
    # A form, which is what most queries are, has "+" for a space.
    text = _BARE_PERCENT.sub("%25", text).replace(" ", "+")
    added = quote(text, safe="!$&'()*+,;=:@/?%")
    return URL.build(
        scheme=url.scheme,
        authority=url.raw_authority,
        path=url.raw_path,
        query_string=f"{url.raw_query_string}&{added}" if url.raw_query_string else added,
        fragment=url.raw_fragment,
        encoded=True,
    )
