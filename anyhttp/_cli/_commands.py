"""Which command the first argument names, and what its end means for the exit status."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Final

import click

from ._bench_command import bench_command
from ._completion import VARIABLE, completion
from ._demo_command import demo_command
from ._failures import STDOUT, describe, named, print_error, print_line
from ._fetch_command import fetch_command
from ._help import DescribedCommand
from ._run import INTERRUPTED, Leave
from ._sse_command import sse_command
from ._terminal import printable_line
from ._ws_command import ws_command

#: The commands that have a name; anything else is a URL with its options.
NAMED: Final[Mapping[str, DescribedCommand]] = {
    "bench": bench_command,
    "demo": demo_command,
    "sse": sse_command,
    "ws": ws_command,
}

fetch_command.others.update(NAMED)


def chosen(args: Sequence[str]) -> tuple[str, click.Command, list[str]]:
    """Return the command that *args* are for: its name, itself, and the rest of its arguments."""
    if args and args[0] == "help":
        _check_topic(args[1:])
        args = [*args[1:], "--help"]
    if args and args[0] in NAMED:
        return f"anyhttp {args[0]}", NAMED[args[0]], list(args[1:])
    return "anyhttp", fetch_command, list(args)


def _check_topic(args: Sequence[str]) -> None:
    """Check what stands after ``help``.

    :raises click.UsageError: it is not the name of one command
    """
    if len(args) > 1 or not NAMED.keys() >= set(args):
        names = ", ".join(NAMED)
        raise click.UsageError(f"help takes the name of one command: {names}")


def run(args: Sequence[str], leave: Leave | None = None) -> int:
    """Run the command line *args* and return the exit status."""
    try:
        if instruction := os.environ.get(VARIABLE):
            click.echo(completion(instruction, chosen, NAMED))
            return 0
        name, command, rest = chosen(args)
        with named(STDOUT):  # for which click prints
            status = int(command.main(rest, prog_name=name, standalone_mode=False, obj=leave))
    except click.UsageError as exc:
        shown = io.StringIO()
        exc.show(shown)
        print_line(printable_line(shown.getvalue().rstrip()))
        status = exc.exit_code
    except click.Abort:  # Ctrl-C while standard input is read
        status = INTERRUPTED
    except SystemExit:  # rich and click raise it when nobody reads stdout any more
        status = 1
    except OSError as exc:  # standard output is closed, or its disk is full
        print_error(describe(exc))
        status = 1
    return status
