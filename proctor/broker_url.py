"""PROCTOR_BROKER_URL as a checked value: one server, with TLS or without, or the sentinels that know which it is.

    redis://[USER][:PASSWORD]@HOST[:PORT][/DB]
    rediss://…[?ssl_ca_certs=FILE&ssl_certfile=FILE&ssl_keyfile=FILE&ssl_cert_reqs=none&ssl_check_hostname=false]
    sentinel://[USER][:PASSWORD]@HOST[:PORT],HOST[:PORT][/DB]?master_name=NAME[&sentinel_password=…][&ssl=true]

The names of options are redis-py's. `rediss` checks certificates unless the URL says otherwise. Sentinels may also be
written as Celery writes them, a URL each, joined by semicolons; USER and PASSWORD are the server's own, while
sentinel_username and sentinel_password are the sentinels'. A password never comes into a message of an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from proctor.errors import BadInput

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379}
TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"})
SENTINEL_OPTIONS = frozenset({"master_name", "sentinel_username", "sentinel_password", "ssl"})
CERT_REQS = ("required", "optional", "none")
HOW = "Write redis://:PASSWORD@HOST:PORT/0, rediss://… or sentinel://…,…/0?master_name=NAME."


@dataclass(frozen=True)
class Host:
    """A server or a sentinel."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


@dataclass(frozen=True)
class BrokerUrl:
    """Where the broker is and how to get in. `str` is for people: it never holds a password."""

    scheme: str  # redis, rediss or sentinel
    hosts: tuple[Host, ...]
    username: str = ""
    password: str = field(default="", repr=False)
    db: int = 0
    tls: Mapping[str, str] | None = None  # redis-py's options; None: without TLS
    master_name: str = ""
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)

    def __str__(self) -> str:
        hosts = ", ".join(str(host) for host in self.hosts)
        return f"{hosts} (sentinels of {self.master_name})" if self.scheme == "sentinel" else hosts

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine alone."""
        return all(host.name in LOOPBACK for host in self.hosts)

    @property
    def bare(self) -> str:
        """The URL without its options, as kombu takes it, with the password: one for each sentinel."""
        user = quote(self.username, safe="") + (f":{quote(self.password, safe='')}" if self.password else "")
        login = f"{user}@" if user else ""
        return ";".join(f"{self.scheme}://{login}{host}/{self.db}" for host in self.hosts)


def read(url: str) -> BrokerUrl:
    """Check a URL of the broker.

    Raises
    ------
    BadInput
        for one that can't be meant, saying which part of it, and never what stands there in secret.
    """
    try:
        parts = [urlsplit(part) for part in url.split(";")]
        hosts = tuple(host for part in parts for host in _hosts(part))
    except ValueError:  # the message of urllib holds what it could not read
        raise BadInput("PROCTOR_BROKER_URL can't be read as a URL.", HOW) from None
    schemes = {part.scheme for part in parts}
    scheme = parts[0].scheme
    if len(schemes) > 1 or scheme not in PORTS:
        raise BadInput(f"PROCTOR_BROKER_URL has the scheme {', '.join(sorted(schemes))!r}.", HOW)
    if len(hosts) > 1 and scheme != "sentinel":
        raise BadInput(f"PROCTOR_BROKER_URL names {len(hosts)} hosts; only sentinel:// takes several.", HOW)
    options = _options(parts[-1], scheme)
    login = next((part for part in parts if "@" in part.netloc), parts[0])
    return BrokerUrl(
        scheme=scheme,
        hosts=hosts,
        username=unquote(login.username or ""),
        password=unquote(login.password or ""),
        db=_db(parts[-1].path),
        tls=_tls(scheme, options),
        master_name=_master_name(scheme, options),
        sentinel_username=options.get("sentinel_username", ""),
        sentinel_password=options.get("sentinel_password", ""),
    )


def _hosts(part: SplitResult) -> list[Host]:
    """The hosts of a part of the URL, which may be joined by commas. Raises `ValueError` for a port that is none."""
    hosts = []
    for place in part.netloc.rpartition("@")[2].split(","):
        split = urlsplit(f"//{place}")
        hosts.append(Host(split.hostname or "localhost", split.port or PORTS.get(part.scheme, 0)))
    return hosts


def _options(part: SplitResult, scheme: str) -> dict[str, str]:
    options = dict(parse_qsl(part.query, keep_blank_values=True))
    known = {
        "redis": frozenset[str](),
        "rediss": TLS_OPTIONS,
        "sentinel": TLS_OPTIONS | SENTINEL_OPTIONS,
    }[scheme]
    unknown = sorted(options.keys() - known)
    if unknown:
        offer = f"It takes {', '.join(sorted(known))}." if known else "TLS is rediss://, which takes them."
        raise BadInput(f"PROCTOR_BROKER_URL has the option {unknown[0]!r}, which {scheme}:// doesn't take.", offer)
    return options


def _tls(scheme: str, options: Mapping[str, str]) -> Mapping[str, str] | None:
    tls = {name: value for name, value in options.items() if name in TLS_OPTIONS}
    if tls.get("ssl_cert_reqs", "required") not in CERT_REQS:
        raise BadInput(
            f"PROCTOR_BROKER_URL has ssl_cert_reqs={tls['ssl_cert_reqs']!r}.", f"Use one of {', '.join(CERT_REQS)}."
        )
    wanted = scheme == "rediss" or bool(tls) or options.get("ssl", "false").lower() == "true"
    return {"ssl_cert_reqs": "required", **tls} if wanted else None


def _master_name(scheme: str, options: Mapping[str, str]) -> str:
    if scheme == "sentinel" and not options.get("master_name"):
        raise BadInput(
            "PROCTOR_BROKER_URL names sentinels and not the master that they know.", "Add ?master_name=NAME to it."
        )
    return options.get("master_name", "")


def _db(path: str) -> int:
    name = path.strip("/")
    if name and not (name.isascii() and name.isdigit()):
        raise BadInput(f"PROCTOR_BROKER_URL asks for the database {name!r}.", "It is a number, such as /0.")
    return int(name or 0)
