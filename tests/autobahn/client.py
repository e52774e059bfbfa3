"""Run the cases of an Autobahn fuzzing server: ``python tests/autobahn/client.py --help``."""

from __future__ import annotations

import argparse
import json
from collections import Counter

import anyio

from anyhttp import ClientSession, ClientWSTimeout, WSMsgType

#: Verdicts that are fine: the last two are given where the RFC leaves a choice.
FINE = {"OK", "NON-STRICT", "INFORMATIONAL"}


async def run_case(session: ClientSession, url: str, case: int, agent: str) -> None:
    """Echo every message of one case."""
    target = f"{url}/runCase?case={case}&agent={agent}"
    timeout = ClientWSTimeout(ws_close=5)
    async with session.ws_connect(
        target, compress=15, max_msg_size=0, timeout=timeout
    ) as websocket:
        async for message in websocket:
            if message.type is WSMsgType.TEXT:
                await websocket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await websocket.send_bytes(message.data)


async def ask(session: ClientSession, target: str) -> object:
    """Return what the server says in one JSON message."""
    async with session.ws_connect(target) as websocket:
        return await websocket.receive_json()


async def main(url: str, backend: str, wanted: list[str]) -> int:
    """Run the cases; return how many failed."""
    agent = f"anyhttp-{backend}"
    verdicts: Counter[str] = Counter()
    failed = 0
    async with ClientSession() as session:
        count = await ask(session, f"{url}/getCaseCount")
        assert isinstance(count, int)
        for case in range(1, count + 1):
            info = await ask(session, f"{url}/getCaseInfo?case={case}")
            assert isinstance(info, dict)
            name = info["id"]
            if wanted and not any(f"{name}.".startswith(f"{part}.") for part in wanted):
                continue
            with anyio.fail_after(300):
                await run_case(session, url, case, agent)
            status = await ask(session, f"{url}/getCaseStatus?case={case}&agent={agent}")
            assert isinstance(status, dict)
            verdicts[status["behavior"]] += 1
            if status["behavior"] not in FINE:
                failed += 1
                print(f"{name}: {status['behavior']}", json.dumps(info["description"])[:100])
        async with session.ws_connect(f"{url}/updateReports?agent={agent}") as websocket:
            await websocket.receive()
    print(f"{agent}: {dict(verdicts)}")
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run the cases of an Autobahn fuzzing server.")
    parser.add_argument("--url", default="ws://127.0.0.1:9001")
    parser.add_argument("--backend", choices=("asyncio", "trio"), default="asyncio")
    parser.add_argument("cases", nargs="*", help="such as 6, 12.1 or 7.7.3; all when left out")
    options = parser.parse_args()
    raise SystemExit(
        anyio.run(main, options.url, options.backend, options.cases, backend=options.backend) > 0
    )
