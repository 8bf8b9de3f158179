"""Limits of `kerasae.serving`, and how requests share batches: in this process, with functions in place of exports."""

import asyncio
import importlib
import sys
import threading
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from kerasae import serving
from kerasae.errors import InputError
from kerasae.serving import tensors
from kerasae.serving.batching import Batcher
from kerasae.serving.served_export import Endpoint
from pipelines.serve import need_uvicorn

TAKES = tensors.Takes("inputs", (2,), "float32")
URL = "/v1/models/sum:predict"
ONE = {"inputs": [[1, 2]]}


def export_of(compute):
    """A stand-in for an export, with an endpoint of a function [B, 2] → {name: [B, …]}."""
    return SimpleNamespace(name="sum", version=1, endpoints={"serving_default": Endpoint(TAKES, compute, 8)})


def added(x):
    return {"total": x.sum(axis=1)}


def talk(compute, conversation, **limits):
    """Run a coroutine function of a client that asks an application."""

    async def run():
        app = serving.application([export_of(compute)], serving.Limits(**limits))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
        ):
            return await conversation(client)

    return asyncio.run(run())


async def until_inside(client, count):
    while f"inside {count}" not in (await client.get("/metrics")).text:
        await asyncio.sleep(0.001)


def test_one_request_too_many_gets_503_and_comes_again():
    go = threading.Event()

    def slow(x):
        go.wait(20)
        return added(x)

    async def conversation(client):
        first = asyncio.create_task(client.post(URL, json=ONE))
        await until_inside(client, 1)
        refused, ready, alive = [await client.get(path) for path in ("/v1/models/sum", "/readyz", "/healthz")]
        second = await client.post(URL, json=ONE)
        go.set()
        return await first, second, ready, alive, refused, await client.post(URL, json=ONE)

    first, second, ready, alive, status, third = talk(slow, conversation, max_requests=1)
    assert (second.status_code, second.headers["retry-after"]) == (503, "1") and "error" in second.json()
    assert (ready.status_code, alive.status_code, status.status_code) == (503, 200, 200)
    assert first.json() == third.json() == {"outputs": [3.0]}


def test_an_answer_that_takes_too_long_is_504_and_the_next_one_comes():
    go = threading.Event()

    def slow(x):
        go.wait(20)
        return added(x)

    async def conversation(client):
        late = await client.post(URL, json=ONE)
        go.set()
        return late, await client.post(URL, json=ONE)

    late, next_one = talk(slow, conversation, timeout=0.2)
    assert late.status_code == 504 and "within 0.2 seconds" in late.json()["error"]
    assert next_one.json() == {"outputs": [3.0]}


def test_a_body_that_does_not_arrive_is_408():
    async def pieces():
        yield b"{"
        await asyncio.sleep(5)

    async def conversation(client):
        return await client.post(URL, content=pieces())

    answer = talk(added, conversation, timeout=0.2)
    assert answer.status_code == 408 and "did not arrive" in answer.json()["error"]


def test_a_failure_of_the_model_is_500_without_its_words_and_the_next_answer_comes():
    def broken(x):
        if x[0, 0] == 13:
            raise RuntimeError("secret")
        return added(x)

    async def conversation(client):
        return [await client.post(URL, json={"inputs": [[value, 1]]}) for value in (13, 1)]

    failed, next_one = talk(broken, conversation)
    assert failed.status_code == 500 and "secret" not in failed.text and "error" in failed.json()
    assert next_one.json() == {"outputs": [2.0]}


def test_a_large_question_is_read_computed_in_pieces_and_written_outside_of_the_loop():
    x = np.random.default_rng(0).normal(size=(40_000, 2)).astype("float32")
    threads, sizes = set(), []

    def noted(batch):
        threads.add(threading.current_thread().name)
        sizes.append(len(batch))
        return added(batch)

    async def conversation(client):
        return await client.post(URL, json={"inputs": x.tolist()})

    found = talk(noted, conversation, max_batch=16_000).json()["outputs"]
    np.testing.assert_array_equal(np.float32(found), x.sum(axis=1))
    assert sizes == [16_000, 16_000, 8_000] and len(threads) == 1


def test_answers_that_are_not_finite_are_written_as_tensorflow_serving_writes_them():
    async def conversation(client):
        return await client.post(URL, json={"instances": [[0, 0], [1, 2]]})

    def logarithm(x):
        return {"log": np.where(x[:, 0] == 0, -np.inf, np.nan).astype("float32")}

    assert talk(logarithm, conversation).text == '{"predictions": [-Infinity, NaN]}'


def reloaded():
    return importlib.import_module("kerasae.serving.rest")


@pytest.mark.parametrize(("module", "use"), [("uvicorn", need_uvicorn), ("starlette.routing", reloaded)])
def test_a_missing_library_is_named_with_its_extra(module, use, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "kerasae.serving.rest", raising=False)
    with pytest.raises(InputError, match=r'pip install "kerasae\[serve\]"'):
        use()


# ---- batches


def batched(max_batch, max_wait, requests):
    """Answers to requests [n, 2] that come at once, and the sizes of the batches that were computed."""
    sizes, worker = [], []

    def compute(x):
        worker.append(threading.current_thread().name)
        return {"total": x.sum(axis=1), "same": x}

    async def run():
        batcher = Batcher(max_batch, max_wait, sizes.append)
        try:
            return await asyncio.gather(*(batcher.compute("lane", compute, x) for x in requests))
        finally:
            await batcher.close()

    answers = asyncio.run(run())
    assert len(set(worker)) == 1
    return answers, sizes


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([1] * 4, [4]), ([1] * 9, [4, 4, 1]), ([3, 3, 1], [3, 4]), ([10], [4, 4, 2]), ([2, 5], [2, 4, 1])],
)
def test_examples_share_batches_in_the_order_in_which_they_came(counts, expected):
    values = np.random.default_rng(0).normal(size=(sum(counts), 2)).astype("float32")
    requests = np.split(values, np.cumsum(counts)[:-1])
    answers, sizes = batched(4, 0.05, requests)
    assert sizes == expected
    for answer, x in zip(answers, requests, strict=True):
        np.testing.assert_array_equal(answer["same"], x)
        np.testing.assert_array_equal(answer["total"], x.sum(axis=1))


def test_a_request_that_was_given_up_is_not_computed():
    sizes = []

    async def run():
        batcher = Batcher(8, 0.05, sizes.append)
        first = asyncio.create_task(batcher.compute("lane", added, np.ones((3, 2))))
        second = asyncio.create_task(batcher.compute("lane", added, np.ones((1, 2))))
        await asyncio.sleep(0)
        first.cancel()
        found = await second
        await batcher.close()
        return found["total"]

    assert asyncio.run(run()) == [2.0] and sizes == [1]


# ---- tensors


@pytest.mark.parametrize("value", [1 / 3, 1e-45, 3.4e38, 16777217.0, 0.1, -0.0])
def test_a_float32_is_written_shortly_and_read_back_exactly(value):
    x = np.float32([value])
    (found,) = tensors.numbers(x)
    assert np.float32(found) == x[0] and len(repr(found)) <= len(repr(float(x[0])))


def test_missing_numbers_are_taken_where_the_model_knows_them():
    takes = tensors.Takes("inputs", (2,), "float32", None, missing=True)
    np.testing.assert_array_equal(tensors.array([[float("nan"), 1]], takes), np.float32([[np.nan, 1]]))
