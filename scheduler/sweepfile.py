"""A sweep as a YAML file, with the names of the command's options."""

from __future__ import annotations

import difflib
import reprlib
from pathlib import Path
from typing import Any

import click
import yaml

from proctor.errors import BadInput, ProctorError, SeveralFaults, UnknownName

LIMIT_BYTES = 100_000  # bytes; PyYAML reads some 100 KB a second
# Written in the plural too, as lists read better so.
PLURALS = {"benchmarks": "benchmark", "models": "model", "quants": "quant", "subject": "subjects"}


def read(path: Path, command: click.Command) -> dict[str, Any]:
    """Values by parameter name, in the form of click's `default_map`: click itself converts and checks them.

    Raises
    ------
    BadInput
        where the file is no YAML mapping, or names what is no option of the command (all such names at once).
    """
    known = {
        name: option
        for option in command.params
        if isinstance(option, click.Option)
        for name in (flag.removeprefix("--") for flag in option.opts if flag.startswith("--"))
    }
    values: dict[str, Any] = {}
    faults: list[ProctorError] = []
    for key, value in mapping(path).items():
        name = str(key).replace("_", "-")
        option = known.get(PLURALS.get(name, name))
        if option is None or option.name is None:
            nearest = difflib.get_close_matches(name, known, n=2)
            faults.append(UnknownName(f"setting in {path.name}", str(key), nearest, f"Known: {', '.join(known)}."))
        else:
            values[option.name] = checked(path, name, value, option)
    if faults:
        raise SeveralFaults(faults)
    return values


class _Plain(yaml.SafeLoader):
    """YAML's plain values without aliases: a few lines of them unfold to more than any memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases (*) are not read", self.get_mark())
        return super().compose_node(parent, index)


def mapping(path: Path) -> dict[Any, Any]:
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise BadInput(
            f"{path} has {size:,} bytes; a sweep's file of more than {LIMIT_BYTES:,} is not read.",
            "Name the file with the settings; questions go to --benchmark.",
        )
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Plain)  # noqa: S506 -- a SafeLoader
    except RecursionError as error:
        raise BadInput(
            f"{path} is nested too deep for settings.", "See `submit-sweep --help` for an example."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        cause = " ".join(str(error).split())
        raise BadInput(f"{path} is no YAML: {cause}.", "See `submit-sweep --help` for an example.") from error
    if not isinstance(loaded, dict):
        raise BadInput(f"{path} holds no settings.", "Write lines such as `model: [smollm2]` and `shots: 5`.")
    return loaded


def checked(path: Path, name: str, value: Any, option: click.Option) -> Any:
    """The value as click takes it: a list where the option repeats, text or numbers otherwise."""
    many = value if isinstance(value, list) else [value]
    if any(isinstance(each, list | dict) or each is None for each in many):
        raise BadInput(f"{path.name}: {name} is {reprlib.repr(value)}.", "Give a value, or a list of values.")
    if option.multiple:
        return [str(each) for each in many]
    if len(many) != 1:
        raise BadInput(f"{path.name}: {name} takes one value, not {len(many)}.")
    return many[0] if option.is_flag else str(many[0])
