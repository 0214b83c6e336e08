"""Reports: what is written, and what a reader sees."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import resource
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from penstock.experiments import Line, Plot, files
from penstock.experiments.files import FileError
from penstock.experiments.report import ReportError, check, colours, thinning, write
from penstock.experiments.report.picture import draw
from penstock.experiments.result import Kind
from tests.experiments.browser import check_report
from tests.experiments.made import made


def test_a_reader_sees_all_plots(tmp_path: Path) -> None:
    check_report(write(tmp_path, [made()]), plots=6)


def test_several_results_make_one_report(tmp_path: Path) -> None:
    path = write(tmp_path / "new" / "one", [made("first"), made("second")], "mine")
    assert path == tmp_path / "new" / "one" / "mine.html"
    check_report(path, plots=12)
    found = json.loads(path.with_suffix(".json").read_text())
    assert [each["experiment"] for each in found] == ["first", "second"]


def test_a_report_that_lacks_a_line_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path, [made()])
    page = path.read_text()
    path.write_text(re.sub(r'(<g id="made-goodput-line-1-0")', r'\1 style="display: none"', page))
    with pytest.raises(AssertionError, match="legend names is drawn"):
        check_report(path, plots=6)


@pytest.mark.parametrize(
    ("added", "noticed"),
    [
        ('<img src="http://127.0.0.1:9/x.png">', "request"),
        ("<script>throw new Error('x')</script>", "error"),
        ("<p style='color: #888; background: #999'>faint</p>", "too faint"),
        ("<p style='width: 2000px'>wide</p>", "sideways"),
    ],
)
def test_a_page_that_is_wrong_is_noticed(tmp_path: Path, added: str, noticed: str) -> None:
    path = write(tmp_path, [made()])
    path.write_text(path.read_text().replace("</body>", f"{added}</body>"))
    with pytest.raises(AssertionError, match=noticed):
        check_report(path, plots=6)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("report"), [made()]).read_text()


class TestPage:
    def test_it_says_how_to_repeat_it(self, page: str) -> None:
        command = "penstock lab run made --duration 5s --runs 3 --seed 1 --own-rate &#x27;10 mbit&#x27;"
        assert f"<pre>{command}</pre>" in page

    def test_text_is_escaped(self, page: str) -> None:
        assert "What &lt;nobody&gt; measured." in page
        assert "a &lt;b&gt; &amp; &#x27;c&#x27;" in page
        assert "<nobody>" not in page
        assert "<time>" not in page

    def test_dollars_are_no_formula(self, page: str) -> None:
        assert "$5 &gt; $4" in page

    def test_ids_are_unique(self, page: str) -> None:
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) <= set(ids)

    def test_all_colours_are_of_the_style_sheet(self, page: str) -> None:
        pictures = "".join(re.findall(r"<figure.*?</figure>", page, re.DOTALL))
        assert "var(--c0)" in pictures
        assert not re.findall(r":\s*#[0-9a-f]{3,8}", pictures)

    def test_data_beside_a_plot_are_all_of_it(self, page: str) -> None:
        encoded = re.findall(r'download="made-rtts.json" href="data:application/json;base64,([^"]+)"', page)
        assert json.loads(base64.b64decode(encoded[0])) == made().plots[4].as_json()

    def test_medians_have_their_spread(self, page: str) -> None:
        assert '<td>93.4 <span class="quiet">(91.2\u201394.0)</span></td>' in page


def test_pictures_are_the_same_again() -> None:
    looks = colours.looks(made().plots)
    for plot in made().plots:
        assert draw(plot, looks, "x") == draw(plot, looks, "x")


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("log", [False, True])
def test_a_line_without_data_is_no_error(kind: Kind, *, log: bool) -> None:
    plot = Plot(
        "x",
        "x",
        "x",
        "y",
        [Line("none", []), Line("few", [0.0, 1.0], [0.0, 1.0])],
        kind,
        log_x=log,
        log_y=log,
    )
    assert draw(plot, colours.looks([plot]), "x").startswith("<svg")


def test_whiskers_of_rounded_values() -> None:
    plot = Plot("x", "x", "x", "y", [Line("x", [1.0], ["a"], low=[1.00001], high=[0.99999])], "bars")
    assert draw(plot, colours.looks([plot]), "x").startswith("<svg")


class TestCheck:
    def test_without_matplotlib(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        with pytest.raises(ReportError, match=re.escape("pip install 'penstock[lab]'")):
            check(tmp_path, "made")

    def test_a_directory_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(FileError, match="file/report: Not a directory"):
            check(tmp_path / "file" / "report", "made")

    def test_it_leaves_only_the_directory(self, tmp_path: Path) -> None:
        check(tmp_path / "report", "made")
        assert list((tmp_path / "report").iterdir()) == []


class TestFiles:
    def test_a_missing_directory(self, tmp_path: Path) -> None:
        with pytest.raises(FileError, match=re.escape("x/data.json: No such file or directory")):
            files.check(tmp_path / "x" / "data.json")

    def test_a_directory(self, tmp_path: Path) -> None:
        with pytest.raises(FileError, match="Is a directory"):
            files.check(tmp_path)

    def test_what_fails_leaves_the_file_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "data.json"
        files.write(path, "before")
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
        try:
            with pytest.raises(FileError, match="File too large"):
                files.write(path, "x" * 2000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert path.read_text() == "before"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_link_stays_one(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "file")
        files.write(tmp_path / "link", "text")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "file").read_text() == "text"

    def test_devices_are_written_to(self) -> None:
        files.check(Path("/dev/null"))
        files.write(Path("/dev/null"), "text")
        assert Path("/dev/null").is_char_device()


class TestColours:
    def test_a_label_has_one_everywhere_and_those_of_a_plot_differ(self) -> None:
        labels = [f"{number}" for number in range(12)]
        plots = [
            Plot("x", "x", "x", "x", [Line(label, [1]) for label in part])
            for part in (labels[:3], labels[2:8], labels)
        ]
        found = colours.looks(plots)
        assert len({(look.colour, tuple(look.dashes)) for look in found.values()}) == 12
        assert [found[label].colour for label in labels[:8]] == list(range(8))

    def test_plots_that_share_no_label_share_colours_last(self) -> None:
        plots = [
            Plot("x", "x", "x", "x", [Line(f"{number}-{index}", [1]) for index in range(5)])
            for number in range(2)
        ]
        found = colours.looks(plots)
        assert not any(look.dashes for look in found.values())
        assert len({look.colour for look in found.values()}) == 8


class TestThinning:
    def test_no_extreme_is_lost(self) -> None:
        x = np.linspace(0, 10, 100_000)
        y = np.sin(x)
        y[31_234], y[77_777] = 50, -50
        kept = thinning.extremes(x, y, y - 1, y + 1)
        assert len(kept) < 6 * thinning.COLUMNS
        assert {31_234, 77_777} <= set(kept)
        assert (np.diff(kept) > 0).all()

    def test_points_keep_their_places(self) -> None:
        random = np.random.default_rng(1)
        x, y = random.normal(size=(2, 50_000))
        kept = thinning.distinct(x, y)

        def places(chosen: np.ndarray) -> set[tuple[int, int]]:
            across = ((x[chosen] - x.min()) / np.ptp(x) * thinning.COLUMNS).astype(int)
            up = ((y[chosen] - y.min()) / np.ptp(y) * thinning.ROWS).astype(int)
            return set(zip(across.tolist(), up.tolist(), strict=True))

        assert len(places(np.arange(len(x))) - places(kept)) <= 4  # the edges are in the places next to them
        assert len(kept) < len(x)

    def test_few_are_all_kept(self) -> None:
        x = np.arange(thinning.MOST, dtype=float)
        assert len(thinning.extremes(x, x)) == len(thinning.distinct(x, x)) == thinning.MOST

    def test_many_in_one_place(self) -> None:
        x = np.ones(5000)
        y = np.arange(5000.0)
        assert set(thinning.extremes(x, y)) == {0, 4999}

    def test_a_picture_of_many_points_is_small(self) -> None:
        plot = made().plots[0]
        x = list(np.linspace(0, 1, 200_000))
        many = replace(plot, lines=[Line("fifo", x, x)])
        assert len(draw(many, colours.looks([many]), "x")) < 100_000
