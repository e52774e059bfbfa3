"""Types of the arguments that the public functions accept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from http.cookies import BaseCookie, Morsel
from os import PathLike
from typing import Any, Union

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy, istr
from yarl import URL, Query

__all__ = (
    "DEFAULT_JSON_DECODER",
    "DEFAULT_JSON_ENCODER",
    "CIMultiDict",
    "CIMultiDictProxy",
    "JSONBytesEncoder",
    "JSONDecoder",
    "JSONEncoder",
    "LooseCookies",
    "LooseHeaders",
    "MultiDict",
    "MultiDictProxy",
    "PathLikeStr",
    "Query",
    "RawHeaders",
    "StrOrURL",
    "istr",
)

DEFAULT_JSON_ENCODER = json.dumps
DEFAULT_JSON_DECODER = json.loads

JSONEncoder = Callable[[Any], str]
JSONBytesEncoder = Callable[[Any], bytes]
JSONDecoder = Callable[[str], Any]
LooseHeaders = Mapping[str, str] | Mapping[istr, str] | Iterable[tuple[str | istr, str]]
RawHeaders = tuple[tuple[bytes, bytes], ...]
StrOrURL = str | URL
LooseCookies = Union[
    Mapping[str, "str | Morsel[str] | BaseCookie[str]"],
    Iterable[tuple[str, "str | Morsel[str] | BaseCookie[str]"]],
    "BaseCookie[str]",
]
PathLikeStr = str | PathLike[str]
