"""Speed, at the shapes of real models: figures, neither right nor wrong. Parity at these shapes is right or wrong."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import torch
from torch.nn import functional

from bench.device_check.asked import PLAIN_BUDGET, asked_of, off, prepared, prompts, scores
from bench.device_check.check import Check
from bench.device_check.of_replies import by_transformers
from bench.device_check.of_scores import TOLERANCES
from bench.device_check.results import Found
from bench.device_check.shapes import REAL
from bench.device_check.workshop import Workshop
from bench.floor import best, floor_of
from proctor.exams.packs import compose
from proctor.nouns.conversations import Sampling
from proctor.nouns.models import DType
from workers.engines.generation import GenerationRequest
from workers.engines.hf.generation.choose import generator_for
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.scoring.layout import CascadeLayout
from workers.engines.hf.scoring.packing import row_of
from workers.engines.hf.scoring.plain import HfPrepared, PlainScorer
from workers.engines.measure import PeakMemory

SHAPES = tuple(REAL)  # the smallest first
BUDGETS = (2048, 8192, 32_768)  # tokens of a pack
TOGETHER = (1, 8, 32, 64)  # conversations
_COMPARED = 16  # questions
_OWN = (60, 140)  # tokens of a question
_PROMPT, _LIMIT = 500, 512  # tokens of a prompt, and of a reply at the most
_WARM = 3  # steps before the clock runs


def rates() -> Check:
    """What the device reaches at best."""
    return Check("rates", "products of 16 bit and copies within memory, at best", _rates)


def scoring(shape: str) -> list[Check]:
    """Parity at this shape, then speed by kind and size of pack."""
    return [
        Check(
            f"scores-{shape}",
            f"off plain float32 by at most {TOLERANCES[DType.BFLOAT16]}; the same bits again; beside plain in time",
            _parity(shape),
        ),
        *(
            Check(f"score-{shape}-{kind}-{budget}", f"{kind}, packs of {budget:,} tokens", _score(shape, kind, budget))
            for kind in ("letters", "text")
            for budget in BUDGETS
        ),
    ]


def replying(shape: str) -> list[Check]:
    """Speed by the number of conversations, then transformers' own way with one."""
    return [
        *(
            Check(f"replies-{shape}-{count}", f"{count} conversation{'s' * (count > 1)} at once", _reply(shape, count))
            for count in TOGETHER
        ),
        Check(f"generate-{shape}", "one conversation by transformers' generate", _generate(shape)),
    ]


def _rates(shop: Workshop) -> Found:
    on, size = shop.device.torch, 8192 if shop.sizes.real else 512
    one, two = (torch.randn(size, size, device=on, dtype=torch.bfloat16) for _ in range(2))
    flops = 2 * size**3 / best(lambda: functional.linear(one, two))
    big = torch.empty((1 << 31) if shop.sizes.real else (1 << 22), device=on, dtype=torch.int8)
    other = torch.empty_like(big)
    moved = 2 * big.numel() / best(lambda: other.copy_(big))
    return Found(f"{flops / 1e12:.3g} TFLOP/s, {moved / 1e9:.3g} GB/s", figures={"flops_s": flops, "bytes_s": moved})


def _parity(shape: str) -> Callable[[Workshop], Found]:
    def run(shop: Workshop) -> Found:
        model, sizes = shop.real(shape), shop.sizes
        asked = prompts(_vocabulary(model), min(_COMPARED, sizes.timed), sizes.shared, _OWN, text=False)
        scorer, why = scorer_for(model, shop.reader(shape), shop.device)
        plain = PlainScorer(model, shop.reader(shape), shop.device)
        fast, again = (asked_of(model, scorer, asked, BUDGETS[1]) for _ in range(2))
        slow = asked_of(model, plain, asked, BUDGETS[1])
        fast_s = best(lambda: asked_of(model, scorer, asked, BUDGETS[1]))
        slow_s = best(lambda: asked_of(model, plain, asked, BUDGETS[1]))
        exact = asked_of(shop.in_float32(shape), plain, asked, PLAIN_BUDGET)
        here, there = off(fast, exact), off(slow, exact)
        same = torch.equal(fast, again)
        good = same and scorer.name != "plain" and TOLERANCES[DType.BFLOAT16].holds(here, there)
        said = [f"{scorer.name}: {here}, plain {there}", "" if same else "OTHER BITS AGAIN", why]
        said.append(f"{slow_s / fast_s:.1f} x as fast as plain")
        figures = {
            "off": here.largest, "off_mean": here.mean, "plain_off": there.largest, "plain_off_mean": there.mean,
            "seconds": fast_s, "plain_seconds": slow_s, "questions": len(asked),
        }  # fmt: skip
        return Found("; ".join(filter(None, said)), good, figures)

    return run


def _score(shape: str, kind: str, budget: int) -> Callable[[Workshop], Found]:
    def run(shop: Workshop) -> Found:
        model, sizes = shop.real(shape), shop.sizes
        scorer, _ = scorer_for(model, shop.reader(shape), shop.device)
        asked = prompts(_vocabulary(model), sizes.timed, sizes.shared, _OWN, text=kind == "text")
        ready = prepared(model, scorer, asked)
        first = compose(ready.lengths, budget, padded=ready.padded)[0]
        scorer.score(ready, first)  # kernels are chosen, memory is taken at the first
        shop.sync()
        with PeakMemory(shop.device) as peak:
            began = time.perf_counter()
            scores(scorer, ready, budget)
            took = time.perf_counter() - began
        tokens, shared = sum(ready.lengths), ready.prefix.length
        floor = floor_of(model.model, min(budget, tokens), torch.bfloat16)
        share = floor.seconds(tokens, sum(n * shared + n * (n + 1) // 2 for n in ready.lengths)) / took
        launched_s, whole_s = _one_pack(shop, model, ready, first.members)
        said = f"{tokens / took:,.0f} tokens/s, {len(asked) / took:,.1f} questions/s, {share:.0%} of the matrix rate; "
        said += f"a pack {1e3 * whole_s:.1f} ms, of these {1e3 * launched_s:.1f} until it is launched"
        return Found(
            said,
            figures={
                "tokens": tokens, "seconds": took, "tokens_s": tokens / took, "questions_s": len(asked) / took,
                "share_of_rate": share, "flops_s": floor.rate, "pack_s": whole_s, "launched_s": launched_s,
                "peak_device_bytes": peak.device.used_bytes, "peak_reserved_bytes": peak.device.reserved_bytes,
                "peak_rss_bytes": peak.rss_bytes, "way": scorer.name,
            },
        )  # fmt: skip

    return run


def _one_pack(shop: Workshop, model: CausalModel, ready: HfPrepared, places: tuple[int, ...]) -> tuple[float, float]:
    """Seconds until a pack is launched, what the host prepares included, and until it is done; the best of three."""
    members = [ready.encoded[place] for place in places]
    found = []
    for _ in range(3):
        shop.sync()
        began = time.perf_counter()
        row = row_of(members, ready.prefix.length)
        cascade = CascadeLayout(row.segments, ready.prefix, model.model.device)
        tokens, positions, reads = (torch.tensor(part) for part in (row.tokens, row.positions, row.reads))
        model.row_logits(tokens, positions, reads, cascade)
        launched = time.perf_counter() - began
        shop.sync()
        found.append((launched, time.perf_counter() - began))
    return min(found, key=lambda one: one[1])


def _reply(shape: str, count: int) -> Callable[[Workshop], Found]:
    def run(shop: Workshop) -> Found:
        model = shop.real(shape)
        maker = generator_for(model, shop.device, frozenset())
        for number, tokens in enumerate(_prompts(shop, model, count)):
            maker.add(GenerationRequest(str(number), tokens, Sampling(temperature=0), _LIMIT))
        waiting = {str(number) for number in range(count)}
        began = time.perf_counter()
        while waiting:
            waiting -= {token.id for token in maker.step()}
        shop.sync()
        read_s = time.perf_counter() - began
        for _ in range(_WARM):
            maker.step()
        shop.sync()
        began = time.perf_counter()
        made = sum(len(maker.step()) for _ in range(shop.sizes.tokens))
        shop.sync()
        took = time.perf_counter() - began
        maker.forget()
        step_s = took / shop.sizes.tokens
        return Found(
            f"{made / took:,.1f} tokens/s, {1e3 * step_s:.1f} ms a step; prompts read in {read_s:.2f} s",
            figures={"tokens_s": made / took, "step_s": step_s, "prompts_s": read_s, "conversations": count},
        )

    return run


def _generate(shape: str) -> Callable[[Workshop], Found]:
    def run(shop: Workshop) -> Found:
        model, count = shop.real(shape), shop.sizes.tokens
        row = torch.tensor([_prompts(shop, model, 1)[0]], device=shop.device.torch)
        by_transformers(model, row, 4)
        shop.sync()
        began = time.perf_counter()
        by_transformers(model, row, count)
        shop.sync()
        took = time.perf_counter() - began
        return Found(f"{count / took:,.1f} tokens/s, its prompt included", figures={"tokens_s": count / took})

    return run


def _vocabulary(model: CausalModel) -> int:
    return int(model.model.config.get_text_config().vocab_size)


def _prompts(shop: Workshop, model: CausalModel, count: int) -> list[tuple[int, ...]]:
    draw = random.Random(count)  # noqa: S311 -- no secret: the same tokens every time
    length = _PROMPT if shop.sizes.real else _PROMPT // 20
    return [tuple(draw.randrange(3, _vocabulary(model)) for _ in range(length)) for _ in range(count)]
