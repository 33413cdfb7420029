"""`proctor judge`."""

from __future__ import annotations

import os
from typing import Any

import click

from proctor.help import HELP


@click.command(context_settings=HELP, short_help="Have a model judge stored replies.")
@click.argument("sweeps", nargs=-1, metavar="[SWEEP]...")
@click.option("-m", "--model", "judge_models", multiple=True, required=True, metavar="MODEL",
              help="The judge: hub id, folder, GGUF file, or a demo model. Repeat for more.")  # fmt: skip
@click.option("-q", "--quant", "judge_quants", multiple=True, default=["none"], show_default=True,
              type=click.Choice(["none", "8bit", "4bit"]), help="Quantization of its weights.")  # fmt: skip
@click.option("--pairs", is_flag=True,
              help="Which of two answers is better, in both orders, instead of a rating of each.")  # fmt: skip
@click.option("--baseline", default="", metavar="MODEL", help="Of pairs, those with this contestant alone.")
@click.option("--device", type=click.Choice(["auto", "cuda", "cpu"]), default="auto", show_default=True,
              help="auto takes the GPU where there is one.")  # fmt: skip
@click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto",
              show_default=True, help="auto is the checkpoint's own where the device computes in it.")  # fmt: skip
@click.option("--priority", type=click.IntRange(-10, 10), default=0, show_default=True, help="Higher goes first.")
@click.option("--name", default="", metavar="TEXT", help="A name for the judges' sweep.")
@click.option("--fresh", is_flag=True, help="Judge anew, although the same was judged before.")
@click.option("--detach", is_flag=True, help="Submit and leave; `proctor status` shows how it goes.")
@click.option("--plan", "plan_only", is_flag=True, help="Say what would run, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable result on standard output.")
@click.pass_context
def judge(ctx: click.Context, /, sweeps: tuple[str, ...], **given: Any) -> None:
    """Have MODEL judge the stored replies of SWEEPs (names or numbers; default: the latest): nothing is written anew.

    A judge is a model that sits an exam, too: its Runs are a sweep of their own, which `proctor status`, `report` and
    `compare` take by its name or number. Another judge, or the same one in pairs, is another sweep; name several to
    `proctor report` and their agreement stands in it.

    \b
    Examples:
      proctor judge -m org/large-model
      proctor judge mt_bench -m org/second-judge --name second
      proctor judge mt_bench -m org/large-model --pairs --baseline org/a

    Exit code: as of submit-sweep.
    """
    from proctor.nouns.exams import Conditions
    from proctor.nouns.models import DType
    from proctor.nouns.runs import SweepRequest
    from proctor.settings import Settings
    from proctor.store.database.open import open_store
    from proctor.store.runs.sweeps import find
    from scheduler.cli import judges_from
    from scheduler.stored_replies import prepare_judges, replies_in
    from scheduler.submit import Way, run_prepared

    settings = Settings.read(os.environ)
    judges = judges_from(given)
    assert judges is not None
    way = Way(given["fresh"], detach=given["detach"], plan_only=given["plan_only"], as_json=given["as_json"])
    with open_store(settings) as store:
        replies = replies_in(store, [find(store, name).id for name in sweeps or (None,)])
        benchmarks = list(dict.fromkeys(spec.benchmark for spec in replies.specs))
        request = SweepRequest(
            judges.models,
            judges.quants,
            benchmarks[0],
            tuple(dict.fromkeys(spec.subject for spec in replies.specs)),
            given["device"],
            DType(given["dtype"]),
            Conditions(shots=0),
            given["priority"],
            given["name"],
            further=tuple(benchmarks[1:]),
            judges=judges,
        )
        ctx.exit(run_prepared(store, settings, prepare_judges(request, replies, settings, store), way))
