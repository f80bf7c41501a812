"""The micro-batcher: searches that are waited for at the same time share one pass over the vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from synth.corpora.records import Candidate
from synth.index.driver import Where
from synth.index.fusion import Fusion
from synth.index.index import Given, Index, Search

MOST = 64
"""Searches in one batch."""
WAIT = 0.005
"""Seconds for which a search waits for company."""


class Searcher:
    """Searches from many coroutines of one event loop; results are exactly those of `Index.search`.

    An index without dense vectors is searched at once: a batch would save nothing. Others are searched on one thread
    of the searcher's own, so that the loop goes on. Use it as an asynchronous context manager, or `close` it.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self._dense = any(kind != "sparse" for kind in index.driver.kinds.values())
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="synth-index")
        self._waiting: list[tuple[Search, asyncio.Future[list[Candidate]]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._passes: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Searcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def search(
        self,
        query: str | Given,
        k: int = 10,
        *,
        exclude: Collection[str] = (),
        where: Where | None = None,
        fusion: Fusion = "rrf",
        weights: Mapping[str, float] | None = None,
        by: Collection[str] | None = None,
        rerank: bool = True,
    ) -> list[Candidate]:
        """As `Index.search`."""
        search = Search(query, k, exclude, where, fusion, weights or {}, by, rerank)
        if not self._dense:
            return self.index.search_many([search])[0]
        self.index.check(search)  # raises for this caller alone, not for its batch
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Candidate]] = loop.create_future()
        self._waiting.append((search, answer))
        if len(self._waiting) >= MOST:
            self._start()
        elif self._timer is None:
            self._timer = loop.call_later(WAIT, self._start)
        return await answer

    def close(self) -> None:
        """Ends the thread; searches still waited for are cancelled."""
        if self._timer is not None:
            self._timer.cancel()
        for _, answer in self._waiting:
            answer.cancel()
        self._waiting.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        """Hands what is waiting to the thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._pass(batch))
        self._passes.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._passes.discard)

    async def _pass(self, batch: list[tuple[Search, asyncio.Future[list[Candidate]]]]) -> None:
        searches = [search for search, _ in batch]
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self.index.search_many, searches)
            for (_, answer), candidates in zip(batch, found, strict=True):
                if not answer.done():
                    answer.set_result(candidates)
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
        finally:
            for _, answer in batch:
                answer.cancel()  # does nothing to those that are done; leaves nobody waiting where the pass was ended
