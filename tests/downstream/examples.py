"""Example programs that packages ship in their description, run as they stand.

``python -m tests.downstream.examples NUMBER BACKEND`` takes the text of an example out of the
installed package, writes it to a file unchanged, and runs that by ``python -m
anyhttp.as_aiohttp``, beside a stub of the service that it talks to.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.downstream.package import BACKENDS, Backend
from tests.downstream.stub import Answer, Request, Stub, json_answer, text_answer
from tests.downstream.wire_of_openai import completion
from tests.downstream.wire_of_stores import serve_s3

SECONDS_PER_EXAMPLE: Final = 60
RUN_MAIN: Final = Path(__file__).with_name("run_main.py")


# Python imports it when it starts; see Watch in drive.py.
NOTE_CONNECTIONS: Final = """
import sys
from pathlib import Path

NOTES = Path("openers.txt").absolute()

def note(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        frame, names = sys._getframe(), []
        while frame is not None:
            names.append(frame.f_globals.get("__name__", "").partition(".")[0])
            frame = frame.f_back
        with NOTES.open("a") as file:
            print("anyhttp" if "anyhttp" in names else names[1], file=file)

NOTES.touch()
sys.addaudithook(note)
"""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A program from the description of a package.

    :param package: which driver's package has it
    :param has: text that only this one of the package's examples has
    :param serve: tells the stub what to answer, and returns variables of the environment
    :param prints: what the program prints, at least
    :param port: where the example expects the service, if nothing else can be said to it
    :param runs_itself: whether it ends with ``asyncio.run(main())``; if not, or on trio, a few
        lines beside it run its ``main``
    :param asyncio_only: why it does not run on trio
    """

    package: str
    has: str
    serve: Callable[[Stub, Path], Mapping[str, str]]
    prints: str
    port: int = 0
    runs_itself: bool = True
    asyncio_only: str = ""

    @property
    def backends(self) -> tuple[Backend, ...]:
        """On which event loops it is run."""
        return ("asyncio",) if self.asyncio_only else BACKENDS


def find_text(example: Example) -> str:
    """Return the example as the installed package's description has it.

    Only the marks of the description are taken off: of a quotation, and of indentation.
    """
    description = importlib.metadata.metadata(example.package).json["description"]
    assert isinstance(description, str)
    fenced = re.findall(r"^``` ?python\n(.*?)^```", description, re.DOTALL | re.MULTILINE)
    quoted = re.findall(r"^> ``` ?python\n(.*?)^> ```", description, re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"code(?:-block)?:: ?python3?\n\n((?: .*\n|>.*\n|\n)+)", description)
    texts = [re.sub("^> ?", "", text, flags=re.MULTILINE) for text in (*fenced, *quoted, *blocks)]
    return next(textwrap.dedent(text) for text in texts if example.has in text)


def program(example: Example, backend: Backend, path: Path) -> list[str | Path]:
    """Return the command that runs the example."""
    start: list[str | Path] = [sys.executable, "-m", "anyhttp.as_aiohttp"]
    if example.runs_itself and backend == "asyncio":
        return [*start, path]
    return [*start, RUN_MAIN, path, backend]


def run(example: Example, backend: Backend) -> None:
    """Run an example, and hold that it printed what it should, by requests of anyhttp."""
    stub = Stub(example.port)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "example.py"
            path.write_text(find_text(example), "utf-8")
            (Path(folder) / "sitecustomize.py").write_text(NOTE_CONNECTIONS, "utf-8")
            variables = {**os.environ, **example.serve(stub, Path(folder))}
            variables["PYTHONPATH"] += f"{os.pathsep}{folder}"
            ended = subprocess.run(
                program(example, backend, path),
                env=variables,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=SECONDS_PER_EXAMPLE,
                check=False,
            )
            openers = (Path(folder) / "openers.txt").read_text("utf-8").split()
    finally:
        stub.stop()
    print(ended.stdout, ended.stderr, sep="\n", file=sys.stderr)
    assert ended.returncode == 0, "the example failed"
    assert example.prints in ended.stdout, f"it did not print {example.prints!r}"
    assert stub.requests, "it made no request"
    assert not stub.faults, stub.faults
    assert set(openers) == {"anyhttp"}, openers


def serve_openai(stub: Stub, _: Path) -> Mapping[str, str]:
    """Answer a request for a completion."""
    stub.on("POST /v1/chat/completions", completion("This is a test"))
    return {"OPENAI_BASE_URL": f"{stub.url}/v1", "OPENAI_API_KEY": "key"}


def serve_docker(stub: Stub, _: Path) -> Mapping[str, str]:
    """Answer as an engine that has one image and one container."""
    api = "/v{number}"
    container = {"Id": "abc", "Config": {"Tty": True}}
    stub.on("GET /version", {"ApiVersion": "1.43", "Version": "24.0"})
    stub.on(f"GET {api}/images/json", [{"Id": "sha256:1", "RepoTags": ["alpine:latest"]}])
    stub.on(f"GET {api}/containers/json", [container])
    stub.on(f"GET {api}/containers/testing/json", json_answer({"message": "no"}, 404))
    stub.on(f"GET {api}/containers/abc/json", container)
    stub.on(f"POST {api}/containers/create", json_answer(container, 201))
    stub.on(f"POST {api}/containers/abc/start", Answer(status=204))
    stub.on(f"GET {api}/containers/abc/logs", text_answer("hello world\n"))
    stub.on(f"DELETE {api}/containers/abc", Answer(status=204))
    return {"DOCKER_HOST": f"tcp://{stub.host}:{stub.port}"}


def serve_influxdb(stub: Stub, _: Path) -> Mapping[str, str]:
    """Take two points."""

    def write(request: Request) -> Answer:
        assert request.body.count(b"async_m,location=") == 2, request.body
        return Answer(status=204)

    stub.on("POST /api/v2/write", write)
    return {}


def serve_kubernetes(stub: Stub, folder: Path) -> Mapping[str, str]:
    """List one pod, and say in a file where the cluster is."""
    pod = {
        "metadata": {"name": "one", "namespace": "default"},
        "status": {"podIP": "10.0.0.1"},
    }
    stub.on("GET /api/v1/pods", {"kind": "PodList", "metadata": {}, "items": [pod]})
    settings = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": stub.url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = folder / "config"
    path.write_text(json.dumps(settings), "utf-8")  # JSON is YAML
    return {"KUBECONFIG": str(path), "HOME": str(folder)}


def serve_clickhouse(stub: Stub, _: Path) -> Mapping[str, str]:
    """Say that the server is there."""
    stub.on("GET /", text_answer("Ok.\n"))
    return {}


def serve_arango(stub: Stub, _: Path) -> Mapping[str, str]:
    """Answer each step of the example."""
    stub.on("POST /_db/_system/_api/database", json_answer({"result": True}, 201))
    stub.on("POST /_db/test/_api/collection", {"id": "1", "name": "students", "type": 2})
    made = {"id": "students/1", "type": "persistent", "fields": ["name"], "name": "i"}
    stub.on("POST /_db/test/_api/index", json_answer(made, 201))
    document = {"_id": "students/1", "_key": "1", "_rev": "r"}
    stub.on("POST /_db/test/_api/document/students", json_answer(document, 202))
    names = [{"name": name} for name in ("jane", "josh", "judy")]
    stub.on("POST /_db/test/_api/cursor", json_answer({"result": names, "hasMore": False}, 201))
    return {}


def serve_s3_store(stub: Stub, _: Path) -> Mapping[str, str]:
    """Be a store with one bucket."""
    serve_s3(stub, "dataintake")
    return {"AWS_ENDPOINT_URL": stub.url}


EXAMPLES: Final = (
    Example(
        package="aiobotocore",
        has="bucket = 'dataintake'",
        serve=serve_s3_store,
        prints="'HTTPStatusCode': 204",
        asyncio_only="ends with run_until_complete()",
    ),
    Example(
        package="aiochclient",
        has="client.is_alive()",
        serve=serve_clickhouse,
        prints="",
        port=8123,
        runs_itself=False,
    ),
    Example(
        package="aiodocker", has="async def run_container", serve=serve_docker, prints="hello world"
    ),
    Example(
        package="influxdb-client",
        has='_point2 = Point("async_m")',
        serve=serve_influxdb,
        prints="successfully: True",
        port=8086,
        asyncio_only="asks for asyncio's running loop",
    ),
    Example(
        package="kubernetes_asyncio",
        has="Listing pods with their IPs:",
        serve=serve_kubernetes,
        prints="10.0.0.1 default one",
    ),
    Example(
        package="openai",
        has="DefaultAioHttpClient()",
        serve=serve_openai,
        prints="",
        asyncio_only="ends with asyncio.run(main())",
    ),
    Example(
        package="python-arango-async",
        has="create_database(",
        serve=serve_arango,
        prints="",
        port=8529,
        runs_itself=False,
        asyncio_only="calls asyncio.gather() when it is closed",
    ),
)


if __name__ == "__main__":
    run(EXAMPLES[int(sys.argv[1])], "trio" if sys.argv[2] == "trio" else "asyncio")
