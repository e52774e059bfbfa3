"""The connector that records what passes a real one, and replays it later."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypeAlias, TypedDict

from yarl import URL

from .._common import check_instance
from .._headers import header_lines
from .._network import NetworkStream
from .._tasks import ClientTimeout
from ..connector import BaseConnector, TCPConnector, check_uses_proxies, default_proxy, open_stream
from ..tracing import Trace
from ._cassette import Cassette, CassetteOptions, Matcher, RecordMode, UnrecordedRequest
from ._har import Fields, HarEntry, RecordedRequest, write_har
from ._hosts import Hosts
from ._http1_server import RequestHead
from ._mock_streams import ScriptedStream
from ._mock_tasks import MockTasks
from ._observed import ExchangeObserver, ObservedStream, decoded_request
from ._redaction import Filters
from ._replay_stream import ReplayStream
from ._swallowed import note_swallowed

if TYPE_CHECKING:
    from types import TracebackType

    from ..client_reqrep import ClientRequest

__all__ = ("PathArgument", "Recorder", "RecorderOptions")

PathArgument: TypeAlias = str | os.PathLike[str]
RecorderStream: TypeAlias = NetworkStream | ObservedStream | ReplayStream | ScriptedStream

#: Whether a recorder is making a real connection, which it must not be asked for itself.
_is_connecting: Final[ContextVar[bool]] = ContextVar("anyhttp_recorder", default=False)


class RecorderOptions(TypedDict, total=False):
    """Options of :class:`Recorder`, but for its limits."""

    connector: BaseConnector | None
    mode: RecordMode
    match_on: Sequence[str | Matcher]
    filters: Filters | None
    allow_repeats: bool
    har: PathArgument | None


class Recorder(BaseConnector):
    """Records requests and their responses in a file, and answers later requests from it.

    The file is a HAR 1.2, which browsers and many tools read and write, so that a file that was
    saved in a browser can be replayed as well.  It is written when the connector is closed.  In
    ``async with Recorder(...)``, that is at the end of the block.  If an exception ends the block,
    nothing is written, as the recording would be incomplete.  The end of the block also raises an
    :exc:`UnrecordedRequest` that the program has caught.

    ===================  ====================================================================
    mode
    ===================  ====================================================================
    ``"once"``           where there is no file, all requests are sent and recorded; where
                         there is one, all are answered from it
    ``"new_episodes"``   what the file has is answered from it, the rest is sent and added
    ``"none"``           all requests are answered from the file, which has to be there
    ``"all"``            all requests are sent, and replace what was in the file
    ===================  ====================================================================

    Each entry answers one request, in the order of the file.  A request that has no entry, and may
    not be sent, raises :exc:`UnrecordedRequest`.

    Secrets are replaced before they are written, see :class:`Filters`; in JSON, only those that are
    named.  The program gets the true values when it records.

    Response bodies that end early are recorded as far as they came, and end early when they are
    replayed.  Requests that failed without a response are not recorded.  Bodies are held in memory
    until the file is written.

    Of a WebSocket, the messages are recorded.  When it is replayed, those that were received are
    sent again, each when all messages before it have been sent as they were recorded.

    :param path: of the file; its folder is made if there is none; ``None``: neither record nor
        replay
    :param connector: makes the real connections; closed together with this one; ``None`` for a
        new :class:`~anyhttp.TCPConnector`
    :param mode: see above
    :param match_on: in what a request must be like a recorded one: ``"method"``, ``"url"``,
        ``"scheme"``, ``"host"``, ``"port"``, ``"path"``, ``"query"`` (in any order),
        ``"header:NAME"``, ``"body"``, ``"json"`` (a body, compared as a value), or functions
        that get the recorded request and the present one, and return whether they are alike
    :param filters: what is not written
    :param allow_repeats: whether the last entry for a request answers it again and again
    :param har: where to write all requests of the session with their timings, whether they were
        sent or replayed, and also those that failed; written in any case
    :param limit: open connections in all; 0 or ``None`` for no limit
    :param limit_per_host: connections to one endpoint; 0 or ``None`` for no limit
    :raises CassetteError: the file is damaged, or there is none and nothing may be recorded
    :raises TypeError: an argument has the wrong type
    :raises ValueError: an argument has a value that is not allowed
    :raises OSError: the file cannot be read
    """

    _uses_proxies: ClassVar[bool] = True

    def __init__(
        self,
        path: PathArgument | None = None,
        connector: BaseConnector | None = None,
        *,
        mode: RecordMode = "once",
        match_on: Sequence[str | Matcher] = ("method", "url"),
        filters: Filters | None = None,
        allow_repeats: bool = False,
        har: PathArgument | None = None,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
    ) -> None:
        if path is None and har is None:
            raise TypeError("give the path of a cassette, or that of a har=, or both")
        filters = Filters() if filters is None else filters
        options = CassetteOptions(
            mode=mode, match_on=match_on, filters=filters, allow_repeats=allow_repeats
        )
        if connector is not None:
            check_instance("connector", connector, BaseConnector)
        har_path = None if har is None else _checked_path("har", har)
        cassette = None if path is None else Cassette(_checked_path("path", path), options)
        super().__init__(limit=limit, limit_per_host=limit_per_host)
        self._connector: BaseConnector = TCPConnector() if connector is None else connector
        self._proxy_options = default_proxy(self._connector)
        self._cassette = cassette
        self._filters = filters
        self._har_path = har_path
        self._traffic: dict[int, HarEntry] = {}
        self._numbers = count()
        self._observers: set[ExchangeObserver] = set()
        self._tasks = MockTasks()
        self._passed_hosts = Hosts()
        self._writes_at_exit = False
        #: the errors of requests that nothing answered, also if the program has caught them
        self.unrecorded: list[UnrecordedRequest] = []

    @property
    def records(self) -> bool:
        """Whether requests that no entry answers are sent and recorded."""
        return self._cassette is not None and self._cassette.records

    @property
    def unplayed(self) -> list[RecordedRequest]:
        """The recorded requests that have not been made this time."""
        entries = [] if self._cassette is None else self._cassette.unplayed
        return [entry.request for entry in entries if entry.request is not None]

    def assert_all_played(self) -> None:
        """Check that each entry of the file has answered a request.

        :raises AssertionError: some have not; the message lists them
        """
        entries = [] if self._cassette is None else self._cassette.unplayed
        if entries:
            assert self._cassette is not None
            names = "\n".join(f"  {entry.name}" for entry in entries)
            raise AssertionError(f"{self._cassette.path}: entries that were not played:\n{names}")

    def pass_through(self, *hosts: str) -> None:
        """Send requests to these hosts in any mode, and do not record them.

        :param hosts: ``"host"`` for any port, or ``"host:port"``
        :raises TypeError: one is not text
        :raises ValueError: one is not a host
        """
        self._passed_hosts.add(*hosts)

    def _passes(self, url: URL) -> bool:
        """Whether requests to *url* are not recorded."""
        return url in self._passed_hosts

    def discard(self) -> None:
        """Forget what has been recorded so far, so that it will not be written."""
        if self._cassette is not None:
            self._cassette.discard()

    # -- connections

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> RecorderStream:
        dial = _Dial(self, req, traces, timeout)
        if self._har_path is None:
            return await dial.open()
        return await dial.open_observed()

    async def stream_for(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> RecorderStream | None:
        """Return what takes the place of the network's stream; see :func:`record_requests`.

        It is ``None`` for the real connection that this recorder itself makes, and for hosts of
        :meth:`pass_through`.
        """
        if _is_connecting.get() or self._passes(req.url):
            return None
        return await self._create_connection(req, traces, timeout)

    # -- the end

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._writes_at_exit = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writes_at_exit = False
        if exc is not None:
            self.discard()
        await self.close()
        self.end(exc)

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections and the real connector, and write what has been recorded.

        In ``async with Recorder(...)``, the end of the block writes it.

        :raises OSError: it could not be written
        """
        try:
            await super().close(abort_ssl=abort_ssl)
        finally:
            try:
                await self._tasks.aclose()
            finally:
                try:
                    await self._connector.close(abort_ssl=abort_ssl)
                finally:
                    if not self._writes_at_exit:
                        self._write()

    def end(self, exc: BaseException | None) -> None:
        """End a block: write what has been recorded, and raise what the program has caught.

        :param exc: what ends the block; then nothing is recorded, and nothing else is raised
        :raises UnrecordedRequest: the program has caught this
        :raises OSError: the file could not be written
        """
        if exc is not None:
            self.discard()
        self._tasks.cancel()
        self._write()
        if exc is not None:
            note_swallowed(exc, self.unrecorded)
        elif self.unrecorded:
            raise self.unrecorded[0]

    def _write(self) -> None:
        for observer in tuple(self._observers):
            observer.closed()  # what has not ended is recorded as far as it came
        traffic, self._traffic = self._traffic, {}
        try:
            if self._cassette is not None:
                self._cassette.save()
        finally:
            if self._har_path is not None and traffic:
                entries = [entry for _, entry in sorted(traffic.items(), key=lambda item: item[0])]
                write_har(self._har_path, {}, entries)


class _Dial:
    """Makes the stream for one request, and keeps what passes it."""

    def __init__(
        self,
        recorder: Recorder,
        req: ClientRequest,
        traces: Sequence[Trace],
        timeout: ClientTimeout,
    ) -> None:
        self._recorder = recorder
        self._req = req
        self._traces = traces
        self._timeout = timeout
        self._number = next(recorder._numbers)

    async def open(self) -> RecorderStream:
        """Return a stream that is answered from the cassette, or one to the network.

        :raises UnrecordedRequest: the cassette has no answer, and the request may not be sent
        """
        cassette, req = self._recorder._cassette, self._req
        if cassette is None or self._recorder._passes(req.url):
            return await self._network()
        request = self._filtered(req.method, tuple(req.headers.items()), b"")
        candidates = cassette.candidates(request)
        if candidates and candidates[0].socket is None:
            return ReplayStream(self)
        entry = cassette.take(request) if candidates else None
        if entry is not None:
            return self._replay_socket(entry, request)
        if not cassette.records:
            raise self.refuse(request)
        return await self.connect()

    def _replay_socket(self, entry: HarEntry, request: RecordedRequest) -> ScriptedStream:
        """Return a stream to what takes the place of a WebSocket's server."""
        # Imported here, as the import is slow and most programs open no WebSocket.
        from ._websocket_replay import WebSocketReplay

        def refuse(difference: str) -> UnrecordedRequest:
            path = self.cassette.path
            return self._noted(UnrecordedRequest(f"{path}: {entry.name}: {difference}", request))

        replay = WebSocketReplay(entry, self._recorder._filters, refuse)
        return replay.start(self._recorder._tasks, request.url.scheme)

    async def open_observed(self) -> ObservedStream:
        """Do the same, and let the traffic be written as well."""
        begun = time.perf_counter()
        try:
            stream = await self.open()
        except Exception as exc:
            self._keep_failure(exc)
            raise
        is_real = not isinstance(stream, (ReplayStream, ScriptedStream))
        connecting = time.perf_counter() - begun if is_real else None
        observer = self._observer(self._keep_traffic, connecting)
        below = stream.stream if isinstance(stream, NetworkStream) else stream
        return ObservedStream(below, stream, observer)

    async def _network(self) -> NetworkStream:
        """Return a stream that the real connector makes."""
        connector = self._recorder._connector
        if self._req.proxy is not None:
            check_uses_proxies(connector)
        token = _is_connecting.set(True)
        try:
            stream = await open_stream(connector, self._req, self._traces, self._timeout)
        finally:
            _is_connecting.reset(token)
        stream.for_one_exchange = True  # what the next one would carry may have to be replayed
        return stream

    # -- for the stream that replays

    @property
    def cassette(self) -> Cassette:
        cassette = self._recorder._cassette
        assert cassette is not None  # else nothing is replayed or recorded
        return cassette

    def request(self, head: RequestHead, body: bytes) -> RecordedRequest:
        return self._filtered(head.method, tuple(head.headers.items()), body)

    def _filtered(self, method: str, fields: Fields, body: bytes) -> RecordedRequest:
        req = self._req
        request = decoded_request(method, req.url, fields, body, is_websocket=req.is_handshake)
        return self._recorder._filters.request(request)

    def refuse(self, request: RecordedRequest) -> UnrecordedRequest:
        return self._noted(self.cassette.refusal(request))

    def _noted(self, refusal: UnrecordedRequest) -> UnrecordedRequest:
        self._recorder.unrecorded.append(refusal)
        return refusal

    async def connect(self) -> ObservedStream:
        stream = await self._network()
        observer = self._observer(self._record)
        return ObservedStream(stream.stream, stream, observer)

    # -- what has passed

    def _observer(
        self, on_end: Callable[[ExchangeObserver], None], connecting: float | None = None
    ) -> ExchangeObserver:
        recorder = self._recorder

        def ended(observer: ExchangeObserver) -> None:
            recorder._observers.discard(observer)
            on_end(observer)

        observer = ExchangeObserver(self._req.url, ended, connecting=connecting)
        recorder._observers.add(observer)
        return observer

    def _record(self, observer: ExchangeObserver) -> None:
        if observer.is_replayable:
            entry = observer.entry(self._recorder._filters, is_timed=False)
            assert entry is not None  # as there is a response
            self.cassette.add(self._number, entry)

    def _keep_traffic(self, observer: ExchangeObserver) -> None:
        entry = observer.entry(self._recorder._filters, is_timed=True)
        if entry is not None:
            self._recorder._traffic[self._number] = entry

    def _keep_failure(self, error: Exception) -> None:
        """Keep a request that got no connection."""
        req = self._req
        observer = self._observer(self._keep_traffic)
        lines = header_lines(tuple(req.headers.items()))
        observer.sent(f"{req.method} {req.target()} HTTP/1.1\r\n".encode() + lines + b"\r\n")
        observer.failed(error)
        observer.closed()


def _checked_path(argument: str, path: PathArgument) -> str:
    """Return the path of a file.

    :raises TypeError: it is none
    :raises ValueError: it is empty or holds NUL
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{argument} must be a str or a path, not {type(path).__name__}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"{argument} must be text, not {type(text).__name__}")
    if not text or "\0" in text:
        raise ValueError(f"{argument} is not the path of a file: {text!r}")
    return text
