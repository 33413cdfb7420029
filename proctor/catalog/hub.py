"""Models of the Hugging Face hub: their commit, their headers, their files. HF_HUB_OFFLINE is obeyed throughout."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from proctor.catalog.weights import Tensor, Weights, from_config, is_vocabulary, read_folder, weight_files
from proctor.errors import BadModel, NotHere

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LIMIT_S = 15.0
LOCAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS})  # about this machine's disk, not the hub
# What a model needs and no more: no pickles, no second copies in other formats.
_WANTED = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
_TOKENIZER = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
_UNWANTED = ["consolidated*", "original/*", "onnx/*", "*/*"]


class NotFound(BadModel):
    """No model of this name, or no such revision of it, on the hub; the hub says the same of private ones."""


class OutOfReach(NotHere):
    """A model that isn't in the local cache, while the hub is offline (by HF_HUB_OFFLINE) or can't be reached.

    `revision` is the one that was named, `cached` the commit of another that is here; "" for neither.
    """

    def __init__(self, repo: str, *, offline: bool, revision: str = "", cached: str = "") -> None:
        self.offline = offline
        what = f"its revision {revision!r}" if revision else "it"
        other = f" (another one is: {cached})" if cached else ""
        wanted = f"{repo} --revision {revision}" if revision else repo
        without = (
            f"name the one that is here, {repo}@{cached}" if cached else "name a folder, a GGUF file, or a demo model"
        )
        super().__init__(
            repo,
            f"{what} isn't in the local cache{other}, and "
            + ("HF_HUB_OFFLINE is set" if offline else "the hub can't be reached"),
            f"With a network: `hf download {wanted}`. Without: {without}{'' if cached else ' (smollm2)'}.",
        )


def commit(repo: str, revision: str | None) -> str:
    """The commit (40 hex digits) that a revision of a hub model is now, `main` where none is named.

    The hub is asked first; where it is out of reach, the local cache answers.

    Raises
    ------
    NotFound, OutOfReach, BadModel
        the last for a gated model or one without safetensors.
    """
    from huggingface_hub import HfApi, hf_hub_download

    if revision and _COMMIT.fullmatch(revision) and cached(repo, revision) is not None:
        return revision
    try:
        with _explained(repo, revision):
            info = HfApi().model_info(repo, revision=revision, timeout=_LIMIT_S)
            # Asked for by the revision's name, so that the cache learns which commit the name stood for: then the
            # same command works offline, although the rest is fetched by the commit.
            hf_hub_download(repo, "config.json", revision=revision)
    except OutOfReach:
        folder = cached(repo, revision)
        if folder is None:
            raise
        return folder.name
    names = [file.rfilename for file in info.siblings or []]
    if names and not any(name.endswith(".safetensors") for name in names):
        raise BadModel(
            repo,
            "it has no weights as safetensors, and pickles are refused, since they can run any code",
            "Look for a revision or a copy with safetensors.",
        )
    if names and not any(is_vocabulary(name) for name in names):
        raise BadModel(repo, "it has no tokenizer", "Look for a revision or a copy with tokenizer.json.")
    return str(info.sha)


def weights(repo: str, revision: str) -> Weights:
    """Facts of a hub model's weights, from the local cache or from the hub's headers."""
    from huggingface_hub import HfApi, hf_hub_download

    folder = cached(repo, revision)
    if folder is not None:
        return read_folder(folder, repo)
    with _explained(repo, revision):
        config = json.loads(Path(hf_hub_download(repo, "config.json", revision=revision)).read_bytes())
        headers = HfApi().get_safetensors_metadata(repo, revision=revision).files_metadata
    described = [
        Tensor(name, info.dtype, tuple(info.shape))
        for header in headers.values()
        for name, info in header.tensors.items()
    ]
    return from_config(config, described)


def tokenizer(repo: str, revision: str) -> Path:
    """The folder in the local cache of a model's tokenizer, which is fetched without the weights.

    Raises
    ------
    NotFound, OutOfReach, BadModel
        as `commit` does.
    """
    from huggingface_hub import snapshot_download

    with _explained(repo, revision):
        return Path(snapshot_download(repo, revision=revision, allow_patterns=_TOKENIZER))


def cached(repo: str, revision: str | None) -> Path | None:
    """The folder of a model in the local cache, if its weights are all there."""
    from huggingface_hub import errors

    try:
        folder = _snapshot(repo, revision, local=True)
        weight_files(folder, repo)
    except (errors.LocalEntryNotFoundError, errors.RevisionResolutionError, errors.HFValidationError, BadModel):
        return None
    return folder


def download(repo: str, revision: str, moved: Callable[[], None] = lambda: None) -> Path:
    """The folder of a model's files, fetched into the local cache. `moved` is called whenever some of it has come.

    Raises
    ------
    NotFound, OutOfReach, BadModel
        as `commit` does.
    OSError
        where the files can't be written.
    """
    with _explained(repo, revision):
        return _snapshot(repo, revision, local=False, moved=moved)


def _snapshot(repo: str, revision: str | None, *, local: bool, moved: Callable[[], None] = lambda: None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        """The hub's own bar, which hears of every piece that came."""

        def update(self, n: float | None = 1) -> bool | None:
            moved()
            shown: bool | None = super().update(n)
            return shown

    return Path(
        snapshot_download(
            repo,
            revision=revision,
            allow_patterns=_WANTED,
            ignore_patterns=_UNWANTED,
            local_files_only=local,
            tqdm_class=Bar,
        )
    )


@contextmanager
def _explained(repo: str, revision: str | None) -> Iterator[None]:
    """Turn the hub's errors into ours, each with its next step."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        page = f"https://huggingface.co/{repo}"
        raise BadModel(
            repo, "it is gated: its owners give access by hand", f"Ask on {page}, then `hf auth login`."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise NotFound(repo, f"it has no revision {revision!r}", "Look at its commits and tags on the hub.") from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise NotFound(
            repo, "the hub has no such model, or it is private", "Check the spelling, or `hf auth login`."
        ) from error
    except errors.NotASafetensorsRepoError as error:
        raise BadModel(repo, "it has no weights as safetensors, and pickles are refused") from error
    except errors.RemoteEntryNotFoundError as error:
        raise BadModel(repo, "it has no config.json, so it is no model of transformers") from error
    except (errors.RevisionResolutionError, errors.HTTPError, OSError) as error:  # type: ignore[attr-defined] # httpx's
        if isinstance(error, OSError) and error.errno in LOCAL:
            raise
        here = cached(repo, None) if revision else None
        raise OutOfReach(
            repo,
            offline=isinstance(error, errors.OfflineModeIsEnabled),
            revision=revision or "",
            cached=here.name if here else "",
        ) from error
