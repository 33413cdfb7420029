"""`proctor metrics` and `proctor flower`: what other tools look through."""

from __future__ import annotations

import os

import click

from proctor.help import HELP


@click.command(context_settings=HELP, short_help="Serve metrics for Prometheus.")
@click.option("--port", type=click.IntRange(0, 65535), default=9300, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; metrics have no login.")
@click.option("--once", is_flag=True, help="Print the metrics and leave.")
def metrics(port: int, host: str, once: bool) -> None:
    """Serve the fleet's metrics for Prometheus at /metrics, read from the database: one of these is enough for a fleet.

    Backlog a lane, Runs by status, Answers, attempts by outcome, leases that ran out, and each worker.
    examples/grafana-dashboard.json shows them in Grafana.

    \b
    Examples:
      proctor metrics
      proctor metrics --once
      proctor metrics --host 0.0.0.0 --port 9300
    """
    from proctor.prometheus import metrics_text
    from proctor.settings import Settings
    from proctor.store.database.open import open_store
    from scheduler.exporter import PATH, exporting, wait_for_stop

    with open_store(Settings.read(os.environ)) as store:
        if once:
            click.echo(metrics_text(store), nl=False)
            return
        with exporting(store, host, port) as server:
            click.echo(f"Metrics at http://{host}:{server.server_port}{PATH}; Ctrl-C ends it.")
            wait_for_stop()


@click.command(context_settings=HELP, short_help="Show every Run as a Celery task, in a browser.")
@click.option("--port", type=click.IntRange(1, 65535), default=5555, show_default=True, help="The port to listen on.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; beyond this machine FLOWER_BASIC_AUTH=USER:PASSWORD is demanded.",
)
def flower(port: int, host: str) -> None:
    """Start Flower on the fleet's broker (PROCTOR_BROKER_URL): every attempt at a Run as a task, and the workers.

    It only looks, unless FLOWER_READ_ONLY=false: then whoever logs in can stop workers. Other FLOWER_* variables are
    Flower's own. Its /metrics and /healthcheck answer without the password; `proctor metrics` tells more.

    \b
    Examples:
      proctor flower
      FLOWER_BASIC_AUTH=me:secret proctor flower --host 0.0.0.0
    """
    from proctor.settings import Settings
    from scheduler.flower_server import serve

    serve(Settings.read(os.environ), host, port)
