"""A program of aiohttp that runs on trio, too; ``docs/howto/recipes.md`` shows it before."""

import sys

import anyio

import anyhttp


async def main(base_url: str) -> None:
    """Fetch ten pages over three connections."""
    pages: dict[int, str] = {}

    async def fetch(number: int) -> None:
        async with session.get("echo", params={"number": number}) as response:
            pages[number] = await response.text()

    connector = anyhttp.TCPConnector(limit=3)
    timeout = anyhttp.ClientTimeout(total=30)
    async with anyhttp.ClientSession(
        base_url, connector=connector, timeout=timeout, raise_for_status=True
    ) as session:
        try:
            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(fetch, number)
            print([pages[number] for number in range(10)])
        except* anyhttp.ClientError as errors:
            print("failed:", errors.exceptions[0])


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
