"""docs/: a reader finds what there is."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from inspect import getdoc, signature
from typing import Any, Final

import pytest

import anyhttp
from anyhttp import client
from anyhttp.testing import mock_requests
from tests.support.fresh_python import ROOT
from tests.support.pages import blocks, file_of, names_of, without_start

DOCS: Final = ROOT / "docs"
README: Final = (ROOT / "README.md").read_text("utf-8")


def test_each_guide_is_listed_with_a_sentence() -> None:
    """In one group, which has a page of its own in the navigation."""
    page = (DOCS / "howto" / "index.md").read_text("utf-8")
    listed = {}
    for group in page.split("\n## ")[1:]:
        title = group.partition("\n")[0]
        listed[title] = re.findall(r"^- \[\]\(([\w-]+)\.md\): [A-Z].*[.]$", group, re.MULTILINE)
    in_groups = {}
    for name in re.findall(r"^(groups/[\w-]+)$", page, re.MULTILINE):
        group = (DOCS / "howto" / f"{name}.md").read_text("utf-8")
        title = group.partition("\n")[0].removeprefix("# ")
        in_groups[title] = re.findall(r"^\.\./([\w-]+)$", group, re.MULTILINE)
    assert [*listed.items()] == [*in_groups.items()]
    guides = {guide.stem for guide in (DOCS / "howto").glob("*.md")} - {"index"}
    assert sorted(name for group in listed.values() for name in group) == sorted(guides)


@pytest.mark.parametrize(
    "module",
    [
        *("anyhttp", "anyhttp.abc", "anyhttp.as_aiohttp", "anyhttp.client_exceptions"),
        *("anyhttp.http", "anyhttp.http_exceptions", "anyhttp.middlewares", "anyhttp.payload"),
        *("anyhttp.testing", "anyhttp.tracing", "anyhttp.typedefs"),
    ],
)
def test_each_public_name_is_in_the_reference(module: str) -> None:
    """As a heading of its own, or in a sentence or a table."""
    pages = "\n".join(page.read_text("utf-8") for page in (DOCS / "reference").glob("*.md"))
    described = re.findall(r"^\.\. (?:auto)?\w+:: (?:[\w.]+\.)?(\w+)", pages, re.MULTILINE)
    mentioned = re.findall(r"`~?(?:[\w.]+\.)?(\w+)`", pages)
    assert set(import_module(module).__all__) <= {*described, *mentioned}


def test_the_glossary_is_in_the_order_of_the_alphabet() -> None:
    """A word is found where it is looked for, and each is one that some page uses."""
    page = (DOCS / "howto" / "glossary.md").read_text("utf-8")
    words = re.findall(r"^(\w.*)\n  \w", page, re.MULTILINE)
    assert len(words) > 40
    assert words == sorted(words, key=str.lower)
    others = "\n".join(
        [README, *(other.read_text("utf-8") for other in DOCS.rglob("*.md"))]
    ).lower()
    unused = [
        word for word in words if others.count(word.lower()) <= page.lower().count(word.lower())
    ]
    assert not unused


def anchors_in(page: str) -> set[str]:
    """Return the labels in the text of a page, and both names of each heading."""
    found = set(re.findall(r"^\(([\w-]+)\)=$", page, re.MULTILINE))
    for heading in re.findall("^#+ (.*)$", page.lower(), re.MULTILINE):
        found.add(re.sub(r"[^a-z0-9]+", "-", heading).strip("-"))
        found.add(re.sub(r"[^\w -]", "", heading).replace(" ", "-"))
    return found


def test_a_link_into_a_page_leads_to_a_heading_or_a_label() -> None:
    """The build of the pages warns of one that does not, but takes a minute to find it."""
    pages = {page: page.read_text("utf-8") for page in DOCS.rglob("*.md")}
    pages[DOCS / "index.md"] = README  # which it includes
    anchors = {page: anchors_in(text) for page, text in pages.items()}
    dead = [
        f"{page.relative_to(DOCS)}: {link}#{anchor}"
        for page, text in pages.items()
        for link, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", text)
        if page.stem != "index" or page.parent != DOCS
        if anchor not in anchors.get((page.parent / link).resolve() if link else page, ())
    ]
    assert not dead


@pytest.mark.parametrize(
    "called",
    [
        *(anyhttp.AsyncResolver, anyhttp.BasicAuth, anyhttp.BearerAuthMiddleware),
        *(anyhttp.BearerToken, anyhttp.ClientSession, anyhttp.ClientTimeout),
        *(anyhttp.ClientWSTimeout, anyhttp.CookieJar, anyhttp.DigestAuthMiddleware),
        *(anyhttp.FormData, anyhttp.Http2Options, anyhttp.MultipartWriter),
        *(anyhttp.RateLimitMiddleware, anyhttp.RetryMiddleware, anyhttp.TCPConnector),
        *(anyhttp.UnixConnector, anyhttp.download),
    ],
    ids=lambda called: called.__name__,
)
def test_each_parameter_is_described(called: Callable[..., object]) -> None:
    """In the docstring, or for a connector in that of its base."""
    texts = [getdoc(called) or ""]
    if isinstance(called, type) and issubclass(called, anyhttp.BaseConnector):
        texts.append(getdoc(anyhttp.BaseConnector) or "")
    described = set(re.findall(r"^:param (\w+):", "\n".join(texts), re.MULTILINE))
    # A caller cannot use the name of a positional-only parameter.
    parameters = signature(called).parameters.values()
    assert {each.name for each in parameters if each.kind is not each.POSITIONAL_ONLY} <= described


@pytest.mark.parametrize(
    "options",
    [client.RequestOptions, client.OldOptions, client.WSOptions],
    ids=lambda options: options.__name__,
)
def test_each_option_is_described(options: Any) -> None:
    """The present ones of a request beside each other, and the deprecated ones apart."""
    documents = {client.RequestOptions: (client.RequestOptions, client.OldOptions)}
    text = "\n".join(getdoc(each) or "" for each in documents.get(options, (options,)))
    lines = re.findall(r"^``[\w`, ]+``$", text, re.MULTILINE)
    described = {name for line in lines for name in re.findall(r"\w+", line)}
    assert described == options.__optional_keys__


async def test_the_program_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """On both backends, as it stands."""
    (source,) = (block for block in blocks(README, "python") if file_of(block) == "hello.py")
    with mock_requests() as mock:
        mock.get("https://example.org/", text="hello")
        await names_of(without_start(source))["main"]()
    assert capsys.readouterr().out == "200 text/plain\nhello\n"


def test_each_job_is_linked_from_the_first_page() -> None:
    """Under the anchor that its heading has."""
    page = (DOCS / "howto" / "recipes.md").read_text("utf-8")
    headings = re.findall("^## (.*)$", page, re.MULTILINE)
    anchors = [re.sub(r"[^\w]+", "-", heading.lower()) for heading in headings]
    assert re.findall(r"recipes\.md#([\w-]+)\)", README) == anchors


def cells(page: str, row: str) -> list[list[str]]:
    """Return the cells of each row of tables that begins with *row*."""
    found = re.findall(rf"^\| {re.escape(row)} \|(.*)\|$", page, re.MULTILINE)
    return [[cell.strip() for cell in rest.split("|")] for rest in found]


def ratio(others: str, client: str) -> str:
    """Return the figure of a client among those in one cell."""
    (figure,) = re.findall(rf"{client} ([\d.]+)", others)
    return str(figure)


def test_the_figures_of_the_readme_are_those_of_the_page_about_performance() -> None:
    """A figure that is counted anew is put there, too."""
    page = (DOCS / "explanation" / "performance-figures.md").read_text("utf-8")
    get, _, http2 = cells(page, "small GET, 1 in flight | asyncio")
    (echo,) = cells(page, "WebSocket, echo of 20 bytes | asyncio")
    httpx2, niquests = (int(http2[column].replace(",", "")) for column in (0, 3))
    none = "not counted"
    assert [
        cells(README, name)
        for name in ("small GET", "small GET by HTTP/2", "WebSocket, echo of 20 bytes")
    ] == [
        [[get[2], "1", ratio(get[-1], "httpx2-asyncio"), none, ""]],
        [[http2[2], "", "1", f"{httpx2 / niquests:.2f}", ""]],
        [[echo[2], "1", none, none, ratio(echo[-1], "websockets-asyncio")]],
    ]
