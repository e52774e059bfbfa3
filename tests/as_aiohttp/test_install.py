"""``import aiohttp`` gives this client, and no longer when that is undone."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import pickle
import re
import sys
import typing
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, cast
from unittest import mock

import pytest

import anyhttp
from anyhttp import client_ws
from anyhttp.client import TCPConnector

CLIENT = (
    "abc",
    "client",
    "client_exceptions",
    "client_middleware_digest_auth",
    "client_middlewares",
    "client_proto",
    "client_reqrep",
    "client_ws",
    "compression_utils",
    "connector",
    "cookiejar",
    "formdata",
    "hdrs",
    "helpers",
    "http",
    "http_exceptions",
    "http_websocket",
    "log",
    "multipart",
    "payload",
    "payload_streamer",
    "resolver",
    "streams",
    "tracing",
    "typedefs",
)


def aiohttp() -> Any:
    """Import what stands in for aiohttp; type checkers would take it for the real one."""
    return importlib.import_module("aiohttp")


def loaded() -> set[str]:
    """Return the names of the modules of aiohttp that are loaded."""
    return {name for name in sys.modules if name.partition(".")[0] == "aiohttp"}


# -- what is imported -----------------------------------------------------------------------


def test_the_public_names_are_the_same_objects(stand_in: None) -> None:
    """A class is the same one by whichever name it is imported."""
    names = {*anyhttp.__all__} - {"__version__", "hdrs"}
    names -= {"install_as_aiohttp", "uninstall_as_aiohttp"}
    assert not {name for name in names if getattr(aiohttp(), name) is not getattr(anyhttp, name)}
    assert names | {"__version__", "hdrs"} == {*aiohttp().__all__}


def test_an_import_of_the_package_makes_its_modules_attributes(stand_in: None) -> None:
    """A program that has only said ``import aiohttp`` writes ``aiohttp.client_exceptions.X``."""
    for name in CLIENT:
        module = getattr(aiohttp(), name)
        assert module is sys.modules[f"aiohttp.{name}"]
        assert module.__name__ == f"aiohttp.{name}"


def test_names_are_where_aiohttp_has_them(stand_in: None) -> None:
    """Its modules show what they import from each other, and the modules themselves."""
    client = importlib.import_module("aiohttp.client")
    assert client.ClientSession is anyhttp.ClientSession
    assert client.CookieJar is anyhttp.CookieJar
    assert client.hdrs is aiohttp().hdrs
    assert aiohttp().hdrs.ACCEPT is anyhttp.hdrs.ACCEPT
    assert "ClientSession" not in vars(client.hdrs)  # programs look through it for headers
    models = importlib.import_module("aiohttp._websocket.models")
    assert models.WSMsgType is anyhttp.WSMsgType


def test_the_loggers_are_aiohttps(stand_in: None) -> None:
    """A program that sets their level does so for the installed server, too."""
    assert aiohttp().log.server_logger is logging.getLogger("aiohttp.server")


def test_the_version_is_one_of_plain_digits(stand_in: None) -> None:
    """Libraries split it at the dots, and compare the numbers."""
    assert re.fullmatch(r"3\.14\.\d+", aiohttp().__version__)


def test_a_star_import_gives_the_public_names(stand_in: None) -> None:
    """As far as aiohttp has such names."""
    namespace: dict[str, Any] = {}
    exec("from aiohttp import *", namespace)
    assert namespace["ClientSession"] is anyhttp.ClientSession
    assert "install_as_aiohttp" not in namespace


def test_it_is_listed_and_shown_what_the_modules_are(stand_in: None) -> None:
    """Whoever looks at a module in a debugger sees whose it is."""
    assert repr(aiohttp().client) == "<module 'aiohttp.client': anyhttp in place of aiohttp>"
    assert {"ClientSession", "ClientTimeout"} <= set(dir(aiohttp()))
    assert "in place of aiohttp" in (aiohttp().__doc__ or "")


def test_the_package_lists_what_it_imports_late() -> None:
    """``dir()`` and completion show it; a name that is not there is missing as in any module."""
    assert {"install_as_aiohttp", "uninstall_as_aiohttp"} <= set(dir(anyhttp))
    assert not hasattr(anyhttp, "nothing")


# -- what is missing ------------------------------------------------------------------------


def test_a_missing_name_is_said_to_be_missing_here(stand_in: None) -> None:
    """Not the library that asks for it is at fault, and not aiohttp."""
    message = r"module 'aiohttp\.helpers' has no 'nothing': this is anyhttp .* please report it"
    with pytest.raises(AttributeError, match=message) as caught:
        _ = aiohttp().helpers.nothing
    assert caught.value.name == "nothing"
    assert not hasattr(aiohttp(), "nothing")


@pytest.mark.parametrize("module", ["aiohttp", "aiohttp.helpers", "aiohttp._websocket.models"])
def test_a_name_that_cannot_be_imported_is_said_to_be_missing_here(
    stand_in: None, module: str
) -> None:
    """Python alone would say no more than that it cannot be imported."""
    message = f"cannot import name 'nothing': module '{module}' has no 'nothing': this is anyhttp"
    with pytest.raises(ImportError, match=re.escape(message)) as caught:
        exec(f"from {module} import nothing")
    assert caught.value.name == module
    with pytest.raises(ModuleNotFoundError, match="No module named"):  # it is not remembered
        importlib.import_module(f"{module}.nothing")


def test_a_module_that_aiohttp_has_not_is_not_found(stand_in: None) -> None:
    """A program may look whether there is one."""
    assert importlib.util.find_spec("aiohttp.nothing") is None
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'aiohttp\.nothing'"):
        importlib.import_module("aiohttp.nothing")


def test_asking_for_a_name_makes_no_module_of_it(stand_in: None) -> None:
    """A program may look for a name first, and for a module of that name then."""
    for module in (aiohttp(), aiohttp().client):
        assert not hasattr(module, "nothing")
        assert importlib.util.find_spec(f"{module.__name__}.nothing") is None
        assert not hasattr(module, "nothing")
        with pytest.raises(ModuleNotFoundError, match="No module named"):
            importlib.import_module(f"{module.__name__}.nothing")


class Path:
    """Finds what lies on ``sys.path``, without aiohttp."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module."""
        return None if name.startswith("aiohttp") else PathFinder.find_spec(name, path, target)


def test_the_server_is_refused_where_aiohttp_is_not_installed(
    without_aiohttp: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names what to install, in each form of import."""
    others = [finder for finder in sys.meta_path if finder is not PathFinder]
    monkeypatch.setattr(sys, "meta_path", [*others, Path])
    anyhttp.install_as_aiohttp()
    for code in (
        "import aiohttp.web",
        "from aiohttp import web",
        "from aiohttp.web_app import Application",
        "import aiohttp.test_utils",
        "from aiohttp.abc import AbstractView",
    ):
        with pytest.raises(ImportError, match=r"try: pip install aiohttp$"):
            exec(code)
    assert not hasattr(aiohttp().abc, "AbstractView")
    assert aiohttp().ClientSession is anyhttp.ClientSession


def test_a_module_of_the_server_has_to_be_imported(stand_in: None) -> None:
    """As in aiohttp, whose package does not import it."""
    with pytest.raises(AttributeError, match=r"imported first: import aiohttp\.web_exceptions$"):
        _ = aiohttp().web_exceptions


# -- installing and undoing -----------------------------------------------------------------


def test_undone_it_leaves_nothing_behind(without_aiohttp: None) -> None:
    """Neither a module nor a finder."""
    modules, finders = dict(sys.modules), list(sys.meta_path)
    anyhttp.install_as_aiohttp()
    aiohttp()
    assert loaded()
    anyhttp.uninstall_as_aiohttp()
    assert not loaded()
    assert sys.meta_path == finders
    assert modules.items() <= sys.modules.items()


def test_installing_and_undoing_twice_is_the_same_as_once(without_aiohttp: None) -> None:
    """A library may do it besides the program: there is one state, and no count."""
    finders = list(sys.meta_path)
    anyhttp.uninstall_as_aiohttp()
    anyhttp.install_as_aiohttp()
    module = aiohttp()
    anyhttp.install_as_aiohttp()
    assert aiohttp() is module
    anyhttp.uninstall_as_aiohttp()
    anyhttp.uninstall_as_aiohttp()
    assert not loaded()
    assert sys.meta_path == finders


def test_installed_anew_it_gives_new_modules(without_aiohttp: None) -> None:
    """What was set on those before is not on them."""
    anyhttp.install_as_aiohttp()
    first = aiohttp()
    first.mark = 1
    anyhttp.uninstall_as_aiohttp()
    anyhttp.install_as_aiohttp()
    assert aiohttp() is not first
    assert not hasattr(aiohttp(), "mark")


def test_it_is_refused_when_aiohttp_has_been_imported(
    without_aiohttp: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names who uses it: by the module, by one in it, or by a class of theirs."""
    # A library that another test has imported may use a module that exists.
    package, part = ModuleType("aiohttp"), ModuleType("aiohttp.invented")
    by_package, by_module = ModuleType("library_a"), ModuleType("library_b")
    by_class, other = ModuleType("library_c"), ModuleType("library_d")
    vars(by_package)["http"] = package
    vars(by_module)["anything"] = part
    vars(by_class)["Session"] = type("ClientSession", (), {"__module__": "aiohttp.invented"})
    for module in (package, part, by_package, by_module, by_class, other):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(ImportError) as caught:
        anyhttp.install_as_aiohttp()
    message = str(caught.value)
    assert "these modules use it: library_a, library_b, library_c. Call" in message
    assert "python -m anyhttp.as_aiohttp" in message
    assert sys.modules["aiohttp"] is package


def test_it_is_refused_when_nobody_is_known_to_use_aiohttp(
    without_aiohttp: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function may have imported it."""
    monkeypatch.setitem(sys.modules, "aiohttp.invented", ModuleType("aiohttp.invented"))
    with pytest.raises(ImportError, match=r"can take its place\. Call install_as_aiohttp\(\)"):
        anyhttp.install_as_aiohttp()


def test_looking_for_who_uses_aiohttp_imports_nothing(
    without_aiohttp: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules that are loaded at their first use stay as they are; others may be no modules."""
    used: list[str] = []

    class Lazy(ModuleType):
        def __getattribute__(self, name: str) -> object:
            used.append(name)
            monkeypatch.setitem(sys.modules, "library_that_is_loaded", ModuleType("loaded"))
            return super().__getattribute__(name)

    monkeypatch.setitem(sys.modules, "aiohttp.invented", ModuleType("aiohttp.invented"))
    monkeypatch.setitem(sys.modules, "library_a", Lazy("library_a"))
    monkeypatch.setitem(sys.modules, "library_b", cast("ModuleType", object()))
    used.clear()
    with pytest.raises(ImportError, match=r"can take its place\. Call"):
        anyhttp.install_as_aiohttp()
    assert not used


# -- what other tools do with modules -------------------------------------------------------


def test_it_can_be_looked_for_without_an_import(stand_in: None) -> None:
    """Libraries ask so whether an optional package is there."""
    found = importlib.util.find_spec("aiohttp")
    assert found is not None
    assert found.submodule_search_locations == []
    assert not loaded()
    assert importlib.util.find_spec("aiohttp.client") is not None
    assert aiohttp().client.__spec__.name == "aiohttp.client"


def test_import_hooks_see_it_imported(
    without_aiohttp: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tools that wrap a library's functions wait for its import, in front of all finders."""
    seen = []

    class Hook:
        @staticmethod
        def find_spec(name: str, path: object, target: object = None) -> None:
            """Find nothing."""
            seen.append(name)

    monkeypatch.setattr(sys, "meta_path", [Hook, *sys.meta_path])
    anyhttp.install_as_aiohttp()
    aiohttp()
    assert {"aiohttp", "aiohttp.client", "aiohttp.connector"} <= set(seen)


def test_a_finder_with_an_aiohttp_of_its_own_is_outrun(
    without_aiohttp: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs that are packed into one file have one, in front of what finds files."""

    class Packed:
        @staticmethod
        def find_spec(name: str, path: object, target: object = None) -> ModuleSpec | None:
            """Find aiohttp."""
            return ModuleSpec(name, None, origin="packed") if name == "aiohttp" else None

    finders = [Packed, *sys.meta_path]
    monkeypatch.setattr(sys, "meta_path", list(finders))
    anyhttp.install_as_aiohttp()
    assert aiohttp().ClientSession is anyhttp.ClientSession
    anyhttp.uninstall_as_aiohttp()
    assert sys.meta_path == finders


def test_a_reload_does_not_make_the_classes_anew(stand_in: None) -> None:
    """There would be two of each then."""
    module = aiohttp()
    del module.client.ClientSession
    assert importlib.reload(module.client) is module.client
    assert importlib.reload(module) is module
    assert module.client.ClientSession is module.ClientSession is anyhttp.ClientSession


def test_what_aiohttp_has_pickled_is_read(stand_in: None) -> None:
    """A pickle names the class by its module; ours are by the names of this package."""
    assert pickle.loads(b"caiohttp.client_exceptions\nClientError\n.") is anyhttp.ClientError
    error = aiohttp().ClientPayloadError("short")
    assert type(pickle.loads(pickle.dumps(error))) is anyhttp.ClientPayloadError


def test_inspect_finds_the_module_of_a_class(stand_in: None) -> None:
    """It is the one that the class is made in."""
    assert inspect.getmodule(aiohttp().ClientSession) is sys.modules["anyhttp.client._session"]
    assert inspect.getmodule(aiohttp().client) is aiohttp().client
    # by the file, inspect would take frames of the room for those of the module that stands in
    assert aiohttp().client_ws.__file__ != client_ws.__file__


def test_annotations_with_its_names_are_resolved(stand_in: None) -> None:
    """As libraries do that make objects by the types of arguments."""
    namespace: dict[str, Any] = {}
    exec("import aiohttp\ndef f(session: 'aiohttp.client.ClientSession'): ...", namespace)
    assert typing.get_type_hints(namespace["f"]) == {"session": anyhttp.ClientSession}


# -- what programs set ----------------------------------------------------------------------


async def test_a_patched_name_reaches_the_code_that_uses_it(stand_in: None) -> None:
    """As in aiohttp, whose module has in one file what a room here has in many."""
    made = []

    class Recorded(TCPConnector):
        def __init__(self, **options: Any) -> None:
            made.append(self)
            super().__init__(**options)

    aiohttp()
    with mock.patch("aiohttp.client.TCPConnector", Recorded):
        async with aiohttp().ClientSession():
            assert made
    made.clear()
    async with aiohttp().ClientSession():
        assert not made
    assert aiohttp().client.TCPConnector is anyhttp.TCPConnector


async def test_a_name_set_on_the_package_stays_there(stand_in: None) -> None:
    """Code that looks it up by the package sees it, and code of a module in it does not."""
    module = aiohttp()
    with mock.patch("aiohttp.TCPConnector") as patched:
        assert module.TCPConnector is patched
        assert anyhttp.TCPConnector is TCPConnector
        async with module.ClientSession() as session:
            assert isinstance(session.connector, TCPConnector)
    assert module.TCPConnector is TCPConnector


def test_a_patched_method_is_patched_for_everybody(
    stand_in: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class is one."""
    aiohttp()
    with mock.patch("aiohttp.client.ClientSession._request") as patched:
        assert vars(anyhttp.ClientSession)["_request"] is patched
    monkeypatch.setattr("aiohttp.ClientSession._request", patched)
    assert vars(anyhttp.ClientSession)["_request"] is patched


def test_a_new_name_is_set_on_the_module_alone(
    stand_in: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands for nothing in the room."""
    monkeypatch.setattr(aiohttp().client, "invented", 1, raising=False)
    assert aiohttp().client.invented == 1
    assert not hasattr(anyhttp.client, "invented")
    monkeypatch.undo()
    assert not hasattr(aiohttp().client, "invented")


def test_a_context_that_nothing_would_look_at_is_refused(stand_in: None) -> None:
    """A program that sets it believes that servers are verified by it from then on."""
    connector = aiohttp().connector
    with pytest.raises(AttributeError, match=r"would change nothing.*TCPConnector\(ssl=context\)"):
        connector._SSL_CONTEXT_VERIFIED = object()
    assert not hasattr(connector, "_SSL_CONTEXT_VERIFIED")
