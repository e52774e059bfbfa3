"""The floor plan: which room may import which, and where each outside library comes in.

The plan is drawn in ``docs/explanation/floor-plan.md``; this file is what keeps it true.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import anyhttp
from tests.support.server import Server

PACKAGE: Final = Path(__file__).parent.parent / "anyhttp"

# The plugin for pytest stands beside the package, so that it can be loaded without it.
PLUGIN: Final = PACKAGE.parent / "pytest_anyhttp.py"

# From the top storey to the ground.  Rooms on one line may import each other, one way.
PLAN: Final = (
    ("__main__", "_cli"),
    (
        "__init__",
        "_downloads",
        "as_aiohttp",
        "client_proto",
        "helpers",
        "http",
        "http_websocket",
        "httpx",
        "httpx2",
        "opentelemetry",
        "protocol",
        "testing",
    ),
    ("_httpx", "client"),
    ("connector", "client_middleware_digest_auth", "middlewares"),
    ("tracing", "client_middlewares"),
    ("client_reqrep",),
    ("_http2", "client_ws", "formdata"),
    ("_http1", "_websocket", "cookiejar", "multipart", "resolver"),
    ("_network", "_targets", "abc", "payload"),
    ("_event_stream", "_headers", "_tasks", "client_exceptions", "http_exceptions", "streams"),
    ("_codings", "_common", "hdrs", "typedefs"),
)

HTTP1_PLAN: Final = (
    ("__init__",),
    ("exchange",),
    ("unread",),
    ("connection", "response_body"),
    ("upload_tracker",),
    ("upload",),
    ("interfaces", "h11_engine"),
    ("engine", "request_framing"),
    ("chunks", "response_framing"),
    ("heads",),
    ("lines",),
    ("response_grammar",),
)

# The only modules that import a library, or a part of the standard one.
DOORS: Final = {
    # "streams" for IncompleteReadError, "_common.deprecation" for the attributes named loop
    "asyncio": {
        "_common.deprecation",
        "_network.asyncio_stream",
        "_network.asyncio_wait",
        "_tasks.asyncio_tasks",
        "_tasks.event_loop",
        "_tasks.own_task",
        "streams",
        "testing._clock",  # for its event loop
    },
    "backports": {"_codings.compression"},
    "brotli": {"_codings.compression"},
    "brotlicffi": {"_codings.compression"},
    "charset_normalizer": {"client_reqrep._charset"},
    "click": {"_cli"},
    "dns": {"resolver"},
    "h11": {"_http1.h11_engine"},
    "h2": {"_cli"},  # the server of the demo
    "hpack": {"_http2"},
    "httpx": {"httpx"},
    "httpx2": {"httpx2"},
    "opentelemetry": {"opentelemetry"},
    "rich": {"_cli"},
    "socksio": {"connector._tunnel"},
    "trio": {
        "_network.trio_stream",
        "_tasks.event_loop",
        "_tasks.trio_alarm",
        "_tasks.trio_tasks",
        "_tasks.trio_waiter",
    },
    "trustme": {"_cli", "testing._certificates"},
    "truststore": {"_network.trust"},
    # the first and the last: servers that the demo and the tests of programs talk to
    "websockets": {
        "_cli",
        "_websocket",
        "testing._websocket_observer",
        "testing._websocket_server",
    },
}

# What opens a socket or starts TLS, as a full name or as a method of whatever object.
OPENERS: Final = {
    "anyhttp._network.tls_stream.TlsStream.wrap",
    "anyio.connect_tcp",
    "anyio.connect_unix",
    "anyio.streams.tls.TLSStream.wrap",
    "asyncio.open_connection",
    "asyncio.open_unix_connection",
    "socket.create_connection",
    "socket.socket",
    "ssl.SSLContext",
    "ssl.create_default_context",
    "trio.open_tcp_stream",
    "trio.open_unix_socket",
    ".create_connection",
    ".create_unix_connection",
    ".from_socket",
    ".wrap_bio",
    ".wrap_socket",
}
# The demo server of the command, and the server for tests of programs, are on the other side.
MAY_OPEN: Final = {"_cli", "_network", "testing"}


def name_of(path: Path) -> str:
    """The dotted name of a module below the package: ``_http1.upload``, or ``client``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES: Final = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


# Each rule is one test of all modules, which names those that break it: a test for each of them
# would take longer to start than to run.


def breaches(found: Callable[[str], AbstractSet[str]]) -> dict[str, AbstractSet[str]]:
    """The modules for which *found* returns something, and what."""
    return {module: wrong for module in MODULES if (wrong := found(module))}


def room(module: str) -> str:
    """The top-level module or package that *module* is, or lies in."""
    return module.split(".", maxsplit=1)[0]


def imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """Absolute names of all that *tree* imports, whether at the top, late, or for types only.

    :param package: what relative imports start from, such as ``("anyhttp", "_http1")``
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, *filter(None, [node.module])))
            yield from (f"{stem}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(arg.value) for arg in node.args if isinstance(arg, ast.Constant))


def calls(tree: ast.AST, imported: Iterable[str]) -> Iterator[str]:
    """What *tree* calls, by the full names that it *imported*, and ``.name`` for each method."""
    origins = {name.rpartition(".")[2]: name for name in imported}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = ast.unparse(node.func).partition(".")
            yield f"{origins.get(first, first)}{dot}{rest}"
            yield f".{rest.rpartition('.')[2]}"


def private_attributes(tree: ast.AST) -> Iterator[str]:
    """The names with one underscore that *tree* reads or writes as attributes of anything."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match(r"_(?!_)", node.attr):
            yield node.attr


def definitions(tree: ast.AST) -> Iterator[str]:
    """The names that *tree* defines: functions, methods, slots, attributes of self."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id in {"self", "cls"}
        ):
            yield node.attr


@dataclass(frozen=True)
class Contents:
    """What the rules ask about a module."""

    imports: frozenset[str]
    calls: frozenset[str]
    private_attributes: frozenset[str]
    definitions: frozenset[str]


@cache  # the tree itself is not kept: each search for garbage would go through it
def contents(module: str) -> Contents:
    """Read one of our modules."""
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    package = MODULES[module].relative_to(PACKAGE.parent).parts[:-1]
    imported = frozenset(imports(tree, package))
    return Contents(
        imported,
        frozenset(calls(tree, imported)),
        frozenset(private_attributes(tree)),
        frozenset(definitions(tree)),
    )


def ours(module: str) -> set[str]:
    """Those of our modules that *module* imports."""
    found = set()
    for name in contents(module).imports:
        top, *rest = name.split(".")
        if top != PACKAGE.name:
            continue
        # "anyhttp.hdrs.ACCEPT" is the module hdrs, "anyhttp.ClientSession" the package itself
        stems = [".".join(rest[:length]) for length in range(len(rest), 0, -1)]
        found.add(next((stem for stem in stems if stem in MODULES or stem in STOREY), "__init__"))
    return found - {module}


def storeys(plan: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    """The number of the storey each name stands on, counted from the top."""
    return {name: number for number, names in enumerate(plan) for name in names}


STOREY: Final = storeys(PLAN)
HTTP1_STOREY: Final = storeys(HTTP1_PLAN)


def test_imports_of_every_form_are_seen() -> None:
    """Late imports and those for type checkers make a dependency like any other."""
    source = """
from __future__ import annotations
import h11._events
from . import hdrs
from .._common import RequestInfo
if TYPE_CHECKING:
    from .engine import Engine
def late():
    return importlib.import_module("socksio")
"""
    assert set(imports(ast.parse(source), ("anyhttp", "_http1"))) == {
        "__future__.annotations",
        "h11._events",
        "anyhttp._http1.hdrs",
        "anyhttp._common.RequestInfo",
        "anyhttp._http1.engine.Engine",
        "socksio",
    }


def test_every_module_has_a_place_in_the_plan() -> None:
    """A new room is put on a storey before it is used."""
    assert {room(module) for module in MODULES} <= STOREY.keys()


def test_imports_point_down() -> None:
    """Nothing imports from a storey above its own."""

    def above(module: str) -> set[str]:
        own = STOREY[room(module)]
        return {name for name in ours(module) if STOREY[room(name)] < own}

    assert not breaches(above)


def test_imports_point_down_inside_http1() -> None:
    """A connection drives an engine; engines know neither it nor each other."""

    def storey(name: str) -> int:
        return HTTP1_STOREY[name.removeprefix("_http1.") if "." in name else "__init__"]

    def above(module: str) -> set[str]:
        if room(module) != "_http1":
            return set()
        inner = {name for name in ours(module) if room(name) == "_http1"}
        return {name for name in inner if storey(name) <= storey(module)}

    assert not breaches(above)


def test_other_rooms_are_entered_by_their_doors() -> None:
    """What a room holds in its files is its own affair: others import from its ``__init__``."""
    assert not breaches(
        lambda module: {name for name in ours(module) if "." in name and room(name) != room(module)}
    )


def test_nothing_in_a_public_room_is_public_but_its_door() -> None:
    """``anyhttp.client`` is what programs import, and no file in it."""
    assert not {
        module
        for module in MODULES
        if "." in module and module[0] != "_" and not module.split(".")[1].startswith("_")
    }


@cache
def defined_in(room_name: str) -> frozenset[str]:
    """What the modules of a room define."""
    modules = (module for module in MODULES if room(module) == room_name)
    return frozenset().union(*(contents(module).definitions for module in modules))


# Those of the standard library: sys._getframe(), os._exit(), namedtuple._replace(), zlib._Compress,
# runpy._run_module_as_main().
THEIR_PRIVATES: Final = {"_Compress", "_exit", "_getframe", "_replace", "_run_module_as_main"}


def test_no_module_touches_the_private_attributes_of_another_room() -> None:
    """An underscore says that a name is the affair of the room that defines it."""
    assert not breaches(
        lambda module: (
            contents(module).private_attributes - THEIR_PRIVATES - defined_in(room(module))
        )
    )


def test_the_plugin_for_pytest_imports_the_package_late_and_by_its_doors() -> None:
    """It is loaded in every run of pytest, also where nobody uses the package."""
    tree = ast.parse(PLUGIN.read_text("utf-8"))
    loaded = ast.Module([node for node in tree.body if not isinstance(node, ast.If)], [])
    functions = [node for node in loaded.body if isinstance(node, ast.FunctionDef)]
    late = {name for node in functions for name in imports(node, ())}
    ours = {name for name in set(imports(loaded, ())) if room(name) == "anyhttp"}
    assert {name.rpartition(".")[0] for name in ours} == {"anyhttp", "anyhttp.testing"}
    assert ours <= late


def test_no_module_imports_itself_in_a_circle() -> None:
    """Rooms on one storey may import each other one way only."""
    waiting = {module: ours(module) for module in MODULES}
    while settled := {module for module, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {module: needs for module, needs in waiting.items() if module not in settled}
    assert not waiting, f"a circle runs through some of these: {sorted(waiting)}"


def test_each_outside_library_has_one_door() -> None:
    """A library can be replaced, or its errors renamed, in the one module that imports it."""

    def elsewhere(module: str) -> set[str]:
        libraries = {room(name) for name in contents(module).imports} & DOORS.keys()
        return {name for name in libraries if not {module, room(module)} & DOORS[name]}

    assert not breaches(elsewhere)


def test_only_the_network_room_opens_sockets_and_tls() -> None:
    """Deadlines and names of errors are kept in one place, so nobody goes around it."""
    assert not breaches(
        lambda module: set() if room(module) in MAY_OPEN else contents(module).calls & OPENERS
    )


TESTS: Final = Path(__file__).parent


def test_no_test_module_imports_from_another() -> None:
    """What several of them need is in ``tests/support``."""
    modules = {path.stem for path in TESTS.rglob("test_*.py")}
    for path in TESTS.rglob("*.py"):
        text = path.read_text("utf-8")
        if modules.isdisjoint(re.findall(r"\w+", text)):
            continue  # to parse them all takes longer
        package = path.relative_to(TESTS.parent).parts[:-1]
        found = imports(ast.parse(text), package)
        assert not {name for name in found if re.match(r"tests\.(?:.*\.)?test_", name)}, path


def undocumented(module: str) -> Iterator[str]:
    """Names of public classes, functions and methods without a docstring, inherited or own."""
    place = importlib.import_module(f"anyhttp.{module}")
    for name in getattr(place, "__all__", ()):
        value = getattr(place, name)
        if not getattr(value, "__module__", "anyhttp").startswith("anyhttp"):
            continue  # somebody else's, such as a type that has a docstring from Python 3.13 on
        if (inspect.isclass(value) or inspect.isfunction(value)) and not inspect.getdoc(value):
            yield name
        for member in vars(value) if inspect.isclass(value) else ():
            if member.startswith("_"):
                continue
            method = getattr(value, member)
            if callable(method) and not inspect.getdoc(method):
                yield f"{name}.{member}"


@pytest.mark.parametrize(
    "module",
    [name for name in MODULES if not any(part.startswith("_") for part in name.split("."))],
)
def test_everything_public_has_a_docstring(module: str) -> None:
    """An override may inherit the one of its base, which is why no linter is asked."""
    if module in DOORS:  # named for the library that it imports
        pytest.importorskip(module)
    assert not set(undocumented(module))


def test_every_public_name_is_in_the_reference() -> None:
    """What the package exports is described in the documentation, or at least named there."""
    pages = (PACKAGE.parent / "docs" / "reference").glob("*.md")
    words = set(re.findall(r"\w+", " ".join(page.read_text("utf-8") for page in pages)))
    assert not {name for name in anyhttp.__all__ if name != "__version__"} - words


def test_every_file_is_on_the_floor_plan() -> None:
    """A newcomer finds each file on the page, with what is in it, and none that is gone."""
    page = (PACKAGE.parent / "docs" / "explanation" / "floor-plan.md").read_text("utf-8")
    listed = re.findall(r"^\| `([\w/]+\.py)` \| \S", page, re.MULTILINE)
    files = {path.relative_to(PACKAGE).as_posix() for path in MODULES.values()} | {PLUGIN.name}
    doors = {name for name in files if name.endswith("/__init__.py")}  # which only export
    assert not {name for name in listed if listed.count(name) > 1}
    assert files - doors <= set(listed) <= files, (
        f"docs/explanation/floor-plan.md lacks {sorted(files - doors - {*listed})}, "
        f"and lists {sorted({*listed} - files)}, which are gone"
    )


# What most programs never use, or not on the backend they run on, with all that it imports.
IMPORTED_LATE: Final = {
    "aiohttp",
    "anyhttp._downloads",
    "anyhttp._http2",
    "anyhttp.as_aiohttp",
    "anyhttp.middlewares",
    "anyhttp.opentelemetry",
    "anyhttp.testing",
    "anyio._backends",
    "asyncio",
    "charset_normalizer",
    "click",
    "dns",
    "email",
    "h11",
    "h2",
    "hpack",
    "http.client",
    "httpx",
    "httpx2",
    "hyperframe",
    "importlib.metadata",
    "opentelemetry",
    "rich",
    "socksio",
    "tempfile",
    "trio",
    "trustme",
    "urllib.request",
    "uvloop",
    "websockets",
}


def test_a_bare_import_loads_only_what_most_programs_need() -> None:
    """What a feature needs is imported by whoever first uses it."""
    code = f"""
import sys
before = set(sys.modules)
import anyhttp
print(*sorted({IMPORTED_LATE} & (sys.modules.keys() - before)))
print(anyhttp.middlewares.RetryMiddleware.__name__)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["RetryMiddleware"]


@pytest.mark.parametrize(("backend", "other"), [("asyncio", "trio"), ("trio", "asyncio")])
def test_a_program_loads_only_the_backend_it_runs_on(
    server: Server, backend: str, other: str
) -> None:
    """Neither a request, with a task and a deadline, nor the end of the session needs both."""
    code = f"""
import sys
before = set(sys.modules)
import anyio, anyhttp

async def body():
    yield b"fine"

async def main():
    async with anyhttp.ClientSession() as session:
        async with session.post({str(server.url / "echo-body")!r}, data=body()) as response:
            print(await response.text())

anyio.run(main, backend={backend!r})
print(*{{{other!r}}} & (sys.modules.keys() - before))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["fine"]
