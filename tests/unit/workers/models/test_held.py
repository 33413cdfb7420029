"""The one model that a worker holds: loaded once, let go before the next."""

from __future__ import annotations

import gc
import platform
import weakref
from pathlib import Path

import pytest

from proctor.catalog.resolve import resolve
from proctor.errors import BadModel
from proctor.nouns.models import DType, Quant
from tests import tiny
from tests.models import of_hf, on, on_cpu
from tests.support import printed_by
from workers.engines.hf.scoring.prefix import PrefixScorer
from workers.models.held import Models


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.make(tmp_path / "model")


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return on_cpu(tmp_path / "cache")


def test_a_model_is_loaded_once(models: Models, folder: Path) -> None:
    ref = resolve(str(folder))
    first = models.get(ref, Quant.NONE, DType.FLOAT32)
    assert models.get(ref, Quant.NONE, DType.FLOAT32) is first
    assert models.held is first


def test_another_quantization_or_type_is_another_load(models: Models, folder: Path) -> None:
    ref = resolve(str(folder))
    first = models.get(ref, Quant.NONE, DType.FLOAT32)
    assert models.get(ref, Quant.NONE, DType.BFLOAT16) is not first
    assert models.get(ref, Quant.FOUR_BIT, DType.BFLOAT16).weight_bytes < first.weight_bytes


def test_on_a_group_larger_packs_than_a_model_was_placed_for_are_another_load(folder: Path, tmp_path: Path) -> None:
    ref, group = resolve(str(folder)), on(tiny.Group((1 << 40, 1 << 40)), tmp_path / "cache")
    first = group.get(ref, Quant.NONE, DType.FLOAT32, 1024)
    assert group.get(ref, Quant.NONE, DType.FLOAT32, 512) is first
    larger = group.get(ref, Quant.NONE, DType.FLOAT32, 4096)
    assert larger is not first
    assert group.get(ref, Quant.NONE, DType.FLOAT32) is larger


def test_one_device_holds_a_model_whatever_its_packs(models: Models, folder: Path) -> None:
    ref = resolve(str(folder))
    assert models.get(ref, Quant.NONE, DType.FLOAT32) is models.get(ref, Quant.NONE, DType.FLOAT32, 1 << 20)


def test_the_model_before_is_gone_when_the_next_is_loaded(models: Models, folder: Path) -> None:
    ref = resolve(str(folder))
    scorer = of_hf(models.get(ref, Quant.NONE, DType.FLOAT32)).scorer
    assert isinstance(scorer, PrefixScorer)
    weights = weakref.ref(scorer.model.model)
    del scorer
    models.get(ref, Quant.NONE, DType.BFLOAT16)
    gc.collect()
    assert weights() is None


def test_before_a_run_another_model_goes_and_its_own_stays(models: Models, folder: Path) -> None:
    ref = resolve(str(folder))
    first = models.get(ref, Quant.NONE, DType.FLOAT32)
    models.make_room(ref, Quant.NONE, DType.FLOAT32)
    assert models.held is first
    models.make_room(ref, Quant.EIGHT_BIT, DType.FLOAT32)
    assert models.held is None


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc lets its heap be told so")
def test_what_the_run_before_freed_is_not_in_the_next_ones_peak(folder: Path) -> None:
    before, after = printed_by(f"""
import torch
from pathlib import Path
from proctor.catalog.resolve import resolve
from proctor.nouns.models import DType, Quant
from tests import tiny
from tests.support import printed_by
from tests.models import on_cpu
from workers.engines import heap
from workers.run.costs import AttemptCosts
heap.keep_freed()
ref, models = resolve({str(folder)!r}), on_cpu(Path("unused"))
peaks = []
for pages in (50, 0):
    models.make_room(ref, Quant.NONE, DType.FLOAT32)
    with AttemptCosts(tiny.CPU) as tally:
        models.get(ref, Quant.NONE, DType.FLOAT32)
        packs = [torch.ones(1 << 20) for _ in range(pages)]  # 4 MiB each
        del packs
    peaks.append(tally.measures.peak_rss_bytes)
print(*peaks)
""")
    assert int(before) - int(after) > 100 << 20


def test_what_produced_the_numbers_is_told(models: Models, folder: Path) -> None:
    told = models.get(resolve(str(folder)), Quant.NONE, DType.AUTO).provenance
    assert (told.dtype, told.attention, told.device_name) == (DType.FLOAT32, "cascade", "test CPU")
    assert {"python", "proctor", "torch", "transformers", "tokenizers", "bitsandbytes"} <= set(told.versions)


def test_files_that_changed_since_they_were_named_are_refused(models: Models, folder: Path) -> None:
    ref = resolve(str(folder))
    tiny.make(folder, seed=1)
    with pytest.raises(BadModel, match="its files have changed since the sweep was submitted"):
        models.get(ref, Quant.NONE, DType.FLOAT32)


def test_a_failed_load_leaves_nothing_held(models: Models, folder: Path) -> None:
    ref = resolve(str(folder))
    models.get(ref, Quant.NONE, DType.FLOAT32)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(BadModel):
        models.get(resolve(str(folder)), Quant.NONE, DType.FLOAT32)
    assert models.held is None
