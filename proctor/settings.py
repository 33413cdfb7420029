"""Where things are and how long to wait: read from the environment once, by whoever starts a process.

| variable | meaning | default |
| --- | --- | --- |
| PROCTOR_HOME | folder of the database and of logs | the user's data folder |
| PROCTOR_CACHE | folder of converted and fetched models | the user's cache folder |
| PROCTOR_DATABASE_URL | SQLAlchemy URL: `sqlite:///FILE` or `postgresql://…` | SQLite in PROCTOR_HOME |
| PROCTOR_BROKER_URL | `redis://`, `rediss://`, `sentinel://`: `proctor.broker_url` | none: an embedded Valkey |
| PROCTOR_LEASE_S | a Run is claimable again this long after its worker fell silent, seconds | 30 |
| PROCTOR_PACK_LIMIT_S | work without a sign of life for longer is taken for hung, seconds | 1800 |
| PROCTOR_ALLOW_MODELS | models that chat may ask a worker for, with commas: patterns and `cached` | by the command |
| PROCTOR_CHAT_DAYS | conversations go this many days after their last message | never |
| PROCTOR_VLLM | the folder of an environment with vLLM; read by `submit-sweep` and `proctor worker` | none |
| PROCTOR_ENDPOINT_KEY | the key of `--endpoint`; read by who connects (`proctor.catalog.endpoint`) | none |
| PROCTOR_API_TOKEN | what `proctor serve` wants as bearer token; read by it alone | none: loopback only |
| PROCTOR_LOG_LEVEL | DEBUG, INFO, WARNING or ERROR | INFO |
| PROCTOR_LOG_FORMAT | text, or json: an object a line | text |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from proctor import broker_url
from proctor.errors import BadInput

LOOPBACK = broker_url.LOOPBACK
CACHED = "cached"  # in PROCTOR_ALLOW_MODELS: what lies on the worker's machine
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOG_FORMATS = ("text", "json")


@dataclass(frozen=True)
class Settings:
    """Checked settings. Make them with `Settings.read(os.environ)` at the edge and pass them on."""

    home: Path
    cache: Path
    database_url: str
    broker_url: str | None = None
    lease_s: float = 30.0
    pack_limit_s: float = 1800.0
    log_level: str = "INFO"
    log_format: str = "text"
    chat_days: float | None = None
    allow_models: tuple[str, ...] | None = None  # None: any

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Settings of an environment.

        Raises
        ------
        BadInput
            for a value that can't be meant, named with its variable.
        """
        home = _folder(environ, "PROCTOR_HOME", default_home())
        settings = cls(
            home=home,
            cache=_folder(environ, "PROCTOR_CACHE", platformdirs.user_cache_path("proctor")),
            database_url=environ.get("PROCTOR_DATABASE_URL") or f"sqlite:///{home / 'proctor.db'}",
            broker_url=environ.get("PROCTOR_BROKER_URL") or None,
            lease_s=_seconds(environ, "PROCTOR_LEASE_S", cls.lease_s),
            pack_limit_s=_seconds(environ, "PROCTOR_PACK_LIMIT_S", cls.pack_limit_s),
            log_level=environ.get("PROCTOR_LOG_LEVEL", cls.log_level).upper(),
            log_format=environ.get("PROCTOR_LOG_FORMAT", cls.log_format).lower(),
            chat_days=_number(environ, "PROCTOR_CHAT_DAYS", "days") if environ.get("PROCTOR_CHAT_DAYS") else None,
            allow_models=_list(environ, "PROCTOR_ALLOW_MODELS"),
        )
        settings.check()
        return settings

    @property
    def database_shown(self) -> str:
        """The database as it may be printed: the file of SQLite, else the URL without its password."""
        if self.database_url.startswith("sqlite:///"):
            return self.database_url.removeprefix("sqlite:///")
        return re.sub(r"://([^/@:]*):[^/]*@", r"://\1:***@", self.database_url)

    def environ(self) -> dict[str, str]:
        """The variables that `read` turns back into these settings: how a process that we start is told."""
        return {
            "PROCTOR_HOME": str(self.home),
            "PROCTOR_CACHE": str(self.cache),
            "PROCTOR_DATABASE_URL": self.database_url,
            "PROCTOR_BROKER_URL": self.broker_url or "",
            "PROCTOR_LEASE_S": repr(self.lease_s),
            "PROCTOR_PACK_LIMIT_S": repr(self.pack_limit_s),
            "PROCTOR_LOG_LEVEL": self.log_level,
            "PROCTOR_LOG_FORMAT": self.log_format,
            "PROCTOR_CHAT_DAYS": "" if self.chat_days is None else repr(self.chat_days),
            "PROCTOR_ALLOW_MODELS": ",".join(self.allow_models or ()),
        }

    def check(self) -> None:
        """Raise `BadInput` where the settings contradict each other or name what isn't supported."""
        if self.log_level not in LOG_LEVELS:
            raise BadInput(f"PROCTOR_LOG_LEVEL={self.log_level} is unknown.", f"Use one of {', '.join(LOG_LEVELS)}.")
        if self.log_format not in LOG_FORMATS:
            raise BadInput(f"PROCTOR_LOG_FORMAT={self.log_format} is unknown.", f"Use {' or '.join(LOG_FORMATS)}.")
        if not self.database_url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            scheme = self.database_url.partition(":")[0]
            raise BadInput(
                f"PROCTOR_DATABASE_URL has the scheme {scheme!r}.",
                "Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
            )
        if self.broker_url is None:
            return
        broker = broker_url.read(self.broker_url)
        if self.database_url.startswith("sqlite") and not broker.is_local:
            raise BadInput(
                f"PROCTOR_BROKER_URL names {broker} and the database is SQLite: workers on other machines can't share "
                "that file, and over a network file system SQLite loses writes.",
                "Set PROCTOR_DATABASE_URL to a PostgreSQL that all machines reach.",
            )


def default_home() -> Path:
    """The PROCTOR_HOME of whoever names none: a folder that is ours alone."""
    return platformdirs.user_data_path("proctor")


def _folder(environ: Mapping[str, str], name: str, default: Path) -> Path:
    return Path(environ.get(name) or default).expanduser().absolute()


def _list(environ: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    """The parts between commas; None where there are none."""
    return tuple(part.strip() for part in environ.get(name, "").split(",") if part.strip()) or None


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    return _number(environ, name, "seconds") if environ.get(name) else default


def _number(environ: Mapping[str, str], name: str, unit: str) -> float:
    text = environ[name]
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e7:
        raise BadInput(f"{name}={text!r} is no number of {unit} above 0.")
    return value
