"""What one call holds while it runs (exchanges, tasks, a body), and how each is closed."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Sequence
from contextlib import AbstractContextManager
from typing import Final, TypeVar

import anyio

from .._common import without_user_info
from .._http1 import Exchange, UploadProgress, upload_progress
from .._tasks import (
    CLEAN_UP_SECONDS,
    Expired,
    HelperTasks,
    TaskOwner,
    WatchedScope,
    deadline_after,
)
from ..connector import BaseConnector, finish_closing, is_closing
from ..payload import Payload
from ._hop import Hop, Settings
from ._session_scope import SessionScope

__all__ = ("CallScope",)

T = TypeVar("T")

logger: Final = logging.getLogger("anyhttp.client")


class CallScope:
    """The life of a call: its time limit, its helper tasks, and what is closed at its end.

    After :meth:`begin` the scope is ended in one of three ways: by :meth:`settle`, if there is a
    response; by :meth:`aclose`, if the call failed; or by :meth:`close`, if the coroutine of the
    call is closed (``coroutine.close()``) and therefore cannot await anything.
    """

    # Defaults of what few calls need; Python finds an attribute of the object itself faster.
    _tasks: HelperTasks | None = None  # those of the owner
    #: bodies that have been replaced by others, and are to be closed
    replaced: list[Payload] | None = None
    #: how many requests middlewares have sent
    sent: int = 0
    _ended = False  # then the task that still sends the body closes it

    def __init__(
        self,
        session: SessionScope,
        connector: BaseConnector,
        hop: Hop,
        settings: Settings,
    ) -> None:
        self.session: SessionScope = session
        self.connector: BaseConnector = connector
        self.hop: Hop = hop
        self.settings: Settings = settings
        #: reports to the ``upload_tracker`` of the request, if there is one
        self.progress: UploadProgress | None = None
        #: of the helper tasks of this call alone; made if the session has not been entered
        self.owner: TaskOwner | None = None
        #: when the ``total`` time is over, on anyio's clock
        self.total_at: float = math.inf
        #: what the call is doing, for the message of a timeout
        self.phase: str = "preparing the request"
        self._exchanges: Sequence[Exchange] = ()
        #: the body, which is closed when it has been sent
        self.body: Payload | None = hop.body

    def begin(self) -> None:
        """Start the time of the call.

        :raises RuntimeError: the session is closed, or the tracker is that of another request
        """
        session = self.session
        tracker = self.hop.upload_tracker
        if tracker is not None:
            self.progress = upload_progress(tracker)  # needs end_request() in any case
        if session.ended or self.connector.closed:
            if self.progress is not None:
                self.progress.end_request()
            raise RuntimeError("Session is closed")
        tasks = session.helper_tasks
        if tasks is not None and tasks.is_over:
            session.forget_lost_tasks()
        total = self.settings.timeout.total
        if total:
            watchdog = session.watchdog
            self.total_at = deadline_after(total) if watchdog is None else watchdog.clock() + total

    # -- time

    async def within_total(self, work: Awaitable[T], phase: str) -> T:
        """Return what *work* returns.

        :param phase: what *work* does, for the message of a timeout
        :raises Expired: the ``total`` time is over
        """
        self.phase = phase
        with anyio.CancelScope(deadline=self.total_at):
            return await work
        raise Expired

    def limited(self) -> AbstractContextManager[object, bool | None]:
        """Return a block that is cancelled when the ``total`` time is over.

        It is entered before anything is awaited: later, the session may have been closed.
        """
        tasks, watchdog = self.session.helper_tasks, self.session.watchdog
        if tasks is None or watchdog is None:
            return anyio.CancelScope(deadline=self.total_at)
        return WatchedScope(tasks.make_scope(), watchdog, self.total_at)

    def timed_out(self) -> TimeoutError:
        """Return the error for the caller when the ``total`` time is over."""
        hop = self.hop
        return TimeoutError(
            f"the request's total timeout of {self.settings.timeout.total} s ran out while "
            f"{self.phase} ({hop.method} {without_user_info(hop.url)})"
        )

    # -- helper tasks

    def helper_tasks(self) -> HelperTasks:
        """Return what starts helper tasks: the session's, or else those of this call alone."""
        tasks = self.session.helper_tasks
        if tasks is not None:
            return tasks
        if self.owner is None:
            self.owner = TaskOwner()
        return self.owner.tasks

    async def end_tasks(self, raised: BaseException | None = None) -> None:
        """End the helper tasks of this call; *raised* is the error of the block, if any."""
        owner, self.owner = self.owner, None
        if owner is not None:
            await owner.leave(raised)

    # -- exchanges

    def hold(self, exchange: Exchange) -> None:
        """Close *exchange* when the call fails or its coroutine is closed."""
        if not self._exchanges:
            self._exchanges = [exchange]
        elif exchange not in self._exchanges:
            # A middleware that polls makes many exchanges.  Forget those that have ended: they
            # hold neither a connection nor a task.
            held = [
                each for each in self._exchanges if each.connection is not None or each.is_sending
            ]
            self._exchanges = [*held, exchange]

    def close_others(self, kept: Exchange | None) -> None:
        """Close all exchanges but *kept*."""
        for exchange in self._exchanges:
            if exchange is not kept:
                exchange.close()
        self._exchanges = () if kept is None else [kept]

    async def aclose_exchange(self, exchange: Exchange | None) -> None:
        """Close *exchange*, and wait until nothing of it is open or running any more."""
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            if exchange is not None:
                exchange.close()
                await exchange.wait_stopped()
            await finish_closing(self.connector)

    # -- the body

    def replace_body(self, body: Payload | None) -> None:
        """Close *body* at the end of the call, and the previous body in :meth:`close_replaced`."""
        if self.body is not None:
            self.close_later(self.body)
        self.body = body

    def close_later(self, body: Payload) -> None:
        """Note that *body* will not be sent again, for :meth:`close_replaced`."""
        if self.replaced is None:
            self.replaced = []
        self.replaced.append(body)

    async def close_replaced(self) -> None:
        """Close the bodies that have been replaced by others, all of them, even if cancelled."""
        cancelled: BaseException | None = None
        while self.replaced:
            try:
                await _close(self.replaced.pop())
            except anyio.get_cancelled_exc_class() as exc:
                cancelled = exc
        if cancelled is not None:
            raise cancelled

    async def _close_body(self) -> None:
        """Close the body, unless a task is sending it: that task closes it at its end."""
        self._ended = True
        if self.body is None or self.body.autoclose:
            return
        if not any(each.is_sending for each in self._exchanges):
            await _close(self.body)

    async def body_sent(self) -> None:
        """Close the body in the task that has sent it, if the call has ended before.

        The end of the session or of the caller's block cancels this task, so closing is shielded.
        """
        if self._ended:
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                await self._close_body()

    # -- the end

    async def settle(self, exchange: Exchange | None, *, in_block: bool) -> None:
        """End the call with a response; its body may still be being sent.

        The task that sends the body belongs to the entered session or to the caller's block,
        and goes on there.  If there is neither (a bare ``await``), wait until it ends; a body that
        the response refuses is not sent to its end.

        :param exchange: of the final response
        :param in_block: whether the caller's block owns the tasks, and calls :meth:`end_tasks`
        """
        if self.owner is not None and not in_block and exchange is not None:
            exchange.stop_if_refused()
            await self.within_total(exchange.wait_stopped(), "sending the body")
        await self._close_body()
        if self.owner is not None:
            sending = exchange is not None and exchange.is_sending
            if not (in_block and sending):
                await self.end_tasks()

    async def aclose(self, raised: BaseException) -> None:
        """Close all that the call holds, and wait for it; *raised* is the error of the call."""
        try:
            for exchange in self._exchanges:
                exchange.close()
            if self._has_to_wait():
                with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                    try:
                        for exchange in self._exchanges:
                            await exchange.wait_stopped()
                        await finish_closing(self.connector)
                    finally:  # a shield does not stop task.cancel() of asyncio
                        try:
                            await self.close_replaced()
                        finally:
                            await self._close_body()
        finally:
            self._ended = True
            try:
                await self.end_tasks(raised)
            finally:
                if self.progress is not None:
                    self.progress.end_request(raised)
                for exchange in self._exchanges:
                    exchange.forget_errors()

    def _has_to_wait(self) -> bool:
        """Whether :meth:`aclose` has something to wait for, and so needs a shield."""
        if self.body is not None or self.replaced or is_closing(self.connector):
            return True
        return any(exchange.is_sending for exchange in self._exchanges)

    def close(self) -> None:
        """Close the exchanges and cancel the tasks, without waiting for either."""
        self._ended = True
        for exchange in self._exchanges:
            exchange.close()
        if self.owner is not None:
            self.owner.cancel()
        if self.progress is not None:
            self.progress.end_request()

    def can_await(self, raised: BaseException) -> bool:
        """Whether to end a call that *raised* an error with :meth:`aclose`, which awaits.

        A coroutine that is being closed (:exc:`GeneratorExit`) cannot await.  But the
        :exc:`GeneratorExit` may also come from the body of the request, which made the upload fail.
        """
        if not isinstance(raised, GeneratorExit):
            return True
        uploads = [each.upload for each in self._exchanges]
        return any(upload is not None and upload.error is raised for upload in uploads)


async def _close(body: Payload) -> None:
    """Close *body*, unless its file is the caller's to close."""
    if not body.autoclose:
        try:
            await body.close()
        except Exception as exc:  # noqa: BLE001  (the request no longer needs the body)
            logger.warning("closing the body of a request failed: %r", exc)
