"""What the benchmark makes of its figures: comparisons, tables, plots, files.  Nothing is measured here."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("bench/")

CHART = {"name": "a-chart", "title": "A chart", "x": "descriptors", "y": "ns per event"}


def row(name: str, ours: list[float], peer: list[float], target: float | None = None) -> Any:
    from bench.results import Result

    return Result("case", name, "event", target, True, {"ours": ours, "peer": peer, "peer, again": list(peer)})


def point(at: float, absent: dict[str, str] | None = None, **samples: list[float]) -> Any:
    from bench.results import Point

    named = {name.replace("_", " "): figures for name, figures in samples.items()}
    named["C epoll, again"] = list(named["C epoll"])
    return Point(
        "case", f"a-chart, {at:g}", CHART, at, "event", "C epoll", "knote epoll", 1.3, absent or {}, named
    )  # fmt: skip


def test_a_change_is_more_than_the_noise() -> None:
    from bench.compare import changes, markdown

    old = [row("slower", [10, 10, 10], [10, 10, 10]), row("same", [10, 11, 12], [10, 10, 10])]
    new = [row("slower", [12, 12, 12], [10, 10, 10]), row("same", [11, 11, 12], [10, 10, 10])]
    assert [(one.row, one.word) for one in changes(old, new)] == [("slower", "worse"), ("same", "")]
    assert [one.word for one in changes(new, old)] == ["better", ""]
    said = markdown(({}, old), ({}, new), "old.json")
    assert "| worse | case | slower | 1 × (1–1) | 1.2 × (1.2–1.2) | +20% | ± 2% |" in said
    assert said.endswith("0 better, 1 worse, 1 within the noise.")


def test_a_comparison_says_what_else_is_not_as_it_was() -> None:
    """Another engine or build is no change of what is measured."""
    from bench.compare import markdown

    facts = {"python": "3.11.7", "build": "interpreted", "engine": "", "date": "2026-01-01", "cores": 2}
    here = facts | {"build": "compiled", "engine": "poll", "date": "2026-02-02", "compiler": "cc 12"}
    facts["realtime"], here["realtime"] = True, False
    rows = [row("a row", [1.0], [2.0])]
    told = "build interpreted (now compiled), engine not said (now poll), real-time priority yes (now no)"
    assert f"1 rows in both. It was measured otherwise: {told}." in markdown((facts, rows), (here, rows), "old.json")
    assert "otherwise" not in markdown((facts, rows), (facts, rows), "old.json")


def test_a_noisy_run_hides_a_change() -> None:
    from bench.compare import changes
    from bench.results import Result

    def noisy(ours: float) -> Any:
        samples = {"ours": [ours] * 3, "peer": [10.0] * 3, "peer, again": [6.0, 10.0, 15.0]}
        return Result("case", "row", "event", None, True, samples)

    assert [one.word for one in changes([noisy(10)], [noisy(12)])] == [""]


def test_charts_are_compared_contender_by_contender() -> None:
    from bench.compare import changes, only_in

    old, new = [point(10, knote_epoll=[20.0], C_epoll=[10.0])], [point(10, knote_epoll=[15.0], C_epoll=[10.0])]
    assert [(one.row, one.word) for one in changes(old, new)] == [("knote epoll: a-chart, 10", "better")]
    assert (only_in(old, new), only_in([*old, point(20, knote_epoll=[1.0], C_epoll=[1.0])], new)) == (0, 1)


def test_a_document_is_read_back() -> None:
    from bench import results

    outcome = [
        row("a row", [1.0], [2.0], 1.2), point(10, {"libev": "why"}, knote_epoll=[20.0], C_epoll=[10.0]),
        results.Skipped("other", "no compiler"),
    ]  # fmt: skip
    machine, read = results.parsed(results.document({"python": "3"}, {}, outcome))
    assert (machine, read) == ({"python": "3"}, outcome)
    for text in ("{}", "[]", "no JSON", '{"machine": 1, "results": []}'):
        with pytest.raises(ValueError):
            results.parsed(text)


def test_a_point_with_a_target_is_a_row_as_well() -> None:
    from bench.results import results

    (answer,) = results([point(10, knote_epoll=[20.0], C_epoll=[10.0])])
    assert (answer.row, answer.measured.median, answer.verdict) == ("knote epoll: a-chart, 10", 2.0, "missed")
    assert results([point(10, C_epoll=[10.0])]) == []


def test_rounds_of_processes_add_up_by_contender() -> None:
    from bench.results import merged

    both = point(10, knote_epoll=[20.0], knote_poll=[5.0], C_epoll=[10.0])
    alone = point(10, knote_epoll=[22.0], C_epoll=[11.0])
    (found,) = merged([both, alone])
    assert found.samples["knote epoll"] == [20.0, 22.0]
    assert "knote poll" not in found.samples and "knote poll" in found.absent


def test_tables_of_a_chart() -> None:
    from bench import report, tables

    points = [
        point(10, {"libev": "ev.h is not installed"}, knote_epoll=[20.0], C_epoll=[10.0], **{"select.epoll": [15.0]}),
        point(20_000, {"libev": "ev.h is not installed"}, knote_epoll=[2e6], C_epoll=[1e4]),
    ]
    said = report.whole("about", points)
    assert "| ns per event \\ descriptors | 10 | 20000 |" in said
    assert "| **knote epoll** | 20 ± 0% (2 ×) | 2M ± 0% (200 ×) |" in said
    assert "Not here: libev: ev.h is not installed." in said
    assert "C epoll against itself: 1.00 × (1.00–1.00)" in said
    losses = tables.losses(points)
    assert "| a-chart: A chart, at 10 | knote epoll | select.epoll | 1.33 × | 1.33–1.33 |" in losses
    assert tables.losses([]) == "Nowhere in this run."


@pytest.mark.parametrize(
    ("value", "told"), [(0.423, "0.423"), (12.34, "12.3"), (1540.4, "1540"), (46_000, "46k"), (1.83e6, "1.83M")]
)
def test_numbers_have_three_digits(value: float, told: str) -> None:
    from bench.tables import number

    assert number(value) == told


def test_places_of_a_chart_are_thinned_out_from_end_to_end() -> None:
    from bench.model import Settings

    assert Settings().along((1, 10, 100, 1000), most=100) == [1, 10, 100]
    assert Settings(places=3).along((1, 2, 3, 4, 5)) == [1, 3, 5]
    assert Settings(scale=0.1).along((1, 10, 100), least=2) == [2, 10]


def test_heavy_cases_have_one_process_and_a_scale_of_their_own() -> None:
    from bench.model import Case, Settings

    def rows(_settings: Settings) -> Any:
        raise NotImplementedError

    settings = Settings(processes=3, heavy=0.1)
    assert Case("light", "?", rows).fitted(settings) == settings
    fitted = Case("heavy", "?", rows, heavy=True).fitted(settings)
    assert (fitted.processes, fitted.scale) == (1, 0.1)


def test_a_page_is_written_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import output

    monkeypatch.setattr(output, "pictures", lambda *_: "")
    page = tmp_path / "performance.md"
    for broken in (None, "no marks\n", f"{output.BEGIN}\n"):
        if broken is not None:
            page.write_text(broken)
        with pytest.raises(output.Unwritable, match=r"performance\.md: "):
            output.page(tmp_path, "about", "machine", [])
    page.write_text(f"before\n{output.BEGIN}\nold\n{output.END}\nafter\n")
    output.page(tmp_path, "about", "machine", [row("a row", [1.0], [2.0])])
    written = page.read_text()
    assert written.startswith(f"before\n{output.BEGIN}\nabout\n") and written.endswith(f"{output.END}\nafter\n")
    assert "old" not in written and "| case | a row | 0.50 × |" in written


def test_a_file_of_an_earlier_run_survives_a_full_disk(tmp_path: Path) -> None:
    from bench import output

    kept = tmp_path / "results.json"
    kept.write_text("earlier")
    with pytest.raises(UnicodeEncodeError):
        output.write(kept, "\ud800")
    assert kept.read_text() == "earlier" and os.listdir(tmp_path) == ["results.json"]


def test_where_nothing_can_be_written_is_said_before_the_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import __main__ as program
    from bench import output

    (tmp_path / "file").write_text("")
    assert program.main(["--out", str(tmp_path / "file")], "knote bench") == 2
    assert program.main(["--docs", str(tmp_path)], "knote bench") == 2
    assert program.main(["--compare", str(tmp_path / "none.json")], "knote bench") == 2
    assert program.main(["--compare", str(tmp_path / "file")], "knote bench") == 2
    said = capfd.readouterr().err.splitlines()
    assert said[0].startswith(f"knote bench: {tmp_path}/file: File exists: nothing was measured")
    assert said[1] == f"knote bench: {tmp_path}/performance.md: No such file or directory"
    assert said[2] == f"knote bench: --compare: {tmp_path}/none.json: No such file or directory"
    assert said[3].startswith(f"knote bench: --compare: {tmp_path}/file: ")
    monkeypatch.setattr(output, "ROOM", 1 << 50)
    with pytest.raises(output.Unwritable, match="No space left on device|File too large"):
        output.check(tmp_path)


def test_ctrl_c_leaves_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from bench import __main__ as program
    from bench import worker

    def ask(case: str, settings: Any) -> Any:
        yield row(f"of {case}", [1.0], [2.0])
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "ask", ask)
    monkeypatch.setattr(program, "ask_for_io_uring", lambda: None)
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    file = tmp_path / "out.json"
    with pytest.raises(KeyboardInterrupt):
        program.main(["--only", "wake", "--only", "serve", "--json", str(file), "--plain"], "knote bench")
    assert [one["row"] for one in json.loads(file.read_text())["results"]] == ["of serve"]
    assert "knote bench: interrupted: above is what was measured" in capfd.readouterr().err


@pytest.mark.needs("matplotlib")
@pytest.mark.leaves("matplotlib keeps its fonts open, and a thread of its arithmetic")
def test_plots_say_what_they_show(tmp_path: Path) -> None:
    from bench import plots

    places = [point(at, knote_epoll=[2.0 * at, 3.0 * at], C_epoll=[1.0, 1.1], libev=[1.0, 1.2]) for at in (1, 1000)]
    plots.draw("a-chart", places, "knote 1.2.3", tmp_path, ("svg",))
    drawn = (tmp_path / "a-chart.svg").read_text()
    for text in ("A chart", "descriptors (log scale)", "ns per event (log scale; lower is better)", "knote 1.2.3"):
        assert text in drawn
    for name in ("knote epoll", "C epoll", "libev"):
        assert f">{name}<" in drawn
    assert "C epoll, again" not in drawn
    # What the colours stand for, those that are there.
    for whose, said in (("knote", True), ("a loop in C", True), ("a library in C", True), ("else in Python", False)):
        assert (f">{whose}<" in drawn) == said


@pytest.mark.needs("matplotlib")
@pytest.mark.leaves("matplotlib keeps its fonts open, and a thread of its arithmetic")
@pytest.mark.parametrize("x", ["pipes", ""])
@pytest.mark.parametrize(("low", "high"), [(2.1, 2.6), (300.0, 900.0), (300.0, 9000.0), (1.0, 1e6)])
def test_plots_have_numbers_at_their_axes_and_room_for_names(x: str, low: float, high: float) -> None:
    from bench import plots

    long = "knote uring-poll, by edge, reading all"
    places = [
        dataclasses.replace(point(at, **{"C_epoll": [low], long: [high]}), chart=CHART | {"x": x}) for at in (100, 1000)
    ]
    pyplot = plots.library()
    figure = plots._lines(pyplot, places) if x else plots._dots(pyplot, places)
    figure.canvas.draw()
    (axes,) = figure.axes
    axis, (least, most) = (axes.yaxis, axes.get_ylim()) if x else (axes.xaxis, axes.get_xlim())
    assert sum(least <= at <= most for at in axis.get_majorticklocs()) >= 2
    told = [text for text in axes.texts if text.get_text() == long]
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in told) and bool(told) == bool(x)
    pyplot.close(figure)


def test_the_kind_of_a_contender_is_its_colour() -> None:
    from bench.plots import kind

    names = ("knote poll", "asyncio on knote", "select.epoll", "asyncio", "C select", "libev")
    assert [kind(name) for name in names] == ["knote", "knote", "Python", "Python", "C", "library"]


def test_whoever_cannot_take_part_is_noted_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import team as room
    from bench.model import Contender, Unavailable

    def unavailable() -> Contender:
        raise Unavailable("ev.h is not installed: apt install libev-dev")

    def refused(name: str, _open: object) -> Contender:
        if name == "knote second":
            raise OSError(12, "Cannot allocate memory")
        return Contender(name)

    engines = {"first": "", "second": "", "third": "seccomp forbids it"}
    monkeypatch.setattr(room, "engines", lambda: engines)
    team = room.Team()
    team.engines(refused)
    team.add("libev", unavailable)
    assert [one.name for one in team.contenders] == ["knote first"]
    assert team.absent == {
        "knote second": "[Errno 12] Cannot allocate memory",
        "knote third": "seccomp forbids it",
        "libev": "ev.h is not installed: apt install libev-dev",
    }
    assert room.default() in ("knote first", f"knote {os.environ.get('KNOTE_ENGINE')}")


def test_a_missing_header_is_said_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import native, peers
    from bench.model import Unavailable

    def compiled(source: str, *_options: str, libraries: object) -> Path:
        raise Unavailable(f"{source} does not compile: fatal error: uv.h: No such file or directory")

    monkeypatch.setattr(native, "compiled", compiled)
    peers._loaded.cache_clear()
    (libuv,) = (peer for peer in peers.PEERS if peer.name == "libuv")
    with pytest.raises(Unavailable, match=r"^uv\.h is not installed: apt install libuv1-dev$"):
        libuv.load()


def test_what_is_there_only_while_it_is_measured() -> None:
    import contextlib
    from collections.abc import Iterator

    from bench.team import Opened

    opened: list[str] = []

    @contextlib.contextmanager
    def open() -> Iterator[Any]:
        opened.append("open")
        yield lambda turns: turns * 1_000_000
        opened.append("close")

    contender = Opened("a name", open, units=10)
    assert (contender.sample(0.01), contender.sample(0.01)) == (100_000, 100_000)
    assert opened == ["open", "close"] * 2


def test_one_of_many_that_fails_is_left_out() -> None:
    from bench import runner
    from bench.model import Chart, Contender, Field, Settings

    class Fake(Contender):
        def sample(self, seconds: float) -> float:
            if self.name == "knote third":
                raise OSError(9, "Bad file descriptor")
            return 2.0

    everybody = [Fake(name) for name in ("knote first", "knote third", "C epoll")]
    field = Field(Chart("a-chart", "A chart", ""), 1, everybody, "C epoll", {"libev": "why"})
    samples = runner.measure(field, Settings(rounds=2, seconds=0.0))
    assert sorted(samples) == ["C epoll", "C epoll, again", "knote first"]
    assert field.absent == {"libev": "why", "knote third": "failed: [Errno 9] Bad file descriptor"}
    field = Field(Chart("a-chart", "A chart", ""), 1, everybody, "knote third")
    with pytest.raises(OSError, match="Bad file descriptor"):
        runner.measure(field, Settings(rounds=2, seconds=0.0))


def test_a_case_whose_process_dies_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import __main__ as program
    from bench import worker
    from bench.model import Settings
    from bench.results import Skipped

    def ask(case: str, _settings: Settings) -> Any:
        if case == "wake":
            raise RuntimeError("wake: the process that measures ended with -31")
        yield row(f"of {case}", [1.0], [2.0])

    monkeypatch.setattr(worker, "ask", ask)
    outcome, spent, ended = program.measure(["wake", "nested"], Settings(processes=1), True)
    assert spent.keys() == {"wake", "nested"} and ended is None
    assert outcome[0] == Skipped("wake", "wake: the process that measures ended with -31")
    assert outcome[1].row == "of nested"  # type: ignore[union-attr]
