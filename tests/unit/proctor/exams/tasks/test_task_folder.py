"""Tasks, groups and tags of a folder, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from proctor.errors import BadExam, UnknownName
from proctor.exams.tasks.installed import release_of
from proctor.exams.tasks.task_folder import TaskFolder, open_folder, tasks_of_file
from tests.unit.proctor.exams.tasks.test_task_files import SUMS_FILE, file


@pytest.fixture
def folder(tmp_path: Path) -> TaskFolder:
    file(tmp_path, "_template", SUMS_FILE.replace("task: sums\n", "tag: [small, sums_tag]\n"))
    for name in ("c", "a", "b"):
        file(tmp_path, f"{name}.yaml", f"include: _template\ntask: sums_{name}\ndataset_name: {name}\n")
    file(tmp_path, "z.yaml", "include: _template\ntask: sums_a\ndataset_name: second\n")
    file(
        tmp_path,
        "group.yaml",
        "group: sums\ntask: [sums_c, {task: sums_a, num_fewshot: 2}, {group: inner, task: [sums_b]}]\nnum_fewshot: 7\n"
        "aggregate_metric_list: [{metric: acc, weight_by_size: true}]\nmetadata: {version: 1}\n",
    )
    file(tmp_path, "outer.yaml", "group: outer\ntask: [sums, small]\n")
    file(tmp_path, "circle.yaml", "group: circle\ntask: circle\n")
    file(tmp_path, "other.yaml", "not: a task\n")
    file(tmp_path, "broken.yaml", "[")
    return open_folder(tmp_path)


def test_a_task_is_found_by_its_name_and_the_first_file_counts(folder: TaskFolder) -> None:
    (task,) = folder.tasks("sums_a")
    assert (task.name, task.rows.config, len(task.sha256)) == ("sums_a", "a", 64)


def test_a_tag_is_all_tasks_that_bear_it(folder: TaskFolder) -> None:
    assert [task.name for task in folder.tasks("small")] == ["sums_a", "sums_b", "sums_c"]


def test_a_groups_keys_override_its_members_and_a_members_own_entry_overrides_the_group(folder: TaskFolder) -> None:
    found = {task.name: task for task in folder.tasks("sums")}
    assert {name: task.asking.shots for name, task in found.items()} == {"sums_c": 7, "sums_a": 2, "sums_b": 7}
    assert found["sums_c"].sha256 != folder.tasks("sums_c")[0].sha256


def test_a_group_holds_groups_and_tags_each_task_once(folder: TaskFolder) -> None:
    assert [task.name for task in folder.tasks("outer")] == ["sums_c", "sums_a", "sums_b"]


def test_files_that_are_no_tasks_are_passed_over(folder: TaskFolder) -> None:
    assert sorted(path.name for path in folder.unread) == ["broken.yaml", "other.yaml"]


def test_a_name_that_isnt_there_is_told_with_near_ones(folder: TaskFolder) -> None:
    with pytest.raises(UnknownName, match="sums_d"):
        folder.tasks("sums_d")


def test_a_group_that_contains_itself_is_refused(folder: TaskFolder) -> None:
    with pytest.raises(BadExam, match="contain itself"):
        folder.tasks("circle")


def test_the_file_of_a_task_or_a_group_stands_for_its_tasks(folder: TaskFolder) -> None:
    assert [task.name for task in tasks_of_file(folder.folder / "b.yaml")] == ["sums_b"]
    assert [task.name for task in tasks_of_file(folder.folder / "group.yaml")] == ["sums_c", "sums_a", "sums_b"]


def test_a_folder_that_isnt_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadExam, match="no folder of task files"):
        open_folder(tmp_path / "gone")


def test_the_release_of_an_installation_is_known(tmp_path: Path) -> None:
    tasks = tmp_path / "lm_eval" / "tasks"
    (tmp_path / "lm_eval-0.4.13.dist-info").mkdir()
    assert release_of(tasks) == "lm_eval 0.4.13"
    assert release_of(tmp_path) == ""
