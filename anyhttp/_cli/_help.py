"""How a command describes itself: in ``--help``, and in the page of the manual."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

#: Headings of the options that several commands have, in the order of the help; the options that
#: only one command has come before them.
HEADINGS: Final[Mapping[str, Sequence[str]]] = {
    "Request": (
        *("--request", "--head", "--header", "--query", "--data", "--json", "--form"),
        *("--user", "--bearer", "--cookie", "--cookie-jar", "--compressed"),
    ),
    "Response": (
        *("--output", "--download", "--jobs", "--continue", "--include"),
        *("--fail", "--fail-with-body"),
    ),
    "Limits": ("--max-redirects", "--timeout", "--retry"),
    "Connection": (
        *("--proxy", "--resolve", "--unix-socket", "--http2", "--http2-prior-knowledge"),
        *("--insecure", "--cacert", "--cert", "--key"),
    ),
    "General": ("--verbose", "--trace", "--backend", "--version", "--help"),
}

#: What every command exits with; commands say more about the first two.
EXIT_STATUSES: Final[Mapping[int, str]] = {
    0: "Success.",
    1: "Failure; a line on standard error says why.",
    2: "The arguments are wrong, or a file that they name; nothing was sent.",
    130: "Ctrl-C was pressed.",
}

#: Variables of the environment: those of the terminal, and those of requests.
TERMINAL_VARIABLES: Final[Mapping[str, str]] = {
    "NO_COLOR": "If it is not empty, nothing is coloured.",
    "COLUMNS": "The width of the terminal, in place of what it says itself.",
}
REQUEST_VARIABLES: Final[Mapping[str, str]] = {
    "HTTP_PROXY, HTTPS_PROXY, WS_PROXY, WSS_PROXY, ALL_PROXY": "The proxy for URLs of that scheme, "
    "or of every other, unless --proxy names one.  The names may be in lower case.",
    "NO_PROXY": "Hosts that are reached without these proxies, with commas between them.",
    "NETRC": "The file with user names and passwords, in place of ~/.netrc.",
    "SSL_CERT_FILE, SSL_CERT_DIR": "Certificates to trust in place of the system's, on Linux.",
    "SSLKEYLOGFILE": "The file to write the keys of TLS connections to, for Wireshark.",
}

#: What click says about the numbers that an option takes.
RANGE: Final = re.compile(r"; x[<>]=?[\d.]+(?=\])|  \[x[<>]=?[\d.]+\]")


class DescribedCommand(click.Command):
    """A command whose help has headings, examples, exit statuses and variables.

    :param examples: command lines, each with what it does
    :param success: when the exit status is 0
    :param failure: when it is 1
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[tuple[str, str]] = (),
        success: str = EXIT_STATUSES[0],
        failure: str = EXIT_STATUSES[1],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.exit_statuses: Mapping[int, str] = {**EXIT_STATUSES, 0: success, 1: failure}
        #: Commands that this one names in its help.
        self.others: dict[str, click.Command] = {}

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables of the environment that the command reads, each with its meaning."""
        sends = any("--proxy" in param.opts for param in self.params)
        return {**(REQUEST_VARIABLES if sends else {}), **TERMINAL_VARIABLES}

    def options_by_heading(self, ctx: click.Context) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Return names and help of the options, in the order of the help."""
        records: dict[str, tuple[str, str]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                records[param.opts[-1]] = (record[0], RANGE.sub("", record[1]))
        shared = {
            heading: [records.pop(name) for name in names if name in records]
            for heading, names in HEADINGS.items()
        }
        found = {"Options": list(records.values()), **shared}
        return {heading: options for heading, options in found.items() if options}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, and the names of other commands."""
        sections = dict(self.options_by_heading(ctx))
        if self.others:
            sections["Commands"] = [
                (f"anyhttp {name}", other.get_short_help_str(limit=200))
                for name, other in self.others.items()
            ]
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, exit statuses and variables."""
        if self.examples:
            with formatter.section("Examples"):
                for line, meaning in self.examples:
                    formatter.write(f"  # {meaning}\n  {line}\n")
        with formatter.section("Exit status"):
            formatter.write_dl([(str(code), text) for code, text in self.exit_statuses.items()])
        with formatter.section("Environment"):
            formatter.write_dl(list(self.variables.items()), col_max=16)
