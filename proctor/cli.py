"""`proctor` and `submit-sweep`: the commands by name. Each room has its own in a `cli.py`, imported when asked for.

Nothing but click and the standard library is imported here, so that `--help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches

import click

from proctor import __version__
from proctor.errors import ProctorError, SeveralFaults
from proctor.prose import tell
from proctor.words import defined

# command -> where it is written; the order is that of `proctor --help`
COMMANDS = {
    "submit": "scheduler.cli:submit",
    "status": "scheduler.cli:status",
    "metrics": "scheduler.monitoring_cli:metrics",
    "flower": "scheduler.monitoring_cli:flower",
    "pause": "scheduler.steering_cli:pause",
    "resume": "scheduler.steering_cli:resume",
    "priority": "scheduler.steering_cli:priority",
    "cancel": "scheduler.cli:cancel",
    "retry": "scheduler.cli:retry",
    "attempts": "scheduler.steering_cli:attempts",
    "judge": "scheduler.judge_cli:judge",
    "report": "analysis.cli:report",
    "compare": "analysis.verdict_cli:compare",
    "quant": "analysis.verdict_cli:quant",
    "overlap": "analysis.verdict_cli:overlap",
    "suspects": "analysis.verdict_cli:suspects",
    "show": "analysis.verdict_cli:show",
    "mark": "analysis.mark_cli:mark",
    "import": "analysis.import_cli:import_",
    "imports": "analysis.import_cli:imports",
    "export": "analysis.cli:export",
    "verify": "analysis.verify_cli:verify",
    "benchmarks": "scheduler.benchmarks_cli:benchmarks",
    "models": "workers.cli:models",
    "worker": "workers.cli:worker",
    "chat": "chat.cli:chat",
    "serve": "chat.cli:serve",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's
        return command(COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but a command that isn't there brings the nearest ones along."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            near = get_close_matches(args[0].lower(), COMMANDS, n=2, cutoff=0.65)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


def command(place: str) -> click.Command:
    """The command at `module:name`; its help ends with the meaning of our own words in it."""
    module, _, name = place.partition(":")
    found = getattr(importlib.import_module(module), name)
    if not isinstance(found, click.Command):
        raise TypeError(f"{place} is no click command")
    found.epilog = None
    found.epilog = defined(found.get_help(click.Context(found, **found.context_settings)))
    return found


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="proctor")
def proctor() -> None:
    """Sit language models through exams, on one laptop or on a fleet, and never lose an answer.

    \b
    Examples:
      proctor submit -m smollm2 -q none -q 4bit --benchmark demo
      proctor status
      proctor report -o report

    The help of each command ends with the words of ours that it uses: Run, lane, shots, …
    """


def main() -> None:
    """Entry point of `proctor`."""
    sys.exit(run(proctor, "proctor"))


def submit_sweep() -> None:
    """Entry point of `submit-sweep`, the same as `proctor submit`."""
    sys.exit(run(command(COMMANDS["submit"]), "submit-sweep"))


def run(what: click.Command, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: a failure of our own tree is a message, never a traceback.

    `arguments` are those of this process where they aren't given.
    """
    try:
        code = what.main(arguments, prog_name=name, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ProctorError as error:
        say_error(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped.", err=True)
        return 130
    except BrokenPipeError:
        # The reader went away (`| head`): nothing more to say, and nothing for Python to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def say_error(error: ProctorError) -> None:
    """One line a fault on standard error: cause and value, then the next step."""
    faults = error.faults if isinstance(error, SeveralFaults) else (error,)
    for fault in faults:
        tell(f"{click.style('Error:', fg='red', bold=True)} {fault}", err=True)


if __name__ == "__main__":
    main()
