"""What an attempt at a Run is said to have cost."""

from __future__ import annotations

from proctor.nouns.runs import Cost, Measures
from tests import tiny
from workers.engines.scoring import Prepared
from workers.run.costs import AttemptCosts
from workers.run.replies import PackReplies


def test_costs_of_the_same_kind_add_up_and_no_other() -> None:
    with AttemptCosts(tiny.CPU) as costs:
        costs.loaded(Cost(1.0))
        costs.prepared(Prepared((), (), tokenizing=Cost(2.0), padded=False, prefilling=Cost(4.0), prefix_tokens=7))
        costs.answered(PackReplies((), tokens_computed=100, tokens_saved=14, cost=Cost(8.0)))
        costs.answered(PackReplies((), tokens_computed=10, tokens_saved=7, cost=Cost(16.0)))
        with costs.writing():
            pass
        with costs.writing():
            pass
    found = costs.measures
    assert (found.load, found.tokenize, found.prefix, found.score) == (Cost(1.0), Cost(2.0), Cost(4.0), Cost(24.0))
    assert found.write.wall_s > 0
    assert found.peak_rss_bytes > 1_000_000
    # Three questions of 7 shared tokens: those went through the model once, and were spared twice.
    assert (found.tokens_computed, found.tokens_saved) == (7 + 110, 21 - 7)


def test_an_attempt_that_did_nothing_cost_nothing() -> None:
    with AttemptCosts(tiny.CPU) as costs:
        pass
    found = costs.measures
    assert found == Measures(peak_rss_bytes=found.peak_rss_bytes)
