"""Which examples go together, on which process, and how they are prepared ahead of the model."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from synth.recommender.prompts import Encoded

T = TypeVar("T")
B = TypeVar("B")

_POOL = 50
"""Batches whose examples are sorted together: enough to waste almost no padding, few enough to stay shuffled."""


def plan(lengths: Sequence[int], size: int, *, seed: int, epoch: int, grouped: bool = True) -> list[list[int]]:
    """An epoch's batches: every example once, in an order that depends on the seed and the epoch alone.

    Args:
        lengths: of all examples, in tokens.
        size: examples in a batch; the last one may have fewer.
        grouped: put examples of like length together, so that little is padded (0.999 of the tokens are real, against
            0.6 to 0.8 in random batches).

    Returns:
        Positions in `lengths`. The longest batch of the epoch comes first: memory runs out at once or never.
    """
    order = list(range(len(lengths)))
    chance = random.Random(f"{seed}/{epoch}")
    chance.shuffle(order)
    if grouped:
        pool = size * _POOL
        pools = (order[start : start + pool] for start in range(0, len(order), pool))
        order = [index for part in pools for index in sorted(part, key=lambda i: lengths[i])]
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    if grouped:
        chance.shuffle(batches)
    if batches:
        longest = max(range(len(batches)), key=lambda n: len(batches[n]) * max(lengths[i] for i in batches[n]))
        batches[0], batches[longest] = batches[longest], batches[0]
    return batches


def efficiency(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    """Share of a plan's tokens that are not padding."""
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    return sum(lengths) / padded if padded else 1.0


def updates(batches: Sequence[list[int]], together: int) -> list[list[tuple[int, list[int]]]]:
    """The batches of each optimizer step, with their number in the epoch.

    Args:
        together: batches for one step, over all processes and accumulation.
    """
    numbered = list(enumerate(batches))
    return [numbered[start : start + together] for start in range(0, len(numbered), together)]


def prefetch(items: Sequence[T], prepare: Callable[[T], B], workers: int) -> Iterator[B]:
    """`prepare` of each item, in order, made ahead by threads; 0 workers makes them when they are asked for.

    Threads, not processes: decoding, resizing and copying release the interpreter, nothing is pickled, and a model on
    a GPU is not forked.
    """
    if workers == 0:
        yield from map(prepare, items)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="prepare") as threads:
        waiting: deque[Future[B]] = deque()
        rest = iter(items)
        try:
            for item in islice(rest, 2 * workers):
                waiting.append(threads.submit(prepare, item))
            while waiting:
                done = waiting.popleft()
                for item in islice(rest, 1):
                    waiting.append(threads.submit(prepare, item))
                yield done.result()
        finally:
            for future in waiting:
                future.cancel()


def pad(prompts: Sequence[Encoded], filler: int, *, left: bool = False) -> dict[str, Any]:
    """Prompts with their answers as one batch.

    Args:
        filler: token id of the padding; it is never attended to.
        left: pad before the prompts, for generation; what a model computes is the same on either side.

    Returns:
        `ids`, `mask` and `positions`: (prompts, longest); `rows`, `columns` and `labels`: (labels in all), the places
        whose hidden state predicts a label, and the label; `lengths`: tokens of each prompt, unpadded.
    """
    import torch

    lengths = [len(prompt) for prompt in prompts]
    ids = torch.full((len(prompts), max(lengths)), filler)
    mask = torch.zeros_like(ids)
    positions = torch.zeros_like(ids)
    rows: list[int] = []
    columns: list[int] = []
    labels: list[int] = []
    for row, prompt in enumerate(prompts):
        start = max(lengths) - lengths[row] if left else 0
        where = slice(start, start + lengths[row])
        ids[row, where] = torch.tensor((*prompt.ids, *prompt.answer))
        mask[row, where] = 1
        positions[row, where] = torch.arange(lengths[row])
        rows += [row] * len(prompt.answer)
        columns += range(start + len(prompt.ids) - 1, start + lengths[row] - 1)
        labels += prompt.answer
    return {
        "ids": ids,
        "mask": mask,
        "positions": positions,
        "rows": torch.tensor(rows, dtype=torch.long),
        "columns": torch.tensor(columns, dtype=torch.long),
        "labels": torch.tensor(labels, dtype=torch.long),
        "lengths": lengths,
    }


def processes() -> tuple[int, int]:
    """This process' number and how many there are."""
    import torch.distributed as distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def mine(items: Sequence[T]) -> Sequence[T]:
    """This process' share; every item is in exactly one."""
    rank, world = processes()
    return items[rank::world]


def everyones(items: list[T]) -> list[T]:
    """What all processes hold, on each of them: the shares of `mine` back in their order, none twice."""
    rank, world = processes()
    if world == 1:
        return items
    import torch.distributed as distributed

    shares: list[Any] = [None] * world
    distributed.all_gather_object(shares, items)
    longest = max(len(share) for share in shares)
    return [share[n] for n in range(longest) for share in shares if n < len(share)]
