"""``dlcli serve``."""

from pathlib import Path

import click

from dlcli.cli.options import WholeNumberRange, check_run, complete_runs, device_option, quiet_option, runs_option
from dlcli.cli.output import say
from dlcli.errors import InputError

PACKAGES = ("starlette", "uvicorn", "python_multipart")  # of the extra


@click.command(short_help="Serve models over HTTP, with a page to try them.")
@click.argument("runs_to_serve", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_runs)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on. Any but this machine's own, such as 0.0.0.0 for all, needs --token or --insecure.",
)
@click.option(
    "--port",
    type=WholeNumberRange(0, 65535),
    default=8501,
    show_default=True,
    metavar="N",
    help="Port to listen on; 0 for any that is free.",
)
@click.option(
    "--token",
    envvar="DLCLI_SERVE_TOKEN",
    show_envvar=True,
    metavar="TEXT",
    help="Token that requests must have, of at least 16 characters. The variable does not show it in the list of "
    "processes.",
)
@click.option("--insecure", is_flag=True, help="Let other machines use the models without a token.")
@runs_option
@device_option
@quiet_option
def serve(
    runs_to_serve: tuple[str, ...],
    host: str,
    port: int,
    token: str | None,
    insecure: bool,
    runs: Path,
    device: str,
    quiet: bool,
) -> None:
    """Serve the best models of one or several RUNs until Ctrl-C or SIGTERM.

    The address in a browser shows a page to try the models: drop an image or a table, type a text or paste a series.

    \b
    Examples:
      dlcli serve digits_convnet
      dlcli serve runs/flowers runs/reviews --port 9000
      curl -F image=@rose.jpg http://127.0.0.1:8501/v1/models/flowers:predict
      DLCLI_SERVE_TOKEN=$(openssl rand -hex 16) dlcli serve flowers --host 0.0.0.0

    Clients of TensorFlow Serving (/v1/models/NAME:predict) and of KServe's protocol v2 (/v2/models/NAME/infer) work;
    /openapi.json lists all addresses, and /metrics has counts for Prometheus. Requests are predicted in batches.
    """
    from importlib.util import find_spec

    from dlcli.rundir.runs import find_run
    from dlcli.runtime.startup import start_tensorflow
    from dlcli.workflow.serve_request import ServeRequest, bind, check_request

    if any(find_spec(package) is None for package in PACKAGES):
        raise InputError("dlcli serve needs Starlette and uvicorn; install them with: pip install 'dlcli[serve]'")
    found = [find_run(runs, name) for name in runs_to_serve]
    for run in found:
        check_run(run, "serve")
    request = ServeRequest(host, port, token, insecure)
    check_request(found, request)
    with bind(request) as bound:
        start_tensorflow(device)
        from dlcli.runtime.console import Console
        from dlcli.workflow.serve import serve as serve_runs

        serve_runs(found, request, bound, console=Console(quiet=quiet), on_start=say)
