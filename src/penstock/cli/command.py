"""What all commands have in common: how they fail."""

from __future__ import annotations

import json
import logging
from typing import IO, Any

import click

from penstock.errors import PenstockError

_DEBUG = "penstock.debug"
_STREAMING = "penstock.streaming"


class Command(click.Command):
    """A command whose errors are one line on stderr, and exit status 1; `--debug` shows where they came from.

    If JSON was asked for, `{"error": …}` goes to stdout, too, unless a stream of results has begun there.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        text = "Show where errors come from."
        self.params.append(
            click.Option(["--debug"], is_flag=True, expose_value=False, callback=_keep, help=text)
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, with what the package logs on stderr."""
        logging.basicConfig(format="penstock: %(message)s")
        logging.getLogger("penstock").setLevel(logging.INFO)
        try:
            return super().invoke(ctx)
        except PenstockError as error:
            if ctx.meta[_DEBUG]:
                raise
            click.echo(f"penstock: {error}", err=True)
            if _wants_json(ctx) and _STREAMING not in ctx.meta:
                click.echo(json.dumps({"error": str(error)}))
            ctx.exit(1)


class Refused(click.UsageError):
    """A value on the command line that cannot be: one line on stderr says why, and exit status 2."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it, without the usage, which is not what is wrong."""
        click.echo(f"penstock: {self.format_message()}", file=file, err=True)


def begin_stream() -> None:
    """Say that results go to stdout from now on, in a format of their own: errors leave it alone."""
    click.get_current_context().meta[_STREAMING] = True


def _wants_json(ctx: click.Context) -> bool:
    return ctx.params.get("as_json") in (True, "-") or ctx.params.get("format") in ("json", "jsonl")


def _keep(ctx: click.Context, option: click.Parameter, value: object) -> None:
    """Keep a flag where `invoke` finds it."""
    del option
    ctx.meta[_DEBUG] = value
