"""What a task's Form is: delimiters, settings of generation, filters and metrics. Pure."""

from __future__ import annotations

from proctor.exams.tasks.definition import SEED, Task
from proctor.exams.tasks.form import Form, Headline, Kind, Source
from proctor.exams.tasks.generation import read_generation


def form_of(task: Task, description: str, seed: int = SEED) -> Form:
    """The parts of a task that are alike for all its questions. Raises `BadExam` for unknown settings of generation."""
    asking, judging = task.asking, task.judging
    generation = read_generation(task.name, asking.generation, asking.fewshot_delimiter)
    shown = asking.shown
    opening = asking.opening if isinstance(asking.opening, str) else ""
    headline = judging.headline or Headline(judging.metrics[0].name, judging.chains[0].name)
    return Form(
        task.kind,
        judging.metrics,
        headline,
        description,
        target_delimiter=asking.target_delimiter,
        shot_delimiter=asking.target_delimiter if shown.target_delimiter is None else shown.target_delimiter,
        fewshot_delimiter=asking.fewshot_delimiter if shown.fewshot_delimiter is None else shown.fewshot_delimiter,
        chat_delimiter=asking.target_delimiter if opening and not opening[-1].isspace() else "",
        chains=judging.chains,
        until=generation.until if task.kind is Kind.WRITE else (),
        max_tokens=generation.max_tokens,
        temperature=generation.temperature,
        top_p=generation.top_p,
        top_k=generation.top_k,
        repeats=judging.repeats,
        source=Source(
            task.name,
            task.version,
            task.release,
            task.sha256,
            task.rows.data,
            task.rows.config,
            task.rows.revision,
            seed,
        ),
        chat=asking.chat,
    )
