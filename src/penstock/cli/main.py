"""The command line: `penstock COMMAND`. Exit status 0: done; 1: something failed, and why; 2: wrong usage."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Final

import click

COMMANDS: Final = ("rtt", "queue", "lab", "bench", "doctor")
"""Each is the file of that name beside this one, and `command` in it."""


class LazyGroup(click.Group):
    """Imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or None."""
        del ctx
        return import_module(f"penstock.cli.{cmd_name}").command if cmd_name in COMMANDS else None


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog='Tab completion: eval "$(_PENSTOCK_COMPLETE=bash_source penstock)" (or zsh_source, fish_source).',
)
@click.version_option(package_name="penstock", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Passive latency measurement and packet queues, run by the kernel as verified BPF."""
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        context.color = False
