"""Optuna's dashboard on any storage of ours, a journal under its lease or a server included.

`runs.dashboards` starts it with a host and a port. The storage is named by the environment: a
password has no place in a command line.
"""

import argparse
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

from makerlab.cli import run_command
from makerlab.errors import UserError
from makerlab.tuning.address import VARIABLE, read_address, storage_in_environment
from makerlab.tuning.storage import check_journal, open_storage


class _Threaded(ThreadingMixIn, WSGIServer):
    """A browser keeps connections open that it does not use; they must not hold up others."""

    daemon_threads = True


def main() -> int:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    storage = storage_in_environment()
    if storage is None:
        raise UserError(f"{VARIABLE}: found nothing, expected where studies are kept")
    from optuna_dashboard import wsgi

    address = read_address(storage)
    check_journal(address)
    application = wsgi(open_storage(address))
    with make_server(given.host, given.port, application, server_class=_Threaded) as server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    run_command(main)
