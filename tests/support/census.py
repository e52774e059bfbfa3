"""Finds what a test leaves behind: sockets, tasks, and objects dropped without closing them."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import stat
import threading
import warnings
from collections.abc import Iterable, Iterator, Set as AbstractSet
from typing import Any, Protocol

import anyio.lowlevel
import trio

# Closing may need a callback that the event loop runs a few iterations later (an aborted asyncio
# transport).  In so few iterations, no timer expires and no peer responds.
ROUNDS_OF_GRACE = 5
FILE_DESCRIPTORS = "/proc/self/fd"  # without this directory, no sockets are counted

# The peers and servers of the tests run in threads of this process, and their sockets are not the
# library's.  This lock makes it one step to accept a socket and to register it.
lock = threading.RLock()
_adopted: set[int] = set()

Task = asyncio.Task[Any] | trio.lowlevel.Task


class Leak(AssertionError):
    """A test left something behind."""


class Statistics(Protocol):
    """The connector's counts of lent connections."""

    @property
    def in_use(self) -> int: ...
    @property
    def idle(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def streams(self) -> int: ...


class Connector(Protocol):
    _pool: Any

    @property
    def limit(self) -> int: ...
    @property
    def limit_per_host(self) -> int: ...
    def statistics(self) -> Statistics: ...


def assert_no_tokens(connector: Connector, *, idle: int | None = None) -> None:
    """Assert that no request holds a connection of *connector* or waits for one.

    :param idle: expected number of idle connections, if that matters
    """
    now = connector.statistics()
    held = now.in_use, now.waiting, now.streams
    assert held == (0, 0, 0), f"connections or streams still lent or wanted: {now}"
    assert idle is None or now.idle == idle, f"{idle} idle connections expected: {now}"
    slots, kept = connector._pool.slots, connector._pool.kept_slots
    total = 0 if slots._total is None else slots._total.borrowed_tokens
    assert total == (kept if connector.limit else 0), f"{total} tokens of the limit are borrowed"
    by_host = sum(host.limiter.borrowed_tokens for host in slots._hosts.values())
    assert by_host == (kept if connector.limit_per_host else 0), f"{by_host} of the hosts' tokens"


def adopt(sock: socket.socket) -> None:
    """Exclude *sock* from every check; the caller must hold the lock since before opening it."""
    _adopted.add(_inode(sock.fileno()))


def close(sock: socket.socket) -> None:
    """Close an adopted socket and forget it in one step, so that no check runs in between."""
    with lock:
        if sock.fileno() != -1:
            inode = _inode(sock.fileno())
            sock.close()
            _adopted.discard(inode)


def open_sockets(*, known: AbstractSet[int] = frozenset()) -> dict[int, int]:
    """Return the open sockets of this process: inode and descriptor.

    Two kinds are left out: adopted sockets, and pairs of sockets without a name.  An event loop
    uses such a pair to wake itself up, and uvloop makes a new pair for each run.

    :param known: inodes of sockets that are left out, too
    """
    with lock:
        return {
            inode: fd
            for inode, fd in _all_sockets().items()
            if not (inode in known or inode in _adopted or ends(fd) == ("AF_UNIX", "", ""))
        }


def running_tasks() -> set[Task]:
    """Return the tasks of this thread's running event loop, including the caller's."""
    if trio.lowlevel.in_trio_run():
        root = trio.lowlevel.current_root_task()
        return set(_descendants(root)) if root else set()
    try:
        return {task for task in asyncio.all_tasks() if not _is_the_runners(task)}
    except RuntimeError:  # no event loop
        return set()


class Census:
    """Records the open sockets and running tasks; a later check reports those that are new.

    Sockets and tasks of fixtures with a wider scope exist before and after, and so do the event
    loop's own.  Idle worker threads have neither sockets nor tasks.
    """

    def __init__(self) -> None:
        self._sockets = set(_all_sockets())
        self._tasks = running_tasks()

    def check(self) -> None:
        """Collect garbage, and raise an error if the test has left anything behind.

        :raises Leak: names each socket, task and warning
        """
        self._check(self._new_sockets(), self._new_tasks())

    async def settle_and_check(self) -> None:
        """Do the same inside an event loop, after it has had time to finish closing.

        :raises Leak: names each socket, task and warning
        """
        for _ in range(ROUNDS_OF_GRACE):
            if not self._new_sockets() and not self._new_tasks():
                break
            await anyio.lowlevel.checkpoint()
        sockets, tasks = self._new_sockets(), self._new_tasks()
        try:
            self._check(sockets, tasks)
        finally:
            # A leak of one test must neither hang nor fail the other tests.
            for task in tasks:
                _cancel(task)
            if sockets:
                await _abort(set(sockets.values()))

    def _new_sockets(self) -> dict[int, int]:
        return open_sockets(known=self._sockets)

    def _new_tasks(self) -> set[Task]:
        return running_tasks() - self._tasks

    def _check(self, sockets: dict[int, int], tasks: Iterable[Task]) -> None:
        # Make the list first: collecting garbage may close the sockets in it.
        found = [_describe_socket(inode, fd) for inode, fd in sockets.items()]
        found += [_describe_task(task) for task in tasks]
        found += [f"from the garbage: {message}" for message in _collect_garbage()]
        self._sockets.update(sockets)  # report each socket once
        _adopted.update(sockets)  # an enclosing check must not report it again
        if found:
            raise Leak("the test left behind:\n  " + "\n  ".join(sorted(found)))


def _all_sockets() -> dict[int, int]:
    try:
        descriptors = [int(name) for name in os.listdir(FILE_DESCRIPTORS)]
    except FileNotFoundError:
        return {}
    return {inode: fd for fd in descriptors if (inode := _inode(fd))}


def _inode(fd: int) -> int:
    """Return the kernel's number of the socket behind *fd*; 0 if *fd* is not a socket."""
    try:
        status = os.fstat(fd)
    except OSError:  # closed meanwhile, such as the descriptor that listed the directory
        return 0
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else 0


def ends(fd: int) -> tuple[str, object, object]:
    """Return a socket's address family, its own address and its peer's; unknown ones are empty."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError:  # closed meanwhile
        return "", None, None
    own: object = None
    try:
        own = sock.getsockname()
        return sock.family.name, own, sock.getpeername()
    except OSError:  # not connected
        return sock.family.name, own, None
    finally:
        sock.detach()  # the descriptor belongs to others, so do not close it


def _describe_socket(inode: int, fd: int) -> str:
    family, own, peer = ends(fd)
    return f"socket:[{inode}] fd={fd} {family} {own!r} connected to {peer!r}"


def _descendants(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    yield task
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from _descendants(child)


def _is_the_runners(task: asyncio.Task[Any]) -> bool:
    """Whether anyio's pytest plugin started *task*: it starts one for each call into the loop."""
    return getattr(task.get_coro(), "__qualname__", "") == "TestRunner._call_in_runner_task"


def _describe_task(task: Task) -> str:
    if isinstance(task, trio.lowlevel.Task):
        return f"task {task.name!r}: {task.coro!r}"
    return f"task {task.get_name()!r}: {task.get_coro()!r}"


def _cancel(task: Task) -> None:
    if isinstance(task, trio.lowlevel.Task):
        if task.parent_nursery is not None:
            task.parent_nursery.cancel_scope.cancel()
    else:
        task.cancel()


async def _abort(descriptors: set[int]) -> None:
    """Abort uvloop's transports of these sockets: uvloop cannot be closed before."""
    for item in gc.get_objects():
        if type(item).__module__ == "uvloop.loop" and hasattr(item, "abort"):
            sock = item.get_extra_info("socket")
            if sock is not None and sock.fileno() in descriptors:
                item.abort()
    for _ in range(ROUNDS_OF_GRACE):
        await anyio.lowlevel.checkpoint()


def _collect_garbage() -> list[str]:
    """Collect garbage, and return the warnings that objects issue when they are destroyed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    return [f"{warning.category.__name__}: {warning.message}" for warning in caught]
