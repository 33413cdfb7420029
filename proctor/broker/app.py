"""The Celery application: what submitters, workers and Flower agree on. It carries bells, never data.

The database is the truth: a lost message is rung again, a doubled one finds nothing to do. Messages are JSON only.
Keys that stay in Redis without an expiry are Celery's own: `_kombu.binding.*` (which queues exist), a queue's list
while bells wait in it, and `unacked*` while a bell is being answered.
"""

from __future__ import annotations

from celery import Celery
from kombu import Queue

from proctor import broker_url
from proctor.broker.clients import CONNECT_S, celery_tls, sentinel_options
from proctor.errors import BrokerUnavailable
from proctor.nouns.models import Device
from proctor.settings import Settings

WORK = "proctor.work"  # the one task: claim and sit Runs until nothing suits
# Longer than any worker stays busy, and the same for everyone who uses the broker: a bell that comes back sooner
# only finds its worker at work. What recovers a lost Run is its lease, never this.
VISIBILITY_S = 30 * 24 * 3600


def make_app(settings: Settings) -> Celery:
    """The application on `settings.broker_url`; nothing is opened yet.

    Raises
    ------
    BrokerUnavailable
        where no broker is named.
    """
    if settings.broker_url is None:
        raise BrokerUnavailable("No broker is named.", "Set PROCTOR_BROKER_URL, or let `submit-sweep` bring its own.")
    broker = broker_url.read(settings.broker_url)
    app = Celery("proctor", broker=broker.bare, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        event_serializer="json",
        enable_utc=True,
        timezone="UTC",
        task_ignore_result=True,
        task_queues=[Queue(device.value, routing_key=device.value) for device in Device],
        task_default_queue=Device.CPU.value,
        task_create_missing_queues=False,
        # A bell is acknowledged when its worker falls idle, and comes back when its child dies.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_concurrency=1,
        worker_pool="prefork",
        worker_pool_start_method="fork",  # the child inherits the stop signal; the parent holds no CUDA and no torch
        worker_lost_wait=0.5,  # for a result that a dying child had sent: its bell would only find nothing to do
        worker_proc_alive_timeout=60.0,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_use_ssl=celery_tls(broker),
        broker_connection_timeout=CONNECT_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # 100, the default, would end the worker in a long outage
        worker_cancel_long_running_tasks_on_connection_loss=False,  # it would throw the loaded model away
        broker_transport_options={
            "visibility_timeout": VISIBILITY_S,
            "health_check_interval": 10,
            "socket_keepalive": True,
            # A worker's parent waits for it in its one loop; what blocks for longer on purpose isn't bound by it.
            "socket_timeout": CONNECT_S,
            "socket_connect_timeout": CONNECT_S,
            "master_name": broker.master_name or None,
            "sentinel_kwargs": sentinel_options(broker) if broker.scheme == "sentinel" else None,
        },
    )
    return app
