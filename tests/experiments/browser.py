"""Reports as a reader sees them: opened in Chromium, in light and dark, on a desk and on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCHEMES = ("light", "dark")
DESK = {"width": 1200, "height": 900}
PHONE = {"width": 390, "height": 844}

LEGIBLE = 4.5
"""Contrast of text to what is behind it, as WCAG 2 asks for."""

VISIBLE = 3.0
"""Contrast of what is drawn."""

LOOK = (Path(__file__).with_name("look.js")).read_text()


def check_report(path: Path, plots: int) -> None:
    """Fail if a report is not right: it loads by itself, and all plots are there, drawn and legible."""
    with browser() as chromium:
        for scheme in SCHEMES:
            for size in (DESK, PHONE):
                found = look(chromium, path, scheme, size)
                assert found["wide"] <= size["width"], "it must not scroll sideways"
                assert len(found["plots"]) == plots, f"{len(found['plots'])} plots"
                for plot in found["plots"]:
                    check_plot(plot, f"{scheme}, {size['width']} px: {plot['title']}")
                faint = [each for each in found["texts"] if each["contrast"] < LEGIBLE]
                assert not faint, f"{scheme}: too faint: {faint}"


def check_plot(plot: dict[str, Any], which: str) -> None:
    assert plot["title"], which
    assert plot["width"] > 200, which
    assert plot["height"] > 50, which
    assert plot["axes"] >= 4, f"{which}: numbers and names at the axes"
    assert plot["labels"], which
    assert plot["drawn"] == list(range(len(plot["labels"]))), f"{which}: all that the legend names is drawn"
    assert min(plot["contrasts"]) >= VISIBLE, which


@contextmanager
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    assert executable, "chromium is missing: make tools installs it"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield chromium
        chromium.close()


def look(chromium: Browser, path: Path, scheme: Any, size: Any) -> dict[str, Any]:
    """Open a report and return what there is to see; fail if it has errors, or asks for anything else."""
    page = chromium.new_page(viewport=size, color_scheme=scheme)
    heard = listen(page)
    page.goto(path.absolute().as_uri())
    found: dict[str, Any] = page.evaluate(LOOK)
    page.close()
    assert heard == [f"request {path.absolute().as_uri()}"], f"{heard}: a report needs nothing else"
    return found


def listen(page: Page) -> list[str]:
    """Return a list that fills with all that the page asks for, and with what goes wrong."""
    heard: list[str] = []
    page.on("request", lambda request: heard.append(f"request {request.url}"))
    page.on("console", lambda message: heard.append(f"console {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error {error}"))
    return heard
