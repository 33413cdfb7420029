"""Which models may be asked for in chat: what is held, and what the operator allows (PROCTOR_ALLOW_MODELS).

A name that isn't allowed is answered in one and the same way, whatever lies behind it, and is looked up nowhere: it
tells nothing of this machine's disk, and starts no download. The true cause is in the worker's log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from proctor.catalog import hub
from proctor.catalog.cached import cached_names
from proctor.catalog.demo import demo_model
from proctor.catalog.endpoint import ref_of
from proctor.catalog.resolve import resolve
from proctor.errors import BadInput, BadModel, NotServed
from proctor.nouns.models import Device, Lane, ModelRef, ModelSource, Quant
from proctor.nouns.workers import WorkerCard
from proctor.settings import CACHED

log = logging.getLogger(__name__)


class AllowedModels:
    """Names to models, as far as they are allowed: any name where `patterns` is None.

    `patterns` are names or shell patterns, in which `*` stands for any characters, and the word `cached`: demo models
    and models of the hub whose files lie on this machine, at the commit that lies there.
    """

    def __init__(self, patterns: Sequence[str] | None, cache: Path) -> None:
        self._patterns, self._cache = patterns, cache

    def resolve(self, name: str, held: Iterable[str] = ()) -> ModelRef:
        """The model of a name; `held` are the models that workers hold, as they are written with their revisions.

        Raises
        ------
        NotServed
            for a name that isn't allowed, or means nothing that can be used, as long as there are patterns.
        BadInput, BadModel
            as `proctor.catalog.resolve.resolve`, where there are none.
        """
        if self._patterns is None:
            return resolve(name)
        try:
            found = self._found(name.strip(), held)
        except (BadInput, BadModel) as error:
            log.warning("model %.200r was asked for: %s", name, error)
            raise NotServed(name) from None
        if found is None:
            log.warning("model %.200r was asked for and is none of those that are allowed", name)
            raise NotServed(name)
        return found

    def _found(self, name: str, held: Iterable[str]) -> ModelRef | None:
        patterns = self._patterns or ()
        for model in held:
            if name in (model, model.rpartition("@")[0]):
                return resolve(model)
        if any(matches(name, pattern) for pattern in patterns if pattern != CACHED):
            return resolve(name)
        return self._cached(name) if CACHED in patterns else None

    def _cached(self, name: str) -> ModelRef | None:
        """The model of a name whose files are here; the hub isn't asked."""
        bare, _, revision = name.partition("@")
        if bare.casefold() not in (each.casefold() for each in cached_names(self._cache)):
            return None
        if demo_model(bare) is not None:
            return resolve(name)
        folder = hub.cached(bare, revision or None)
        return ModelRef(bare, ModelSource.HUB, folder.name) if folder is not None else None


class ServedModels(AllowedModels):
    """The same for a worker that asks a server: names are the server's, and lead to no file of this machine."""

    def __init__(self, lanes: Sequence[str]) -> None:
        super().__init__(None, Path())
        self._lanes = lanes

    def resolve(self, name: str, held: Iterable[str] = ()) -> ModelRef:  # noqa: ARG002 -- whatever is held is allowed
        """The server's model of this name. Raises `NotServed` for one that the worker wasn't started for."""
        ref = ref_of(name)
        if self._lanes and not any(fnmatchcase(lane_of_server(ref.name), pattern) for pattern in self._lanes):
            raise NotServed(name)
        return ref


def lane_of_server(name: str) -> str:
    """The lane of a model that a server has."""
    return str(Lane(Device.NET, name, Quant.NONE))


def allowed_for(
    me: WorkerCard, patterns: Sequence[str] | None, cache: Path, *, starts_vllm: bool = False
) -> AllowedModels:
    """What may be asked of this worker: of one that asks a server which is there already, the server's models."""
    asks = me.device is Device.NET and not starts_vllm
    return ServedModels(me.lanes) if asks else AllowedModels(patterns, cache)


ANYTHING = AllowedModels(None, Path())


def matches(name: str, pattern: str) -> bool:
    """Whether a name is that of a pattern; one that leads out of a folder by `..` is of none."""
    return fnmatchcase(name, pattern) and ".." not in PurePosixPath(name).parts
