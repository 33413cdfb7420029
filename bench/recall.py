"""What a model remembers of a conversation, N Turns later, by what of it is shown. A JSON line a way and distance.

    python -m bench.recall --model smollm2 --distances 1 2 4 6 8 12 16 20 30

Measured as an exam is. In the first Turn the user says a fact ("My favourite colour is green."), N - 1 Turns of small
talk follow, and then the question. The reply is begun for the model ("Your favourite colour is"), and four words are
scored as its next token; right is the one that was said. Each fact is told four times, once with each of its four
words: a model that was not shown the fact picks the same word all four times and is right exactly once. So with the
history off the accuracy is exactly 25 % unless something leaks.

Ways: everything (`all`), the newest six exchanges (`window`), the same with a summary of what came before, made of
whole sentences (`facts`, `lead`) or by the model itself (`model`), and nothing (`off`). `kept` is how often the fact
stands word for word in what the model was shown. The last lines compare ways on the same questions (McNemar, mid-p).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.stats.paired import pair_up
from bench.small_talk import FACTS, TALK, Fact
from chat.context import window
from chat.context.summary import Method, extract, instruction
from chat.context.window import Context, Exchange, Message, Policy, SummaryShown
from proctor.catalog.resolve import resolve
from proctor.nouns.models import Device, DType, Quant
from proctor.settings import Settings
from workers.conversation.rendering import TemplateRenderer
from workers.engines.base import LoadRequest
from workers.engines.devices import own_device
from workers.engines.hf.engine import HfEngine, load_engine
from workers.models.local_files import local_folder

SYSTEM = "You are a helpful assistant. Remember what the user tells you."
SUMMARY_TOKENS = 160
PADDING = 64  # tokens
RESERVE = 64  # tokens for the answer, of which one is looked at
Summarise = Callable[[window.Folding], str]


@dataclass(frozen=True)
class Way:
    """What of a conversation is shown."""

    name: str
    policy: Policy
    summarise: Summarise | None = None
    off: bool = False


@dataclass(frozen=True)
class Asked:
    """One question: whether it was answered right, and whether the fact stood in the prompt."""

    right: bool
    kept: bool


class Bench:
    """A loaded model, and conversations with it."""

    def __init__(self, model: HfEngine, window_tokens: int) -> None:
        self.model = model
        self.renderer = TemplateRenderer(model.tokenizer)
        self.usual = Policy(min(model.tokenizer.window, window_tokens), reserve_tokens=RESERVE)
        self._heard: dict[tuple[int, ...], torch.Tensor] = {}  # without the fact four prompts are one

    def ways(self, names: Sequence[str]) -> list[Way]:
        usual = self.usual
        found = {
            "all": Way("all", replace(usual, exchanges=None, summarize=False)),
            "window": Way("window", replace(usual, summarize=False)),
            "facts": Way("facts", usual, lambda folding: extract(folding, self.count, Method.FACTS)),
            "lead": Way("lead", usual, lambda folding: extract(folding, self.count, Method.LEAD)),
            "model": Way("model", usual, self.in_its_own_words),
            "off": Way("off", usual, off=True),
        }
        return [found[name] for name in names]

    def count(self, text: str) -> int:
        return len(self.renderer.text_ids(text))

    def ask(self, way: Way, said: Sequence[Exchange], fact: Fact, word: str) -> Asked:
        """Put the fact's question behind `said`."""
        shown = self._shown(way, said, fact)
        options = [self._single(each) for each in fact.words]
        if shown.ids not in self._heard:
            self._heard[shown.ids] = self._next(shown.ids)
        logits = self._heard[shown.ids]
        picked = max(range(len(options)), key=lambda n: float(logits[options[n]]))
        text = self.model.tokenizer.library.decode(list(shown.ids))
        return Asked(fact.words[picked] == word, fact.said(word) in text)

    def _next(self, ids: tuple[int, ...]) -> torch.Tensor:
        """Logits (V,) of the token after `ids`. What stands behind them is not seen: it makes lengths, and with them
        the shapes that are prepared for products, few."""
        padded = [*ids, *[ids[-1]] * (-len(ids) % PADDING)]
        with torch.inference_mode():
            return self.model.model.logits(torch.tensor([padded]), torch.tensor([len(ids) - 1]))[0, 0].cpu()

    def in_its_own_words(self, folding: window.Folding) -> str:
        """The model's own summary, greedy."""
        ids = list(self.renderer.prompt("", (), [instruction(folding)]))
        transformer: Any = self.model.model.model
        with torch.inference_mode():
            made = transformer.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                do_sample=False,
                max_new_tokens=min(SUMMARY_TOKENS, folding.limit_tokens),
            )
        return str(self.model.tokenizer.library.decode(made[0, len(ids) :], skip_special_tokens=True))

    def _shown(self, way: Way, said: Sequence[Exchange], fact: Fact) -> Context:
        message = Message((fact.question,), SYSTEM, tuple(self.renderer.text_ids(fact.opening)))
        if way.off:
            return window.alone(self.renderer, way.policy, message, said)
        return window.assemble(self.renderer, way.policy, message, said, self._summary(way, said))

    def _summary(self, way: Way, said: Sequence[Exchange]) -> SummaryShown | None:
        """The summary that is in force after `said`, each folding made when it was due."""
        summary: SummaryShown | None = None
        if way.summarise is None:
            return None
        for count in range(1, len(said) + 1):
            folding = window.due(self.renderer, way.policy, SYSTEM, said[:count], summary)
            if folding is not None:
                summary = window.accept(self.renderer, folding, way.summarise(folding)) or summary
        return summary

    def _single(self, word: str) -> int:
        ids = self.renderer.text_ids(f" {word}")
        if len(ids) != 1:
            raise SystemExit(f"{word!r} is {len(ids)} tokens of this model: take a word that is one")
        return ids[0]


def conversations(bench: Bench, distance: int) -> Iterator[tuple[Fact, str, list[Exchange]]]:
    """Each fact with each of its words, followed by small talk until the question is `distance` Turns away."""
    for number, fact in enumerate(FACTS):
        for word in fact.words:
            talk = [TALK[(7 * number + n) % len(TALK)] for n in range(distance - 1)]
            pairs = [(fact.said(word), "Thank you for telling me. I will remember that."), *talk]
            yield (
                fact,
                word,
                [
                    Exchange(n, (user,), reply, tuple(bench.renderer.text_ids(reply)))
                    for n, (user, reply) in enumerate(pairs, 1)
                ],
            )


def main() -> None:
    asked = _arguments()
    cache = Settings.read({**os.environ, "PROCTOR_CACHE": str(asked.cache.resolve())}).cache
    ref = resolve(asked.model)
    request = LoadRequest(ref, Quant.NONE, DType.FLOAT32)
    bench = Bench(load_engine(request, lambda: local_folder(ref, cache), own_device(Device.CPU)), asked.window)
    results: dict[str, list[NDArray[np.bool_]]] = {}
    for way in bench.ways(asked.ways):
        for distance in asked.distances:
            found = [bench.ask(way, said, fact, word) for fact, word, said in conversations(bench, distance)]
            right = np.array([each.right for each in found])
            results.setdefault(way.name, []).append(right)
            line = {"way": way.name, "distance": distance, "asked": len(found), "right": float(right.mean())}
            print(json.dumps({**line, "kept": float(np.mean([each.kept for each in found]))}), flush=True)
    for one, other in (("off", "window"), ("window", "facts"), ("lead", "facts"), ("model", "facts"), ("facts", "all")):
        if one in results and other in results:
            pair = pair_up(np.concatenate(results[one]), np.concatenate(results[other]))
            line = {"lost": pair.lost, "gained": pair.gained, "change": pair.change, "p": pair.p}
            print(json.dumps({"from": one, "to": other, "asked": pair.asked, **line}), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="where the converted model lies")
    parser.add_argument("--distances", type=int, nargs="+", default=[1, 2, 4, 6, 8, 12, 16, 20, 30])
    parser.add_argument("--window", type=int, default=8192, help="tokens that the model is taken to read, at most")
    parser.add_argument("--ways", nargs="+", default=["all", "window", "facts", "lead", "model", "off"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
