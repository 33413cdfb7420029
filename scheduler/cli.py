"""`proctor submit` (also `submit-sweep`), `status`, `cancel` and `retry`."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proctor.help import HELP
from proctor.options import of_a_server, options
from proctor.prose import tell

if TYPE_CHECKING:
    from proctor.catalog.endpoint import Endpoint, Vllm
    from proctor.nouns.runs import Judges, SweepRequest


def read_sweep_file(ctx: click.Context, _param: click.Parameter, path: str | None) -> str | None:
    """Let FILE.yaml stand for options that aren't given on the command line."""
    if path is not None:
        from scheduler.sweepfile import read

        ctx.default_map = read(Path(path), ctx.command)
    return path


what_to_run = options(
    click.option("-m", "--model", "models", multiple=True, metavar="MODEL",
                 help="Hub id (with @revision), folder, GGUF file, or the demo model smollm2. Repeat for more."),
    click.option("-q", "--quant", "quants", multiple=True, default=["none"], show_default=True,
                 type=click.Choice(["none", "8bit", "4bit"]), help="Quantization of the weights. Repeat for more."),
    click.option("-s", "--subjects", multiple=True, default=["all"], show_default=True, metavar="SUBJECT",
                 help="Subjects, groups (stem, humanities, social_sciences, other) or all; repeat, or part by commas."),
    click.option("-b", "--benchmark", "benchmarks", multiple=True, default=["mmlu"], show_default=True,
                 metavar="NAME|PATH[:SUBJECTS]",
                 help="A built-in one (`proctor benchmarks` lists them), a task file of lm-evaluation-harness, or a "
                      "file or folder of CSV, JSONL or Parquet with question, choices, answer (and subject). Repeat "
                      "for more; with subjects of its own behind a colon."),
    click.option("--data", type=click.Path(exists=True, file_okay=False), metavar="FOLDER",
                 help="Where a benchmark's rows lie (test.jsonl, train.jsonl, …) in its data set's columns, instead of "
                      "the hub; of several benchmarks, in a folder of its name each."),
    click.option("--tasks", type=click.Path(exists=True, file_okay=False), metavar="FOLDER",
                 help="Where task files of lm-evaluation-harness lie: a task, group or tag in it can then be named."),
    click.option("--judge", default="", metavar="WAY",
                 help="Of files of yours whose answers are written (question, answer; or prompt, target): exact, "
                      "number, contains, choice, regex:PATTERN, or model: by a judge alone."),
    click.option("--judge-model", "judge_models", multiple=True, metavar="MODEL",
                 help="A model that judges the written answers, in Runs of its own that wait for them. Repeatable; "
                      "files of yours then need no --judge."),
    click.option("--judge-quant", "judge_quants", multiple=True, default=["none"], show_default=True,
                 type=click.Choice(["none", "8bit", "4bit"]), help="Quantization of the judges' weights."),
    click.option("--pairs", is_flag=True,
                 help="Judges say which of two answers is better, in both orders, instead of rating each (1 to 10)."),
    click.option("--baseline", default="", metavar="MODEL", help="Of pairs, those with this model alone."),
    click.option("--device", type=click.Choice(["auto", "cuda", "cpu", "net"]), default="auto", show_default=True,
                 help="auto takes the GPU where there is one; of a fleet, where a worker with one is alive. net is the "
                      "fleet's workers that ask a server, whose models are named as the server names them."),
    click.option("--engine", type=click.Choice(["torch", "vllm"]), default="torch", show_default=True,
                 help="vllm: workers start `vllm serve` for each model, from the environment in PROCTOR_VLLM, and ask "
                      "it as a server; on the device `net`."),
    click.option("--endpoint", metavar="URL",
                 help="A server that speaks OpenAI's API has the models (vLLM, SGLang, llama.cpp, Ollama, a host): "
                      "http://127.0.0.1:8000/v1. Its key is read from PROCTOR_ENDPOINT_KEY."),
    of_a_server,
    click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto",
                 show_default=True,
                 help="auto is the checkpoint's own where the device computes in it, else float32; for bfloat16 on "
                      "GPUs before Ampere float16, where the model's numbers hold there."),
    click.option("--shots", type=click.IntRange(0, 100),
                 help="Examples before each question. Default: the benchmark's own number; for mmlu and files of "
                      "yours 5, or 0 without a dev split."),
    click.option("--examples", type=click.Choice(["turns", "text"]), default="turns", show_default=True,
                 help="With a chat template: each example is a turn, or all stand in one message with the question."),
    click.option("--chat-template", is_flag=True, help="Put the exam as a conversation, by the model's own template."),
    click.option("--template-date", default="", metavar="YYYY-MM-DD",
                 help="The date that a chat template is told, where it asks for one. Default: that of the submission."),
    click.option("--scoring", type=click.Choice(["letters", "text"]), default="letters", show_default=True,
                 help="Score each option's letter, or its own text: small models know more than letters."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N questions of a subject."),
    click.option("--pack-tokens", type=click.IntRange(min=1), default=2048, show_default=True, metavar="N",
                 help="Tokens that go through the model at once. A large GPU is faster with more, such as 8192; less "
                      "takes less memory."),
)  # fmt: skip

how_to_run = options(
    click.option("--priority", type=click.IntRange(-10, 10), default=0, show_default=True, help="Higher goes first."),
    click.option("--name", default="", metavar="TEXT", help="A name for `proctor status` and the report."),
    click.option("--check-noise", is_flag=True,
                 help="Score a quarter of each Run (32 questions at most) again in other packs; say what moved."),
    click.option("--fresh", is_flag=True, help="Run anew, although the same sweep was submitted before."),
    click.option("--verbose", is_flag=True, help="Show each question, what was picked, and whether it is right."),
    click.option("--detach", is_flag=True, help="Submit and leave; `proctor status` shows how it goes."),
    click.option("--group", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
                 help="GPUs that one worker owns together, for models larger than one. Of this machine's workers: a "
                      "fleet's have their own."),
    click.option("--max-memory", metavar="SIZE",
                 help="What one worker's model may take, such as 8GB. Of this machine's workers, too."),
    click.option("--log-format", type=click.Choice(["text", "json"]),
                 help="Of the log files in PROCTOR_HOME/logs; json is an object a line. "
                      "Default: PROCTOR_LOG_FORMAT, or text."),
    click.option("--plan", "plan_only", is_flag=True, help="Say what would run, and do nothing."),
    click.option("--json", "as_json", is_flag=True, help="Machine-readable result on standard output."),
)  # fmt: skip


@click.command(context_settings=HELP, short_help="Sit models through exams.")
@click.argument("file", required=False, is_eager=True, callback=read_sweep_file, metavar="[FILE.yaml]",
                type=click.Path(exists=True, dir_okay=False))  # fmt: skip
@what_to_run
@how_to_run
@click.pass_context
def submit(ctx: click.Context, /, **given: Any) -> None:
    """Sit models through exams: every MODEL, at every quantization, on every SUBJECT.

    What is done is in the database question by question. The same command again goes on where it was stopped.

    \b
    Examples:
      submit-sweep -m smollm2 --benchmark demo
      submit-sweep -m Qwen/Qwen2.5-0.5B-Instruct -q none -q 4bit -s astronomy
      submit-sweep -m ./my-model --benchmark questions.csv --verbose
      submit-sweep -m smollm2 -b hellaswag -b gsm8k -b mmlu:stem --limit 200
      submit-sweep -m smollm2 -b my_task.yaml --shots 3
      submit-sweep -m smollm2 -b sums.jsonl --judge number
      submit-sweep -m org/a -m org/b -b mt_bench --judge-model org/large-model
      submit-sweep -m smollm2 -s stem --plan
      submit-sweep -m org/model-70b --group 2 --pack-tokens 8192
      submit-sweep -m smollm2 --benchmark demo --device cpu --max-memory 4GB
      submit-sweep -m llama3.2 --endpoint http://127.0.0.1:11434/v1 -b gsm8k
      PROCTOR_VLLM=~/vllm submit-sweep -m Qwen/Qwen3-8B --engine vllm -b gsm8k
      submit-sweep sweep.yaml          (model: [...], quant: [...], shots: 5, ...)

    Exit code: 0 all done, 1 some Runs failed, 2 bad input, 3 cancelled, 130 stopped.

    Environment: PROCTOR_BROKER_URL and PROCTOR_DATABASE_URL send the work to a fleet; without them,
    a broker and a worker for each device are started here and stopped at the end. PROCTOR_ENDPOINT_KEY is
    the key of --endpoint.
    """
    from proctor.allotment import Allotment, memory_bytes
    from proctor.exams.benchmarks.own_open import WAY
    from proctor.settings import Settings
    from scheduler.request_exams import RowSource
    from scheduler.submit import Way, submit_sweep
    from scheduler.workplace import Workplace

    way = Way(
        fresh=given["fresh"],
        verbose=given["verbose"],
        detach=given["detach"],
        plan_only=given["plan_only"],
        as_json=given["as_json"],
        place=Workplace(
            Allotment(given["group"], memory_bytes(given["max_memory"]) if given["max_memory"] else None),
            server_from(given),
        ),
        default_shots=given["shots"] is None,
        rows=RowSource(
            data=Path(given["data"]) if given["data"] else None,
            tasks=Path(given["tasks"]) if given["tasks"] else None,
            judge=given["judge"] or (WAY if given["judge_models"] else ""),
        ),
    )
    settings = Settings.read(os.environ)
    if given["log_format"]:
        settings = replace(settings, log_format=given["log_format"])
    ctx.exit(submit_sweep(request_from(given), settings, way))


def server_from(given: dict[str, Any]) -> Endpoint | Vllm | None:
    """The server that was named, or the vLLM that is to be started here; raises `BadInput` for what can't be meant."""
    from proctor.catalog.endpoint import IN_FLIGHT, TOLERANCE, VLLM_HOME, Endpoint, Vllm, read_url
    from proctor.errors import BadInput

    if given["endpoint"]:
        if given["engine"] != "torch":
            raise BadInput("--engine vllm starts a server, and --endpoint names one.", "Take one of them.")
        models = tuple(dict.fromkeys((*given["models"], *given["judge_models"])))
        url = read_url(given["endpoint"])
        return Endpoint(url, models, given["tokenizer"], given["in_flight"], given["price"], given["tolerance"])
    if given["tokenizer"] or given["price"]:
        raise BadInput("--tokenizer and --price are for models of a server.", "Name it with --endpoint.")
    if given["engine"] != "torch":
        if given["device"] != "auto":
            raise BadInput(f"--engine vllm takes the devices that there are, not --device {given['device']}.")
        if os.environ.get("PROCTOR_BROKER_URL"):
            return None  # the fleet's workers start it
        return Vllm.found(os.environ.get(VLLM_HOME, ""), given["in_flight"], given["tolerance"])
    if given["in_flight"] != IN_FLIGHT or given["tolerance"] != TOLERANCE:
        raise BadInput("--in-flight and --tolerance are for models of a server.", "Name it with --endpoint.")
    return None


def request_from(given: dict[str, Any]) -> SweepRequest:
    """The checked request of what was typed; raises `BadInput` where no model is named."""
    from proctor.errors import BadInput
    from proctor.nouns.exams import SHOTS, Conditions, Scoring
    from proctor.nouns.models import DType, Quant
    from proctor.nouns.runs import SweepRequest

    if not given["models"]:
        raise BadInput(
            "No model is named.", "Add -m MODEL, for example -m smollm2; `proctor models` lists the demo models."
        )
    subjects = [part.strip() for text in given["subjects"] for part in text.split(",")]
    return SweepRequest(
        models=tuple(dict.fromkeys(given["models"])),
        quants=tuple(dict.fromkeys(Quant(quant) for quant in given["quants"])),
        benchmark=given["benchmarks"][0],
        further=tuple(dict.fromkeys(given["benchmarks"][1:])),
        subjects=tuple(dict.fromkeys(part for part in subjects if part)) or ("all",),
        device=given["device"] if given["engine"] == "torch" else given["engine"],
        dtype=DType(given["dtype"]),
        conditions=Conditions(
            SHOTS if given["shots"] is None else given["shots"],
            given["chat_template"],
            given["limit"],
            given["pack_tokens"],
            scoring=Scoring(given["scoring"]),
            template_date=given["template_date"],
            shots_as_turns=given["examples"] == "turns",
        ),
        priority=given["priority"],
        name=given["name"],
        check_noise=given["check_noise"],
        judges=judges_from(given),
    )


def judges_from(given: dict[str, Any]) -> Judges | None:
    """Who judges, and how; raises `BadInput` for ways of judging without a judge."""
    from proctor.errors import BadInput
    from proctor.nouns.models import Quant
    from proctor.nouns.runs import Judges

    if not given["judge_models"]:
        if given["pairs"] or given["baseline"]:
            raise BadInput("--pairs and --baseline are for judges, and none is named.", "Add --judge-model MODEL.")
        return None
    quants = tuple(dict.fromkeys(Quant(quant) for quant in given["judge_quants"]))
    pairs = given["pairs"] or bool(given["baseline"])
    return Judges(tuple(dict.fromkeys(given["judge_models"])), quants, pairs, given["baseline"])


@click.command(context_settings=HELP, short_help="What is done, running and failed.")
@click.argument("sweep", required=False)
@click.option("--watch", "watching", is_flag=True, help="Show it again and again, until the sweep is over or Ctrl-C.")
@click.option("--every", "every_s", type=click.FloatRange(0.2, 3600), default=2.0, show_default=True, metavar="SECONDS",
              help="How often, with --watch.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Machine-readable; with --watch an object a line.")
def status(sweep: str | None, watching: bool, every_s: float, as_json: bool) -> None:
    """Show a sweep by number or name: its grid, what runs where, what failed and why. Without SWEEP: all sweeps.

    Below it: the workers (host, device, what they hold, speed, when they were last heard of), the backlog of each
    lane, and how long it will take.

    \b
    Examples:
      proctor status
      proctor status 3 --watch
      proctor status nightly --json
    """
    from proctor.settings import Settings
    from scheduler.watch.status import show, watch

    settings = Settings.read(os.environ)
    if watching:
        watch(settings, sweep, every_s, as_json=as_json)
    else:
        show(settings, sweep, as_json=as_json)


@click.command(context_settings=HELP, short_help="Stop a sweep for good; what is answered stays.")
@click.argument("sweep")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def cancel(sweep: str, as_json: bool) -> None:
    """Cancel a sweep: no Run of it starts, and no Answer is written after this. What is done stays.

    \b
    Example:
      proctor cancel 3
    """
    from proctor.settings import Settings
    from proctor.store.database.open import open_store
    from proctor.store.runs import sweeps
    from scheduler.steering_words import cancelled

    with open_store(Settings.read(os.environ)) as store:
        found = sweeps.find(store, sweep)
        stopped = sweeps.cancel(store, found.id)
    said = cancelled(found.id, found.name, stopped)
    tell(json.dumps({"sweep": found.id, "cancelled_runs": stopped}) if as_json else said)


@click.command(context_settings=HELP, short_help="Run again what failed or was cancelled.")
@click.argument("sweep")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def retry(sweep: str, as_json: bool) -> None:
    """Set the failed and cancelled Runs of a sweep waiting again; what they have answered is kept.

    With a fleet its workers take them up; otherwise submit the same sweep again to run them here.

    \b
    Example:
      proctor retry 3
    """
    from proctor.settings import Settings
    from scheduler.steering_words import retried
    from scheduler.submit import retry_sweep

    found, waiting = retry_sweep(Settings.read(os.environ), sweep)
    said = retried(found.id, found.name, waiting)
    tell(json.dumps({"sweep": found.id, "waiting_again": waiting}) if as_json else said)
