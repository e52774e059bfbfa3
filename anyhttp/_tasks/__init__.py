"""What asyncio and trio do differently, time limits, and the owners of helper tasks."""

from __future__ import annotations

from .event_loop import (
    TaskScope,
    Waiter,
    asyncio_loop,
    call_elsewhere,
    call_in,
    checkpoints,
    clock,
    current_loop,
    make_waiter,
    on_asyncio,
    wake,
)
from .leaving import closable_scope, ends_at_once, is_raised_again
from .own_task import OwnTask, start_own_task
from .pending_waits import PendingWaits
from .shared_call import SharedCall
from .task_owner import HelperTasks, TaskOwner, mark_task_of
from .timeouts import (
    CLEAN_UP_SECONDS,
    DEFAULT_TIMEOUT,
    ClientTimeout,
    Expired,
    TimedStream,
    Watchdog,
    WatchedScope,
    deadline_after,
    foreign_timeout,
)

__all__ = (
    "CLEAN_UP_SECONDS",
    "ClientTimeout",
    "DEFAULT_TIMEOUT",
    "Expired",
    "HelperTasks",
    "OwnTask",
    "PendingWaits",
    "SharedCall",
    "TaskOwner",
    "TaskScope",
    "TimedStream",
    "Waiter",
    "WatchedScope",
    "Watchdog",
    "asyncio_loop",
    "call_elsewhere",
    "call_in",
    "checkpoints",
    "clock",
    "closable_scope",
    "current_loop",
    "deadline_after",
    "ends_at_once",
    "foreign_timeout",
    "is_raised_again",
    "make_waiter",
    "on_asyncio",
    "mark_task_of",
    "start_own_task",
    "wake",
)
