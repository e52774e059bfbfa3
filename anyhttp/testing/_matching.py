"""Which requests a route takes, and why it does not take another one."""

from __future__ import annotations

import json as json_module
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Final, TypeAlias, cast
from urllib.parse import unquote

from yarl import URL

from .._common import pairs_of, parsed_url, shown_class, without_user_info
from .._headers import checked_method, is_token
from .._targets import origin_of
from ..typedefs import Query
from ._answers import MISSING, shown_body
from ._json import ABSENT, Difference, ItemCount, json_differences
from ._requests import ReceivedRequest

__all__ = ("BodyLike", "Headers", "RequestPattern", "URLPattern", "UrlLike", "check_options")

#: What stands for the URLs of a route.
UrlLike: TypeAlias = "str | URL | re.Pattern[str]"

#: Header fields that a request must have, each with a value or a pattern.
Headers: TypeAlias = Mapping[str, "str | re.Pattern[str]"]

#: A body that a request must have.
BodyLike: TypeAlias = "bytes | str | re.Pattern[bytes] | re.Pattern[str]"

#: Fields whose values messages do not show.
_SECRET: Final = frozenset({"authorization", "cookie", "proxy-authorization"})

#: A named part of a path: "{name}", or "{name:path}" for all that follows.
_NAMED_PART: Final = re.compile(r"\{([^{}]*)\}")

#: How many characters of URLs are compared to find the nearest route: it may take long.
_COMPARED: Final = 200

# What stands for a named part while the rest of the URL is parsed; no URL should hold it.
_STAND_IN: Final = "anyhttp{}named{}part"
_STAND_INS: Final = re.compile(r"anyhttp(\d+)named(\d)part")


def check_options(options: Mapping[str, object], known: frozenset[str]) -> None:
    """Check the names of the keyword arguments of a method.

    :raises TypeError: one is not *known*
    """
    for name in options:
        if name not in known:
            raise TypeError(f"there is no option {name!r}; there are {', '.join(sorted(known))}")


class URLPattern:
    """The URLs that a route takes.

    :param given: a URL, in which ``{name}`` stands for one segment of the path and
        ``{name:path}`` for the rest of it; a :class:`yarl.URL`, which has no named parts; a path
        alone, for any origin; a regular expression, which is matched against the URL from its
        beginning
    :param is_websocket: whether a regular expression may also match the URL with ``ws:`` in the
        place of ``http:``, or the other way round
    :raises TypeError: it is none of these
    :raises ValueError: no request has such a URL
    """

    __slots__ = ("_is_websocket", "_names", "_path", "given", "origin", "path", "query", "regex")

    def __init__(self, given: UrlLike, *, is_websocket: bool = False) -> None:
        self.given: UrlLike = given
        self._is_websocket = is_websocket
        #: the whole pattern, if it is a regular expression
        self.regex: re.Pattern[str] | None = None
        #: scheme, host and port; ``None`` for any
        self.origin: tuple[str, str, int | None] | None = None
        #: the path, unless it has named parts
        self.path: str | None = None
        self._path: re.Pattern[str] | None = None
        self._names: tuple[str, ...] = ()
        #: the query, without order
        self.query: Counter[tuple[str, str]] | None = None
        if isinstance(given, re.Pattern):
            if not isinstance(given.pattern, str):
                raise TypeError("url must be a pattern for str, not for bytes")
            _check_regex(given)
            self.regex = given
            return
        if isinstance(given, str):
            self._parse(given)
        elif isinstance(given, URL):
            self._take(given)
            self.path = given.raw_path
        else:
            raise TypeError(
                "url must be a str, a yarl.URL or a compiled pattern, "
                f"not {shown_class(type(given))}"
            )

    def _parse(self, text: str) -> None:
        end = min(index for index in (text.find("?"), text.find("#"), len(text)) if index >= 0)
        names: list[str] = []
        kinds: list[bool] = []

        def stand_in(part: re.Match[str]) -> str:
            name, colon, kind = part[1].partition(":")
            if not name.isidentifier() or (colon and kind != "path"):
                raise ValueError(
                    f"url: {part[0]!r} must be {{name}} or {{name:path}}; "
                    "give a yarl.URL if the path has braces"
                )
            if name in names:
                raise ValueError(f"url: two parts of the path have the name {name!r}")
            names.append(name)
            kinds.append(bool(colon))
            return _STAND_IN.format(len(names) - 1, int(bool(colon)))

        path = _NAMED_PART.sub(stand_in, text[:end])
        url = parsed_url(path + text[end:])
        self._take(url)
        if not names:
            self.path = url.raw_path
            return
        if _STAND_INS.search(url.raw_authority):
            raise ValueError("url: only the path can have named parts; a re.Pattern can do more")
        if any(kinds[:-1]) or (any(kinds) and not _STAND_INS.split(url.raw_path)[-1] == ""):
            raise ValueError("url: {name:path} must be the last part, as it takes the rest")
        pieces = _STAND_INS.split(url.raw_path)
        # split() gives the text between the parts, and of each part its number and its kind
        regex = "".join(
            re.escape(piece) if place % 3 == 0 else ("(.*)" if piece == "1" else "([^/]+)")
            for place, piece in enumerate(pieces)
            if place % 3 != 1
        )
        self._names = tuple(names)
        self._path = re.compile(regex)

    def _take(self, url: URL) -> None:
        """Take the origin and the query of *url*."""
        if url.absolute:
            self.origin = origin_of(url)
            if self.origin[0] not in {"http", "https"}:
                raise ValueError(
                    f"url: the scheme must be http, https, ws or wss, not {url.scheme!r}"
                )
        elif not url.raw_path.startswith("/") or url.scheme:
            raise ValueError(
                f"url must be absolute, or a path from its root for any origin, got {str(self)!r}"
            )
        self.query = Counter(url.query.items())

    def __str__(self) -> str:
        if self.regex is not None:
            return f"re.compile({self.regex.pattern!r})"
        return without_user_info(str(self.given))

    def match_path(self, raw_path: str) -> dict[str, str] | None:
        """Return the named parts of a path; ``None`` if it is not one of this pattern."""
        if self._path is None:
            return {} if raw_path == self.path else None
        matched = self._path.fullmatch(raw_path)
        if matched is None:
            return None
        return {
            name: unquote(part) for name, part in zip(self._names, matched.groups(), strict=True)
        }

    def match(self, url: URL) -> dict[str, str] | None:
        """Return the named parts of *url*; ``None`` if it does not fit, the query apart."""
        if self.regex is not None:
            matched = self._match_regex(self.regex, url)
            return (
                None
                if matched is None
                else {name: part for name, part in matched.groupdict().items() if part is not None}
            )
        if self.origin is not None and origin_of(url) != self.origin:
            return None
        return self.match_path(url.raw_path)

    def _match_regex(self, regex: re.Pattern[str], url: URL) -> re.Match[str] | None:
        matched = regex.match(str(url))
        if matched is None and self._is_websocket:
            scheme = url.scheme.replace("http", "ws")
            return regex.match(
                str(url.with_scheme(scheme if scheme != url.scheme else f"http{scheme[2:]}"))
            )
        return matched

    def why_not(self, url: URL) -> list[str]:
        """Return why *url* does not fit, in sentences."""
        if self.regex is not None:
            fits = self._match_regex(self.regex, url) is not None
            return [] if fits else [f"{self} does not match {without_user_info(url)}"]
        reasons: list[str] = []
        if self.origin is not None:
            names = ("scheme", "host", "port")
            for name, expected, got in zip(names, self.origin, origin_of(url), strict=True):
                # another scheme mostly means another port, which needs no sentence of its own
                if expected != got and not (name == "port" and reasons):
                    reasons.append(f"{name}: expected {expected}, got {got}")
        if self.match_path(url.raw_path) is None:
            reasons.append(f"path: expected {self.shown_path}, got {url.path}")
        return reasons

    @property
    def shown_path(self) -> str:
        """The path for messages."""
        if self.path is not None or not isinstance(self.given, str):
            return unquote(self.path or "")
        path = self.given.partition("?")[0].partition("#")[0]
        _, _, rest = path.partition("://")
        return path if not rest else f"/{rest.partition('/')[2]}"

    def covers(self, other: URLPattern) -> bool:
        """Whether each URL of *other* is certainly one of this pattern, the query apart."""
        if self.regex is not None:
            if other.regex is not None:
                return self.regex == other.regex
            if other.origin is None or other.path is None or other.query:
                return False
            scheme, host, port = other.origin
            return (
                self.regex.match(
                    str(
                        URL.build(scheme=scheme, host=host, port=port).with_path(
                            other.path, encoded=True
                        )
                    )
                )
                is not None
            )
        if other.regex is not None or self.origin not in {None, other.origin}:
            return False
        return all(self.match_path(path) is not None for path in other.sample_paths())

    def sample_paths(self) -> Iterable[str]:
        """Return paths of this pattern, one for each kind of text that a named part stands for."""
        if self._path is None:
            return (self.path or "",)
        path = self.shown_path
        samples = (
            _NAMED_PART.sub("sample~1", path),
            _NAMED_PART.sub(lambda part: "" if ":" in part[1] else "sample~2", path),
            _NAMED_PART.sub(lambda part: "a/b~c" if ":" in part[1] else "sample~3", path),
        )
        return [URL(sample).raw_path for sample in samples]


class RequestPattern:
    """What a request must be like.

    :param method: ``None`` for any
    :param url: ``None`` for any, if *method* is ``None``
    :param query: fields that its query must have, among others; without it, the query of *url* has
        to be all of the query, unless *url* is a regular expression, which sees the query
    :param headers: header fields that it must have: text that is equal, or a pattern that is
        matched from the beginning
    :param json: what its body must be, parsed as JSON
    :param body: what its body must be: equal to bytes or text, or matched by a pattern
    :param handshake: whether it has to ask for a WebSocket, or must not; ``None``: it may
    :param prefix: of the names of *query* and those after it, in errors
    :raises TypeError: an argument has the wrong type
    :raises ValueError: no request is like that
    """

    __slots__ = ("_any_query", "_body", "_handshake", "_headers", "_json", "_query", "method",
                 "needs_body", "url")  # fmt: skip

    def __init__(
        self,
        method: str | None,
        url: UrlLike | None,
        *,
        query: Query = None,
        headers: Headers | None = None,
        json: object = MISSING,
        body: BodyLike | None = None,
        handshake: bool | None = False,
        prefix: str = "",
    ) -> None:
        self.method: str | None = None if method is None else checked_method(method)
        self.url: URLPattern | None = None
        if method is not None or url is not None:
            self.url = URLPattern(cast("UrlLike", url), is_websocket=handshake is True)
        own_query = Counter[tuple[str, str]]() if self.url is None else self.url.query
        self._any_query = query is not None or own_query is None or self.url is None
        self._query: Counter[tuple[str, str]] = (own_query or Counter()) + _query_fields(
            f"{prefix}query", query
        )
        self._headers = _checked_headers(f"{prefix}headers", headers)
        if json is not MISSING and body is not None:
            raise ValueError(f"{prefix}json and {prefix}body are both about the body: give one")
        self._json = json if json is MISSING else _checked_json(f"{prefix}json", json)
        self._body = _checked_body(f"{prefix}body", body)
        self._handshake = handshake
        #: whether the body of the request has to be known
        self.needs_body: bool = json is not MISSING or body is not None

    def __str__(self) -> str:
        method = "WebSocket" if self._handshake else self.method or "any method"
        return f"{method} {'any URL' if self.url is None else self.url}"

    def match(
        self, request: ReceivedRequest, *, but_for_body: bool = False
    ) -> dict[str, str] | None:
        """Return the named parts of the URL of *request*; ``None`` if it is not like that.

        :param but_for_body: take a body for like that, as it is not known yet
        """
        if self.method is not None and request.method != self.method:
            return None
        params: dict[str, str] | None = {}
        if self.url is not None:
            params = self.url.match(request.url)
            if params is None:
                return None
        if not self._fits_head(request):
            return None
        if self.needs_body and not but_for_body and any(True for _ in self._why_not_body(request)):
            return None
        return params

    def why_not(self, request: ReceivedRequest) -> list[str]:
        """Return why *request* is not like that, in sentences; the most telling ones first."""
        reasons = [] if self.url is None else self.url.why_not(request.url)
        if self.method is not None and request.method != self.method:
            reasons.append(f"method: expected {self.method}, got {request.method}")
        reasons += self._why_not_head(request)
        if self.needs_body and request.is_complete and not reasons:
            reasons += self._why_not_body(request)
        return reasons

    def distance(self, request: ReceivedRequest) -> float:
        """Return how much *request* differs: in its URL, then in its method, then in the rest."""
        others = self.why_not(request)
        url = [] if self.url is None else self.url.why_not(request.url)
        has_other_method = self.method not in {None, request.method}
        rest = len(others) - len(url) - has_other_method
        expected, got = str(self.url), without_user_info(request.url)
        alike = SequenceMatcher(None, expected[:_COMPARED], got[:_COMPARED], autojunk=False).ratio()
        return 3 * len(url) + 2 * has_other_method + rest / (1 + rest) + 1 - alike

    def _fits_head(self, request: ReceivedRequest) -> bool:
        """Whether the query and the header fields of *request* are as they must be."""
        if not (self._query or self._headers):
            # As for most routes: this is faster.
            if self._handshake is not None and self._handshake is not request.is_handshake:
                return False
            return self._any_query or not request.url.raw_query_string
        return not any(True for _ in self._why_not_head(request))

    def _why_not_head(self, request: ReceivedRequest) -> Iterator[str]:
        """Return what is wrong with the query and the header fields of *request*."""
        if self._query or not self._any_query:
            yield from self._why_not_query(request)
        for name, expected in self._headers:
            got = request.headers.getall(name, ())
            if not got:
                yield f"header {name} is missing"
            elif not any(_fits(expected, value) for value in got):
                yield (
                    f"header {name} has another value"
                    if name.lower() in _SECRET
                    else f"header {name}: expected {_shown(expected)}, got {', '.join(got)!r}"
                )
        if self._handshake is not None and self._handshake is not request.is_handshake:
            yield (
                "it is not the handshake of a WebSocket"
                if self._handshake
                else "it is the handshake of a WebSocket: mock.ws() makes routes for those"
            )

    def _why_not_query(self, request: ReceivedRequest) -> Iterator[str]:
        query = Counter(request.url.query.items())
        lacking = self._query - query
        surplus = Counter[tuple[str, str]]() if self._any_query else query - self._query
        parts = [f"lacks {_shown_fields(lacking)}"] if lacking else []
        parts += [f"has also {_shown_fields(surplus)}"] if surplus else []
        if parts:
            yield f"query: {', '.join(parts)}"

    def _why_not_body(self, request: ReceivedRequest) -> Iterator[str]:
        """Return what is wrong with the body of *request*."""
        if self._json is not MISSING:
            try:
                got = request.json()
            except ValueError:
                yield f"the body is not JSON: {shown_body(request.body)}"
                return
            if self._json != got:
                differences = list(_shown_differences(self._json, got))
                yield from differences or [f"JSON: expected {self._json!r}, got {got!r}"]
        elif self._body is not None and not self._fits_body(request):
            yield f"body: expected {_shown(self._body)}, got {shown_body(request.body)}"

    def _fits_body(self, request: ReceivedRequest) -> bool:
        expected = self._body
        pattern = expected.pattern if isinstance(expected, re.Pattern) else expected
        if isinstance(pattern, bytes):
            return _fits(expected, request.body)
        try:
            return _fits(expected, request.text)
        except ValueError:
            return False

    def covers(self, other: RequestPattern) -> bool:
        """Whether each request that is like *other* is certainly like this."""
        if self.method not in {None, other.method}:
            return False
        if self._handshake not in {None, other._handshake}:
            return False
        if self.url is not None and (other.url is None or not self.url.covers(other.url)):
            return False
        if self._query - other._query or (
            not self._any_query and (other._any_query or self._query != other._query)
        ):
            return False
        if any(condition not in other._headers for condition in self._headers):
            return False
        if self.needs_body:
            same_json = other._json is not MISSING and self._json == other._json
            return same_json if self._json is not MISSING else self._body == other._body
        return True


#: How a regular expression begins, as far as it is plain text.
_BEGINNING: Final = re.compile(r"(?:\^|\\A)*((?:[\w:/-]|\\/)+)([?*{]?)")

_SCHEMES: Final = ("http://", "https://", "ws://", "wss://")


def _check_regex(regex: re.Pattern[str]) -> None:
    """Raise an error if *regex* begins as no URL does."""
    beginning = _BEGINNING.match(regex.pattern)
    if beginning is None or "|" in regex.pattern or regex.flags & re.VERBOSE:
        return
    text = beginning[1].replace("\\/", "/")
    if beginning[2]:  # the last character need not be there
        text = text[:-1]
    if regex.flags & re.IGNORECASE:
        text = text.lower()
    if not any(text.startswith(scheme) or scheme.startswith(text) for scheme in _SCHEMES):
        raise ValueError(
            f"url: {regex.pattern!r} matches no URL, as URLs are matched from their beginnings, "
            "such as https://: begin it with .*"
        )


#: Types that compare in a way of their own, but are equal to nothing that JSON holds.
_NEVER_JSON: Final = (bytes, bytearray, memoryview, set, frozenset)


def _checked_json(name: str, value: object) -> object:
    """Return *value* as it is when it is parsed from JSON.

    Objects that compare with others in a way of their own stay as they are.

    :raises TypeError: it holds an object that is equal to nothing that JSON can be
    :raises ValueError: it holds itself, or a number that JSON does not have
    """
    has_own = False

    def checked(found: object) -> None:
        nonlocal has_own
        if type(found).__eq__ is object.__eq__ or isinstance(found, _NEVER_JSON):
            raise TypeError(f"JSON cannot hold {shown_class(type(found))}")
        has_own = True

    try:
        text = json_module.dumps(value, default=checked, allow_nan=False)
    except TypeError as exc:
        raise TypeError(f"{name}: {exc}") from None
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"{name}: {exc}") from None
    return value if has_own else json_module.loads(text)


def _query_fields(name: str, query: Query) -> Counter[tuple[str, str]]:
    """Return the fields of what ``params=`` of a request would accept."""
    try:
        return Counter(URL().with_query(query).query.items())
    except TypeError as exc:
        raise TypeError(f"{name}: {exc}") from exc


def _checked_headers(
    argument: str, headers: Headers | None
) -> list[tuple[str, str | re.Pattern[str]]]:
    checked = []
    for name, value in pairs_of(argument, headers or {}):
        if not isinstance(name, str) or not is_token(name):
            raise ValueError(f"{argument}: {name!r} is not a valid header name")
        if not isinstance(value, (str, re.Pattern)):
            raise TypeError(
                f"{argument}: {name} must be a str or a pattern, not {shown_class(type(value))}"
            )
        checked.append((name.lower(), value))
    return checked


def _checked_body(name: str, body: BodyLike | None) -> BodyLike | None:
    if body is None or isinstance(body, (bytes, str, re.Pattern)):
        return body
    raise TypeError(f"{name} must be bytes, str or a pattern, not {shown_class(type(body))}")


def _fits(expected: object, got: str | bytes) -> bool:
    if isinstance(expected, re.Pattern):
        return expected.match(got) is not None
    return expected == got


def _shown(expected: object) -> str:
    if isinstance(expected, re.Pattern):
        return f"a match of {expected.pattern!r}"
    return shown_body(expected) if isinstance(expected, bytes) else repr(expected)


def _shown_fields(fields: Counter[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in fields.elements())


#: Most differences of two JSON texts that are told.
_MOST_DIFFERENCES: Final = 5


def _shown_differences(expected: object, got: object) -> Iterator[str]:
    """Return where *got*, a value of JSON, differs from *expected*: a sentence for each place."""
    for number, difference in enumerate(json_differences(expected, got)):
        if number == _MOST_DIFFERENCES:
            yield "JSON: there are more differences"
            return
        yield f"JSON at {difference.place}: {_shown_difference(difference)}"


def _shown_difference(difference: Difference) -> str:
    expected, got = difference.expected, difference.got
    if got is ABSENT:
        return f"is missing, expected {expected!r}"
    if expected is ABSENT:
        return f"is not expected, got {got!r}"
    if isinstance(expected, ItemCount) and isinstance(got, ItemCount):
        return f"expected {expected.count} items, got {got.count}"
    return f"expected {expected!r}, got {got!r}"
