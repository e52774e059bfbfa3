"""Startup and shutdown of an ASGI application."""

from __future__ import annotations

import enum
import logging
from typing import Any, Final, Literal, get_args

import anyio
from anyio.lowlevel import checkpoint

from .._tasks import CLEAN_UP_SECONDS, HelperTasks, mark_task_of
from ._asgi_call import ASGIApplication, ASGIProtocolError, Message, call_application

__all__ = ("Lifespan", "LifespanError", "LifespanMode")

LifespanMode = Literal["auto", "on", "off"]
logger: Final = logging.getLogger("anyhttp.testing")


class LifespanError(RuntimeError):
    """An application reported a failed startup or shutdown, or did not shut down in time."""


class Stage(enum.Enum):
    """How far the life of the application is; the values are words for messages."""

    STARTING = "during its startup"
    RUNNING = "after its startup"
    STOPPING = "during its shutdown"
    OVER = "after its shutdown"
    FAILED = "after its startup had failed"


class Lifespan:
    """The startup and the shutdown of one application, in a task of its own.

    :param mode: ``"on"``; ``"off"``: the application is told of neither; ``"auto"``: it need not
        know of them, which it says by an exception or by returning before it has started
    :param seconds: how long it may take to return after a shutdown or a failed startup
    """

    def __init__(self, app: ASGIApplication, mode: LifespanMode, seconds: float) -> None:
        if mode not in get_args(LifespanMode):
            raise ValueError(f"lifespan must be 'auto', 'on' or 'off', not {mode!r}")
        self._app = app
        self._mode: LifespanMode = mode
        self._seconds = seconds
        self._call: _LifespanCall | None = None
        #: what the application keeps for its requests
        self.state: dict[str, Any] = {}

    async def start(self, tasks: HelperTasks) -> None:
        """Have the application start in one of *tasks*, and wait until it is ready.

        If this raises an exception, or is cancelled, the application has ended.

        :raises LifespanError: the application has reported a failure
        :raises ASGIProtocolError: it has broken the rules
        :raises BaseException: what it has raised
        """
        if self._mode == "off":
            return
        call = _LifespanCall(self._app, self._mode, self._seconds)
        call.begin(tasks)
        try:
            await call.wait_started()
        except BaseException:
            await call.cancel()
            raise
        self._call, self.state = call, call.state

    async def stop(self) -> None:
        """Have the application shut down, and wait until it has returned.

        It does nothing if the application has not been started.  After a cancellation the
        application has been cancelled.

        :raises LifespanError: the application has reported a failure, or did not return in time
        :raises BaseException: what it has raised
        """
        call, self._call = self._call, None
        if call is not None:
            try:
                await call.stop()
            except BaseException:
                await call.cancel()
                raise


class _LifespanCall:
    """The call of an application for its lifespan."""

    def __init__(self, app: ASGIApplication, mode: LifespanMode, seconds: float) -> None:
        self._app = app
        self._mode: LifespanMode = mode
        self._seconds = seconds
        self._stage = Stage.STARTING
        self._scope = anyio.CancelScope()
        self._started = anyio.Event()  # or failed to
        self._stopping = anyio.Event()
        self._over = anyio.Event()
        self._reported: LifespanError | None = None  # what the application has said of a failure
        self._failure: BaseException | None = None  # what is to be raised
        self._is_begun = False  # lifespan.startup has been given to the application
        self._is_told = False  # lifespan.shutdown has
        self.state: dict[str, Any] = {}

    def begin(self, tasks: HelperTasks) -> None:
        """Start the task."""
        tasks.start_soon(self._run, tasks, end=self._scope.cancel, unstarted=self._ended)

    async def wait_started(self) -> None:
        """Wait for the end of the startup, and raise its failure."""
        await self._started.wait()
        if self._stage is Stage.FAILED:
            assert self._failure is not None
            raise self._failure

    async def stop(self) -> None:
        """Begin the shutdown, wait until the application has returned, and raise its failure."""
        if self._stage is Stage.RUNNING:
            self._stage = Stage.STOPPING
            self._stopping.set()
        with anyio.move_on_after(self._seconds):
            await self._over.wait()
        if not self._over.is_set():
            raise LifespanError(
                f"the application has not shut down within {self._seconds:g} seconds"
            )
        if self._failure is not None:
            raise self._failure

    async def cancel(self) -> None:
        """Cancel the application, and wait for its end as long as cleaning up may take."""
        self._scope.cancel()
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            await self._over.wait()

    # -- the task

    async def _run(self, tasks: HelperTasks) -> None:
        mark_task_of(tasks)
        failure: BaseException | None = None
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            with self._scope:
                await call_application(self._app, scope, self._receive, self._send)
        except (GeneratorExit, anyio.get_cancelled_exc_class()):
            raise
        except BaseException as exc:  # noqa: BLE001  (raised by start() or stop())
            failure = exc
        finally:
            self._ended(failure)

    def _ended(self, failure: BaseException | None = None) -> None:
        """Note that the application has returned, or raised *failure*."""
        if self._stage is not Stage.STARTING:
            self._failure = failure or self._reported
            self._stage = Stage.OVER
        elif self._mode == "auto" and self._reported is None:
            # The specification has a server go on: the application may know requests alone.
            logger.info("the application knows of no lifespan: %r", failure)
            self._stage = Stage.OVER
        else:
            self._failure = failure or self._reported
            if self._failure is None:
                self._failure = ASGIProtocolError(
                    "the application returned from its lifespan before lifespan.startup.complete"
                )
            self._stage = Stage.FAILED
        self._started.set()
        self._over.set()

    async def _receive(self) -> Message:
        await checkpoint()
        if not self._is_begun:
            self._is_begun = True
            return {"type": "lifespan.startup"}
        if self._reported is None and not self._is_told:
            await self._stopping.wait()
            self._is_told = True
            return {"type": "lifespan.shutdown"}
        # Nothing more comes, so an application that waits for it has to be ended.
        self._scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError  # pragma: no cover

    async def _send(self, message: Message) -> None:
        await checkpoint()
        kind = message.get("type")
        stage = self._stage
        if kind == "lifespan.startup.complete" and stage is Stage.STARTING:
            self._stage = Stage.RUNNING
            self._started.set()
        elif kind == "lifespan.startup.failed" and stage is Stage.STARTING:
            self._fail("startup", message)
        elif kind == "lifespan.shutdown.complete" and stage is Stage.STOPPING:
            pass
        elif kind == "lifespan.shutdown.failed" and stage is Stage.STOPPING:
            self._fail("shutdown", message)
        else:
            raise ASGIProtocolError(f"the application sent {kind!r} {stage.value}")

    def _fail(self, what: str, message: Message) -> None:
        """Keep what the application says; if it also raises an exception, that is raised."""
        said = message.get("message") or "it did not say why"
        self._reported = LifespanError(f"the {what} of the application failed: {said}")
        self._scope.deadline = anyio.current_time() + self._seconds
