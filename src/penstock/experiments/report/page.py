"""The page of a report."""

from __future__ import annotations

import base64
import json
import os
import platform
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

import penstock
from penstock.experiments.report.colours import Look, looks
from penstock.experiments.report.picture import draw
from penstock.experiments.table import cell, figures, heading

if TYPE_CHECKING:
    from penstock.experiments.result import Line, Plot, Result

_STYLE: Final = Path(__file__).with_name("style.css")

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<h1>{title}</h1>
<p class="quiet">{machine}</p>
{contents}
{sections}
</body>
</html>
"""


def page(results: Sequence[Result]) -> str:
    """Return the report as HTML."""
    colours = looks([plot for result in results for plot in result.plots])
    return _PAGE.format(
        title=escape(f"Penstock lab: {', '.join(result.experiment for result in results)}"),
        style=_STYLE.read_text(encoding="utf-8"),
        machine=escape(_machine()),
        contents=_contents(results) if len(results) > 1 else "",
        sections="\n".join(_section(result, colours) for result in results),
    )


def _machine() -> str:
    """Where and when: of all that a figure depends on, what the parameters do not say."""
    now = datetime.now().astimezone()
    linux = f"Linux {platform.release()} on {platform.machine()}"
    return f"penstock {penstock.__version__} · {linux} · {os.cpu_count()} CPUs · {now:%Y-%m-%d %H:%M %Z}"


def _contents(results: Sequence[Result]) -> str:
    links = (f'<a href="#{escape(each.experiment)}">{escape(each.experiment)}</a>' for each in results)
    return f"<nav>{' · '.join(links)}</nav>"


def _section(result: Result, colours: Mapping[str, Look]) -> str:
    name = escape(result.experiment)
    pictures = (_figure(plot, colours, f"{result.experiment}-{plot.name}") for plot in result.plots)
    parameters = ([escape(key), escape(value)] for key, value in result.parameters.items())
    return f"""<section id="{name}">
<h2>{name}</h2>
<p>{escape(result.summary)}</p>
{_results(result)}
<div class="plots">
{"".join(pictures)}</div>
<h3>To repeat it</h3>
<pre>{escape(_command(result))}</pre>
<details>
<summary>All parameters</summary>
{_table(["parameter", "value"], parameters)}
</details>
</section>"""


def _command(result: Result) -> str:
    if result.command:
        return result.command
    options = ((f"--{name.replace('_', '-')}", value) for name, value in result.parameters.items())
    return shlex.join(["penstock", "lab", "run", result.experiment, *chain.from_iterable(options)])


def _results(result: Result) -> str:
    names = figures(result.results)
    heads = (" ".join([escape(what), _quiet(unit)]) for what, unit in map(heading, names))
    return _table(heads, ([_cell(cell(row, name)) for name in names] for row in result.results))


def _cell(text: str) -> str:
    median, bracket, spread = escape(text).partition(" (")
    return f"{median} {_quiet(bracket.strip() + spread)}" if spread else median


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of HTML."""
    head = "".join(f"<th>{each}</th>" for each in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{each}</td>' for each in row)}</tr>" for row in rows)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'


def _quiet(text: str) -> str:
    return f'<span class="quiet">{escape(text)}</span>'


def _figure(plot: Plot, colours: Mapping[str, Look], name: str) -> str:
    keys = "".join(_key(line, colours[line.label]) for line in plot.lines)
    data = base64.b64encode(json.dumps(plot.as_json()).encode()).decode()
    return f"""<figure aria-label="{escape(plot.title)}">
<figcaption>
<h3>{escape(plot.title)}</h3>
<p class="quiet">{escape(plot.note)}</p>
<ul class="legend">{keys}</ul>
</figcaption>
{draw(plot, colours, name)}
<a class="data" download="{escape(name)}.json" href="data:application/json;base64,{data}">data</a>
</figure>
"""


def _key(line: Line, look: Look) -> str:
    """What a label looks like in the picture."""
    dashes = " ".join(map(str, look.dashes))
    stroke = f"stroke: var(--c{look.colour}); stroke-width: 4; stroke-dasharray: {dashes or 'none'}"
    return f'<li><svg viewBox="0 0 28 11"><path d="M0 6h28" style="{stroke}"/></svg>{escape(line.label)}</li>'
