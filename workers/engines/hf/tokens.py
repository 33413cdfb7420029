"""Text to token ids, the way the model's own tokenizer and lm-evaluation-harness do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from proctor.catalog.template import render
from proctor.exams.chat_prompts import Message, Turns
from proctor.nouns.exams import Prompt
from workers.engines.chat_template import ChatTemplate
from workers.engines.hf.token_bytes import TokenBytes
from workers.engines.lines import check_page, checked, line_of, no_beginning, texts_of
from workers.engines.scoring import EncodedPrompt
from workers.engines.windows import windows_of

_LATELY = 4096  # texts: a Run's, with some to spare


class HfTokenizer:
    """A model's tokenizer, and the window that its prompts must fit in.

    Special tokens are the tokenizer's own default, those before the text only; a text that already starts with the
    beginning-of-sequence token, as chat templates write it, gets no second one.
    """

    own_ids = True

    def __init__(
        self, library: PreTrainedTokenizerBase, window: int, model: str, vocabulary_size: int | None = None
    ) -> None:
        self.library, self.window, self.model = library, window, model
        self.vocabulary_size = len(library) if vocabulary_size is None else vocabulary_size
        self.template = template_of(library, model)
        self._leading = _leading_specials(library)
        self._lately: dict[str, list[int]] = {}  # what was counted, which is likely to be encoded next

    def ids(self, text: str) -> list[int]:
        """Token ids of a text, special tokens in front."""
        return self._many([text])[0]

    def text_ids(self, text: str) -> list[int]:
        """Token ids of a text alone."""
        found: list[int] = self.library(text, add_special_tokens=False)["input_ids"]
        return found

    def decode(self, tokens: Sequence[int], *, specials: bool = True) -> str:
        """The text of tokens, with no space taken away that transformers would clean up."""
        text = self.library.decode(list(tokens), skip_special_tokens=not specials, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token adds to a text; those of its name where it is a special one."""
        return self._token_bytes.of(token)

    @cached_property
    def _token_bytes(self) -> TokenBytes:
        return TokenBytes(self.library)

    def count(self, text: str) -> int:
        """Tokens of a text, special tokens included: what it takes of the window."""
        ids = self.ids(text)
        self._lately[text] = ids
        if len(self._lately) > _LATELY:
            del self._lately[next(iter(self._lately))]
        return len(ids)

    def size(self, tokens: Sequence[int]) -> int:
        return len(tokens)

    def chat(self, messages: Sequence[Message]) -> str:
        """The text of a conversation now, up to where the assistant speaks next.

        Raises
        ------
        CantBeAsked
            where the model has no chat template, or its template fails or leaves out what is said.
        """
        return self.template.write(messages, datetime.now().astimezone()).text

    def encode(self, prompts: Sequence[Prompt]) -> tuple[EncodedPrompt, ...]:
        """Prompts and their options as token ids, all texts in one call of the tokenizer, on all cores.

        Raises
        ------
        CantBeAsked
            as `workers.engines.lines.checked`.
        """
        texts = [text for prompt in prompts for pair in texts_of(prompt) for text in pair]
        known = {text: self._lately[text] for text in texts if text in self._lately}
        new = list(dict.fromkeys(text for text in texts if text not in known))
        known |= dict(zip(new, self._many(new), strict=True))
        self._lately.clear()
        return tuple(self._encoded(prompt, known) for prompt in prompts)

    def encode_pages(self, prompts: Sequence[Prompt]) -> tuple[EncodedPrompt, ...]:
        """Pages as windows of token ids (`workers.engines.windows`), as many as each needs, all texts in one call.

        The first is read behind the token that begins, or else ends texts; one that the tokenizer puts before every
        text comes on top and is scored, as in lm-evaluation-harness.

        Raises
        ------
        CantBeAsked
            where a page has no token, or the tokenizer none that begins or ends texts.
        """
        rows = self._many([prompt.text for prompt in prompts])
        pages = [windows_of(row, self.window, self._beginning[0]) for row in rows]
        return tuple(check_page(prompt, page, self.model) for prompt, page in zip(prompts, pages, strict=True))

    def _encoded(self, prompt: Prompt, ids: Mapping[str, list[int]]) -> EncodedPrompt:
        lines = [
            line_of(ids[before], ids[whole], () if ids[before] else self._beginning)
            for before, whole in texts_of(prompt)
        ]
        return checked(prompt, lines, self.window, self.model)

    @cached_property
    def _beginning(self) -> list[int]:
        specials = (self.library.bos_token_id, self.library.eos_token_id)
        found = next((token for token in specials if isinstance(token, int)), None)
        if found is None:
            raise no_beginning(self.model)
        return [found]

    def _many(self, texts: Sequence[str]) -> list[list[int]]:
        begin = self.library.bos_token
        return [
            row if begin and text.startswith(begin) else [*self._leading, *row]
            for text, row in zip(texts, self._bare(texts), strict=True)
        ]

    def _bare(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids without special tokens. Tokenizers in Rust are asked directly: no masks, no offsets, half the time."""
        if not texts:
            return []
        if not isinstance(self.library, PreTrainedTokenizerFast):
            rows: list[list[int]] = self.library(list(texts), add_special_tokens=False)["input_ids"]
            return rows
        rust = self.library.backend_tokenizer
        rust.no_truncation()
        rust.no_padding()
        return [row.ids for row in rust.encode_batch_fast(list(texts), add_special_tokens=False)]


def template_of(library: PreTrainedTokenizerBase, model: str) -> ChatTemplate:
    """The chat template that a tokenizer brings, as it stands now."""
    if library.chat_template is None:
        return ChatTemplate(None, model)
    own = library.chat_template
    source = own if isinstance(own, str) else "".join(map(str, own.values()))  # several by name
    return ChatTemplate(partial(rendered, library), model, source)


def rendered(library: PreTrainedTokenizerBase, turns: Turns, moment: datetime, *, opened: bool = True) -> str:
    """What the tokenizer's template writes, as `apply_chat_template` does; errors as of `render`."""
    return render(library.get_chat_template(), turns, moment, library.special_tokens_map, opened=opened)


def _leading_specials(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """What the tokenizer puts before a text by default, such as a beginning-of-sequence token."""
    bare: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
    full: list[int] = tokenizer("a")["input_ids"]
    ends = range(len(full) - len(bare) + 1)
    start = next((n for n in ends if full[n : n + len(bare)] == bare), 0)
    return full[:start]
