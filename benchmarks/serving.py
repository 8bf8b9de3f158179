"""Measure latency, rate and memory of `kerasae serve`, beside a server of a few lines that computes each request alone.

    python benchmarks/serving.py [--seconds 4] [--requests 100000] [--most-seconds 240]

The model is an untrained convolutional classifier of 28 × 28 grey images, which does not change times. A question is
one image: JSON of its 784 numbers, or a PNG file. Clients keep their connections, and each asks again when it has its
answer. They run in this process, beside the server on the same cores. The plain server is Starlette and uvicorn, as
ours, with a handler that calls the SavedModel for each request, in a pool of threads; it checks nothing. Memory is the
resident set of our server while 64 clients ask `--requests` questions, or as many as fit `--most-seconds`; with
`--seconds 0` nothing else is measured.
"""

import argparse
import asyncio
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLIENTS = (1, 8, 64)
SHAPE = (28, 28, 1)


def main():
    arguments = parse()
    if arguments.plain:
        return serve_plainly(arguments.plain, arguments.port)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "digits")
        export(path)
        if arguments.seconds:
            print(bare(path), flush=True)
            for name, command in servers(path).items():
                compare(name, command, arguments.seconds)
        watch_memory(servers(path)["kerasae serve"], arguments)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each row of the table")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--most-seconds", type=float, default=240.0)
    parser.add_argument("--plain", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=8591)
    return parser.parse_args()


def export(path):
    """Write the export of an untrained classifier."""
    import kerasae

    encoder, _ = kerasae.networks.conv(SHAPE, 32, (16, 32))
    model = kerasae.models.Classifier(encoder, 10, pixel_max=255.0)
    labels = {"kind": "class", "names": [str(i) for i in range(10)]}
    kerasae.export.save(model, path, card={"labels": labels})


def bare(path, rounds=100):
    """Time the SavedModel without a server: examples per second, one by one and 64 at once."""
    import numpy as np
    import tensorflow as tf

    model = tf.saved_model.load(str(path))
    rates = []
    for size in (1, 64):
        x = tf.constant(np.zeros((size, *SHAPE), "uint8"))
        model.signatures["classify"](x)
        start = time.perf_counter()
        for _ in range(rounds):
            model.signatures["classify"](x)["probabilities"].numpy()
        rates.append(rounds * size / (time.perf_counter() - start))
    return f"the model alone: {rates[0]:.0f} examples/s one by one, {rates[1]:.0f} in batches of 64"


def servers(path):
    """Name the servers: commands that listen at the port of `parse`."""
    port = str(parse().port)
    ours = [sys.executable, "-m", "pipelines.command_line.main", "serve", str(path), "--port", port]
    plain = [sys.executable, __file__, "--plain", str(path), "--port", port]
    no_wait = [*ours, "--max-wait-ms", "0"]
    return {"kerasae serve": ours, "kerasae serve --max-wait-ms 0": no_wait, "plain Starlette": plain}


# ---- the plain server


def serve_plainly(path, port):
    """Serve a SavedModel by the fewest lines: no batches, no limits, no checks."""
    import numpy as np
    import tensorflow as tf
    import uvicorn
    from PIL import Image
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    model = tf.saved_model.load(path)

    def answer(body, image):
        x = np.array(Image.open(io.BytesIO(body)))[None, ..., None] if image else json.loads(body)["instances"]
        outputs = model.signatures["classify"](tf.constant(x, "uint8"))
        return {"predictions": {name: value.numpy().tolist() for name, value in outputs.items()}}

    async def predict(request):
        body, image = await request.body(), request.headers["content-type"].startswith("image/")
        return JSONResponse(await run_in_threadpool(answer, body, image))

    app = Starlette(routes=[Route("/v1/models/digits:predict", predict, methods=["POST"])])
    uvicorn.run(app, port=port, http="h11", loop="asyncio", access_log=False, log_level="error")


# ---- the clients


def questions():
    """Make the two requests, byte for byte."""
    import numpy as np
    from PIL import Image

    pixels, file = np.random.default_rng(0).integers(0, 256, SHAPE, "uint8"), io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(file, "PNG")
    body = json.dumps({"instances": [pixels.tolist()]}).encode()
    return {"JSON": http(body, "application/json"), "PNG": http(file.getvalue(), "image/png")}


def http(body, kind):
    head = f"POST /v1/models/digits:predict HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def client(port, question, until, times):
    """Ask again and again on one connection, and append the seconds of each answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while until(len(times)):
        start = time.perf_counter()
        writer.write(question)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head:
            raise RuntimeError(head.decode())
        await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        times.append(time.perf_counter() - start)
    writer.close()


async def ask(port, question, clients, until, times):
    await asyncio.gather(*(client(port, question, until, times) for _ in range(clients)))


# ---- the figures


def started(command):
    """Start a server, and wait until it answers."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    port, (question, *_) = int(command[command.index("--port") + 1]), questions().values()
    for _ in range(600):
        try:
            asyncio.run(ask(port, question, 1, lambda count: count < 20, []))
            return process, port
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"{command} does not answer")


def compare(name, command, seconds):
    """Print a row of latencies and the rate for each kind of question and number of clients."""
    process, port = started(command)
    try:
        for kind, question in questions().items():
            for clients in CLIENTS:
                times, end = [], time.perf_counter() + seconds
                asyncio.run(ask(port, question, clients, lambda _, end=end: time.perf_counter() < end, times))
                p50, p99 = (1000 * statistics.quantiles(times, n=100)[i] for i in (49, 98))
                row = f"{name:30s} {kind:5s} {clients:3d} clients  p50 {p50:7.1f} ms  p99 {p99:7.1f} ms"
                print(f"{row}  {len(times) / seconds:7.0f} requests/s", flush=True)
    finally:
        process.terminate()
        process.wait()


def watch_memory(command, arguments):
    """Print the resident memory of a server at every tenth of its questions, JSON and PNG in turn."""
    process, port = started(command)
    end, asked, kinds = time.perf_counter() + arguments.most_seconds, 0, list(questions().values())
    try:
        print(f"memory: {resident(process.pid):.0f} MiB before", flush=True)
        for part in range(10):
            times = []
            most = arguments.requests // 10

            def until(count, most=most):
                return count < most and time.perf_counter() < end

            asyncio.run(ask(port, kinds[part % 2], 64, until, times))
            asked += len(times)
            print(f"memory: {resident(process.pid):.0f} MiB after {asked} requests", flush=True)
    finally:
        process.terminate()
        process.wait()


def resident(pid):
    """Read the resident memory of a process, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
