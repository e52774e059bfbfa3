"""``anyhttp sse URL``: prints server-sent events as they arrive."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from multidict import CIMultiDict

from anyhttp import (
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ContentTypeError,
    ServerSentEvent,
    TraceConfig,
    TraceRequestExceptionParams,
    TraceResponseEndParams,
)

from ._body import Body, opened
from ._failures import FAILURES, describe, print_error
from ._fetch import OutputClosedError, write
from ._options import Route, Sender, Watch, sent_options
from ._session import CONNECT_TIMEOUT
from ._terminal import printable
from ._watch import watched_session

#: Seconds of silence after which a connection is taken for dead, if another one may follow.
LONGEST_SILENCE: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line."""

    url: str
    method: str
    sender: Sender
    body: Body
    route: Route
    watch: Watch
    as_json: bool
    reconnect: bool
    last_event_id: str


async def listen(options: Options) -> int:
    """Print events until the end and return the exit status; a failure is printed on stderr."""
    try:
        await _listen(options)
    except OutputClosedError:
        return 1
    except FAILURES as exc:
        print_error(_refusal(exc) or describe(exc))
        return 1
    return 0


def _refusal(failure: Exception) -> str | None:
    """Return the message about an answer that holds no events."""
    if isinstance(failure, ContentTypeError):
        return f"no events: {failure.message}"
    # Without header fields there was no answer that could be understood.
    if isinstance(failure, ClientResponseError) and failure.headers is not None:
        return f"no events: {failure.status} {failure.message}"
    return None


async def _listen(options: Options) -> None:
    timeout = ClientTimeout(
        sock_connect=CONNECT_TIMEOUT, sock_read=LONGEST_SILENCE if options.reconnect else None
    )
    async with watched_session(
        options.watch,
        options.sender,
        options.route,
        timeout=timeout,
        traces=[Reconnections().config()],
    ) as session:
        streams = _all_streams if options.reconnect else _one_stream
        with opened(options.body) as data:
            async with aclosing(streams(session, options, data)) as events:
                async for event in events:
                    await _print(event, as_json=options.as_json)


async def _all_streams(
    session: ClientSession, options: Options, data: object
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield the events of the server, over as many connections as it takes."""
    async with session.sse(
        options.url,
        method=options.method,
        last_event_id=options.last_event_id,
        data=data,
        **sent_options(options.sender, options.route),
    ) as events:
        async for event in events:
            yield event


async def _one_stream(
    session: ClientSession, options: Options, data: object
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield the events of one connection."""
    given = sent_options(options.sender, options.route)
    headers = given["headers"] = CIMultiDict(given["headers"])
    headers.setdefault("Accept", "text/event-stream")
    headers.setdefault("Cache-Control", "no-store")
    if options.last_event_id:
        headers["Last-Event-ID"] = options.last_event_id
    async with session.request(
        options.method, options.url, data=data, raise_for_status=True, **given
    ) as response:
        if response.status == 204:  # there are no events, which is no error
            return
        async for event in response.events(last_event_id=options.last_event_id):
            yield event


class Reconnections:
    """Says on stderr when another connection is made, and why."""

    def __init__(self) -> None:
        self._reason: str | None = None

    def config(self) -> TraceConfig:
        """Return the handlers that watch the connections."""
        config = TraceConfig()
        config.on_request_start.append(self._begins)
        config.on_request_exception.append(self._fails)
        config.on_response_end.append(self._ends)
        return config

    async def _begins(self, *_: object) -> None:
        if self._reason is not None:
            print_error(f"{self._reason}; connecting again")

    async def _fails(self, _: Any, __: Any, params: TraceRequestExceptionParams) -> None:
        self._reason = _reason(params.exception)

    async def _ends(self, _: Any, __: Any, params: TraceResponseEndParams) -> None:
        if params.status != 200:
            self._reason = f"the server answered with {params.status}"
        elif params.error is None:
            self._reason = "the stream has ended"
        else:
            self._reason = f"the connection was lost: {_reason(params.error)}"


def _reason(error: BaseException) -> str:
    return describe(error) if isinstance(error, Exception) else type(error).__name__


async def _print(event: ServerSentEvent, *, as_json: bool) -> None:
    """Print *event*, on a terminal without control characters."""
    if as_json:
        # Data are text, whether they look like JSON or not: programs can rely on their type.
        fields = {"event": event.type, "id": event.id, "data": event.data}
        text = json.dumps(fields, ensure_ascii=False)
    else:
        lines = [] if event.type == "message" else [f"event: {event.type}"]
        lines += [f"id: {event.id}"] if event.id else []
        lines += [f"data: {line}" for line in event.data.split("\n")]
        text = "\n".join(lines) + "\n"
    if sys.stdout.isatty():
        text = printable(text, sys.stdout.encoding)
    await write(f"{text}\n".encode(sys.stdout.encoding, "replace"))
