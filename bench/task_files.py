"""Which share of task files is read: `python -m bench.task_files FOLDER`, without a folder of an installed lm_eval.

Tasks that need a library which isn't installed count as read: they are asked once it is.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from pathlib import Path

from proctor.errors import BadExam, BadInput
from proctor.exams.tasks.installed import installed
from proctor.exams.tasks.task_files import references
from proctor.exams.tasks.task_folder import open_folder
from proctor.exams.tasks.task_keys import task_of


def main() -> None:
    """Print a line of JSON: how many tasks, how many need no function, how many are read, and why others are not."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else installed()
    if folder is None:
        sys.exit("Give a folder of task files: no lm_eval is installed.")
    began = time.perf_counter()
    found = open_folder(folder)
    plain, read, why = 0, 0, Counter[str]()
    tasks = [entry.config for entry in found.entries.values() if "class" in entry.config or "group" not in entry.config]
    for config in tasks:
        plain += next(references(config), None) is None and "class" not in config
        try:
            task_of(config)
            read += 1
        except BadExam as fault:
            why[reason(str(fault))] += 1
        except BadInput:  # of a library
            read += 1
    classes = sum("class" in config for config in tasks)
    told = {
        "release": found.release,
        "tasks": len(tasks) - classes,
        "classes": classes,
        "groups": len(found.entries) - len(tasks),
        "tags": len(found.tags),
        "without_functions": plain,
        "read": read,
        "share": round(read / max(1, len(tasks) - classes), 4),
        "refused": dict(why.most_common(12)),
        "seconds": round(time.perf_counter() - began, 1),
    }
    print(json.dumps(told, ensure_ascii=False, indent=2))


def reason(fault: str) -> str:
    """What is wrong, without the task's name and without what is its own."""
    if "needs code" in fault:
        return "code that no piece of ours stands for"
    return re.sub(r"^'[^']*' ", "", fault).partition(". ")[0][:100]


if __name__ == "__main__":
    main()
