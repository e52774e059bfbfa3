"""How much memory large bodies take: ``python -m benchmarks.memory``.

Each case runs in a process of its own, against a server in another one, and tells by how much
the resident memory grew at its peak beyond what it was before, after one small request.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from importlib.metadata import version
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final, TypeAlias

import anyio

import anyhttp

MB: Final = 1_000_000
LIMIT: Final = 64 * MB  # what the growth must stay below
CAP: Final = 100 * MB  # max_body_size for the bomb that is stopped
PATIENCE: Final = 600.0

Case: TypeAlias = Callable[[anyhttp.ClientSession, str, int, str], Awaitable[None]]


class WrongAnswer(Exception):
    """The server or the client lost something on the way."""


def check(actual: int, expected: int) -> None:
    """Refuse a body of another length."""
    if actual != expected:
        raise WrongAnswer(f"{actual} bytes instead of {expected}")


def opened(path: str) -> BinaryIO:
    """Open the large file; the request closes it."""
    return Path(path).open("rb")


# -- what is done ----------------------------------------------------------------------


async def _download(session: anyhttp.ClientSession, url: str, size: int) -> None:
    total = 0
    async with session.get(url) as response:
        async for piece in response.content.iter_any():
            total += len(piece)
    check(total, size)


async def download_plain(session: anyhttp.ClientSession, url: str, size: int, _: str) -> None:
    """A body that comes as it is."""
    await _download(session, f"{url}/plain/{size}", size)


async def download_chunked(session: anyhttp.ClientSession, url: str, size: int, _: str) -> None:
    """One that comes in HTTP chunks."""
    await _download(session, f"{url}/chunked/{size}", size)


async def download_gzip(session: anyhttp.ClientSession, url: str, size: int, _: str) -> None:
    """One that was compressed, to about half its size."""
    await _download(session, f"{url}/gzip/{size}", size)


async def download_multipart(session: anyhttp.ClientSession, url: str, size: int, _: str) -> None:
    """One part, read in pieces."""
    total = 0
    async with session.get(f"{url}/multipart/{size}") as response:
        reader = anyhttp.MultipartReader.from_response(response)
        part: Any = await reader.next()
        while piece := await part.read_chunk():
            total += len(piece)
        if await reader.next() is not None:
            raise WrongAnswer("a second part")
    check(total, size)


async def _upload(
    session: anyhttp.ClientSession, url: str, size: int, body: object, **options: Any
) -> None:
    async with session.post(f"{url}/upload", data=body, **options) as response:
        received = int(await response.text())
    if received < size and not options:
        raise WrongAnswer(f"{received} bytes of {size} arrived")


async def upload_plain(session: anyhttp.ClientSession, url: str, size: int, path: str) -> None:
    """A file."""
    await _upload(session, url, size, opened(path))


async def upload_generator(session: anyhttp.ClientSession, url: str, size: int, _: str) -> None:
    """What an asynchronous generator yields, in HTTP chunks."""

    async def body() -> Any:
        for _ in range(size // MB):
            yield bytes(MB)

    await _upload(session, url, size, body())


async def upload_gzip(session: anyhttp.ClientSession, url: str, size: int, path: str) -> None:
    """A file, compressed on its way."""
    await _upload(session, url, size, opened(path), compress="gzip")


async def upload_multipart(session: anyhttp.ClientSession, url: str, size: int, path: str) -> None:
    """A form with a file in it."""
    form = anyhttp.FormData({"field": "value"})
    form.add_field("file", opened(path), filename="large")
    await _upload(session, url, size, form)


async def bomb_streamed(session: anyhttp.ClientSession, url: str, size: int, _: str) -> None:
    """About a thousandth of its size on the wire, read in pieces."""
    await _download(session, f"{url}/bomb/{size}", size)


async def bomb_stopped(session: anyhttp.ClientSession, url: str, size: int, _: str) -> None:
    """The same, read at once by somebody who has set ``max_body_size``."""
    try:
        async with session.get(f"{url}/bomb/{size}", max_body_size=min(CAP, size // 2)) as response:
            async for _piece in response.content.iter_any():
                pass
    except anyhttp.ClientPayloadError as exc:
        if "max_body_size" not in str(exc):
            raise
    else:
        raise WrongAnswer("the limit did not stop it")


CASES: Final[dict[str, Case]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        download_plain,
        download_chunked,
        download_gzip,
        download_multipart,
        upload_plain,
        upload_generator,
        upload_gzip,
        upload_multipart,
        bomb_streamed,
        bomb_stopped,
    )
}


# -- one measurement, in a process of its own --------------------------------------------


def resident() -> int:
    """Return the resident memory in bytes; its peak so far where nothing else is known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak()
    return pages * resource.getpagesize()


def peak() -> int:
    """Return the peak of the resident memory in bytes."""
    try:
        # ru_maxrss would begin with that of the process which started this one.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def measure(name: str, backend: str, engine: str, url: str, size: int, path: str) -> None:
    """Do one case and print by how many bytes memory grew, and how many seconds it took."""

    async def main() -> tuple[int, float]:
        connector = anyhttp.TCPConnector(http1=engine)
        timeout = anyhttp.ClientTimeout()
        async with anyhttp.ClientSession(connector=connector, timeout=timeout) as session:
            await _download(session, f"{url}/plain/10", 10)
            before, started = resident(), time.perf_counter()
            await CASES[name](session, url, size, path)
            return max(0, peak() - before), time.perf_counter() - started

    print(json.dumps(anyio.run(main, backend=backend)))


# -- all of them -------------------------------------------------------------------------


@contextmanager
def serve() -> Iterator[str]:
    """Run the server for the duration of the block; give its URL."""
    command = [sys.executable, "-m", f"{__package__}.memory_server"]
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--only", metavar="CASE,…", default="*", help="names or patterns: *gzip")
    parser.add_argument("--backend", default="asyncio,trio")
    parser.add_argument("--http1", default="auto", help="engines: auto,h11; default auto")
    parser.add_argument("--size", type=int, default=1000, metavar="MB", help="default 1000")
    parser.add_argument("--case", nargs=6, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure what the command line asks for, and print a table."""
    options = arguments()
    if options.case:
        name, backend, engine, url, size, path = options.case
        measure(name, backend, engine, url, int(size), path)
        return
    patterns = options.only.split(",")
    names = [name for name in CASES if any(fnmatchcase(name, p) for p in patterns)]
    size = options.size * MB
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    print(f"anyhttp {anyhttp.__version__}, anyio {version('anyio')}, {options.size} MB each")
    with TemporaryDirectory(prefix="anyhttp-bench-") as directory, serve() as url:
        path = Path(directory) / "large"
        with path.open("wb") as file:
            file.truncate(size)  # it takes no room on most disks
        combinations = product(names, options.backend.split(","), options.http1.split(","))
        for name, backend, engine in combinations:
            command = [sys.executable, "-m", f"{__package__}.memory", "--case"]
            command += [name, backend, engine, url, str(size), str(path)]
            process = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=PATIENCE
            )
            label = f"{name:20} {backend:8} {engine:10}"
            if process.returncode:
                print(label, "failed:", process.stderr.strip().rpartition("\n")[2], flush=True)
                continue
            growth, seconds = json.loads(process.stdout)
            note = "" if growth < LIMIT else f"  more than {LIMIT // MB} MB"
            print(f"{label} {growth / MB:7.1f} MB {seconds:7.1f} s{note}", flush=True)


if __name__ == "__main__":
    main()
