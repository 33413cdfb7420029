"""`proctor flower`: Celery's web page, on our broker, with settings that are safe to begin with.

Workers send an event as each Run begins and ends (`workers.run.task_events`), so Flower shows every attempt at one as a
task `proctor.run`. It knows what happened since it was started; the whole truth is `proctor status`.

Without a password it answers for names of this machine only: else a page elsewhere that makes its own name mean
127.0.0.1 could read it through its visitor's browser.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Any

from proctor.broker.app import make_app
from proctor.broker_url import LOOPBACK
from proctor.errors import BadInput
from proctor.settings import Settings

PASSWORD = "FLOWER_BASIC_AUTH"  # noqa: S105 -- the variable's name
DEFAULTS = {
    # Without it anybody who gets in can stop workers and revoke bells.
    "FLOWER_READ_ONLY": "true",
    # The lane and subject of a Run are its arguments.
    "FLOWER_TASKS_COLUMNS": "name,uuid,args,state,result,received,runtime,worker",
    # Flower would run a flowerconfig.py of the current folder.
    "FLOWER_CONF": os.devnull,
}


def serve(settings: Settings, host: str, port: int) -> None:
    """Run Flower until it is stopped.

    Raises
    ------
    BadInput
        for an address beyond this machine without a password, or one that can't be had.
    BrokerUnavailable
        where no broker is named.
    """
    app = make_app(settings)
    os.environ.update(flower_environ(os.environ, host))
    if not os.environ.get(PASSWORD):
        _refuse_foreign_hosts()
    try:
        app.start(["flower", f"--address={host}", f"--port={port}"])
    except OSError as error:
        raise BadInput(f"{host}:{port} can't be listened on: {error.strerror}.", "Take another --port.") from error


def flower_environ(environ: Mapping[str, str], host: str) -> dict[str, str]:
    """The variables that Flower is told by, where they aren't set already. Raises `BadInput` as `serve` does."""
    users = [user for user in environ.get(PASSWORD, "").split(",") if user]
    if any(":" not in user or user.endswith(":") for user in users):
        raise BadInput(f"{PASSWORD} isn't USER:PASSWORD, or several of them parted by commas.")
    if not is_loopback(host) and not users:
        raise BadInput(
            f"--host {host} can be reached from other machines, and {PASSWORD} is not set.",
            f"Set {PASSWORD}=USER:PASSWORD, or leave --host away and go through an SSH tunnel.",
        )
    return {name: value for name, value in DEFAULTS.items() if name not in environ}


def _refuse_foreign_hosts() -> None:
    """Have Flower answer 403 where a request's Host is no name of this machine. Flower has no option for it."""
    from flower import command
    from tornado.web import RequestHandler

    class Foreign(RequestHandler):
        def prepare(self) -> None:
            self.send_error(403, reason="This server has another name")

    class Guarded(command.Flower):  # type: ignore[misc] # Flower has no types
        def find_handler(self, request: Any, **kwargs: Any) -> Any:
            if is_loopback(request.host_name.strip("[]")):
                return super().find_handler(request, **kwargs)
            return self.get_handler_delegate(request, Foreign)

    command.Flower = Guarded


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only; names but localhost aren't looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK
