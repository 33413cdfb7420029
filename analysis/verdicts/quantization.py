"""What a quantization cost: each quantized contestant against the same model without, on the same questions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.data.panel import Panel
from analysis.stats.families import holm
from analysis.stats.intervals import Interval
from analysis.stats.options import key_shift, mean_divergence
from analysis.stats.points import lost_within_p
from analysis.stats.verdict import Verdict, judge
from analysis.verdicts.unanswered import Silence, silence_of
from proctor.nouns.models import Quant


@dataclass(frozen=True)
class Change:
    """One quantization of one model, judged. `base` and `changed` are places in the panel."""

    base: int
    changed: int
    verdict: Verdict  # its p-values are adjusted by Holm, each over all quantizations of the panel
    other_picks: int | None  # questions on which another option was picked, right or wrong; None without options
    divergence: float | None  # mean KL(base ‖ changed) of the options, nats; None without options
    key_shift: float | None  # mean change of the right options' probability, a fraction
    perplexity_ratio: Interval | None  # changed over base, where one text is scored
    silence: Silence  # discordant questions that one of them left without a single answer

    @property
    def rests_on_silence(self) -> bool:
        """Whether the verdict would be another one without these questions."""
        return self.silence.carries(self.verdict)


def quantization_changes(panel: Panel, margin: float) -> list[Change]:
    """Every quantized contestant of a level panel whose model sat the same exams unquantized on the same device."""
    bases = {(c.family, c.device): place for place, c in enumerate(panel.contestants) if c.quant == Quant.NONE.value}
    pairs = [
        (bases[c.family, c.device], place)
        for place, c in enumerate(panel.contestants)
        if c.quant != Quant.NONE.value and (c.family, c.device) in bases
    ]
    found = [panel.pair(*pair) for pair in pairs]
    adjusted = holm(np.array([pair.p for pair in found])).tolist()
    within = holm(np.array([lost_within_p(pair, margin) for pair in found])).tolist()
    verdicts = [judge(pair, margin, *each) for pair, *each in zip(found, adjusted, within, strict=True)]
    return [_change(panel, *pair, verdict) for pair, verdict in zip(pairs, verdicts, strict=True)]


def _change(panel: Panel, base: int, changed: int, verdict: Verdict) -> Change:
    divergence = shift = None
    if panel.logprob is not None and panel.has_options:
        divergence = mean_divergence(panel.logprob[base], panel.logprob[changed])
        shift = key_shift(panel.logprob[base], panel.logprob[changed], panel.right_options)
    return Change(
        base,
        changed,
        verdict,
        int(np.count_nonzero(panel.picked[base] != panel.picked[changed])) if panel.has_options else None,
        divergence,
        shift,
        panel.perplexity_ratio(base, changed),
        silence_of(panel, base, changed),
    )
