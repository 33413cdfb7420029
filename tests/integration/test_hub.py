"""Models by hub id, against a small hub of our own on loopback that speaks the real one's protocol."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from proctor.catalog.weights import read_folder
from tests import tiny
from tests.support import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FACTS = (
    "from proctor.catalog.resolve import resolve, weights_of; ref = resolve('team/tiny'); "
    "facts = weights_of(ref); print(ref, facts.parameters, facts.hidden, facts.dtype)"
)


@dataclass
class Hub:
    """A hub with the one model `team/tiny`, a gated one, and one that has pickles only."""

    files: dict[str, bytes]
    parameters: int
    endpoint: str = ""
    asked: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)  # what was sent whole
    slowness_s: float = 0.0  # before each body

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a path of the hub's API."""
        api = path.startswith("/api/")
        repo, _, rest = path.removeprefix("/api/models" if api else "").removeprefix("/team/").partition("/")
        if repo == "gated":
            return 403, {"X-Error-Code": "GatedRepo"}, b"{}"
        if repo not in ("tiny", "pickled"):
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        names = list(self.files) if repo == "tiny" else ["config.json", "pytorch_model.bin"]
        kind, _, rest = rest.partition("/")
        revision, _, name = rest.partition("/")
        if revision not in ("", "main", COMMIT):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        if api:
            told = [self.entry(name) for name in names] if kind == "tree" else self.info(repo, names)
            return 200, {}, json.dumps(told).encode()
        if name not in names:
            return 404, {"X-Error-Code": "EntryNotFound"}, b"{}"
        return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{self.entry(name)["oid"]}"'}, self.files[name]

    def info(self, repo: str, names: list[str]) -> dict[str, Any]:
        return {
            "id": f"team/{repo}",
            "modelId": f"team/{repo}",
            "sha": COMMIT,
            "siblings": [{"rfilename": name} for name in names],
        }

    def entry(self, name: str) -> dict[str, Any]:
        body = self.files[name]
        return {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha256(body).hexdigest()}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tiny.make(tmp_path_factory.mktemp("hub"))
    files = {path.name: path.read_bytes() for path in folder.iterdir()} | {"pytorch_model.bin": b"a pickle"}
    shop = Hub(files, read_folder(folder).parameters)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            shop.asked.append(path)
            status, headers, body = shop.answer(path)
            if (span := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))) and status == 200:
                whole, first, last = len(body), int(span[1]), int(span[2] or len(body) - 1)
                body = body[first : last + 1]
                status, headers = 206, {**headers, "Content-Range": f"bytes {first}-{first + len(body) - 1}/{whole}"}
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                shop.bodies.append(path.rpartition("/")[2])
                time.sleep(shop.slowness_s)
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name in the base class
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        shop.endpoint = f"http://127.0.0.1:{server.server_port}"
        yield shop
        server.shutdown()
        thread.join()


def run(hub: Hub, home: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Python with this hub as the hub, and an empty cache in `home` unless something was run there before."""
    own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "PROCTOR_CACHE": str(home), "NO_PROXY": "*"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PROCTOR_"))}
    return subprocess.run(
        [sys.executable, *command],
        env={**kept, **own, **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_facts_need_the_headers_only(hub: Hub, tmp_path: Path) -> None:
    done = run(hub, tmp_path, "-c", FACTS)
    assert done.stdout.split() == [f"team/tiny@{COMMIT}", str(hub.parameters), "64", "float32"], done.stderr
    assert not list(tmp_path.rglob("model.safetensors"))


def test_tokens_are_counted_without_the_weights_and_not_at_all_where_the_hub_is_away(hub: Hub, tmp_path: Path) -> None:
    counted = (
        "from pathlib import Path; from proctor.catalog.tokenizer import tokenizer_files; "
        "from proctor.nouns.models import ModelRef, ModelSource; "
        f"ref = ModelRef('team/tiny', ModelSource.HUB, '{COMMIT}'); "
        "files = tokenizer_files(ref, Path('unused')); print(files and files.counter().count('Answer: A'))"
    )
    away = run(hub, tmp_path, "-c", counted, HF_ENDPOINT="http://127.0.0.1:9")
    assert away.stdout.strip() == "None", away.stderr
    done = run(hub, tmp_path, "-c", counted)
    assert int(done.stdout) == tiny.tokenizer()("Answer: A", return_length=True)["length"][0], done.stderr
    assert not list(tmp_path.rglob("model.safetensors"))


def test_a_model_is_downloaded_without_its_pickles_and_then_needs_no_hub(hub: Hub, tmp_path: Path) -> None:
    first = run(hub, tmp_path, "-m", "workers.models.local_files", "team/tiny")
    assert first.returncode == 0, first.stderr
    folder = Path(first.stdout.strip())
    assert folder.name == COMMIT
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
    assert not (folder / "pytorch_model.bin").exists()
    hub.asked.clear()
    offline = run(hub, tmp_path, "-m", "workers.models.local_files", "team/tiny", HF_HUB_OFFLINE="1")
    assert (offline.stdout, hub.asked) == (first.stdout, [])


def test_a_hub_out_of_reach_is_answered_for_by_the_cache(hub: Hub, tmp_path: Path) -> None:
    first = run(hub, tmp_path, "-m", "workers.models.local_files", "team/tiny")
    away = run(hub, tmp_path, "-m", "workers.models.local_files", "team/tiny", HF_ENDPOINT="http://127.0.0.1:9")
    assert away.stdout == first.stdout


def test_two_processes_of_one_host_download_a_model_once(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "slowness_s", 0.5)
    hub.bodies.clear()
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda _: run(hub, tmp_path, "-m", "workers.models.local_files", "team/tiny"), range(2)))
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert done[0].stdout == done[1].stdout
    assert hub.bodies.count("model.safetensors") == 1
    assert "".join(one.stderr for one in done).count("downloading from the hub, once for this machine") == 1


@pytest.mark.parametrize(
    ("name", "cause", "next_step"),
    [
        ("team/gated", "it is gated", "hf auth login"),
        ("team/absent", "the hub has no such model, or it is private", "Check the spelling"),
        ("team/tiny@v9", "it has no revision 'v9'", "commits and tags"),
        ("team/pickled", "it has no weights as safetensors, and pickles are refused", "with safetensors"),
    ],
)
def test_what_the_hub_refuses_is_explained(hub: Hub, tmp_path: Path, name: str, cause: str, next_step: str) -> None:
    done = run(hub, tmp_path, "-m", "workers.models.local_files", name)
    assert done.returncode == 2
    assert cause in done.stderr
    assert next_step in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hub_out_of_reach_and_nothing_cached_is_explained(hub: Hub, tmp_path: Path) -> None:
    done = run(hub, tmp_path, "-m", "workers.models.local_files", "team/tiny", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 2
    assert "isn't in the local cache, and the hub can't be reached" in done.stderr
