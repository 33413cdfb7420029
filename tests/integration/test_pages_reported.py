"""Pages in a report: a perplexity each, its interval, and who differs; nothing of points that are lost."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.data.results import read_results
from analysis.report.write import Options, write_report
from proctor.settings import Settings
from proctor.store.database.open import open_store
from tests import in_forms


def test_of_pages_the_perplexities_are_the_finding(tmp_path: Path) -> None:
    with open_store(Settings.read({"PROCTOR_HOME": str(tmp_path)})) as store:
        results = read_results(store, [in_forms.sit_forms(store, "pages", [in_forms.pages()])])
        report = write_report(results, tmp_path / "report", Options(("md", "csv")), datetime.now(UTC))
    page = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert "points are lost" not in page
    assert "Overlap of mistakes" not in page
    (sentences,) = report.findings
    assert "has the lowest word perplexity" in sentences[0]
    assert len(sentences) == 3
    assert all("times as large: " in one for one in sentences[1:])
    rows = list(csv.DictReader((tmp_path / "report" / "perplexity.csv").read_text("utf-8-sig").splitlines()))
    assert rows[0]["verdict"] == "lowest"
    values = [float(row["word perplexity"]) for row in rows]
    assert values == sorted(values)
    (panel,) = results.panels
    assert panel.perplexities is not None
    assert values == pytest.approx(sorted(one.estimate for one in panel.perplexities), rel=1e-4)
    for row in rows[1:]:
        apart = float(row["low of it"]) > 1 or float(row["high of it"]) < 1
        assert (row["verdict"] == "a difference") == apart
