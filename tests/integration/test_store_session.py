"""The way to the database: transactions, migrations, and what is said when it can't be used."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sqlite3
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import make_url, text
from sqlalchemy.exc import IntegrityError

from proctor.errors import BadExam, BadInput, StoreUnavailable, UnknownName
from proctor.settings import Settings
from proctor.store.database import postgresql, schema
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.migrations import HEAD, KNOWN
from proctor.store.reads import records
from proctor.store.runs import exams, sweeps
from proctor.store.runs.tables import ExamRow
from tests.chaos.proxy import Proxy
from tests.integration.store_world import claim, exam, sit, spec, submit

KEEPALIVE = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")


def unix_socket(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


def row(subject: str) -> ExamRow:
    return ExamRow(benchmark="b", subject=subject, content_hash="h", duplicates_dropped=0)


def add(store: Store, *names: str) -> None:
    with store.write() as session:
        session.add_all([row(name) for name in names])


def subjects(store: Store) -> list[str]:
    with store.read() as session:
        return [str(found) for found in session.connection().execute(text("SELECT subject FROM exam")).scalars()]


def test_a_block_is_committed_whole_or_not_at_all(store: Store) -> None:
    def add_and_fail() -> None:
        with store.write() as session:
            session.add(row("lost"))
            session.flush()
            raise ZeroDivisionError

    add(store, "kept")
    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    assert subjects(store) == ["kept"]


def test_a_reader_sees_one_moment_and_keeps_no_writer_waiting(store: Store) -> None:
    count = text("SELECT count(*) FROM exam")
    with store.read() as reader:
        before = reader.connection().execute(count).scalar_one()
        with store.write() as writer:
            writer.add(row("new"))
        assert reader.connection().execute(count).scalar_one() == before == 0
    assert subjects(store) == ["new"]


@pytest.mark.postgres
@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone has all four")
def test_the_kernel_asks_whether_a_silent_postgresql_is_still_there(postgres: str) -> None:
    socket_folder = make_url(postgres.format(database="postgres")).query["host"]
    with Proxy(lambda: unix_socket(f"{socket_folder}/.s.PGSQL.5432")) as proxy:
        over_tcp = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        with Store(over_tcp, timeout_s=30.0) as store, store.read() as session:
            driver = session.connection().connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            with socket.socket(fileno=os.dup(driver.fileno())) as ours:
                assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                found = [ours.getsockopt(socket.IPPROTO_TCP, getattr(socket, option)) for option in KEEPALIVE]
    assert found == [10, 5, 3, 30_000]


@pytest.mark.postgres
def test_a_postgresql_behind_a_proxy_that_swallows_everything_is_given_up_and_then_found_again(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "LEAST_S", 1.0)
    socket_folder = make_url(postgres.format(database="postgres")).query["host"]
    with (
        Proxy(lambda: unix_socket(f"{socket_folder}/.s.PGSQL.5432")) as proxy,
        Store(f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres", timeout_s=0.5) as store,
    ):

        def ask(first: Callable[[], None] = lambda: None) -> None:
            with store.read() as session:
                first()
                session.execute(text("SELECT pg_sleep(0.3)"))

        with pytest.raises(StoreUnavailable, match="the server has said nothing for 1 s"):
            ask(proxy.half_open)
        proxy.mend()
        ask()


def test_a_broken_constraint_is_a_bug_and_stays_what_it_is(store: Store) -> None:
    with pytest.raises(IntegrityError):
        add(store, "twice", "twice")


def test_closing_is_not_the_end(store: Store) -> None:
    store.close()
    assert subjects(store) == []
    store.close()
    store.close()


def test_without_a_clock_leases_go_by_a_real_one_in_utc(store: Store) -> None:
    with store.read() as session:
        told = store.now(session)
    assert told.tzinfo is UTC
    assert abs(told - datetime.now(UTC)) < timedelta(minutes=1)


def test_opening_makes_the_folder_and_the_tables(empty_url: str, tmp_path: Path) -> None:
    url = empty_url.replace("empty.db", "a/new/folder/proctor.db")
    settings = Settings(tmp_path, tmp_path, url)
    with open_store(settings) as store:
        submit(store, spec())
    with open_store(settings) as store:
        assert len(records.overview(store)) == 1


def open_and_submit(url: str) -> int:
    """What a second `submit-sweep` does at the same moment."""
    with open_store(Settings(Path(), Path(), url)) as store:
        return submit(store, spec()).sweep_id


def test_several_processes_may_make_the_tables_at_once(empty_url: str) -> None:
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert len(set(pool.map(open_and_submit, [empty_url] * 3))) == 1


def test_the_migrations_make_the_tables_that_the_code_has(store: Store) -> None:
    with store.write() as session:
        command.check(schema.config(session))  # raises where they differ


def test_the_migrations_can_be_undone(store: Store) -> None:
    with store.write() as session:
        command.downgrade(schema.config(session), "base")
    with store.write() as session:
        assert schema.revision(session) is None
        command.upgrade(schema.config(session), "head")
        command.check(schema.config(session))


def test_of_a_run_of_before_as_many_are_right_per_character(store: Store) -> None:
    submit(store, spec())
    sit(store, claim(store))
    with store.write() as session:
        command.downgrade(schema.config(session), "0002")
        command.upgrade(schema.config(session), "head")
    (run,) = records.runs(store, [1])
    assert run.correct_norm == run.correct > 0
    assert run.noise is None


def test_every_migration_is_known_by_name(store: Store) -> None:
    with store.read() as session:
        scripts = ScriptDirectory.from_config(schema.config(session))
    assert scripts.get_current_head() == HEAD
    assert {script.revision for script in scripts.walk_revisions()} == set(KNOWN)


def test_tables_of_a_newer_proctor_are_left_alone(store: Store, settings: Settings) -> None:
    with store.write() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = 'future'"))
    with pytest.raises(StoreUnavailable, match="revision future") as refused:
        open_store(settings)
    assert "newer Proctor" in refused.value.next_step


def test_a_writer_waits_for_another_only_so_long(store: Store, database_url: str) -> None:
    with Store(database_url, timeout_s=0.2) as hasty, store.write() as session:
        session.connection().execute(text("UPDATE sweep SET priority = 1"))
        store.lock(session, "a lock")
        with pytest.raises(StoreUnavailable, match=r"holds (its|a) lock"), hasty.write() as other:
            hasty.lock(other, "a lock")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no database, but long enough to be taken for one" * 100)
    with pytest.raises(StoreUnavailable, match=r"notes.txt can't be used: the file is not a SQLite database"):
        open_store(Settings(tmp_path, tmp_path, f"sqlite:///{file}"))
    assert file.read_text().startswith("no database")


def test_a_file_that_can_only_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "proctor.db"
    open_store(Settings(tmp_path, tmp_path, f"sqlite:///{file}")).close()
    with (
        Store(f"sqlite:///file:{file}?mode=ro&uri=true") as store,
        pytest.raises(StoreUnavailable, match="it can only be read"),
    ):
        exams.save_exam(store, exam())


def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "proctor.db"
    with open_store(Settings(tmp_path, tmp_path, f"sqlite:///{file}")) as store:
        add(store, "kept")
        with store.read() as session:  # the one connection of this store: SQLite takes 1 for "as many as it has now"
            session.connection().exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(StoreUnavailable, match="the disk is full") as full:
            add(store, *("x" * 5000 + str(number) for number in range(50)))
        assert "Free some space" in full.value.next_step
        assert subjects(store) == ["kept"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="can't be made"):
        open_store(Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path}/file/proctor.db"))


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="the file can't be opened"):
        open_store(Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path}"))


def test_a_database_that_another_program_holds_is_named(tmp_path: Path) -> None:
    file = tmp_path / "proctor.db"
    settings = Settings(tmp_path, tmp_path, f"sqlite:///{file}")
    open_store(settings).close()
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with Store(settings.database_url, timeout_s=0.1) as store, pytest.raises(StoreUnavailable, match="its lock"):
            exams.save_exam(store, exam())
        with Store(settings.database_url, timeout_s=0.1) as store:
            assert records.overview(store) == []  # readers don't mind
    finally:
        holder.close()


def test_a_server_that_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path, "postgresql://me:sesame@127.0.0.1:1/exams?password=sesame")
    with pytest.raises(StoreUnavailable, match="can't be reached") as down:
        open_store(settings, timeout_s=2)
    assert "'exams' on 127.0.0.1:1" in str(down.value)
    assert "sesame" not in str(down.value)


@pytest.mark.postgres
def test_a_server_that_refuses_is_told_from_one_that_is_not_there(postgres: str, tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path, postgres.format(database="nowhere"))
    with pytest.raises(StoreUnavailable, match="refuses the connection"):
        open_store(settings)


@pytest.mark.postgres
def test_connections_that_a_server_ended_are_made_anew(postgres: str, tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path, postgres.format(database="postgres"))
    with Store(settings.database_url) as store:
        with store.read() as session:
            backend = session.connection().execute(text("SELECT pg_backend_pid()")).scalar_one()
        with psycopg.connect(settings.database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,))
        with store.read() as session:
            assert session.connection().execute(text("SELECT pg_backend_pid()")).scalar_one() != backend


@pytest.mark.parametrize(
    "url", ["mysql://me:sesame@host/db", "sqlite://", "sqlite:///:memory:", "postgresql://me:sesame@host:port/x", "no"]
)
def test_a_url_that_cannot_be_meant_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        Store(url)
    assert "sesame" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_an_exam_that_was_never_saved_is_named(store: Store) -> None:
    with pytest.raises(UnknownName, match="demo/astronomy"):
        exams.load_exam(store, "demo", "astronomy", "0" * 64)


@pytest.mark.parametrize("text", ["a NUL \0 inside", "half a pair \ud800"])
def test_a_question_that_is_not_text_is_refused_before_the_database_sees_it(store: Store, text: str) -> None:
    broken = exam()
    bad = replace(broken.questions[2], text=text)
    with pytest.raises(BadExam, match="question 2"):
        exams.save_exam(store, replace(broken, questions=(bad,)))


def test_an_exam_with_a_question_twice_is_refused(store: Store) -> None:
    broken = exam()
    with pytest.raises(BadExam, match="twice"):
        exams.save_exam(store, replace(broken, questions=broken.questions[:1] * 2))


def test_the_latest_sweep_is_the_same_for_every_store_on_the_database(store: Store, database_url: str) -> None:
    made = submit(store, spec())
    with Store(database_url) as other:
        assert sweeps.find(other, None).id == made.sweep_id
