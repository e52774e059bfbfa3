"""Waits that are cancelled together by whoever closes what they wait for."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from anyhttp._tasks import PendingWaits


class Scopes:
    """Tasks that wait, each in a scope of its own, and take their time to end."""

    def __init__(self) -> None:
        self.waits = PendingWaits()
        self.go_on = anyio.Event()
        self.ended = 0

    async def wait(self) -> None:
        """Wait until cancelled, and then for ``go_on``."""
        with anyio.CancelScope() as scope:
            self.waits.add(scope)
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await self.go_on.wait()
                self.ended += 1
                self.waits.discard(scope)


async def test_all_are_cancelled_and_awaited() -> None:
    """By everybody who cancels them, however many wait for the last."""
    scopes = Scopes()
    returned: list[int] = []

    async def cancel() -> None:
        await scopes.waits.cancel_all()
        returned.append(scopes.ended)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(scopes.wait)
        await anyio.wait_all_tasks_blocked()
        assert not scopes.waits.cancelled
        group.start_soon(cancel)
        group.start_soon(cancel)
        await anyio.wait_all_tasks_blocked()
        assert scopes.waits.cancelled
        assert returned == []
        scopes.go_on.set()
    assert returned == [3, 3]


async def test_nothing_is_awaited_if_nobody_waits() -> None:
    """A session that is closed between requests loses no time."""
    waits = PendingWaits()
    with anyio.CancelScope() as scope:
        waits.add(scope)
        waits.discard(scope)
        waits.discard(scope)
        await waits.cancel_all()
    assert waits.cancelled
    assert not scope.cancel_called
