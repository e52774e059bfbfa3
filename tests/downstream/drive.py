"""Run one driver in this process, and fail if the request was not anyhttp's or something leaks.

``python -m anyhttp.as_aiohttp tests/downstream/drive.py MODULE PACKAGE BACKEND``
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import inspect
import os
import re
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, Final

import anyio

from tests.downstream.package import Package
from tests.downstream.stub import Stub

SECONDS_TO_END: Final = 2.0  # for transports and tasks that end a little later
SECONDS_TO_HANG: Final = 40.0  # then every thread's stack is shown
# What packages forget as they do with aiohttp: trio speaks of a generator that is left before its
# end, which asyncio ends without a word; and aiohttp speaks of a response that is dropped unread
# only if asyncio's debug mode is on.
FORGOTTEN: Final = (r"Warning: Async generator '(?!anyhttp\.)", "Warning: Unclosed response ")
LOCAL_NAMES: Final = frozenset(
    {None, "", b"", "localhost", b"localhost", "127.0.0.1", b"127.0.0.1", "::1", b"::1", "0.0.0.0"}
)


def frames(frame: FrameType | None) -> list[str]:
    """Return the modules on the stack, the innermost first."""
    names = []
    while frame is not None:
        names.append(frame.f_globals.get("__name__", ""))
        frame = frame.f_back
    return names


def is_of(name: str, package: str) -> bool:
    """Whether the module *name* belongs to *package*."""
    return name == package or name.startswith(f"{package}.")


class Watch:
    """Sees who connects to where, and which warnings are given.

    A warning fails the driver if anyhttp's code gives it, or if it says that something was
    forgotten (``ResourceWarning``, a coroutine that was never awaited).  Deprecations are those
    of aiohttp, and all others are the package's own: it gives them on any client.
    """

    def __init__(self, package: Package, client: str) -> None:
        self.faults: list[str] = []
        self.carried = 0
        self._package = package
        self._client = client
        sys.addaudithook(self._audit)
        warnings.simplefilter("always")
        warnings.showwarning = self._warned  # type: ignore[assignment]  # as its documentation says
        sys.unraisablehook = lambda args: self.faults.append(f"unraisable: {args.exc_value!r}")
        threading.excepthook = lambda args: self.faults.append(f"thread: {args.exc_value!r}")

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            address = arguments[1]
            if isinstance(address, tuple) and address[0] not in LOCAL_NAMES:
                self._refuse(f"a connection to {address}")
            elif isinstance(address, tuple):
                self._judge(frames(sys._getframe(1)))
        elif event == "socket.getaddrinfo" and arguments[0] not in LOCAL_NAMES:
            self._refuse(f"the addresses of {arguments[0]!r}")

    def _refuse(self, what: str) -> None:
        self.faults.append(f"asked for {what}, which is not on loopback")
        raise OSError(f"drivers stay on loopback: {what}")

    def _judge(self, stack: list[str]) -> None:
        """Count a connection for the client that opens it.

        The coroutines that wait for one another are on the stack when the innermost calls.
        """
        if self._client == "aiohttp" or any(is_of(name, "anyhttp") for name in stack):
            self.carried += 1
        elif not self._package.other_clients:
            opener = next((name for name in stack if not is_of(name, "socket")), "")
            self.faults.append(f"{opener} opened a connection, not {self._client}")

    def _warned(
        self, message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any
    ) -> None:
        text = f"{category.__name__}: {message} ({filename}:{lineno})"
        patterns = (*self._package.own_warnings, *FORGOTTEN)
        if any(re.search(pattern, text) for pattern in patterns):
            return
        giver = next(name for name in frames(sys._getframe(1)) if not is_of(name, "warnings"))
        forgotten = issubclass(category, ResourceWarning | RuntimeWarning)
        deprecated = issubclass(category, DeprecationWarning | PendingDeprecationWarning)
        if forgotten or (is_of(giver, self._client) and not deprecated):
            self.faults.append(text)


def open_sockets() -> int:
    """Return how many sockets of TCP this process has open; event loops have some of their own."""
    count = 0
    for name in os.listdir("/dev/fd"):
        try:
            opened = socket.socket(fileno=int(name))
        except OSError:
            continue  # no socket, or the file of the listing itself
        count += opened.family in (socket.AF_INET, socket.AF_INET6)
        opened.detach()  # it belongs to another object
    return count


def living_tasks(backend: str) -> int:
    """Return how many tasks the event loop has."""
    if backend == "asyncio":
        import asyncio

        return len(asyncio.all_tasks())
    import trio

    return trio.lowlevel.current_statistics().tasks_living


async def drive_on(backend: str, drive: Callable[[Stub], Awaitable[None]], watch: Watch) -> None:
    """Run *drive* and see what it leaves behind."""
    await anyio.lowlevel.checkpoint()
    tasks, sockets = living_tasks(backend), open_sockets()
    stub = Stub()
    try:
        await drive(stub)
    finally:
        watch.faults += stub.faults
        await anyio.to_thread.run_sync(stub.stop)
    with anyio.move_on_after(SECONDS_TO_END):
        while living_tasks(backend) > tasks or open_sockets() > sockets:
            gc.collect()
            await anyio.sleep(0.02)
    if living_tasks(backend) > tasks:
        watch.faults.append(f"{living_tasks(backend) - tasks} tasks are left")
    if open_sockets() > sockets:
        watch.faults.append(f"{open_sockets() - sockets} sockets are left open")


def drive_plain(drive: Callable[[Stub], None], watch: Watch) -> None:
    """Run a driver that starts its event loop itself."""
    sockets = open_sockets()
    stub = Stub()
    try:
        drive(stub)
    finally:
        watch.faults += stub.faults
        stub.stop()
    gc.collect()
    if open_sockets() > sockets:
        watch.faults.append(f"{open_sockets() - sockets} sockets are left open")


def loaded_from(module: str) -> str:
    """Return the file that *module* was loaded from, if it was."""
    return str(getattr(sys.modules.get(module), "__file__", "") or "")


def judge_alias(watch: Watch) -> None:
    """Hold that what the package imported as aiohttp is anyhttp."""
    import anyhttp

    client = sys.modules.get("aiohttp")
    if client is not None and client.ClientSession is not anyhttp.ClientSession:
        watch.faults.append("the package imported the real aiohttp")
    real = [name for name in sys.modules if loaded_from(name).endswith("aiohttp/connector.py")]
    if real:
        watch.faults.append(f"the real aiohttp's client was imported, as {real}")


def find(module: str, name: str) -> Package:
    """Return the package *name* of the drivers in *module*."""
    packages: tuple[Package, ...] = importlib.import_module(
        f"tests.downstream.drivers.{module}"
    ).PACKAGES
    return next(package for package in packages if package.name == name)


def main(module: str, name: str, backend: str) -> int:
    """Drive one package, and return the status to exit with."""
    faulthandler.dump_traceback_later(SECONDS_TO_HANG)
    package = find(module, name)
    client = os.environ.get("DOWNSTREAM_CLIENT", "anyhttp")
    watch = Watch(package, client)
    try:
        if inspect.iscoroutinefunction(package.drive):
            anyio.run(drive_on, backend, package.drive, watch, backend=backend)
        else:
            drive_plain(package.drive, watch)  # type: ignore[arg-type]  # it is no coroutine
        gc.collect()
    except BaseException:  # noqa: BLE001  # whatever it is, it is reported
        traceback.print_exc()
        watch.faults.append("the driver failed, as above")
    if not watch.carried and not package.refused:
        watch.faults.append("the client opened no connection")
    if client == "anyhttp":
        judge_alias(watch)
    for fault in watch.faults:
        print(f"{name} on {backend}: {fault}", file=sys.stderr)
    return 1 if watch.faults else 0


if __name__ == "__main__":
    status = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that a package leaves are not waited for; what they hold was counted above.
    os._exit(status)
