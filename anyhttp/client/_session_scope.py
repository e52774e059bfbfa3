"""What a session shares with its calls: defaults, connector, helper tasks, open exchanges."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
import anyio.lowlevel
from yarl import URL

from .._http1 import Exchange, OpenExchanges
from .._targets import BasicAuth, Origin, origin_of
from .._tasks import (
    CLEAN_UP_SECONDS,
    HelperTasks,
    PendingWaits,
    TaskOwner,
    Watchdog,
    is_raised_again,
)
from ..abc import AbstractCookieJar
from ..client_reqrep import ClientRequest, ClientResponse, class_to_call
from ..connector import (
    BaseConnector,
    close_owned,
    finish_closing,
    is_closing,
    needs_start,
    start,
    sweep_by,
    sweep_no_more_by,
)

__all__ = ("SessionDefaults", "SessionScope")


# Not frozen, although nobody changes it: the constructor would take four times as long.
@dataclass(slots=True, kw_only=True)
class SessionDefaults:
    """Settings of a session that apply to all its requests and that no request can override.

    :param base_origin: origin of the URL that relative ones extend, if there is one
    :param auth: credentials sent with every request; with *base_origin* only to that origin
    :param fallback_charset_resolver: returns the charset of a text whose headers name none
    :param retry_connections: whether a request is sent again if a kept connection was stale
    :param log_query: whether the log shows the queries of URLs
    """

    base_origin: Origin | None
    auth: BasicAuth | None
    request_class: type[ClientRequest]
    fallback_charset_resolver: Callable[[ClientResponse, bytes], str]
    retry_connections: bool
    log_query: bool

    def __post_init__(self) -> None:
        self.request_class = class_to_call(self.request_class)

    def auth_for(self, url: URL) -> BasicAuth | None:
        """Return the session's credentials, if they are for *url*."""
        if self.auth is not None and self.base_origin in {None, origin_of(url)}:
            return self.auth
        return None


class SessionScope:
    """The life of a session: its connector, its helper tasks, its exchanges and waits.

    A session that has not been entered has no helper tasks.
    """

    __slots__ = (
        "_owner",
        "_owner_watchdog",
        "connector",
        "connector_owner",
        "cookie_jar",
        "defaults",
        "ended",
        "exchanges",
        "handshakes",
        "helper_tasks",
        "requote_redirect_url",
        "waits",
        "watchdog",
    )

    def __init__(
        self,
        defaults: SessionDefaults,
        cookie_jar: AbstractCookieJar,
        connector: BaseConnector,
        *,
        connector_owner: bool,
        requote_redirect_url: bool,
    ) -> None:
        self.defaults: SessionDefaults = defaults
        self.cookie_jar: AbstractCookieJar = cookie_jar
        #: ``None`` once it has been detached
        self.connector: BaseConnector | None = connector
        #: whether the connector is closed with the session
        self.connector_owner: bool = connector_owner
        #: whether the percent-encoding of redirect targets is normalised
        self.requote_redirect_url: bool = requote_redirect_url
        #: the exchanges of all calls that hold a connection
        self.exchanges: OpenExchanges[Exchange] = OpenExchanges()
        #: keys of the handshakes of WebSockets that are being made
        self.handshakes: set[str] = set()
        #: the calls that wait for a connection
        self.waits: PendingWaits = PendingWaits()
        #: for calls that begin now: what starts their helper tasks, and the watchdog that ends
        #: their waits; ``None`` if the session has not been entered
        self.helper_tasks: HelperTasks | None = None
        self.watchdog: Watchdog | None = None
        self._owner: TaskOwner | None = None
        self._owner_watchdog: Watchdog | None = None  # stopped when the owner is left
        #: whether the session has been closed, or its connector detached
        self.ended: bool = False

    @property
    def closed(self) -> bool:
        """Whether the session, or its connector, has been closed, or the connector detached."""
        connector = self.connector
        return self.ended or connector is None or connector.closed

    def check_open(self) -> None:
        """Raise an error if no call can begin.

        :raises RuntimeError: the session is closed
        """
        if self.closed:
            raise RuntimeError("Session is closed")

    # -- helper tasks

    def enter(self) -> None:
        """Allow helper tasks, until :meth:`leave` or :meth:`close` ends them.

        :raises RuntimeError: the session is closed
        """
        self.check_open()
        if self._owner is not None:
            return  # aiohttp allows entering twice; the first block to end closes the session
        self._owner = owner = TaskOwner()
        self.helper_tasks = owner.tasks
        self.watchdog = self._owner_watchdog = Watchdog(owner.start)
        assert self.connector is not None
        sweep_by(self.connector, self.watchdog)

    @property
    def needs_start(self) -> bool:
        """Whether :meth:`start` has something to do."""
        return self.connector is not None and needs_start(self.connector)

    async def start(self) -> None:
        """Start what the connector needs."""
        assert self.connector is not None
        await start(self.connector)

    async def leave(self, raised: BaseException | None) -> None:
        """Close the session and end its tasks; *raised* is the error of the block, if any.

        It is a checkpoint; but if there is such an error, no cancellation of a scope takes its
        place: the scope raises that again at the next checkpoint.
        """
        self._stop_sweeping()
        if self._owner_watchdog is not None:
            self._owner_watchdog.stop()  # so that its task on trio ends while the sockets do
        try:
            await self._close()
        except GeneratorExit:  # the coroutine is being closed, so it cannot wait for the tasks
            if self._owner is not None:
                self._owner.cancel()
            raise
        except BaseException as exc:
            await self._end_tasks(raised)
            if raised is None or not is_raised_again(exc):
                raise
        else:
            await self._end_tasks(raised)

    async def leave_by(
        self, close: Callable[[], Awaitable[None]], raised: BaseException | None
    ) -> None:
        """Await *close*, which a program has put in the place of the session's, and :meth:`leave`.

        :param raised: the error of the block, if any; no cancellation takes its place
        """
        try:
            await close()
        except BaseException as exc:
            await self.leave(raised)
            if raised is None or not is_raised_again(exc):
                raise
        else:
            await self.leave(raised)

    async def _end_tasks(self, raised: BaseException | None) -> None:
        owner, self._owner = self._owner, None
        if owner is None:
            return
        self.helper_tasks = self.watchdog = None
        if owner.waits_for_caller:
            # The session is closed by one of its own tasks, such as one that sends a body.  That
            # task cannot wait for itself, so another task may end the tasks later.
            self._owner = owner
        await owner.leave(raised)

    def forget_lost_tasks(self) -> None:
        """Treat the session as not entered if its helper tasks have ended or cannot run any more.

        Requests that have begun keep their watchdog, which needs no task on asyncio.
        """
        if self.helper_tasks is not None and self.helper_tasks.is_over:
            self.helper_tasks = self.watchdog = None

    # -- the end

    async def close(self) -> None:
        """Close the session, and end its helper tasks.

        When this returns, or is cancelled, no socket of the session is open.
        """
        await self.leave(None)

    async def _close(self) -> None:
        self.ended = True
        for exchange in self.exchanges.all():
            exchange.close()
        connector = self.connector
        if connector is not None and self.connector_owner:
            try:
                await close_owned(connector)
            finally:
                self.waits.cancel()  # those for a connection have ended; middlewares may wait too
            return
        if self.waits.cancel() or (connector is not None and is_closing(connector)):
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                await self.waits.cancel_all()
                if connector is not None:
                    await finish_closing(connector)
        await anyio.lowlevel.checkpoint()

    def replace_connector(self, connector: BaseConnector | None) -> None:
        """Use *connector* for calls that begin now; the present one is not closed."""
        self._stop_sweeping()
        self.connector = connector
        if connector is not None and self._owner_watchdog is not None:
            sweep_by(connector, self._owner_watchdog)

    def detach(self) -> None:
        """Detach the connector without closing it; the session is closed then."""
        self._stop_sweeping()
        self.connector = None
        self.ended = True

    def _stop_sweeping(self) -> None:
        if self.connector is not None and self._owner_watchdog is not None:
            sweep_no_more_by(self.connector, self._owner_watchdog)
