"""How the tasks of the golden judgements are judged, written down by hand: chains and metrics as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proctor.exams.tasks.form import Arguments, Chain, Form, Headline, Kind, Metric, Step

FIRST = Step("take_first")
NONE = Chain("none", (FIRST,))
STRIPPED = Chain("remove_whitespace", (Step("remove_whitespace"), FIRST))
LAST_NUMBER = r"(-?[$0-9.,]{2,})|(-?[0-9]+)"
PLAIN = {"ignore_case": True, "ignore_punctuation": True}


def regex(name: str, pattern: str, place: int = 0) -> Chain:
    return Chain(name, (Step("regex", {"regex_pattern": pattern, "group_select": place}), FIRST))


FLEXIBLE = regex("flexible-extract", LAST_NUMBER, -1)


def form(*chains: Chain, **arguments: object) -> Form:
    """A written exam's form; `arguments` are of its one metric, `exact_match`."""
    return Form(
        Kind.WRITE,
        (Metric("exact_match", arguments),),
        Headline("exact_match", chains[0].name),
        chains=chains,
    )


def gsm8k(strict: str, place: int = 0) -> Form:
    ignored = [",", r"\$", "(?s).*#### ", r"\.$"]
    return form(regex("strict-match", strict, place), FLEXIBLE, ignore_case=True, regexes_to_ignore=ignored)


def bbh_zeroshot(function: str, **arguments: object) -> Form:
    flexible = Chain("flexible-extract", (Step(function, arguments), FIRST))
    return form(
        Chain("strict-match", (FIRST,)),
        flexible,
        ignore_case=True,
        regexes_to_ignore=[r"\.$", ",", "\n", r"\\", '"'],
    )


def options(place: int) -> Step:
    return Step("multi_choice_regex", {"group_select": place, "regex_pattern": r"(\([A-Z]\))", **PLAIN})


FLAN_COT = (
    r"((?<=The answer is )(.*)(?=.)|(?<=answer is )(.*)(?=.)|(?<=The answer: )(.*)(?=.)"
    r"|(?<=The final answer: )(.*)(?=.))"
)
TO_LINE_END = Chain(
    "get_response",
    (
        Step("regex", {"regex_pattern": r"^(.*?)(?=\n|$)"}),
        Step("remove_whitespace"),
        Step("regex", {"regex_pattern": r"^(.*?)\s*$"}),
        FIRST,
    ),
)
BBH_COT = form(regex("get-answer", "(?<=the answer is )(.*)(?=.)"))
MGSM_DIRECT = form(STRIPPED, FLEXIBLE, **PLAIN)
MMLU_PRO = form(regex("custom-extract", r"answer is \(?([ABCDEFGHIJ])\)?"), **PLAIN)


@dataclass(frozen=True)
class Golden:
    """How one golden file is judged: its form, its rows, and the column or the rule of the right answer."""

    form: Form
    rows: str
    target: str


ARTICLES = [r"\b(?:The |the |An |A |The |a |an )"]
OPTION_REGEX: Arguments = {"group_select": 0, "regex_pattern": r"(\([A-Z]\))", **PLAIN}
GOLDEN: Mapping[str, Golden] = {
    "arc_challenge_chat": Golden(form(STRIPPED, **PLAIN), "arc_challenge", "letter"),
    "bbh_cot_fewshot_boolean_expressions": Golden(BBH_COT, "bbh/boolean_expressions", "target"),
    "bbh_cot_fewshot_object_counting": Golden(BBH_COT, "bbh/object_counting", "target"),
    "bbh_cot_fewshot_snarks": Golden(BBH_COT, "bbh/snarks", "target"),
    "bbh_fewshot_date_understanding": Golden(form(NONE), "bbh/date_understanding", "target"),
    "bbh_zeroshot_boolean_expressions": Golden(
        bbh_zeroshot("regex", group_select=0, regex_pattern=r"\b(True|False)\b"), "bbh/boolean_expressions", "target"
    ),
    "bbh_zeroshot_object_counting": Golden(
        bbh_zeroshot("number_or_words", group_select=0, regex_pattern="([-0-9]+)"), "bbh/object_counting", "target"
    ),
    "bbh_zeroshot_snarks": Golden(bbh_zeroshot("options_in_text", **OPTION_REGEX), "bbh/snarks", "target"),
    "bbh_zeroshot_word_sorting": Golden(bbh_zeroshot("sorted_words"), "bbh/word_sorting", "target"),
    "boolq-seq2seq": Golden(form(NONE, **PLAIN), "boolq", "yes"),
    "gsm8k": Golden(gsm8k(r"#### (\-?[0-9\.\,]+)"), "gsm8k", "answer"),
    "gsm8k_cot": Golden(gsm8k(r"The answer is (\-?[0-9\.\,]+)."), "gsm8k", "number"),
    "gsm8k_cot_llama": Golden(gsm8k("The final answer is ((-?[$0-9.,]{2,})|(-?[0-9]+))", -1), "gsm8k", "number"),
    "gsm8k_cot_zeroshot": Golden(gsm8k(r"The answer is (\-?[0-9\.\,]+)."), "gsm8k", "answer"),
    "mgsm_direct_de": Golden(MGSM_DIRECT, "mgsm/de", "answer_number"),
    "mgsm_direct_zh": Golden(MGSM_DIRECT, "mgsm/zh", "answer_number"),
    "mgsm_en_cot_ja": Golden(
        form(regex("strict-match", r"The answer is (\-?[0-9\.\,]+)"), FLEXIBLE, **PLAIN), "mgsm/ja", "answer_number"
    ),
    "mmlu_astronomy_generative": Golden(form(TO_LINE_END, **PLAIN), "astronomy", "letter of four"),
    "mmlu_flan_cot_zeroshot_astronomy": Golden(
        form(regex("strict-match", FLAN_COT), Chain("flexible-extract", (options(-1), FIRST)), **PLAIN),
        "astronomy",
        "(letter) of four",
    ),
    "mmlu_flan_n_shot_generative_astronomy": Golden(
        form(Chain("strict-match", (FIRST,)), Chain("flexible-extract", (options(0), FIRST))),
        "astronomy",
        "(letter) of four",
    ),
    "mmlu_pro_law": Golden(MMLU_PRO, "mmlu_pro", "category law"),
    "mmlu_pro_math": Golden(MMLU_PRO, "mmlu_pro", "category math"),
    "nq_open": Golden(form(STRIPPED, regexes_to_ignore=ARTICLES, **PLAIN), "nq_open", "list"),
    "truthfulqa_gen": Golden(
        Form(
            Kind.WRITE,
            tuple(
                Metric(f"{by}_{what}")
                for by in ("bleu", "rouge1", "rouge2", "rougeL")
                for what in ("max", "acc", "diff")
            ),
            Headline("bleu_acc", "none"),
        ),
        "truthfulqa_gen",
        "both lists",
    ),
}
