"""How many tokens texts have, by a model's own tokenizer and without torch, where its files are at hand."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proctor.catalog import hub
from proctor.catalog.conversion import converted_path, is_checked
from proctor.errors import BadModel
from proctor.nouns.models import ModelRef, ModelSource

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NO_LIMIT = 1_000_000_000  # tokenizers that know no limit say a number above this


@dataclass(frozen=True)
class TokenCounter:
    """Counts as the engine of transformers does: special tokens in front, and none where the text begins with one."""

    library: Tokenizer
    leading: int  # special tokens before a text
    begin: str  # the token that begins texts, as text; "" where there is none

    def count(self, text: str) -> int:
        """Tokens of a text, special tokens included."""
        bare = len(self.library.encode(text, add_special_tokens=False).ids)
        return bare if self.begin and text.startswith(self.begin) else bare + self.leading


@dataclass(frozen=True)
class TokenizerFiles:
    """What the files of a model's tokenizer tell."""

    folder: Path

    def counter(self) -> TokenCounter | None:
        """A counter of tokens; None where it can't be had: no tokenizer.json, or one that isn't read here."""
        if importlib.util.find_spec("tokenizers") is None or not (self.folder / "tokenizer.json").is_file():
            return None
        try:
            library = read_tokenizer(self.folder)
        except Exception:  # noqa: BLE001 -- the library raises bare Exceptions; the worker will say what is wrong
            return None
        return TokenCounter(library, self._leading(library), self.special.get("bos_token", ""))

    @property
    def window(self) -> int:
        """Tokens that the tokenizer says are read at once; 0 where it says none."""
        said = self._said("tokenizer_config.json").get("model_max_length")
        return int(said) if isinstance(said, int | float) and 0 < said < NO_LIMIT else 0

    @property
    def special(self) -> Mapping[str, str]:
        """The special tokens by their names in chat templates."""
        said = self._said("special_tokens_map.json") | self._said("tokenizer_config.json")
        texts = {name: each.get("content") if isinstance(each, dict) else each for name, each in said.items()}
        return {name: each for name, each in texts.items() if name.endswith("_token") and isinstance(each, str)}

    def _leading(self, library: Tokenizer) -> int:
        if self._said("tokenizer_config.json").get("add_bos_token") is False:
            return 0
        return len(specials_in_front(library))

    def _said(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder's tokenizer.json, which cuts and pads nothing; raises what the library raises."""
    from tokenizers import Tokenizer

    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.no_truncation()
    library.no_padding()
    return library


def specials_in_front(library: Tokenizer) -> list[int]:
    """The special tokens that a tokenizer puts before a text."""
    bare, full = (library.encode("a", add_special_tokens=special).ids for special in (False, True))
    return full[: next((n for n in range(len(full) - len(bare) + 1) if full[n : n + len(bare)] == bare), 0)]


def tokenizer_files(ref: ModelRef, cache: Path) -> TokenizerFiles | None:
    """The files of a resolved model's tokenizer; None where they aren't on this machine and can't be had now.

    Those of a hub model that isn't cached are fetched, without its weights. A GGUF file or demo model has them once it
    was converted here, a server's model never.
    """
    if ref.source is ModelSource.ENDPOINT:
        return None
    if ref.source is ModelSource.FOLDER:
        return TokenizerFiles(Path(ref.name))
    if ref.source is not ModelSource.HUB:
        folder = converted_path(ref, cache)
        return TokenizerFiles(folder) if is_checked(folder) else None
    found = hub.cached(ref.name, ref.revision)
    if found is None:
        try:
            found = hub.tokenizer(ref.name, ref.revision)
        except BadModel:
            return None
    return TokenizerFiles(found)
