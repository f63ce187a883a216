"""The table of `make bench`, and what becomes of a benchmark that fails."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

FOLDER = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", ["python benchmarks"])
    spec = importlib.util.spec_from_file_location("evertick_bench", FOLDER / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "evertick_bench", module)
    spec.loader.exec_module(module)
    return module


def test_every_group_is_a_module_with_rows(bench: ModuleType) -> None:
    for group in bench.GROUPS:
        assert "\ndef rows(quick: bool" in (FOLDER / f"{group.name}.py").read_text(), group.name


def test_a_row_shows_both_figures_their_ratio_and_a_missed_aim(bench: ModuleType) -> None:
    rows = [
        bench.Row("one", "a release", 2.0, 8.0, "ms", "gc.collect() per run", 0.5),
        bench.Row("two", "a peak", 12.5, 5.0, "MiB", "limit", 1.0, note="7 MB of HTML"),
    ]
    text = bench.as_text(rows)
    assert [line.split() for line in text.splitlines() if line.startswith("a release")] == [
        ["a", "release", "2", "8", "ms", "0.25×", "≤", "0.5", "gc.collect()", "per", "run"]
    ]
    assert "≤ 1 MISSED  limit (7 MB of HTML)" in text
    assert "| a peak | 12.5 | 5 | MiB | 2.5× | ≤ 1 MISSED | limit (7 MB of HTML) |" in bench.as_markdown(rows)


def test_a_benchmark_that_fails_is_a_row_and_exit_code_1_and_the_others_go_on(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fine.py").write_text(
        "from row import Row\ndef rows(quick: bool):\n    print('noise')\n    yield Row('fine', 'one', 1.0, 2.0, 's', 'peer')\n"
    )
    (tmp_path / "broken.py").write_text(
        (tmp_path / "fine.py").read_text().replace("fine", "broken")
        + "    raise RuntimeError('its server never came')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(bench, "GROUPS", (bench.Group("broken", "fails half-way"), bench.Group("fine", "works")))
    monkeypatch.setattr(sys, "argv", ["python benchmarks", "--json", str(tmp_path / "bench.json")])
    assert bench.main() == 1
    said = capsys.readouterr().out
    assert "this benchmark failed" in said
    assert "its server never came" in said
    found = json.loads((tmp_path / "bench.json").read_text())
    assert [(r["group"], r["what"]) for r in found["rows"]] == [
        ("broken", "one"),
        ("broken", "this benchmark failed"),
        ("fine", "one"),
    ]
    assert found["failed"] == ["broken"]


def test_a_curve_has_its_power_from_point_to_point_and_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    from scale_plot import drawn, slope

    assert slope([(1, 5.0), (10, 5.0), (100, 50.0), (1_000, 5_000.0)]) == [
        (1, 10, 0.0),
        (10, 100, 1.0),
        (100, 1_000, 2.0),
    ]
    svg = ElementTree.fromstring(drawn("Time & size", "reports", "ms", {"a page": [(1, 0.0), (10, 2.0), (100, 40.0)]}))
    assert len(svg.findall(".//{*}circle")) == 2  # nothing is no point on a logarithmic axis
    assert "a page" in [each.text for each in svg.iter()]
