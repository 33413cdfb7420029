"""What arrives at the HTTP API, in the shapes of OpenAI's: checked, and turned into Turns.

A parameter that is not supported is refused by its name, never ignored: an unknown field fails, and OpenAI's own that
this server can't do are taken at the values that change nothing. `null` is the same as leaving a field out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from chat.client.client import ReplySettings, new_id
from chat.protocol.turns import MAX_UTTERANCES, TurnRequest
from proctor.errors import BadInput
from proctor.nouns.conversations import (
    MAX_RIVALS,
    MAX_SEED,
    MAX_STOP_CHARACTERS,
    MAX_STOPS,
    History,
    Role,
    Sampling,
    Utterance,
)
from proctor.nouns.models import Quant

MAX_TEXT = 1 << 20
MAX_PROMPTS, MAX_PROMPT_TOKENS = 128, 1 << 18
SUFFIXES = {f":{quant}": quant for quant in (Quant.FOUR_BIT, Quant.EIGHT_BIT)}


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL is no text")
    return text


Unread = Annotated[
    str | None, Field(max_length=1000, description="Taken for the sake of clients; nothing is done with it.")
]
Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_no_nul)]
TokenId = Annotated[int, Field(ge=0, lt=1 << 31, strict=True)]
Tokens = Annotated[list[TokenId], Field(max_length=MAX_PROMPT_TOKENS)]
Stop = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARACTERS), AfterValidator(_no_nul)]
ModelName = Annotated[
    str,
    Field(min_length=1, max_length=300, description="A model, with :4bit or :8bit behind it for a quantization."),
    AfterValidator(_no_nul),
]


Nothing = Annotated[list[Any], Field(max_length=0)]
NoEntries = Annotated[dict[str, Any], Field(max_length=0)]


class Form(BaseModel):
    """Fields as declared and no others."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, said: Any) -> Any:
        return {key: value for key, value in said.items() if value is not None} if isinstance(said, dict) else said


class TextPart(Form):
    """A part of a message. Text is the only kind."""

    type: Literal["text"]
    text: Text


class MessageForm(Form):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(max_length=100)]
    name: Unread = None
    tool_calls: Nothing = Field(default_factory=list)

    def utterance(self) -> Utterance:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Utterance(Role.SYSTEM if self.role == "developer" else Role(self.role), text)


class TextFormat(Form):
    """The one format that replies have."""

    type: Literal["text"]


class StreamOptions(Form):
    """What a stream holds besides the reply."""

    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class _Sampled(Form):
    """What both kinds of completion share."""

    model: ModelName
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0, le=1 << 31, description="Not OpenAI's: so many of the likeliest tokens; 0: all.")
    repetition_penalty: float = Field(1.0, gt=0, le=100, description="Not OpenAI's: above 1, repeats are less likely.")
    stop: Stop | Annotated[list[Stop], Field(max_length=MAX_STOPS)] = Field(default_factory=list)
    seed: int | None = Field(None, ge=0, le=MAX_SEED)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] = 1
    frequency_penalty: Literal[0] = 0
    presence_penalty: Literal[0] = 0
    logit_bias: NoEntries = Field(default_factory=dict)
    user: Unread = None

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    def sampling(self, longest: int | None, rivals: int | None) -> Sampling:
        """How tokens are chosen. Raises `BadInput`."""
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            repetition_penalty=self.repetition_penalty,
            stop=self.stops,
            seed=self.seed,
            max_tokens=longest,
            rivals=rivals,
        )

    def check_stream(self) -> None:
        if self.stream_options is not None and not self.stream:
            raise BadParameter("stream_options", "is only taken with stream: true")


class ChatForm(_Sampled):
    """`POST /v1/chat/completions`."""

    messages: list[MessageForm] = Field(min_length=1, max_length=MAX_UTTERANCES)
    max_tokens: int | None = Field(None, ge=1, le=1 << 31)
    max_completion_tokens: int | None = Field(None, ge=1, le=1 << 31)
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=MAX_RIVALS)
    response_format: TextFormat | None = None
    modalities: list[Literal["text"]] = Field(default_factory=list)
    tools: Nothing = Field(default_factory=list)
    functions: Nothing = Field(default_factory=list)
    tool_choice: Literal["none", "auto"] = "none"
    function_call: Literal["none", "auto"] = "none"
    parallel_tool_calls: bool = False
    store: Literal[False] = False
    metadata: NoEntries = Field(default_factory=dict)
    service_tier: Literal["auto", "default"] = "auto"
    verbosity: Literal["medium"] = "medium"
    safety_identifier: Unread = None
    prompt_cache_key: Unread = None
    prompt_cache_retention: Literal["in_memory"] = "in_memory"

    def request(self) -> TurnRequest:
        """The Turn: a conversation of its own, all of which the model reads. Raises `BadInput`, `BadParameter`."""
        self.check_stream()
        if self.top_logprobs and not self.logprobs:
            raise BadParameter("top_logprobs", "is only taken with logprobs: true")
        said = [message.utterance() for message in self.messages]
        begun = False
        for number, each in enumerate(said):
            if each.role is Role.SYSTEM and begun:
                raise BadParameter(f"messages[{number}]", "is a system message, which only stand at the beginning")
            begun = begun or each.role is not Role.SYSTEM
        if not begun:
            raise BadParameter("messages", "hold nothing to answer")
        rivals = (self.top_logprobs or 0) if self.logprobs else None
        longest = self.max_completion_tokens or self.max_tokens
        return _manner(self.model, self.sampling(longest, rivals), History.ALL).request(new_id(), said)


def _kind_of_prompt(said: Any) -> str:
    """One text, several, one list of tokens, or several: told by the first of what a list holds."""
    if not isinstance(said, list):
        return "text"
    first = said[0] if said else ""
    if isinstance(first, list):
        return "token lists"
    return "tokens" if isinstance(first, int) else "texts"


class CompletionForm(_Sampled):
    """`POST /v1/completions`: a text that is gone on with, without the model's chat template."""

    prompt: Annotated[
        Annotated[Text, Tag("text")]
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_PROMPTS), Tag("texts")]
        | Annotated[Tokens, Tag("tokens")]
        | Annotated[list[Tokens], Field(min_length=1, max_length=MAX_PROMPTS), Tag("token lists")],
        Discriminator(_kind_of_prompt),
    ]
    max_tokens: int | None = Field(16, ge=0, le=1 << 31, description="0, with echo: nothing is generated.")
    logprobs: int | None = Field(None, ge=0, le=5)
    echo: bool = Field(False, description="The answer begins with the prompt, with its log-probabilities if asked for.")
    best_of: Literal[1] = 1
    suffix: Literal[""] = ""

    @property
    def silent(self) -> bool:
        """Whether the prompt alone is wanted: a token is generated all the same, and nobody hears of it."""
        return self.max_tokens == 0

    def requests(self) -> list[TurnRequest]:
        """The Turns, one a prompt, in order. Raises `BadInput`, `BadParameter`."""
        self.check_stream()
        if self.silent and not self.echo:
            raise BadParameter("max_tokens", "is 0, which only a prompt with echo: true has a use for")
        prompts = self._prompts()
        if self.stream and len(prompts) > 1:
            raise BadParameter("stream", "is only taken with one prompt")
        sampling = self.sampling(1 if self.silent else self.max_tokens, self.logprobs)
        reply_settings = _manner(self.model, sampling, History.RAW)
        return [replace(reply_settings.request(new_id(), [each]), echo=self.echo) for each in prompts]

    def _prompts(self) -> list[Utterance]:
        said: list[str | list[int]]
        if isinstance(self.prompt, str) or (self.prompt and isinstance(self.prompt[0], int)):
            said = [self.prompt]
        else:
            said = cast("list[str | list[int]]", self.prompt)
        for number, each in enumerate(said):
            if not each:
                raise BadParameter(f"prompt[{number}]" if len(said) > 1 else "prompt", "is empty")
        return [
            Utterance(Role.USER, each)
            if isinstance(each, str)
            else Utterance(Role.USER, f"({len(each):,} tokens)", tuple(each))
            for each in said
        ]


class BadParameter(BadInput):
    """A parameter that contradicts another, or asks for what there isn't."""

    def __init__(self, parameter: str, cause: str) -> None:
        self.parameter = parameter
        super().__init__(f"{parameter} {cause}.")


def split_name(name: str) -> tuple[str, Quant]:
    """A model's name as the API takes it: model and quantization."""
    for suffix, quant in SUFFIXES.items():
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix), quant
    return name, Quant.NONE


def join_name(model: str, quant: Quant) -> str:
    """The other way round: what `split_name` takes apart."""
    return model if quant is Quant.NONE else f"{model}:{quant}"


def _manner(name: str, sampling: Sampling, history: History) -> ReplySettings:
    model, quant = split_name(name)
    return ReplySettings(model, quant, sampling=sampling, history=history)
