"""Memory: what a model was predicted to need beside what it takes, and packs that are too large for what there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.device_check.asked import prepared, prompts
from bench.device_check.check import Check
from bench.device_check.results import Found
from bench.device_check.workshop import Need, Workshop
from proctor.catalog.memory import model_memory
from proctor.exams.packs import compose
from proctor.nouns.exams import Conditions, Exchange, Pack, Scored
from proctor.nouns.models import Device, DType, Quant
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.measure import PeakMemory
from workers.engines.scoring import Prepared, Scorer
from workers.run.replies import PackReplies
from workers.run.splitting import SplittingAnswerer

_MORE, _LESS = 1.1, 0.4  # measured over predicted: within these it was predicted
_LARGE = 32_768  # tokens of a pack to be cut
_ROOM = 0.45  # of what the pack needs
_LEFT_OVER = 64 << 20
_MIB = 1 << 20


def checks() -> list[Check]:
    """Prediction at each quantization, then the cut."""
    predicted = [
        Check(
            f"memory-{quant}",
            f"a peak of {_LESS:g} to {_MORE:g} times the memory that --plan predicts",
            _predicted(quant),
            () if quant is Quant.NONE else (Need.BITSANDBYTES,),
        )
        for quant in Quant
    ]
    cut = Check(
        "memory-cut",
        f"a pack with {_ROOM:g} of its memory goes through in parts and leaves nothing over",
        cut_for_memory,
        (Need.CUDA,),
    )
    return [*predicted, cut]


def _predicted(quant: Quant) -> Callable[[Workshop], Found]:
    def run(shop: Workshop) -> Found:
        folder, sizes = shop.real_checkpoint("1b"), shop.sizes
        shop.let_go()
        with PeakMemory(shop.device) as peak:
            engine = shop.load(folder, DType.BFLOAT16, quant)
            scorer, _ = scorer_for(engine.model, engine.tokenizer, shop.device)
            asked = prompts(engine.weights.vocab, sizes.questions, sizes.shared, sizes.own, text=False)
            ready = prepared(engine.model, scorer, asked)
            scorer.score(ready, compose(ready.lengths, Conditions().pack_tokens, padded=ready.padded)[0])
        said = model_memory(engine.weights, quant, engine.dtype, shop.device.kind, Conditions())
        if shop.device.kind is Device.CPU:  # the process and its libraries are more than so small a model
            return Found(
                f"{peak.rss_bytes // _MIB} MiB of the whole process, {said // _MIB} predicted",
                figures={"rss_bytes": peak.rss_bytes, "predicted_bytes": said, "weight_bytes": engine.bytes},
            )
        used, reserved = peak.device.used_bytes, peak.device.reserved_bytes
        share = used / said
        return Found(
            f"{share:.2f}: {used // _MIB} MiB, {said // _MIB} predicted; torch held {reserved // _MIB}",
            _LESS <= share <= _MORE,
            {
                "device_bytes": used,
                "reserved_bytes": reserved,
                "predicted_bytes": said,
                "weight_bytes": engine.bytes,
            },
        )

    return run


@dataclass(frozen=True)
class Cut:
    """What became of a pack: the sizes of parts that were told, and its numbers."""

    told: tuple[int, ...]
    numbers: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Answering:
    """A scorer as what a worker asks."""

    scorer: Scorer

    def answer(self, prepared: Prepared, pack: Pack) -> PackReplies:
        found = self.scorer.score(prepared, pack)
        asked = (prepared.prompts[member].ask for member in pack.members)
        rows = tuple((Exchange(ask, Scored(row)),) for ask, row in zip(asked, found.options_logprob, strict=True))
        return PackReplies(rows, found.tokens_computed, found.tokens_saved, found.cost)


def through(scorer: Scorer, ready: Prepared, pack: Pack, cut_tokens: int | None = None) -> Cut:
    """Score a pack as a worker does, in parts where it must be."""
    told: list[int] = []
    fits = SplittingAnswerer(Answering(scorer), cut_tokens, told.append)
    replies = [one.reply for row in fits.answer(ready, pack).exchanges for one in row]
    numbers = tuple(reply.options_logprob for reply in replies if isinstance(reply, Scored))
    return Cut(tuple(told), numbers)


def cut_for_memory(shop: Workshop) -> Found:
    """Leave a pack too little memory, and see that it gets through all the same."""
    model, sizes = shop.real("1b"), shop.sizes
    scorer, _ = scorer_for(model, shop.reader("1b"), shop.device)
    vocabulary = int(model.model.config.get_text_config().vocab_size)
    ready = prepared(model, scorer, prompts(vocabulary, sizes.timed, sizes.shared, (60, 140), text=False))
    pack = compose(ready.lengths, _LARGE, padded=ready.padded)[0]
    scorer.score(ready, pack)  # what libraries keep from the first time on isn't the pack's
    shop.device.release()
    before = torch.cuda.memory_allocated()
    with PeakMemory(shop.device) as peak:
        scorer.score(ready, pack)
    needs = peak.device.used_bytes - before
    shop.device.release()
    try:
        limit = torch.cuda.memory_reserved() + _ROOM * needs
        torch.cuda.set_per_process_memory_fraction(limit / shop.device.memory_bytes)
        found = through(scorer, ready, pack)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    shop.device.release()
    left = torch.cuda.memory_allocated() - before
    parts = through(scorer, ready, pack, found.told[-1]) if found.told else found
    same = parts.numbers == found.numbers
    good = bool(found.told) and same and left <= _LEFT_OVER
    said = f"needs {needs // _MIB} MiB; cut to {', '.join(map(str, found.told)) or 'nothing'} tokens; "
    said += f"{'the same numbers' if same else 'OTHER NUMBERS'}; {left // _MIB} MiB left over"
    return Found(said, good, {"needs_bytes": needs, "cuts": len(found.told), "left_bytes": left})
