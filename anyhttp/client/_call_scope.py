"""What one call holds while it runs, and how that ends."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

import anyio
from anyio.abc import TaskGroup

from .._common import without_user_info
from .._http1 import Exchange, UploadProgress, UploadTracker, upload_progress
from .._tasks import (
    CLEAN_UP_SECONDS,
    Expired,
    TaskOwner,
    asyncio_loop,
    deadline_after,
    leave_group,
    leave_group_nowait,
)
from ..connector import BaseConnector, finish_closing
from ..payload import Payload
from ._hop import Hop, Settings
from ._session_scope import SessionScope

__all__ = ("CallScope",)

T = TypeVar("T")

logger: Final = logging.getLogger("anyhttp.client")


class CallScope:
    """The life of a call: its time limit, its helper tasks, and what is undone at its end.

    After :meth:`begin` it is ended in one of three ways: by :meth:`settle`, if there is a
    response; by :meth:`aclose`, if the call failed; or by :meth:`close`, if its coroutine is
    thrown away and cannot await anything any more.
    """

    def __init__(
        self,
        session: SessionScope,
        connector: BaseConnector,
        hop: Hop,
        settings: Settings,
        tracker: UploadTracker | None,
    ) -> None:
        self.session = session
        self.connector = connector
        self.hop = hop
        self.settings = settings
        self._tracker = tracker
        #: what is told how far the body has got, if anybody wants to know
        self.progress: UploadProgress | None = None
        #: tasks of the caller's block, or of a lone ``await``, if the session has none
        self.group: TaskGroup | None = None
        self._owner: TaskOwner | None = None  # of the group, if it is for a streamed body
        #: when the ``total`` time is over, on anyio's clock
        self.total_at = math.inf
        #: what the call is doing, for the error that says that its time is over
        self.phase = "preparing the request"
        self._exchanges: Sequence[Exchange] = ()
        #: what is closed at the end, once it has been sent
        self.body = hop.body
        self._replaced: list[Payload] | None = None
        self._ended = False  # so that whoever still sends the body closes it

    def begin(self) -> None:
        """Start the time of the call.

        :raises RuntimeError: the session is closed, or the tracker is that of another request
        """
        session = self.session
        if session.closed:
            raise RuntimeError("Session is closed")
        if self._tracker is not None:
            self.progress = upload_progress(self._tracker)  # which has to be told of the end
        if session.task_group is not None:
            session.forget_lost_tasks()
        total = self.settings.timeout.total
        if total:
            watchdog = session.watchdog
            self.total_at = deadline_after(total) if watchdog is None else watchdog.clock() + total

    # -- time

    async def within_total(self, work: Awaitable[T], phase: str) -> T:
        """Return what *work* returns.

        :param phase: what it does, for the error that says that the time is over
        :raises Expired: the ``total`` time is over
        """
        self.phase = phase
        with anyio.CancelScope(deadline=self.total_at):
            return await work
        raise Expired

    def timed_out(self) -> TimeoutError:
        """Return what the caller is told when the ``total`` time is over."""
        hop = self.hop
        return TimeoutError(
            f"the request's total timeout of {self.settings.timeout.total} s ran out while "
            f"{self.phase} ({hop.method} {without_user_info(hop.url)})"
        )

    # -- helper tasks

    @property
    def task_group(self) -> TaskGroup | None:
        """Where helper tasks are started: in the session, or else in the caller's block."""
        return self.session.task_group or self.group

    @property
    def may_need_tasks(self) -> bool:
        """Whether helper tasks may have to be started."""
        # A middleware may give the request a body that needs a task, from within a cancel
        # scope of its own, in which no task group can be opened that outlives it.
        return bool(self.settings.middlewares) or self.hop.streams

    async def enter_group(self) -> None:
        """Begin to have helper tasks of its own."""
        if self.hop.streams:
            # A generator that holds the block, and is dropped, ends in another task.  And if
            # a program cancels the writer before its first step, the group is cancelled too.
            owner = TaskOwner()
            self.group = await owner.enter()
            self._owner = owner
        else:
            self.group = anyio.create_task_group()
            await self.group.__aenter__()

    async def end_tasks(self, raised: BaseException | None = None) -> None:
        """End its own helper tasks, after what *raised* something or nothing."""
        group, self.group = self.group, None
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.leave(raised)
        elif group is not None:
            await leave_group(group, raised)

    # -- exchanges

    def hold(self, exchange: Exchange) -> None:
        """Have *exchange* closed with the call, if that is thrown away or fails."""
        if not self._exchanges:
            self._exchanges = [exchange]
        elif exchange not in self._exchanges:
            # A middleware that polls has many: what is over holds nothing any more.
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
        """Let *body* be the one that is closed at the end."""
        if self.body is not None:
            self.close_later(self.body)
        self.body = body

    def close_later(self, body: Payload) -> None:
        """Have a body closed that is sent no more."""
        if self._replaced is None:
            self._replaced = []
        self._replaced.append(body)

    async def close_replaced(self) -> None:
        """Close the bodies that others have taken the place of."""
        while self._replaced:
            await _close(self._replaced.pop())

    async def _close_body(self) -> None:
        """Close a body that is a file, unless it is being sent: then its writer closes it."""
        self._ended = True
        if self.body is None or self.body.autoclose:
            return
        if not any(each.is_sending for each in self._exchanges):
            await _close(self.body)

    async def body_sent(self) -> None:
        """Close the body, in the task that has sent it, if the call waits for it no more.

        The session or the block that is left cancels what it has started.
        """
        if self._ended:
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                await self._close_body()

    # -- the end

    async def settle(self, exchange: Exchange | None, *, in_block: bool) -> None:
        """Leave a body that is still being sent to whoever has the tasks; wait if nobody has.

        :param exchange: that of the final response
        :param in_block: whether the caller's block has the tasks, which :meth:`end_tasks` ends
        """
        if self.group is not None and not in_block and exchange is not None:
            await self.within_total(exchange.wait_stopped(), "sending the body")
        if self.body is not None:
            await self._close_body()
        if self.group is not None:
            sending = exchange is not None and exchange.is_sending
            if not (in_block and sending):
                await self.end_tasks()

    async def aclose(self, raised: BaseException) -> None:
        """Leave nothing open or running, as the call *raised* something."""
        try:
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                for exchange in self._exchanges:
                    exchange.close()
                for exchange in self._exchanges:
                    await exchange.wait_stopped()
                await finish_closing(self.connector)
                await self.close_replaced()
                await self._close_body()
        finally:  # asyncio cancels again, whatever is shielded
            self._ended = True
            try:
                await self.end_tasks(raised)
            finally:
                if self.progress is not None:
                    self.progress.end_request()

    def close(self) -> None:
        """Close what is open and cancel what is running, without waiting for either."""
        self._ended = True
        for exchange in self._exchanges:
            exchange.close()
        if self._owner is not None:
            self._owner.cancel()
        elif self.group is not None:
            leave_group_nowait(self.group)
        if self.progress is not None:
            self.progress.end_request()

    def can_await(self, raised: BaseException) -> bool:
        """Whether a call that *raised* something can await its end, or has to.

        Nothing can be awaited once a coroutine is closed; but trio insists on waiting for the
        tasks of a group, and an upload may have failed with the very exception that closes
        coroutines, raised by the body of the request.
        """
        if not isinstance(raised, GeneratorExit):
            return True
        if self.group is None:
            return False
        uploads = [each.upload for each in self._exchanges]
        return asyncio_loop() is None or any(
            upload is not None and upload.error is raised for upload in uploads
        )


async def _close(body: Payload) -> None:
    """Close *body*, unless its file is the caller's to close."""
    if not body.autoclose:
        try:
            await body.close()
        except Exception as exc:  # noqa: BLE001  (it has been read, so nothing is lost)
            logger.warning("closing the body of a request failed: %r", exc)
