"""Requests of many clients, computed in shared batches by one thread."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import numpy as np


class Item(NamedTuple):
    """Examples that wait for a batch, at most `max_batch` of them."""

    rows: np.ndarray
    answer: asyncio.Future
    since: float


class Lane:
    """Collect the examples of one endpoint into batches, and hand each to the worker."""

    def __init__(
        self, compute: Callable, max_batch: int, max_wait: float, worker: ThreadPoolExecutor, counted: Callable
    ):
        self.compute, self.max_batch, self.max_wait = compute, max_batch, max_wait
        self.worker, self.counted = worker, counted
        self.waiting, self.count = deque(), 0
        self.arrived, self.full = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self.run())

    def put(self, rows: np.ndarray) -> asyncio.Future:
        """Queue examples [n ≤ max_batch, …]; returns a future of their outputs by name."""
        loop = asyncio.get_running_loop()
        self.waiting.append(Item(rows, loop.create_future(), loop.time()))
        self.count += len(rows)
        self.arrived.set()
        if self.count >= self.max_batch:
            self.full.set()
        return self.waiting[-1].answer

    async def run(self) -> None:
        """Compute batch after batch, for as long as the server runs."""
        while True:
            await self.arrived.wait()
            await self.fill()
            if items := self.take():
                await self.answer(items)

    async def fill(self) -> None:
        """Wait until a batch is full, or until its first examples have waited `max_wait` seconds."""
        left = self.waiting[0].since + self.max_wait - asyncio.get_running_loop().time()
        if self.count < self.max_batch and left > 0:
            self.full.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.full.wait(), left)

    def take(self) -> list[Item]:
        """Take the oldest items that fit a batch, without those whose client has given up."""
        taken, rows = [], 0
        while self.waiting and rows + len(self.waiting[0].rows) <= self.max_batch:
            item = self.waiting.popleft()
            self.count -= len(item.rows)
            if not item.answer.done():
                taken.append(item)
                rows += len(item.rows)
        if not self.waiting:
            self.arrived.clear()
        return taken

    async def answer(self, items: list[Item]) -> None:
        """Compute items as one batch in the worker, and give each its part of the outputs, or the error."""
        try:
            batch = np.concatenate([item.rows for item in items])
            outputs = await asyncio.get_running_loop().run_in_executor(self.worker, self.compute, batch)
        except Exception as error:  # whatever TensorFlow raises: the next batch may work
            for item in items:
                if not item.answer.done():
                    item.answer.set_exception(error)
            return
        self.counted(len(batch))
        ends = np.cumsum([len(item.rows) for item in items])
        for item, end in zip(items, ends, strict=True):
            if not item.answer.done():
                item.answer.set_result({name: y[end - len(item.rows) : end] for name, y in outputs.items()})


class Batcher:
    """Compute examples of any endpoint, in batches of up to `max_batch` shared between requests.

    One thread computes, as TensorFlow itself spreads a batch over the cores. Each endpoint has a `Lane`. While a batch
    is computed, the next one gathers; `max_wait` matters only where nothing is being computed.

    Args:
        max_batch: most examples of a batch; more of one request are split.
        max_wait: seconds for which a batch that is not full waits for others.
        counted: called with the number of examples of each batch.
    """

    def __init__(self, max_batch: int, max_wait: float, counted: Callable[[int], None]):
        self.max_batch, self.max_wait, self.counted = max_batch, max_wait, counted
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self.lanes = {}

    async def compute(self, key, function: Callable, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Compute examples [N, …] by the function of the lane `key`: outputs by name, each [N, …]."""
        if key not in self.lanes:
            self.lanes[key] = Lane(function, self.max_batch, self.max_wait, self.worker, self.counted)
        pieces = [rows[i : i + self.max_batch] for i in range(0, len(rows), self.max_batch)]
        found = await asyncio.gather(*map(self.lanes[key].put, pieces))
        return found[0] if len(found) == 1 else {name: np.concatenate([p[name] for p in found]) for name in found[0]}

    async def close(self) -> None:
        """End the lanes and the thread."""
        tasks = [lane.task for lane in self.lanes.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.worker.shutdown()
