"""BIG-Bench Hard (Suzgun et al. 2022, MIT): 27 tasks, three worked examples each. 6,511 rows of test.

A row: {"input": "not ( True ) and ( True ) is", "target": "False"}. Descriptions and examples are the authors'
(three of each task, with a chain of thought), and are read out of lm_eval's task files.
"""

from __future__ import annotations

from collections.abc import Sequence

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import benchmark_of
from proctor.exams.tasks.borrowed import borrowed, rows_in
from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Settings, Task
from proctor.exams.tasks.form import Chain, Kind, Metric, Step

_NAMES = """
boolean_expressions causal_judgement date_understanding disambiguation_qa dyck_languages formal_fallacies
geometric_shapes hyperbaton logical_deduction_five_objects logical_deduction_seven_objects
logical_deduction_three_objects movie_recommendation multistep_arithmetic_two navigate object_counting
penguins_in_a_table reasoning_about_colored_objects ruin_names salient_translation_error_detection snarks
sports_understanding temporal_sequences tracking_shuffled_objects_five_objects tracking_shuffled_objects_seven_objects
tracking_shuffled_objects_three_objects web_of_lies word_sorting
"""
SUBJECTS = tuple(_NAMES.split())
_EXAMPLES = "29c622036b75ff4afea3c627a5ba1bb3ac91e9c09fbe01270b7449d497b34038"


def tasks(settings: Settings) -> Sequence[Task]:
    """All tasks, with the examples that they show."""
    places = [f"bbh/cot_fewshot/{subject}.yaml" for subject in SUBJECTS]
    found = borrowed(settings.tasks, places, ["description", "fewshot_config.samples"], _EXAMPLES)
    return [
        task_of(subject, str(description), rows_in(samples))
        for subject, (description, samples) in zip(SUBJECTS, found, strict=True)
    ]


def task_of(subject: str, description: str, samples: tuple[Row, ...]) -> Task:
    """The task of one subject."""
    return Task(
        f"bbh_cot_fewshot_{subject}",
        Kind.WRITE,
        Rows("SaylorTwift/bbh", subject, test="test", samples=samples, licence="MIT"),
        Asking(
            "Q: {{input}}\nA: Let's think step by step.\n",
            "{{target}}",
            description=description,
            target_delimiter="",
            first_shots=True,
            shots=3,
            generation={
                "max_gen_toks": 1024,
                "until": ["</s>", "Q", "\n\n"],
                "do_sample": False,
                "temperature": 0.0,
            },
        ),
        Judging(
            (Metric("exact_match"),),
            (
                Chain(
                    "get-answer",
                    (Step("regex", {"regex_pattern": "(?<=the answer is )(.*)(?=.)"}), Step("take_first")),
                ),
            ),
        ),
        "4.0",
        LM_EVAL,
    )


BBH = benchmark_of("bbh", Kind.WRITE, tasks)
