"""`proctor chat` and what is under it, and `proctor serve`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from proctor.help import HELP
from proctor.prose import tell

QUANTS = click.Choice(["none", "8bit", "4bit"])
DEVICES = click.Choice(["auto", "cuda", "cpu", "net"])


@click.group(context_settings=HELP, invoke_without_command=True, short_help="Talk to a model.")
@click.option(
    "-m",
    "--model",
    metavar="MODEL",
    help="Hub id (with @revision), folder, GGUF file, or the demo model smollm2 (the default).",
)
@click.option("-q", "--quant", type=QUANTS, help="Quantization of the weights.")
@click.option(
    "--device",
    type=DEVICES,
    default="auto",
    show_default=True,
    help="auto is where the model is loaded, else the GPU where there is one; net: a server of the fleet's has it.",
)
@click.option(
    "--endpoint",
    metavar="URL",
    help="A server that speaks OpenAI's API has the model, by the name of -m; its key is in PROCTOR_ENDPOINT_KEY.",
)
@click.option("--tokenizer", default="", metavar="MODEL", help="Whose tokenizer the server's model has.")
@click.option("-c", "--continue", "continue_last", is_flag=True, help="Go on with the last conversation.")
@click.option("--resume", metavar="ID", help="Go on with this conversation; a beginning of its id is enough.")
@click.option("--system", metavar="TEXT", help="The system prompt.")
@click.option(
    "--history",
    type=click.Choice(["on", "off", "window", "all"]),
    default="on",
    show_default=True,
    help="What of the conversation the model reads: on is the newest exchanges and a summary.",
)
@click.option("-t", "--temperature", type=click.FloatRange(0, 100), help="0 is greedy: always the likeliest token.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="With the same seed comes the same reply: in float32 always, in other types where it is made alone.",
)
@click.option("--max-tokens", type=click.IntRange(1), help="The longest reply.")
@click.option("--benchmark", default="demo", show_default=True, metavar="NAME|PATH", help="What /probe asks from.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where its rows lie, as for submit-sweep, instead of the hub.",
)
@click.pass_context
def chat(ctx: click.Context, /, **given: Any) -> None:  # fmt: skip
    """Talk to any model, on the fleet of PROCTOR_BROKER_URL, or else on this machine.

    What is piped in is said once: the reply goes to standard output and the exit code says whether it came.
    Ctrl-C stops a reply and keeps the part that came. /help lists what else a conversation can be told.

    \b
    Examples:
      proctor chat
      proctor chat -m Qwen/Qwen2.5-0.5B-Instruct -q 4bit
      proctor chat -m llama3.2 --endpoint http://127.0.0.1:11434/v1
      proctor chat -c
      echo "Name three rivers." | proctor chat -t 0
    """
    if ctx.invoked_subcommand is None:
        from chat.terminal.start import ChatOptions, enter

        ctx.exit(enter(ChatOptions(**given)))


@chat.command("list", short_help="Conversations that are kept.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="So many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def list_(limit: int, as_json: bool) -> None:
    """List conversations: id, time, messages, model, what was said first.

    \b
    Example:
      proctor chat list --limit 5
    """
    from chat.terminal.listing import show_list

    show_list("", limit, as_json=as_json)


@chat.command(short_help="Conversations in which something was said.")
@click.argument("text")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="So many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def search(text: str, limit: int, as_json: bool) -> None:
    """List the conversations in whose title or messages TEXT stands.

    \b
    Example:
      proctor chat search heron
    """
    from chat.terminal.listing import show_list

    show_list(text, limit, as_json=as_json)


@chat.command(short_help="A conversation as JSON or Markdown.")
@click.argument("conversation", metavar="ID")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file; standard output where none is named.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["json", "markdown"]),
    default="json",
    show_default=True,
    help="json can be read back with /load.",
)
@click.option("--replace", is_flag=True, help="Over a file that is there.")
def export(conversation: str, output: Path | None, kind: str, replace: bool) -> None:  # fmt: skip
    """Write a conversation down: `role` and `content` of each message, with tokens and times beside them.

    \b
    Examples:
      proctor chat export 3fa9 -o rivers.json
      proctor chat export 3fa9 --format markdown
    """
    from chat.terminal.listing import export as work

    work(conversation, output, kind, replace=replace)


@chat.command(short_help="One message to two models, side by side.")
@click.argument("text")
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    default=["smollm2"],
    show_default=True,
    metavar="MODEL",
    help="Give it twice for two models.",
)
@click.option(
    "-q",
    "--quant",
    "quants",
    multiple=True,
    type=QUANTS,
    default=["none"],
    show_default=True,
    help="Give it twice for two quantizations.",
)
@click.option("--device", type=DEVICES, default="auto", show_default=True, help="Where both are run.")
@click.option(
    "-t",
    "--temperature",
    type=click.FloatRange(0, 100),
    default=0.0,
    show_default=True,
    help="0 is greedy: what differs is the models'.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The same for both.")
@click.option("--max-tokens", type=click.IntRange(1), default=256, show_default=True, help="The longest reply.")
def compare(text: str, models: tuple[str, ...], quants: tuple[str, ...], **given: Any) -> None:  # fmt: skip
    """Say TEXT to two models, or to one at two quantizations: replies side by side, tokens a second, and the first
    token at which they differ.

    \b
    Examples:
      proctor chat compare "Name three rivers." -m smollm2 -q none -q 4bit
      proctor chat compare "Name three rivers." -m smollm2 -m ./my-model
    """
    from chat.terminal.compare import ModelPair
    from chat.terminal.compare import compare as work
    from chat.terminal.start import ChatOptions

    work(ModelPair(models, quants, ChatOptions(model=models[0], **given)), text)


@chat.command(short_help="A conversation again, with another model.")
@click.argument("conversation", metavar="ID")
@click.option("-m", "--model", metavar="MODEL", help="The same as before where none is named.")
@click.option("-q", "--quant", type=QUANTS, help="Quantization of the weights.")
@click.option("--device", type=DEVICES, default="auto", show_default=True, help="Where it is run.")
@click.option(
    "--history",
    type=click.Choice(["on", "off", "window", "all"]),
    help="What of the conversation the model reads; as it was, where nothing is said.",
)
@click.option("-t", "--temperature", type=click.FloatRange(0, 100), help="0 is greedy; as it was, else.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="With the same seed comes the same reply, as `proctor chat --help` says; as it was, else.",
)
@click.option("--max-tokens", type=click.IntRange(1), help="The longest reply; as it was, else.")
def replay(conversation: str, **given: Any) -> None:  # fmt: skip
    """Say what was said in a conversation once more, in another manner, and show both replies to each message.

    \b
    Examples:
      proctor chat replay 3fa9 -m smollm2 -q 4bit
      proctor chat replay 3fa9 --history off
    """
    from chat.terminal.compare import replay as work
    from chat.terminal.start import ChatOptions

    work(conversation, ChatOptions(**given))


@click.command(context_settings=HELP, short_help="OpenAI-compatible API and a web page.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen; for another than this machine's own, PROCTOR_API_TOKEN must be set.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 is any that is free.")
@click.option(
    "--device",
    type=DEVICES,
    default="auto",
    show_default=True,
    help="Without PROCTOR_BROKER_URL: what the worker of this machine runs on.",
)
@click.option("-m", "--model", metavar="MODEL", help="Without PROCTOR_BROKER_URL: loaded at once, not when asked for.")
@click.option("-q", "--quant", type=QUANTS, default="none", show_default=True, help="Quantization of that model.")
@click.option("--endpoint", metavar="URL", help="Without PROCTOR_BROKER_URL: another server, which has that model.")
@click.option("--tokenizer", default="", metavar="MODEL", help="Whose tokenizer the other server's model has.")
@click.option(
    "--allow-models",
    multiple=True,
    metavar="PATTERN",
    help="Without PROCTOR_BROKER_URL: models that may be asked for beside that, such as 'Qwen/*'. "
    "Repeat for more; 'cached' is what lies on the disk, '*' anything. Default: PROCTOR_ALLOW_MODELS, or cached.",
)
def serve(host: str, port: int, device: str, model: str | None, quant: str, **given: Any) -> None:  # fmt: skip
    """Serve the models to programs that speak OpenAI's API (/v1), and to browsers (a page at /), until stopped.

    Models whose files are here can be asked for by their names, and those of --allow-models, which are fetched; the
    worker of this machine holds one at a time.

    \b
    Examples:
      proctor serve
      proctor serve -m smollm2 -q 4bit
      proctor serve -m llama3.2 --endpoint http://127.0.0.1:11434/v1
      proctor serve --allow-models cached --allow-models 'Qwen/*'
      PROCTOR_API_TOKEN=$(openssl rand -hex 24) proctor serve --host 0.0.0.0
    """
    from chat.client.client import ReplySettings
    from chat.client.connect import device_of, server_of, worker_devices
    from chat.server.run import Address
    from chat.server.run import serve as work
    from proctor.nouns.models import Device, Quant

    endpoint = server_of(given["endpoint"], model, given["tokenizer"])
    wanted = device_of(device) if endpoint is None else Device.NET
    first = ReplySettings(model, Quant(quant), wanted) if model else None
    work(Address(host, port), worker_devices(device), partial(tell, err=True), first, given["allow_models"], endpoint)
