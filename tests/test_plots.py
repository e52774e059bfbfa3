"""Performance in the documentation: plots can be read, and sentences say what tables say."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree

import pytest

from benchmarks import plots, svg
from tests.support.fresh_python import ROOT

FIGURES: Final = plots.FIGURES.read_text("utf-8")
DRAWINGS: Final = plots.drawings(FIGURES)
TIMELINE: Final = svg.timelines(
    "asyncio: marked where a server was restarted",
    240.0,
    [
        svg.Panel("resident memory, MiB", {"": [1, 1250]}),
        svg.Panel("connections", {"in use": [0, 99], "idle": [1, 2], "waiting": [99_999, 3]}),
    ],
    [(1.0, 2.0)],
)
LARGE: Final = svg.bars("large figures", [svg.Group("of one", [("anyhttp-asyncio", 12_500)])])
ALL: Final = {**DRAWINGS, "timeline": TIMELINE, "large": LARGE}
# How wide the text of a page is on a screen of 390 pixels, in the theme of the documentation.
PHONE: Final = 390 - 2 * 16
GROUNDS: Final = ("#ffffff", "#131416")  # of that theme, light and dark


def texts(drawing: str) -> list[tuple[ElementTree.Element, str]]:
    """Return the elements of text, with what they say."""
    root = ElementTree.fromstring(drawing)
    return [(each, each.text or "") for each in root.iter("{http://www.w3.org/2000/svg}text")]


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, by the formula of WCAG."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_each_plot_is_drawn_from_the_table_beside_it() -> None:
    """A table that is changed by hand, or counted anew, needs ``python -m benchmarks.plots``."""
    files = {path.stem: path.read_text("utf-8") for path in plots.DIRECTORY.glob("*.svg")}
    assert files == DRAWINGS
    first = plots.SUMMARY.read_text("utf-8")
    for name in DRAWINGS:
        assert plots.included(name) in (first if name == "summary" else FIGURES)
    assert "\n".join(plots.summary_lines(FIGURES)) in first


def test_a_plot_shows_the_figures_of_its_table() -> None:
    """All of them, as they stand there."""
    (table,) = (each for each in plots.tables(FIGURES) if each.group == "Requests")
    (row,) = (each for each in table.rows if each.title == "small GET, 50 in flight")
    line = next(line for line in FIGURES.splitlines() if f"| {row.title} | asyncio |" in line)
    ratio = line.split(" | ")[4]
    assert row.ratios["anyhttp-asyncio"] == float(ratio)
    said = [text for _, text in texts(DRAWINGS[table.name])]
    assert ratio in said
    assert {"anyhttp-asyncio", "anyhttp-trio", "anyhttp-uvloop"} <= set(said)


@pytest.mark.parametrize("name", ALL)
def test_text_is_large_enough_on_a_phone(name: str) -> None:
    """At least 11 pixels, where a screen has 390; and nothing stands out of the drawing."""
    root = ElementTree.fromstring(ALL[name])
    width = float(root.attrib["width"])
    sizes = [float(size) for size in re.findall(r"font(?:-size)?:(?:\d+ )?([\d.]+)px", ALL[name])]
    assert min(sizes) * min(1.0, PHONE / width) >= 11
    for element, text in texts(ALL[name]):
        # letters are 0.55 times as wide as they are high, in the middle
        x, length = float(element.attrib["x"]), len(text) * 0.55 * svg.SIZE
        begin = {"right": x - length, "middle": x - length / 2}.get(element.attrib["class"], x)
        assert begin >= 0, text
        assert begin + length <= width, text


@pytest.mark.parametrize("name", ALL)
def test_numbers_are_written_out(name: str) -> None:
    """No powers of ten."""
    assert not [text for _, text in texts(ALL[name]) if re.search(r"\de[+-]?\d", text)]


@pytest.mark.parametrize("name", ALL)
def test_colours_are_seen_on_light_and_dark_pages(name: str) -> None:
    """Text and axes have the colour of the page's text; bars and lines differ from both grounds."""
    drawing = ALL[name]
    used = set(re.findall(r'(?:fill|stroke)="(#\w{6})"(?! fill-o)|style="fill:(#\w{6})"', drawing))
    for colour in {first or second for first, second in used}:
        for ground in GROUNDS:
            assert contrast(colour, ground) >= 3, (colour, ground)
    assert "fill:currentColor" in drawing
    assert "var(--color-foreground-primary" in drawing  # the page's own choice comes first
    assert "prefers-color-scheme:dark" in drawing


def test_no_page_names_a_plot_that_is_not_there() -> None:
    """And none is left over."""
    pages = (ROOT / "docs" / "explanation").glob("performance*.md")
    text = "".join(page.read_text("utf-8") for page in pages)
    assert sorted(re.findall(r":file: performance/([\w-]+)\.svg", text)) == sorted(DRAWINGS)


def counts(row: str) -> dict[str, tuple[float, float]]:
    """Return by backend what the yardstick takes, and what anyhttp does, in a table of the page."""
    _, _, rest = FIGURES.partition("<!-- begin: instructions -->")
    lines = rest.partition(f"\n| {row} |")[2].partition("<!-- end:")[0].splitlines()
    found: dict[str, tuple[float, float]] = {}
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")][-7:]
        if len(cells) < 7 or cells[0] in found:
            break  # the next row, or the end of the table
        found[cells[0]] = (float(cells[1].replace(",", "")), float(cells[2].replace(",", "")))
    return found


def http2(row: str, backend: str) -> list[float]:
    """Return from the table of HTTP/2: httpx2, anyhttp, niquests, and anyhttp by HTTP/1.1."""
    rest = FIGURES.partition("### HTTP/2 on one connection")[2].partition(f"\n| {row} | ")[2]
    line = next(line for line in rest.splitlines() if line.strip("| ").startswith(backend))
    cells = [cell.strip() for cell in line.strip("| ").split("|")]
    return [float(cells[at].replace(",", "") or "nan") for at in (1, 2, 4, 5)]


def scale(group: str, row: str) -> float:
    """Return what anyhttp takes on asyncio in a table of what grows."""
    rest = FIGURES.partition(f"| {group} | aiohttp on asyncio |")[2].partition(f"\n| {row} |")[2]
    return float(rest.splitlines()[0].split("|")[1].replace(",", ""))


def page(name: str) -> str:
    """Return a page with its line ends as spaces."""
    return " ".join((ROOT / "docs" / f"{name}.md").read_text("utf-8").split())


def test_sentences_about_small_requests_agree_with_the_tables() -> None:
    """uvloop, trio, and what a session or a connection for each request costs."""
    one, fifty = (
        {name: own for name, (_, own) in counts(f"small GET, {n} in flight").items()}
        for n in (1, 50)
    )
    saved = [f"{1 - each['uvloop'] / each['asyncio']:.0%}"[:-1] for each in (one, fifty)]
    said = "{} % of the instructions of a small GET with one in flight, and {} % with 50"
    more = sorted(f"{each['trio'] / each['asyncio'] - 1:.0%}".strip("%") for each in (one, fifty))
    session, tls = counts("session for one GET"), counts("GET over a new TLS connection each")
    first, speed = page("explanation/performance"), page("howto/speed")
    assert said.format(*saved) in first
    assert said.format(*saved) in speed
    assert f"{more[0]} to {more[1]} % more instructions there than on asyncio" in speed
    assert f"{session['asyncio'][1] / one['asyncio']:.1f} times as many instructions" in first
    assert f"{session['asyncio'][1] / one['asyncio']:.0f} times as many instructions" in speed
    assert f"{tls['asyncio'][1] / one['asyncio']:.0f} times as many" in first
    ends = [tls[name][1] / one[name] for name in ("trio", "asyncio")]
    assert f"{ends[0]:.0f} to {ends[1]:.0f} times as many" in speed


def test_sentences_about_http2_agree_with_the_table() -> None:
    """Beside other clients, and beside HTTP/1.1."""
    first, guide = page("explanation/performance"), page("howto/http2")
    httpx2, own, niquests, http1 = http2("small GET, 1 in flight", "asyncio")
    assert f"httpx2 {httpx2 / own:.1f} times as many instructions as anyhttp" in first
    assert f"niquests {niquests / own:.1f} times as many" in first
    assert f"{own / http1:.1f} times as many in that case" in first
    assert f"{own / http1:.1f} times as many" in guide
    many = [
        http2(f"small GET, {n} in flight", backend)
        for n in (50, 100)
        for backend in ("asyncio", "trio")
    ]
    ratios = [own / http1 for _, own, _, http1 in many]
    assert f"{min(ratios):.1f} to {max(ratios):.1f} times as many with 50 or 100" in guide


def test_sentences_about_what_grows_agree_with_the_tables() -> None:
    """Requests in flight, and hosts."""
    first = page("explanation/performance")
    flight = scale("in flight", "5000") / scale("in flight", "1") - 1
    hosts = scale("hosts", "1000") / scale("hosts", "1") - 1
    assert f"{flight:.0%} more instructions".replace("%", " %") in first
    assert f"{hosts:.0%} more with 1000 hosts".replace("%", " %") in first
