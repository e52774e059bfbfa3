"""The routes of a mock: which requests each takes, what it answers, and how often."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, TypedDict, Unpack, cast

from .._common import check_callable, check_count, check_flag, shown_class
from .._headers import header_pairs
from ..typedefs import LooseHeaders, Query
from . import _asserts as asserts
from ._answers import MISSING, Answer, AnswerCallable, AnswerSource, Body, checked_source
from ._asserts import CallOptions
from ._faults import ExceptionOrClass
from ._matching import BodyLike, Headers, RequestPattern, UrlLike, check_options
from ._requests import ReceivedRequest

if TYPE_CHECKING:
    from ._websocket_server import WebSocketPeer

__all__ = (
    "AnswerOptions",
    "MatchOptions",
    "Route",
    "RouteOptions",
    "Script",
    "Scripted",
    "Source",
    "UnansweredRequest",
    "WSRouteOptions",
    "make_route",
    "make_ws_route",
    "naming",
    "unanswered",
)

#: Is the other side of a WebSocket.
Script: TypeAlias = "Callable[[WebSocketPeer], Awaitable[object]]"


class AnswerOptions(TypedDict, total=False):
    """What :class:`Answer` takes."""

    status: int
    reason: str | None
    headers: LooseHeaders | None
    json: object
    text: str | None
    body: Body | None
    exception: ExceptionOrClass | None
    raw: bytes | None
    delay: float


class MatchOptions(TypedDict, total=False):
    """What a request must have besides its method and URL."""

    match_query: Query
    match_headers: Headers | None
    match_json: object
    match_body: BodyLike | None


class RouteOptions(AnswerOptions, MatchOptions, total=False):
    """The options of a route."""

    answer: AnswerSource
    answers: Iterable[AnswerSource]
    times: int | None
    stream_request: bool


class WSRouteOptions(AnswerOptions, total=False):
    """The options of a route for WebSockets."""

    match_query: Query
    match_headers: Headers | None
    answers: Iterable[AnswerSource | Script]
    times: int | None
    protocol: str | None
    accept_headers: LooseHeaders | None
    compress: bool


@dataclass(frozen=True, slots=True)
class Scripted:
    """A script, and how the handshake before it is answered."""

    script: Script
    protocol: str | None
    headers: Sequence[tuple[str, str]]
    compress: bool


#: What a route answers one request with.
Source: TypeAlias = "Answer | AnswerCallable | Scripted"


class UnansweredRequest(AssertionError):
    """No route of a mock answers a request; the text says which are there, and why not.

    :param message: the text
    :param request: the request
    """

    def __init__(self, message: str, request: ReceivedRequest) -> None:
        super().__init__(message)
        self.request: ReceivedRequest = request


class Route:
    """A pattern for requests, and the answers to them; the methods of a mock make it."""

    def __init__(
        self,
        pattern: RequestPattern,
        sources: Sequence[Source],
        *,
        times: int | None,
        stream_request: bool = False,
    ) -> None:
        """Answer the requests that *pattern* takes.

        :param sources: what answers them, one after the other; a single one answers all
        :param times: how many requests it answers; ``None`` for all
        :param stream_request: call the function when the head has been received, before the body
        """
        self.pattern: RequestPattern = pattern
        self._sources = sources
        #: how many requests it answers; ``None`` for all
        self.times: int | None = times
        self._taken = 0
        #: whether what answers is called before the body of the request has been received
        self.stream_request: bool = stream_request
        #: the requests that it has answered, or begun to answer
        self.calls: list[ReceivedRequest] = []

    def __repr__(self) -> str:
        return f"<Route {self}>"

    def __str__(self) -> str:
        return str(self.pattern)

    # -- for the mock

    @property
    def is_used_up(self) -> bool:
        """Whether it has answered as many requests as it may."""
        return self.times is not None and self._taken >= self.times

    def take(self) -> Source:
        """Return what answers the next request; it counts as answered."""
        source = self.next_source
        self._taken += 1
        return source

    @property
    def next_source(self) -> Source:
        """What answers the next request; it is not used up."""
        sources = self._sources
        return sources[0] if len(sources) == 1 else sources[self._taken]

    def covers(self, other: Route) -> bool:
        """Whether *other*, made after this route, never gets a request."""
        return self.times is None and self.pattern.covers(other.pattern)

    def why_not(self, request: ReceivedRequest) -> list[str]:
        """Return why it does not answer *request*, in sentences."""
        reasons = self.pattern.why_not(request)
        if self.is_used_up:
            times = "one request" if self.times == 1 else f"{self.times} requests"
            reasons.append(f"it is used up: it answers {times}")
        return reasons

    @property
    def shortfall(self) -> str:
        """What it has not answered that a test expects it to; empty if there is nothing."""
        if not self.calls:
            return "no request"
        answers = len(self._sources)
        return f"{len(self.calls)} of {answers} answers" if len(self.calls) < answers else ""

    # -- for tests

    @property
    def called(self) -> bool:
        """Whether it has got a request."""
        return bool(self.calls)

    @property
    def call_count(self) -> int:
        """How many requests it has got."""
        return len(self.calls)

    def assert_called(self) -> None:
        """Raise :exc:`AssertionError` if it has got no request."""
        asserts.assert_called(str(self), self.calls)

    def assert_not_called(self) -> None:
        """Raise :exc:`AssertionError` if it has got a request."""
        asserts.assert_not_called(str(self), self.calls)

    def assert_called_once(self) -> None:
        """Raise :exc:`AssertionError` unless it has got exactly one request."""
        asserts.assert_one(str(self), self.calls)

    def assert_called_once_with(self, **expected: Unpack[CallOptions]) -> ReceivedRequest:
        """Return the request if it has got exactly one, which is as the arguments say.

        :param expected: ``query=`` and ``headers=``, fields that it must have, among others;
            ``json=``, what its body must be as JSON; ``body=``, what its body must be.  Values of
            headers, and the body, may be patterns
        :raises AssertionError: there is no such request; the text says what differs
        """
        pattern = asserts.expected_call(None, None, expected)
        return asserts.assert_once(str(self), self.calls, pattern)

    def assert_called_with(self, **expected: Unpack[CallOptions]) -> ReceivedRequest:
        """Return the last request that it has got, if that is as the arguments say.

        The arguments and errors are those of :meth:`assert_called_once_with`.
        """
        pattern = asserts.expected_call(None, None, expected)
        return asserts.assert_last(str(self), self.calls, pattern)

    def assert_any_call(self, **expected: Unpack[CallOptions]) -> ReceivedRequest:
        """Return the first request that it has got that is as the arguments say.

        The arguments and errors are those of :meth:`assert_called_once_with`.
        """
        pattern = asserts.expected_call(None, None, expected)
        return asserts.assert_any(str(self), self.calls, pattern)


# -- making routes


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Put *what*, the call that makes a route, before the text of an error."""
    try:
        yield
    except TypeError as exc:
        raise TypeError(f"{what}: {exc}") from exc.__cause__
    except ValueError as exc:
        raise ValueError(f"{what}: {exc}") from exc.__cause__


_ANSWER_OPTIONS: Final = AnswerOptions.__optional_keys__


def make_route(
    method: str | None,
    url: UrlLike | None,
    options: RouteOptions,
    *,
    handshake: bool | None = False,
) -> Route:
    """Return the route that the method *method* of a mock is asked for.

    :raises TypeError: an option has the wrong type, or there is no such option
    :raises ValueError: an option has a value that is not allowed, or contradicts another
    """
    check_options(options, RouteOptions.__optional_keys__)
    match_json = options.get("match_json", MISSING)
    pattern = RequestPattern(
        method,
        url,
        query=options.get("match_query"),
        headers=options.get("match_headers"),
        json=match_json,
        body=options.get("match_body"),
        handshake=handshake,
        prefix="match_",
    )
    stream_request = options.get("stream_request", False)
    check_flag("stream_request", stream_request)
    if stream_request and pattern.needs_body:
        raise ValueError("stream_request=True is for requests whose bodies need not be known")
    sources, is_sequence = _sources(options)
    times = _checked_times(options.get("times"), sources if is_sequence else None)
    return Route(pattern, sources, times=times, stream_request=stream_request)


def make_ws_route(url: UrlLike, script: Script | None, options: WSRouteOptions) -> Route:
    """Return the route that the method ``ws`` of a mock is asked for.

    This raises what :func:`make_route` raises.
    """
    check_options(options, WSRouteOptions.__optional_keys__)
    pattern = RequestPattern(
        "GET",
        url,
        query=options.get("match_query"),
        headers=options.get("match_headers"),
        handshake=True,
        prefix="match_",
    )
    compress = options.get("compress", False)
    check_flag("compress", compress)
    headers = header_pairs("accept_headers", options.get("accept_headers"))

    def scripted(source: object) -> Source:
        if callable(source) and not isinstance(source, (type, Exception)):
            return Scripted(cast("Script", source), options.get("protocol"), headers, compress)
        return cast("Answer", checked_source(cast("AnswerSource", source), "an item of answers"))

    if script is not None:
        check_callable("script", script)
        if "answers" in options or _ANSWER_OPTIONS & options.keys():
            raise ValueError("give a script, or an answer that refuses, or answers= with both")
        sources: list[Source] = [scripted(script)]
        is_sequence = False
    elif "answers" in options:
        sources = [scripted(source) for source in _items(options["answers"])]
        is_sequence = True
    elif _ANSWER_OPTIONS & options.keys():
        sources, is_sequence = _sources(cast("RouteOptions", options))
    else:
        raise TypeError("a script is missing, which is the other side of the WebSocket")
    times = _checked_times(options.get("times"), sources if is_sequence else None)
    return Route(pattern, sources, times=times)


def _sources(options: RouteOptions | WSRouteOptions) -> tuple[list[Source], bool]:
    """Return what answers, and whether these are used up one after the other."""
    own = {name: value for name, value in options.items() if name in _ANSWER_OPTIONS}
    ways = [name for name in ("answer", "answers") if name in options]
    if len(ways) > 1 or (ways and own):
        others = [*ways[1:], *own]
        raise ValueError(f"{ways[0]}= is the whole answer, so {others[0]}= cannot be given, too")
    if "answers" in options:
        items = _items(options["answers"])
        return [checked_source(item, "an item of answers") for item in items], True
    if "answer" in options:
        return [checked_source(cast("AnswerSource", options.get("answer")), "answer")], False
    return [Answer(**cast("AnswerOptions", own))], False


def _items(answers: object) -> list[AnswerSource]:
    if not isinstance(answers, Iterable) or isinstance(answers, (str, bytes, dict)):
        raise TypeError(f"answers must be a sequence of answers, not {shown_class(type(answers))}")
    items = list(answers)
    if not items:
        raise ValueError("answers is empty, so the route would never answer")
    return items


def _checked_times(times: int | None, sequence: Sequence[Source] | None) -> int | None:
    check_count("times", times, least=1, optional=True)
    if sequence is None:
        return times
    if times is not None:
        raise ValueError("answers are used once each, so times= cannot be given, too")
    return len(sequence)


# -- requests that no route answers


def unanswered(request: ReceivedRequest, routes: Sequence[Route]) -> UnansweredRequest:
    """Return the error for *request*, which none of *routes* answers."""
    lines = [f"no route answers {request}"]
    if not routes:
        lines.append("There are no routes.")
    nearest = min(routes, key=lambda route: route.pattern.distance(request), default=None)
    if nearest is not None:
        which = "The only route is" if len(routes) == 1 else f"The nearest of {len(routes)} is"
        lines.append(f"{which} {nearest}:")
        lines += [f"  {reason}" for reason in nearest.why_not(request)]
    others = [route for route in routes if route is not nearest]
    if others:
        lines.append("The others:")
        lines += [f"  {route}: {'; '.join(route.why_not(request))}" for route in others]
    return UnansweredRequest("\n".join(lines), request)
