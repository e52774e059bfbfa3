"""Keeps secrets out of what is written: headers, query and form fields, values in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_plus

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .. import hdrs
from .._common import check_str, without_user_info
from .._headers import ContentType, json_encoding, parse_content_type
from ._har import Fields, RecordedRequest

__all__ = ("SECRET_FIELDS", "SECRET_HEADERS", "Filters")

#: Headers whose values are never written, unless ``keep`` names them.
SECRET_HEADERS: Final = frozenset({
    "api-key",
    "apikey",
    "authorization",
    "cookie",
    "private-token",
    "proxy-authorization",
    "set-cookie",
    "x-access-token",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-goog-api-key",
    "x-vault-token",
    "x-xsrf-token",
})  # fmt: skip

#: Fields of queries and forms whose values are never written, unless ``keep`` names them.
SECRET_FIELDS: Final = frozenset({
    "access_token",
    "api_key",
    "apikey",
    "auth_token",
    "client_assertion",
    "client_secret",
    "code_verifier",
    "id_token",
    "password",
    "refresh_token",
    "secret",
    "sig",
    "signature",
    "token",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-credential",
    "x-goog-signature",
})  # fmt: skip

# Headers whose values are URLs.
_URL_HEADERS: Final = frozenset({"content-location", "location", "referer"})

# What URLs in other headers, and in messages of errors, may hold: a user, and fields of queries.
_USER_IN_TEXT: Final = re.compile(r"""(?<=://)(?>(?:[^/?#\s@<>"']*+@)+)""")
_FIELD_IN_TEXT: Final = re.compile(
    r"""(?<![^\s?&#;,<>"'])[^\s?&#;,<>"'=]++="""
    # The value may be a URL with a query of its own.
    r"""(?>(?:(?!\?[^\s?&#;,<>"'=]++=)[^\s&#;,<>"'])+)"""
)

_NAME_OF_PART: Final = re.compile(rb'(?i)\bname=(?:"([^"\r\n]*+)"|([^\s;"]++))')
_TYPE_OF_PART: Final = re.compile(rb"(?i)(?:\A|\n)content-type:[ \t]*([^\r\n]*)")

# Where a line may have JSON of its own, also one of an event stream or of a JSON text sequence.
_JSON_IN_LINES: Final = re.compile(r"^(?:data:)?[ \t\x1e]*(?=[{\[])", re.MULTILINE)

#: Media types of texts whose lines may be JSON, although they are no JSON as a whole.
_TYPES_OF_LINES: Final = frozenset({
    "application/jsonl",
    "application/json-seq",
    "application/x-jsonlines",
    "application/x-ndjson",
    "text/event-stream",
})  # fmt: skip

_DECODER: Final = json.JSONDecoder()


class _Step(Enum):
    """Steps of a path that are neither a name nor a number."""

    EACH = "*"
    ANYWHERE = ".."


Path: TypeAlias = "tuple[str | int | _Step, ...]"

_STEP: Final = re.compile(
    r"""(?P<anywhere>\.\.)|\.?(?:\[(?P<number>\d{1,9})\]|\[(?P<each>\*)\]"""
    r"""|\[(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")\]|(?P<star>\*)|(?P<name>[^.*\[\]'"\s]+))"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which secrets are replaced before a request is written, or compared with what was written.

    These are always replaced: the values of the headers ``Authorization``, ``Cookie``,
    ``Proxy-Authorization``, ``Set-Cookie`` (its attributes stay), and of headers whose names
    suggest a key or a token, such as ``X-API-Key`` and ``X-Auth-Token``; user names and passwords
    in URLs; and in queries, and in forms and JSON that are sent, fields such as ``access_token``,
    ``api_key`` and ``password``.  Bodies of responses are not changed, except for what *json*
    names.

    :param headers: names of more headers
    :param query: names of more fields of queries
    :param form: names of more fields in bodies of requests: urlencoded and multipart forms, and
        JSON, at any depth
    :param json: where values are in bodies that are JSON, of requests and of responses: paths
        such as ``"token"``, ``"user.password"``, ``"items[*].key"``, ``"$..secret"``
    :param keep: names of headers and fields to write although they are secrets by default
    :param replacement: what is written in their place
    :raises TypeError: an argument is not a collection of names
    :raises ValueError: a path is not understood, or *replacement* could not be sent
    """

    headers: Collection[str] = ()
    query: Collection[str] = ()
    form: Collection[str] = ()
    json: Collection[str] = ()
    keep: Collection[str] = ()
    replacement: str = "REDACTED"
    _headers: frozenset[str] = field(init=False, repr=False, compare=False)
    _query: frozenset[str] = field(init=False, repr=False, compare=False)
    _form: frozenset[str] = field(init=False, repr=False, compare=False)
    _paths: tuple[Path, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keep = _names("keep", self.keep)
        check_str("replacement", self.replacement)
        if not re.fullmatch(r"[\w.-]+", self.replacement, re.ASCII):
            raise ValueError("replacement: use letters, digits, '.', '_' and '-' only")
        sets = {
            "_headers": (SECRET_HEADERS | _names("headers", self.headers)) - keep,
            "_query": (SECRET_FIELDS | _names("query", self.query)) - keep,
            "_form": (SECRET_FIELDS | _names("form", self.form)) - keep,
        }
        for name, names in sets.items():
            object.__setattr__(self, name, names)
        _names("json", self.json)
        object.__setattr__(self, "_paths", tuple(map(_parsed_path, self.json)))

    def request(self, request: RecordedRequest, *, is_cut: bool = False) -> RecordedRequest:
        """Return *request* without secrets.

        :param is_cut: whether the end of its body is missing
        """
        kind = request.headers.get(hdrs.CONTENT_TYPE, "")
        return replace(
            request,
            url=self.url(request.url),
            headers=CIMultiDictProxy(CIMultiDict(self.fields(tuple(request.headers.items())))),
            body=self.body(request.body, kind, is_sent=True, is_cut=is_cut),
        )

    def url(self, url: URL) -> URL:
        """Return *url* without secrets, and without fragment, user name and password."""
        if url.raw_user is not None or url.raw_password is not None:
            url = url.with_user(None)
        query = url.raw_query_string
        changed = self._pairs(query, self._query)
        if changed == query:
            return url.with_fragment(None)
        return URL(f"{url.with_fragment(None).with_query(None)}?{changed}", encoded=True)

    def fields(self, fields: Fields) -> Fields:
        """Return header fields without secrets."""
        return tuple((name, self._value(name.lower(), value)) for name, value in fields)

    def _value(self, name: str, value: str) -> str:
        if name in _URL_HEADERS:
            return self._url_text(value)
        if name not in self._headers or not value:
            return self.text(value)
        if name == "set-cookie":
            pair, semicolon, attributes = value.partition(";")
            return f"{self._cookie(pair)}{semicolon}{attributes}"
        if name == "cookie":
            return ";".join(map(self._cookie, value.split(";")))
        return self.replacement

    def _cookie(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        if not equals:
            return self.replacement if name.strip() else name
        return f"{name}={self.replacement}" if value.strip() else pair

    def _url_text(self, text: str) -> str:
        """Return a URL without secrets; tokens may be in its fragment, too."""
        address, sharp, fragment = without_user_info(text).partition("#")
        path, mark, query = address.partition("?")
        query = self._pairs(query, self._query)
        return f"{path}{mark}{query}{sharp}{self._pairs(fragment, self._query)}"

    def text(self, text: str) -> str:
        """Return a text without the secrets of URLs in it."""

        def replaced(field: re.Match[str]) -> str:
            return self._pair(field[0], self._query)

        if "=" in text:
            text = _FIELD_IN_TEXT.sub(replaced, text)
        return _USER_IN_TEXT.sub("", text) if "@" in text else text

    def _pairs(self, text: str, names: frozenset[str]) -> str:
        """Return a query or an urlencoded form with the values of *names* replaced."""
        return "&".join(self._pair(piece, names) for piece in text.split("&"))

    def _pair(self, piece: str, names: frozenset[str]) -> str:
        name, _, value = piece.partition("=")
        if value and unquote_plus(name).lower() in names:
            return f"{name}={self.replacement}"
        return piece

    def body(self, body: bytes, content_type: str, *, is_sent: bool, is_cut: bool = False) -> bytes:
        """Return a body without secrets; its content codings have been undone.

        :param is_sent: whether it is that of a request
        :param is_cut: whether its end is missing; then nothing is left of JSON that would have to
            be searched
        """
        kind = parse_content_type(content_type)
        if kind.media_type == "application/x-www-form-urlencoded":
            text = body.decode("utf-8", "surrogateescape")
            return self._pairs(text, self._form).encode("utf-8", "surrogateescape")
        if kind.media_type == "multipart/form-data":
            return self._parts(body, kind.parameters.get("boundary", ""), is_sent=is_sent)
        names = self._names_in(body) if is_sent else frozenset[str]()
        if not (names or self._paths):
            return body
        if kind.is_json or body.lstrip()[:1] in {b"{", b"["}:
            return b"" if is_cut else self._json(body, kind, names)
        return self._json(body, kind, names) if kind.media_type in _TYPES_OF_LINES else body

    def _names_in(self, body: bytes) -> frozenset[str]:
        """Return those of the names of fields that a body has somewhere."""
        lowered = body.lower()
        return frozenset(name for name in self._form if name.encode() in lowered)

    def message(self, data: str | bytes, *, is_sent: bool) -> str | bytes:
        """Return a message of a WebSocket without secrets."""
        if isinstance(data, str):
            return self.body(data.encode(), "", is_sent=is_sent).decode()
        return self.body(data, "", is_sent=is_sent)

    def _parts(self, body: bytes, boundary: str, *, is_sent: bool) -> bytes:
        """Return a multipart form with the contents of fields replaced."""
        delimiter = b"--" + boundary.encode("utf-8", "surrogateescape")
        if not boundary or delimiter not in body:
            return body
        parts = body.split(delimiter)
        return delimiter.join([self._part(part, is_sent=is_sent) for part in parts])

    def _part(self, part: bytes, *, is_sent: bool) -> bytes:
        head, empty_line, content = part.partition(b"\r\n\r\n")
        match = _NAME_OF_PART.search(head)
        name = b"" if match is None else match[match.lastindex or 0]
        if name.decode("utf-8", "replace").lower() in self._form:
            return head + empty_line + (self.replacement.encode() + b"\r\n" if content else b"")
        found = _TYPE_OF_PART.search(head)
        kind = parse_content_type("" if found is None else found[1].decode("latin-1"))
        if kind.is_json:
            text = content.removesuffix(b"\r\n")
            written = self.body(text, kind.text, is_sent=is_sent)
            return head + empty_line + written + content[len(text) :]
        return part

    def _json(self, body: bytes, kind: ContentType, names: frozenset[str]) -> bytes:
        """Return JSON with the values at the paths, and those of *names*, replaced.

        It is formatted anew if any is.  Lines may be JSON, each for itself.  What is said to be
        JSON, and cannot be searched, is not written.
        """
        encoding = json_encoding(body) or kind.encoding or "utf-8"
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError:
            encoding = "latin-1"  # which decodes anything, and names are ASCII mostly
            text = body.decode(encoding)
        try:
            changed = self._changed(json.loads(text), names)
        except (ValueError, RecursionError):
            changed = self._json_in_lines(text, names, is_json=kind.is_json)
        if changed is None:
            return body
        try:
            return changed.encode(encoding)
        except UnicodeEncodeError:  # of a character that was escaped
            return _escaped(changed).encode(encoding)

    def _changed(self, value: Any, names: frozenset[str]) -> str | None:
        """Return *value* with the values replaced, as JSON; ``None``: none is."""
        count = sum([_replace_at(value, path, self.replacement) for path in self._paths])
        for container in list(_containers(value)) if names else ():
            for name in container if isinstance(container, dict) else ():
                if name.lower() in names:
                    count += _replace_at(container, (name,), self.replacement)
        return json.dumps(value, ensure_ascii=False) if count else None

    def _json_in_lines(self, text: str, names: frozenset[str], *, is_json: bool) -> str | None:
        """Return *text* with the values replaced in what is JSON from the beginning of a line.

        :param is_json: whether it may go on over more lines; then what is none is not written
        """
        parts: list[str] = []
        end = 0
        for match in _JSON_IN_LINES.finditer(text):
            start = match.end()
            if start < end:
                continue  # inside of the one before
            try:
                value, after = _decoded(text, start, is_line=not is_json)
                changed = self._changed(value, names)
            except (ValueError, RecursionError):
                if not is_json:
                    continue
                changed, after = json.dumps(self.replacement), len(text)
            if changed is not None:
                parts += [text[end:start], changed]
                end = after
        return "".join([*parts, text[end:]]) if parts else None


def _decoded(text: str, start: int, *, is_line: bool) -> tuple[Any, int]:
    """Return the value of JSON in *text*, and where it ends.

    :param is_line: whether it ends with its line; then a failure costs no more than this line
    :raises ValueError: it is not JSON
    """
    if not is_line:
        value, end = _DECODER.raw_decode(text, start)
        return value, end
    end = text.find("\n", start)
    value, size = _DECODER.raw_decode(text[start : None if end < 0 else end])
    return value, start + size


def _escaped(text: str) -> str:
    """Return JSON in ASCII."""
    return re.sub(r"[^\x00-\x7f]", lambda match: json.dumps(match[0])[1:-1], text)


def _names(argument: str, names: object) -> frozenset[str]:
    """Return *names* in lower case.

    :raises TypeError: they are no collection of ``str``
    """
    if isinstance(names, str) or not isinstance(names, Collection):
        raise TypeError(f"{argument} must be a collection of names, not {type(names).__name__}")
    for name in names:
        check_str(argument, name)
    return frozenset(map(str.lower, names))


def _parsed_path(text: str) -> Path:
    """Return the steps of a path.

    :raises ValueError: it is not understood
    """
    steps: list[str | int | _Step] = []
    position = 1 if text.startswith("$") else 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            break
        position = match.end()
        kind, found = match.lastgroup, match[match.lastgroup or 0]
        if kind == "anywhere":
            steps.append(_Step.ANYWHERE)
        elif kind in {"each", "star"}:
            steps.append(_Step.EACH)
        else:
            steps.append(int(found) if kind == "number" else found)
    if position < len(text) or not steps or steps[-1] is _Step.ANYWHERE:
        raise ValueError(f"json: the path {text!r} is not understood")
    return tuple(steps)


def _replace_at(value: Any, path: Path, replacement: str) -> int:
    """Replace what is at *path* below *value*; return how many values were replaced."""
    replaced = 0
    step, rest = path[0], path[1:]
    if step is _Step.ANYWHERE:
        # Collected first: what is replaced on the way must not be entered.
        return sum([_replace_at(below, rest, replacement) for below in list(_containers(value))])
    for key in _keys(value, step):
        if rest:
            replaced += _replace_at(value[key], rest, replacement)
        elif value[key] is not None:
            value[key] = replacement
            replaced += 1
    return replaced


def _keys(value: Any, step: str | int | _Step) -> list[Any]:
    """Return the keys or places in *value* that *step* leads to."""
    if isinstance(value, dict):
        if step is _Step.EACH:
            return list(value)
        return [step] if step in value else []
    if isinstance(value, list):
        if step is _Step.EACH:
            return list(range(len(value)))
        return [step] if isinstance(step, int) and step < len(value) else []
    return []


def _containers(value: Any) -> Iterator[Any]:
    """Yield *value* and all that is in it, as far as there may be something in that."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        else:
            continue
        yield one
