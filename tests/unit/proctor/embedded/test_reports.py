"""Reports between processes arrive as they were sent, however the pipe cuts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.embedded.reports import LineReader, Report, ReportKind
from proctor.errors import BrokerUnavailable

REPORTS = st.builds(
    Report, st.sampled_from(ReportKind), st.text(), st.text(), st.text(), st.integers(min_value=0, max_value=2**31)
)


@given(REPORTS)
def test_a_report_is_read_back_as_it_was(report: Report) -> None:
    assert Report.from_line(report.to_line()) == report


@given(st.lists(REPORTS, max_size=5), st.lists(st.integers(min_value=1, max_value=50)))
def test_lines_are_whole_however_the_pipe_cuts_them(reports: list[Report], cuts: list[int]) -> None:
    sent = b"".join(report.to_line() for report in reports)
    reader, heard = LineReader(), list[bytes]()
    for size in [*cuts, len(sent)]:
        piece, sent = sent[:size], sent[size:]
        heard += reader.feed(piece)
    heard += reader.feed(sent)
    assert [Report.from_line(line) for line in heard] == reports


@pytest.mark.parametrize("line", [b"", b"hello", b"[]", b"{}", b'{"kind": "no such kind"}', b"\xff"])
def test_anything_else_is_no_report(line: bytes) -> None:
    with pytest.raises(BrokerUnavailable, match="no report"):
        Report.from_line(line)
