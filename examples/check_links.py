"""Find the dead links of a page; a chapter of the tutorial explains it."""

import sys
from html.parser import HTMLParser

import anyio
from yarl import URL

from anyhttp import (
    ClientError,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    RetryMiddleware,
    TCPConnector,
)


class Links(HTMLParser):
    """Collects the addresses that a page links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href")
        if tag == "a" and address:
            self.found.append(address)


async def links_of(session: ClientSession, page: str) -> list[URL]:
    """Return the links of *page* to web pages, each once."""
    async with session.get(page, raise_for_status=True) as response:
        parser = Links()
        parser.feed(await response.text())
        urls = [response.url.join(URL(address)) for address in parser.found]
    once = dict.fromkeys(urls)
    return [url for url in once if url.scheme in ("http", "https")]


async def problem(session: ClientSession, url: URL) -> str:
    """Return what is wrong with *url*; an empty text if nothing is."""
    try:
        async with session.get(url, raise_for_status=True):
            return ""
    except ClientResponseError as error:
        return f"{error.status} {error.message}"
    except TimeoutError:
        return "no answer in time"
    except ClientError as error:
        return type(error).__name__


async def main(page: str) -> int:
    """Print the dead links of *page*, and return how many there are."""
    problems: dict[URL, str] = {}

    async def check(url: URL) -> None:
        problems[url] = await problem(session, url)

    async with ClientSession(
        connector=TCPConnector(limit=20, limit_per_host=4),
        timeout=ClientTimeout(total=60, sock_read=10),
        middlewares=[RetryMiddleware()],
    ) as session:
        links = await links_of(session, page)
        async with anyio.create_task_group() as group:
            for url in links:
                group.start_soon(check, url)
    dead = [url for url in links if problems[url]]
    for url in dead:
        print(f"{url}: {problems[url]}")
    print(f"{len(links)} links, {len(dead)} dead")
    return len(dead)


if __name__ == "__main__":
    sys.exit(1 if anyio.run(main, sys.argv[1]) else 0)
