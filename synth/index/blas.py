"""One BLAS thread while searching."""

from __future__ import annotations

import threading
from typing import Any


class _OneBlasThread:
    """Within it, BLAS uses one thread: with more each, many searching threads bring OpenBLAS to a standstill.

    The number of threads belongs to the process, so the first in sets it and the last out restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._controller: Any = None
        self._limiter: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                if self._controller is None:
                    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

                    self._controller = ThreadpoolController()
                self._take_control()
                self._limiter = self._controller.limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._take_control()  # the last out is seldom the first in
                self._limiter.restore_original_limits()
                self._take_control()  # and gives it up

    def _take_control(self) -> None:
        """From threadpoolctl 3.8 on, only the first thread that set a limit can; any other's does nothing, silently."""
        for library in self._controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)


ONE_BLAS_THREAD = _OneBlasThread()
