"""MGSM (Shi et al. 2022, CC BY 4.0): 250 sums of GSM8K in eleven languages, answered outright or with English steps.

A row: {"question": "…", "answer": null, "answer_number": 18, "equation_solution": …}; an example has `answer`, and its
question brings its own first word, which is put before the question of a row without one.
"""

from __future__ import annotations

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Rows, Task
from proctor.exams.tasks.form import Chain, Kind, Metric, Step

# Of each language the word before a question, the one before an answer, and the characters before a worked answer.
WORDS = {
    "bn": ("প্রশ্ন:", "Answer:", 17),
    "de": ("Frage:", "Antwort:", 29),
    "en": ("Question:", "Answer:", 21),
    "es": ("Pregunta:", "Respuesta:", 23),
    "fr": ("Question :", "Réponse :", 26),
    "ja": ("問題：", "Answer:", 11),
    "ru": ("Задача:", "Answer:", 18),
    "sw": ("Swali:", "Answer:", 25),
    "te": ("ప్రశ్న:", "Answer:", 19),
    "th": ("โจทย์:", "Answer:", 18),
    "zh": ("问题：", "Answer:", 6),
}
_FLEXIBLE = Chain(
    "flexible-extract",
    (Step("regex", {"group_select": -1, "regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)"}), Step("take_first")),
)
_PLAIN = Chain("remove_whitespace", (Step("remove_whitespace"), Step("take_first")))
_STRICT = Chain(
    "strict-match", (Step("regex", {"regex_pattern": r"The answer is (\-?[0-9\.\,]+)"}), Step("take_first"))
)


def task_of(language: str, *, steps: bool) -> Task:
    """The task of one language, with steps in English or without."""
    before, behind, length = WORDS[language]
    words = "Step-by-Step Answer:" if steps else behind
    text = f"{{{{question if answer is not none else '{before} ' + question}}}}\n{words}"
    worked = f"{{{{answer[{length}:] if answer is not none else answer_number|string}}}}"
    return Task(
        f"mgsm_{'en_cot' if steps else 'direct'}_{language}",
        Kind.WRITE,
        Rows("juletxara/mgsm", language, training="train", test="test", licence="CC BY 4.0"),
        Asking(
            text,
            worked if steps else "{{answer_number|string}}",
            target_delimiter=" " if steps else "",
            generation={"do_sample": False, "until": [before, "</s>", "<|im_end|>"]},
        ),
        Judging(
            (Metric("exact_match", {"ignore_case": True, "ignore_punctuation": True}),),
            (_STRICT if steps else _PLAIN, _FLEXIBLE),
        ),
        "3.0" if steps else "4.0",
        LM_EVAL,
    )


MGSM = fixed(*(task_of(language, steps=False) for language in WORDS), name="mgsm")
MGSM_EN_COT = fixed(*(task_of(language, steps=True) for language in WORDS), name="mgsm_en_cot")
