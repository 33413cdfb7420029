"""A database with one large made-up sweep: python -m bench.large_sweep FOLDER MODELS SUBJECTS QUESTIONS."""

from __future__ import annotations

import sys
from pathlib import Path

from proctor.nouns.exams import Conditions
from proctor.nouns.models import Quant
from proctor.settings import Settings
from proctor.store.database.open import open_store
from tests.sweeps import Sat, sit_sweep

SKILL = 0.9  # of the best model; the others lie evenly below


def main() -> None:
    folder, models, subjects, questions = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    names = tuple(f"organisation/Model-{number:02d}-Instruct" for number in range(models))
    sat = Sat(
        models=names,
        skill=tuple(SKILL * (number + 1) / models for number in range(models)),
        quants=tuple(Quant),
        subjects=tuple(f"high_school_subject_{number:02d}" for number in range(subjects)),
        questions=questions,
        conditions=Conditions(),
        name="large",
    )
    with open_store(Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}")) as store:
        sit_sweep(store, sat)


if __name__ == "__main__":
    main()
