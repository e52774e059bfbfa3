"""Writes ``docs/man/anyhttp.1``, the page of the manual, from the commands themselves.

``python -m tests.man_page`` writes it.  The wheel has it as ``share/man/man1/anyhttp.1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click

from anyhttp._cli._commands import NAMED
from anyhttp._cli._fetch_command import fetch_command
from anyhttp._cli._help import DescribedCommand

PAGE: Final = Path(__file__).parent.parent / "docs" / "man" / "anyhttp.1"


def escaped(text: str) -> str:
    """Return *text* without anything that roff would interpret."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a docstring as roff."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        yield f".PP\n{escaped(' '.join(paragraph.split()))}"


def definitions(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield names in bold, each with its meaning."""
    for name, meaning in rows:
        yield f".TP\n.B {escaped(name)}\n{escaped(' '.join(meaning.split()))}"


def context(name: str, command: click.Command) -> click.Context:
    """Return a context in which *command* describes itself."""
    return click.Context(command, info_name=name, **command.context_settings)


def examples(command: DescribedCommand) -> Iterator[str]:
    """Yield the command lines of the examples, each below what it does."""
    for line, meaning in command.examples:
        yield f".PP\n{escaped(meaning)}\n.PP\n.RS 4\n.nf\n{escaped(line)}\n.fi\n.RE"


def named(name: str, command: DescribedCommand, known: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the part about a command that has a name.

    :param known: options that have been described already
    """
    full_name = f"anyhttp {name}"
    ctx = context(full_name, command)
    usage = " ".join([full_name, *command.collect_usage_pieces(ctx)])
    yield f".SS {escaped(full_name)}\n.B {escaped(usage)}"
    yield from paragraphs(command.help or "")
    rows = [row for rows in command.options_by_heading(ctx).values() for row in rows]
    yield from definitions(row for row in rows if row not in known)
    if shared := [row[0].split()[0].rstrip(",") for row in rows if row in known]:
        yield f".PP\nThese options are those described above: {escaped(', '.join(shared))}."
    yield from examples(command)
    yield ".PP\nThe exit status is"
    yield from definitions((str(code), command.exit_statuses[code]) for code in (0, 1))


def page() -> str:
    """Return the whole page."""
    ctx = context("anyhttp", fetch_command)
    by_heading = fetch_command.options_by_heading(ctx)
    parts = [
        '.\\" Written by python -m tests.man_page from the commands themselves.',
        '.TH ANYHTTP 1 "" anyhttp "User Commands"',
        ".SH NAME\nanyhttp \\- HTTP and WebSocket client",
        ".SH SYNOPSIS",
        f".B anyhttp\n{escaped(' '.join(fetch_command.collect_usage_pieces(ctx)))}",
        *(f".br\n.B anyhttp {name}\n[OPTIONS] ..." for name in NAMED),
        ".SH DESCRIPTION",
        *paragraphs(fetch_command.help or ""),
        ".SH OPTIONS",
    ]
    for heading, rows in by_heading.items():
        parts += [f".SS {heading}", *definitions(rows)]
    parts.append(".SH COMMANDS")
    known = {row for rows in by_heading.values() for row in rows}
    for name, command in NAMED.items():
        parts += named(name, command, known)
    statuses = ((str(code), text) for code, text in fetch_command.exit_statuses.items())
    parts += [".SH EXAMPLES", *examples(fetch_command)]
    parts += [".SH EXIT STATUS", *definitions(statuses)]
    parts += [".SH ENVIRONMENT", *definitions(fetch_command.variables.items())]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")
