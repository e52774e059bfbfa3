"""The entries of a cassette: which one answers a request, and which are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias, get_args

from .. import hdrs
from .._common import check_flag, check_instance, printable, without_user_info
from .._headers import is_token, parse_content_type
from ._har import CassetteError, HarEntry, HarFile, RecordedRequest, read_har, write_har
from ._json import ABSENT, ItemCount, json_differences, json_value
from ._redaction import Filters

__all__ = ("Cassette", "CassetteOptions", "Matcher", "RecordMode", "UnrecordedRequest")

#: What happens to requests; see :class:`~anyhttp.testing.Recorder`.
RecordMode: TypeAlias = Literal["once", "new_episodes", "none", "all"]

#: Whether a request (the second) is the recorded one (the first).
Matcher: TypeAlias = Callable[[RecordedRequest, RecordedRequest], bool | None]

# Why a request is not the recorded one; None if it is.
_Rule: TypeAlias = Callable[[RecordedRequest, RecordedRequest], str | None]

#: How many entries an error shows.
_SHOWN: Final = 5

_NOTHING: Final = HarFile(log={}, entries=())


class UnrecordedRequest(AssertionError):
    """The cassette has no entry for a request, and the request may not be sent.

    The message lists the nearest entries, and why each is none for the request.
    """

    def __init__(self, message: str, request: RecordedRequest) -> None:
        super().__init__(message)
        #: the request, without secrets
        self.request: RecordedRequest = request


@dataclass(frozen=True, slots=True, kw_only=True)
class CassetteOptions:
    """How a cassette is used.

    :param mode: whether requests are replayed, recorded or both
    :param match_on: in what a request must be like the recorded one
    :param filters: what is not written
    :param allow_repeats: whether an entry may answer several requests
    """

    mode: RecordMode = "once"
    match_on: Sequence[str | Matcher] = ("method", "url")
    filters: Filters = field(default_factory=Filters)
    allow_repeats: bool = False

    def __post_init__(self) -> None:
        modes = get_args(RecordMode)
        if self.mode not in modes:
            raise ValueError(f"mode must be one of {', '.join(modes)}, not {self.mode!r}")
        check_instance("filters", self.filters, Filters)
        check_flag("allow_repeats", self.allow_repeats)


class Cassette:
    """The entries of one file, and those that are added to it.

    :raises CassetteError: the file is damaged, or there is none and nothing may be recorded
    :raises OSError: the file cannot be read
    :raises ValueError: an option is not understood
    :raises TypeError: an option has the wrong type
    """

    def __init__(self, path: str, options: CassetteOptions) -> None:
        self.path: str = path
        self.filters: Filters = options.filters
        self.mode: RecordMode = options.mode
        self._head_rules, self._body_rules = _rules_of(options.match_on)
        self._allows_repeats = options.allow_repeats
        file = None if self.mode == "all" else self._read()
        self._entries: tuple[HarEntry, ...] = () if file is None else self._comparable(file)
        self._played: set[int] = set()
        self._recorded: dict[int, HarEntry] = {}
        #: whether requests that no entry answers are sent and recorded
        self.records: bool = self.mode in {"all", "new_episodes"} or (
            self.mode == "once" and file is None
        )

    def _read(self) -> HarFile | None:
        try:
            return read_har(self.path)
        except FileNotFoundError:
            if self.mode == "none":
                raise CassetteError(
                    self.path, 'there is no such file, and mode "none" records nothing'
                ) from None
            return None

    def _comparable(self, file: HarFile) -> tuple[HarEntry, ...]:
        """Return the entries, with the secrets that another tool has written replaced."""
        return tuple(
            entry
            if entry.request is None
            else replace(
                entry,
                name=self.filters.text(entry.name),
                request=self.filters.request(entry.request),
            )
            for entry in file.entries
        )

    # -- replaying

    @property
    def unplayed(self) -> list[HarEntry]:
        """The entries of the file that could have answered a request and did not."""
        return [
            entry
            for number, entry in enumerate(self._entries)
            if number not in self._played and not entry.obstacle
        ]

    def candidates(self, request: RecordedRequest) -> list[HarEntry]:
        """Return the entries that may answer a request whose body is not known yet."""
        return [entry for _, entry in self._fitting(request, self._head_rules)]

    def take(self, request: RecordedRequest, *, with_body: bool = True) -> HarEntry | None:
        """Return the entry that answers *request*, which is used up by that.

        If repeats are allowed, it is the first one that has not been used, or else the last one.

        :param with_body: whether the body of *request* is known
        """
        rules = (*self._head_rules, *self._body_rules) if with_body else self._head_rules
        fitting = list(self._fitting(request, rules))
        if not fitting:
            return None
        unused = (each for each in fitting if each[0] not in self._played)
        number, entry = next(unused, fitting[-1])
        self._played.add(number)
        return entry

    def _fitting(
        self, request: RecordedRequest, rules: Sequence[_Rule]
    ) -> Iterator[tuple[int, HarEntry]]:
        for number, entry in enumerate(self._entries):
            if entry.request is None or (number in self._played and not self._allows_repeats):
                continue
            if all(rule(entry.request, request) is None for rule in rules):
                yield number, entry

    def refusal(self, request: RecordedRequest) -> UnrecordedRequest:
        """Return the error for *request*, which nothing answers."""
        lines = [f"{self.path} has no entry for {_shown(request)} (mode {self.mode!r})"]
        near = [
            (len(reasons), number, f"  {self._entries[number].name}: {'; '.join(reasons)}")
            for number, reasons in self._differences(request)
        ]
        near.sort()
        lines += [line for _, _, line in near[:_SHOWN]]
        if not near:
            lines.append("  it has no entries at all")
        elif len(near) > _SHOWN:
            lines.append(f"  and {len(near) - _SHOWN} entries that are less like it")
        if self.mode == "once":
            lines.append(
                'Mode "once" records nothing where there is a file: delete it to record anew, or '
                'use "new_episodes" to add to it.'
            )
        return UnrecordedRequest("\n".join(lines), request)

    def _differences(self, request: RecordedRequest) -> Iterator[tuple[int, list[str]]]:
        """Yield for each entry why it does not answer *request*."""
        for number, entry in enumerate(self._entries):
            if entry.request is None:
                yield number, [entry.obstacle]
                continue
            rules = (*self._head_rules, *self._body_rules)
            found = [rule(entry.request, request) for rule in rules]
            reasons = [reason for reason in found if reason is not None]
            yield number, reasons or ["it has been played already (allow_repeats=True plays again)"]

    # -- recording

    def add(self, order: int, entry: HarEntry) -> None:
        """Add an entry.

        :param order: when its request began; entries are written in this order
        """
        self._recorded[order] = entry

    def discard(self) -> None:
        """Forget the entries that have been added and not written."""
        self._recorded = {}

    def save(self) -> None:
        """Write what has been added, if anything has.

        What another recorder has written in the meantime is kept.  In the mode ``all``, the file
        is replaced.

        :raises OSError: the file could not be written
        :raises CassetteError: the file has been damaged in the meantime
        """
        if not self._recorded:
            return
        before = (None if self.mode == "all" else self._read()) or _NOTHING
        recorded = [entry for _, entry in sorted(self._recorded.items(), key=lambda item: item[0])]
        write_har(self.path, before.log, [*before.entries, *recorded])
        self._recorded = {}


def _shown(request: RecordedRequest) -> str:
    return f"{request.method} {without_user_info(request.url)}"


# -- rules ----------------------------------------------------------------------------------


def _rules_of(match_on: Sequence[str | Matcher]) -> tuple[list[_Rule], list[_Rule]]:
    """Return the rules for heads, and those that look at bodies.

    :raises TypeError: *match_on* is no sequence of names and functions
    :raises ValueError: a name is not known
    """
    if isinstance(match_on, str) or not isinstance(match_on, Sequence):
        raise TypeError(f"match_on must be a sequence, not {type(match_on).__name__}")
    head: list[_Rule] = [_kind_rule]
    body: list[_Rule] = []
    for item in match_on:
        if callable(item):
            body.append(_own_rule(item))
        elif not isinstance(item, str):
            raise TypeError(f"match_on: {item!r} is neither a name nor a function")
        elif item in _BODY_RULES:
            body.append(_BODY_RULES[item])
        elif item in _HEAD_RULES:
            head += _HEAD_RULES[item]
        elif item.startswith("header:") and is_token(item[7:]):
            head.append(_header_rule(item[7:]))
        else:
            names = ", ".join((*_HEAD_RULES, *_BODY_RULES, "header:NAME"))
            raise ValueError(f"match_on: {item!r} is none of {names}")
    return head, body


def _kind_rule(recorded: RecordedRequest, request: RecordedRequest) -> str | None:
    if recorded.is_websocket == request.is_websocket:
        return None
    return "it is a WebSocket" if recorded.is_websocket else "it is not a WebSocket"


def _compared(name: str, value: Callable[[RecordedRequest], object]) -> _Rule:
    def rule(recorded: RecordedRequest, request: RecordedRequest) -> str | None:
        before, now = value(recorded), value(request)
        return None if before == now else f"{name}: recorded {_brief(before)}, now {_brief(now)}"

    return rule


def _header_rule(name: str) -> _Rule:
    def values(request: RecordedRequest) -> str | None:
        found = request.headers.getall(name, None)
        return None if found is None else ", ".join(found)

    return _compared(name, values)


def _own_rule(matcher: Matcher) -> _Rule:
    name = getattr(matcher, "__name__", type(matcher).__name__)

    def rule(recorded: RecordedRequest, request: RecordedRequest) -> str | None:
        try:
            fits = matcher(recorded, request)
        except AssertionError as exc:
            return f"{name}: {_brief(str(exc) or 'an assertion failed')}"
        return f"{name}: it says no" if fits is False else None

    return rule


def _brief(value: object) -> str:
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            pass
    text = value if isinstance(value, str) else repr(value)
    text = printable(text) if text else repr(text)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"


def _query_rule(recorded: RecordedRequest, request: RecordedRequest) -> str | None:
    before, now = sorted(recorded.url.query.items()), sorted(request.url.query.items())
    if before == now:
        return None
    missing = [f"{name}={value}" for name, value in before if (name, value) not in now]
    added = [f"{name}={value}" for name, value in now if (name, value) not in before]
    if not missing and not added:
        return "query: a field comes more often in one of them"
    return f"query: recorded {_brief('&'.join(missing))}, now {_brief('&'.join(added))}"


def _body_rule(recorded: RecordedRequest, request: RecordedRequest) -> str | None:
    before, now = _comparable_body(recorded), _comparable_body(request)
    return None if before == now else f"body: recorded {_brief(before)}, now {_brief(now)}"


def _comparable_body(request: RecordedRequest) -> bytes:
    """Return the body, with the boundary of a multipart, which is random, replaced."""
    kind = parse_content_type(request.headers.get(hdrs.CONTENT_TYPE))
    boundary = kind.parameters.get("boundary", "").encode("utf-8", "surrogateescape")
    if boundary and kind.media_type.startswith("multipart/"):
        return request.body.replace(b"--" + boundary, b"--boundary")
    return request.body


def _json_rule(recorded: RecordedRequest, request: RecordedRequest) -> str | None:
    try:
        before, now = json_value(recorded.body), json_value(request.body)
        if before == now:
            return None
        first = next(json_differences(before, now))
    except (ValueError, RecursionError):  # no JSON, or nested too deeply
        return _body_rule(recorded, request)
    was, is_now = _brief_json(first.expected), _brief_json(first.got)
    return f"json: {first.place}: recorded {was}, now {is_now}"


def _brief_json(value: object) -> str:
    if value is ABSENT:
        return "nothing"
    return f"{value.count} values" if isinstance(value, ItemCount) else _brief(value)


_METHOD: Final = _compared("method", lambda request: request.method)
_SCHEME: Final = _compared("scheme", lambda request: request.url.scheme)
_HOST: Final = _compared("host", lambda request: request.url.host)
_PORT: Final = _compared("port", lambda request: request.url.port)
_PATH: Final = _compared("path", lambda request: request.url.raw_path)

_HEAD_RULES: Final[dict[str, list[_Rule]]] = {
    "method": [_METHOD],
    "url": [_SCHEME, _HOST, _PORT, _PATH, _query_rule],
    "scheme": [_SCHEME],
    "host": [_HOST],
    "port": [_PORT],
    "path": [_PATH],
    "query": [_query_rule],
}

_BODY_RULES: Final[dict[str, _Rule]] = {"body": _body_rule, "json": _json_rule}
