"""Serves the page on loopback until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from synth.errors import SynthError
from synth.view.app import make_app
from synth.view.run import ViewedRun

HOST = "127.0.0.1"


def serve(runs: Sequence[ViewedRun], port: int, *, open_browser: bool, against: Path | None = None) -> None:
    """
    Args:
        port: 0 takes a free one.
        against: other conversations, for blind comparison.

    Raises:
        SynthError: the port is taken.
    """
    with contextlib.closing(listen(port)) as listener:
        app = make_app(runs, against)
        app.state.pages.compile()
        url = f"http://{HOST}:{listener.getsockname()[1]}/"
        print(f"{url}  (Ctrl-C ends it)", flush=True)
        if open_browser:
            threading.Timer(0.3, webbrowser.open, (url,)).start()
        config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def listen(port: int) -> socket.socket:
    """A socket that listens on loopback.

    Raises:
        SynthError: the port is taken.
    """
    # With the protocol named, asyncio sends small packets at once; without, a page may wait 40 ms for the browser.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name != "nt":  # where it would let two servers have the port
            # A port on which an earlier server's connections are still dying is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise SynthError(f"Port {port} is taken.", "Choose another --port, or 0 for a free one.") from error
    return listener
