"""What may stand in PROCTOR_BROKER_URL, and that no error tells its password."""

from __future__ import annotations

from pathlib import Path

import pytest

from proctor import broker_url
from proctor.broker.app import make_app
from proctor.broker.bell import address
from proctor.broker.clients import celery_tls, sentinel_options
from proctor.broker_url import BrokerUrl, Host
from proctor.errors import BadInput
from proctor.settings import Settings

SECRET = "p@ss:w/rd"
QUOTED = "p%40ss%3Aw%2Frd"


def settings(url: str) -> Settings:
    return Settings(Path(), Path(), "postgresql://db/proctor", url)


def test_a_plain_url_is_read_with_its_defaults() -> None:
    assert broker_url.read("redis://queue") == BrokerUrl("redis", (Host("queue", 6379),))
    assert broker_url.read(f"redis://me:{QUOTED}@queue:7000/3") == BrokerUrl(
        "redis", (Host("queue", 7000),), "me", SECRET, 3
    )
    assert broker_url.read("redis://[::1]:7000/0").hosts == (Host("::1", 7000),)
    assert broker_url.read("redis://").is_local


def test_tls_checks_the_certificate_unless_the_url_says_otherwise() -> None:
    checked = celery_tls(broker_url.read("rediss://queue:7000/0?ssl_ca_certs=/etc/ca.pem"))
    assert checked == {"ssl_ca_certs": "/etc/ca.pem", "ssl_cert_reqs": "required", "ssl_check_hostname": True}
    trusting = celery_tls(broker_url.read("rediss://queue/0?ssl_cert_reqs=none"))
    assert trusting == {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    nameless = celery_tls(broker_url.read("rediss://queue/0?ssl_check_hostname=false"))
    assert nameless == {"ssl_cert_reqs": "required", "ssl_check_hostname": False}
    assert celery_tls(broker_url.read("redis://queue/0")) is None


@pytest.mark.parametrize(
    "url",
    [
        f"sentinel://me:{QUOTED}@one:1,two/2?master_name=m",
        f"sentinel://me:{QUOTED}@one:1;sentinel://me:{QUOTED}@two/2?master_name=m",
    ],
    ids=["ours", "celery's"],
)
def test_sentinels_may_be_written_in_two_ways(url: str) -> None:
    broker = broker_url.read(url)
    assert broker.hosts == (Host("one", 1), Host("two", 26379))
    assert (broker.username, broker.password, broker.db, broker.master_name) == ("me", SECRET, 2, "m")
    assert broker.bare == f"sentinel://me:{QUOTED}@one:1/2;sentinel://me:{QUOTED}@two:26379/2"
    assert broker.tls is None


def test_sentinels_have_a_password_and_tls_of_their_own() -> None:
    broker = broker_url.read("sentinel://:a@one/0?master_name=m&sentinel_username=s&sentinel_password=b&ssl=true")
    told = sentinel_options(broker)
    assert (told["username"], told["password"], told["ssl"], told["ssl_cert_reqs"]) == ("s", "b", True, "required")
    assert make_app(settings("sentinel://:a@one/0?master_name=m")).conf.broker_transport_options["master_name"] == "m"


def test_a_url_for_celery_is_read_back_as_the_same() -> None:
    broker = broker_url.read(f"redis://:{QUOTED}@queue:7000/3")
    assert broker_url.read(broker.bare) == broker


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        (f"amqp://:{QUOTED}@queue", "scheme 'amqp'"),
        (f"redis://:{QUOTED}@queue:port/0", "can't be read as a URL"),
        (f"redis://:{QUOTED}@queue:70000/0", "can't be read as a URL"),
        (f"redis://:{QUOTED}@[queue/0", "can't be read as a URL"),
        (f"redis://:{QUOTED}@one,two/0", "names 2 hosts"),
        (f"redis://:{QUOTED}@queue/zero", "database 'zero'"),
        (f"redis://:{QUOTED}@queue/0?ssl_ca_certs=/etc/ca.pem", "option 'ssl_ca_certs'"),
        (f"rediss://:{QUOTED}@queue/0?ssl_cafile=/etc/ca.pem", "option 'ssl_cafile'"),
        (f"rediss://:{QUOTED}@queue/0?ssl_cert_reqs=maybe", "ssl_cert_reqs='maybe'"),
        (f"sentinel://:{QUOTED}@one/0", "not the master"),
        (f"sentinel://:{QUOTED}@one;redis://two/0?master_name=m", "scheme"),
    ],
)
def test_what_can_not_be_meant_is_named_and_the_password_is_not(url: str, cause: str) -> None:
    with pytest.raises(BadInput, match=cause) as refused:
        settings(url).check()
    assert SECRET not in str(refused.value)
    assert QUOTED not in str(refused.value)


@pytest.mark.parametrize("url", [f"redis://:{QUOTED}@queue:7000/3", f"sentinel://:{QUOTED}@one,two/2?master_name=m"])
def test_what_is_shown_holds_no_password(url: str) -> None:
    broker = broker_url.read(url)
    for shown in (str(broker), repr(broker), address(make_app(settings(url)))):
        assert SECRET not in shown
        assert QUOTED not in shown
        assert broker.hosts[0].name in shown


def test_sqlite_goes_with_a_broker_of_this_machine_only() -> None:
    local = "sentinel://127.0.0.1:1,localhost:2/0?master_name=m"
    Settings(Path(), Path(), "sqlite:///x.db", local).check()
    with pytest.raises(BadInput, match=r"names 127.0.0.1:1, queue:2 \(sentinels of m\) and the database is SQLite"):
        Settings(Path(), Path(), "sqlite:///x.db", local.replace("localhost", "queue")).check()
