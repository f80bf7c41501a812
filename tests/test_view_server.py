"""The port that the page listens on."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from synth.errors import SynthError
from synth.view.server import HOST, listen


def test_a_taken_port_is_one_line() -> None:
    with closing(listen(0)) as first, pytest.raises(SynthError, match=r"Port \d+ is taken. Choose another --port"):
        listen(first.getsockname()[1])


def test_a_server_can_start_anew_at_once() -> None:
    with closing(listen(0)) as first:
        port = first.getsockname()[1]
        client = socket.create_connection((HOST, port))
        served, _ = first.accept()
        served.close()  # the server hangs up first, so that it is its side that lingers
        client.close()
    with closing(listen(port)) as second:
        assert second.getsockname() == (HOST, port)


def test_small_packets_leave_at_once() -> None:
    with closing(listen(0)) as listener, closing(socket.create_connection(listener.getsockname())):
        served, _ = listener.accept()
        with closing(served):
            assert served.proto == socket.IPPROTO_TCP  # asyncio turns Nagle's delay off for what it knows to be TCP
