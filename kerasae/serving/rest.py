"""The REST interface of TensorFlow Serving, and image files beside it, as an ASGI application."""

import asyncio
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from kerasae.data import BrokenImage
from kerasae.errors import InputError
from kerasae.export import ANSWERS
from kerasae.serving import tensors
from kerasae.serving.batching import Batcher
from kerasae.serving.counters import Counters
from kerasae.serving.refusals import Refusal
from kerasae.serving.served_export import ServedExport

try:
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
except ImportError:
    raise InputError('serve: starlette is not installed; pip install "kerasae[serve]"') from None

ADDRESS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d{1,18}))?(?:(/metadata)|:(\w+))?")
"""Model, version, metadata and verb of a path."""
INLINE = 2**16
"""Bytes of JSON, or values of an answer, up to which a thread of its own would cost more than it spares."""
VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@dataclass(frozen=True)
class Limits:
    """What a server allows its clients."""

    max_batch: int = 64
    """Most examples that are computed at once."""
    max_wait: float = 0.005
    """Seconds for which a batch that is not full waits for others."""
    max_bytes: int = 2**23
    """Largest body of a request, and most bytes that its examples, or each one's outputs, may have as tensors."""
    max_requests: int = 128
    """Requests that are read, wait or are computed at a time; others get 503."""
    timeout: float = 30.0
    """Seconds for which a body may take to arrive, and for which a request may wait for its answer."""


def application(exports: Sequence[ServedExport], limits: Limits | None = None) -> Starlette:
    """Build the ASGI application that answers for exports, for any ASGI server.

    Args:
        exports: one or more `ServedExport`s, each of another name or version. A request without a version gets the
            highest.
        limits: what clients are allowed; `Limits()` when not given.

    Returns:
        A Starlette application. Its errors are `{"error": …}` with a status of 4xx or 5xx.

    Example:
        >>> app = kerasae.serving.application([kerasae.serving.ServedExport("saved_models/mnist")])
        >>> uvicorn.run(app, port=8501)
    """
    desk = Desk(exports, limits or Limits())
    routes = [
        Route("/healthz", desk.health),
        Route("/readyz", desk.readiness),
        Route("/metrics", desk.metrics),
        Route("/v1/{rest:path}", desk.versioned, methods=VERBS),
    ]
    handlers = {Refusal: refused, HTTPException: unrouted, Exception: broken}
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=desk.open)


class Desk:
    """Answer requests by the exports, within the limits."""

    def __init__(self, exports: Sequence[ServedExport], limits: Limits):
        self.limits, self.counters = limits, Counters()
        self.models = {}
        for served in sorted(exports, key=lambda served: served.version):
            self.models.setdefault(served.name, {})[served.version] = served

    @asynccontextmanager
    async def open(self, app):
        """Start the threads, and end them when the server has answered its last request."""
        self.batcher = Batcher(self.limits.max_batch, self.limits.max_wait, self.counters.batch)
        self.readers = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="read")
        try:
            yield
        finally:
            await self.batcher.close()
            self.readers.shutdown()

    # ---- the state of the server

    async def health(self, request):
        """Say that the process answers."""
        return JSONResponse({"status": "ok"})

    async def readiness(self, request):
        """Say whether another request would be taken."""
        self.refuse_crowd()
        return JSONResponse({"status": "ready", "models": sorted(self.models)})

    async def metrics(self, request):
        """Give the counts."""
        return Response(self.counters.text(), media_type="text/plain; version=0.0.4")

    # ---- /v1/

    async def versioned(self, request: Request) -> Response:
        """Answer and count a request to a model."""
        start, model, status = time.monotonic(), "", 500
        try:
            versions, verb = self.address(request)
            model = versions[0].name
            response = await self.ask(request, versions, verb)
            status = response.status_code
            return response
        except Refusal as refusal:
            status = refusal.status
            raise
        finally:
            self.counters.answered(model, status, time.monotonic() - start)

    def address(self, request: Request) -> tuple[list[ServedExport], str]:
        """Find the versions that a path means, and its verb; raises Refusal (404, 405)."""
        if (match := ADDRESS.fullmatch(request.scope["path"])) is None:
            raise Refusal(404, "path: expected /v1/models/NAME[/versions/N], with /metadata or :predict after it")
        name, version, metadata, verb = match.groups()
        if name not in self.models:
            raise Refusal(404, f"model: there is no {name[:100]!r}; known: {', '.join(sorted(self.models))}")
        known = self.models[name]
        if version and int(version) not in known:
            raise Refusal(404, f"version: {name} has no {version}; known: {', '.join(map(str, known))}")
        if verb not in (None, "predict"):
            raise Refusal(404, f"verb: {verb[:100]!r} is not served; use :predict")
        allowed = ("POST",) if verb else ("GET", "HEAD")
        if request.method not in allowed:
            raise Refusal(405, f"method: expected {allowed[0]}. Received: {request.method}", Allow=", ".join(allowed))
        return [known[int(version)]] if version else list(known.values()), verb or metadata or ""

    async def ask(self, request: Request, versions: list[ServedExport], verb: str) -> Response:
        """Answer a request whose address is known."""
        if verb == "predict":
            return await self.predict(request, versions[-1])
        if verb == "/metadata":
            return JSONResponse(metadata(versions[-1]))
        return JSONResponse({"model_version_status": [available(served) for served in reversed(versions)]})

    async def predict(self, request: Request, served: ServedExport) -> Response:
        """Answer a question about tensors or an image, unless too many are being answered."""
        self.refuse_crowd()
        self.counters.inside += 1
        try:
            body = await self.body(request)
            late = f"timeout: there was no answer within {self.limits.timeout:g} seconds; ask again later"
            async with within(self.limits.timeout, Refusal(504, late)):
                if request.headers.get("content-type", "").lower().startswith("image/"):
                    return await self.image(body, served)
                return await self.question(body, served)
        finally:
            self.counters.inside -= 1

    def refuse_crowd(self) -> None:
        if self.counters.inside >= self.limits.max_requests:
            raise Refusal(503, f"{self.limits.max_requests} requests are being answered; ask again", Retry_After="1")

    async def body(self, request: Request) -> bytes:
        """Read the body of a request; raises Refusal (408, 413, 415)."""
        if (encoding := request.headers.get("content-encoding", "identity").lower()) != "identity":
            raise Refusal(415, f"content-encoding: expected none. Received: {encoding[:100]}")
        length, most = request.headers.get("content-length", "0"), self.limits.max_bytes
        too_large = Refusal(413, f"body: expected at most {most} bytes; send fewer examples", Connection="close")
        if int(length) > most:  # the server has checked that it is a number
            raise too_large
        found = bytearray()
        late = f"timeout: the body did not arrive within {self.limits.timeout:g} seconds"
        async with within(self.limits.timeout, Refusal(408, late, Connection="close")):
            try:
                async for piece in request.stream():
                    found += piece
                    if len(found) > most:
                        raise too_large
            except ClientDisconnect:
                raise Refusal(499, "the client has gone") from None
        return bytes(found)

    # ---- images and tensors

    async def image(self, body: bytes, served: ServedExport) -> Response:
        """Predict an image file."""
        rows = await self.pictures([body], served)
        answers = await self.compute(served, served.predicts, rows)
        return JSONResponse({"predictions": served.said(answers[ANSWERS[served.predicts]])})

    async def question(self, body: bytes, served: ServedExport) -> Response:
        """Answer a JSON request."""
        signature, columnar, rows = await self.aside(len(body), self.read, body, served)
        if isinstance(rows, list):
            rows = await self.pictures(rows, served)
        outputs = await self.compute(served, signature, rows)
        size = sum(value.size for value in outputs.values())
        content = await self.aside(size, tensors.answer, outputs, columnar)
        return Response(content, media_type="application/json")

    def read(self, body: bytes, served: ServedExport) -> tuple[str, bool, np.ndarray | list[bytes]]:
        """Read a JSON request: signature, whether it is columnar, and examples [N, *shape] or the bytes of image files.

        In one piece, so that what JSON takes in memory is gone before the next large body is read in this thread.
        """
        question = tensors.parse(body)
        if (endpoint := served.endpoints.get(question.signature)) is None:
            known = ", ".join(sorted(served.endpoints))
            raise Refusal(400, f"signature_name: there is no {question.signature[:100]!r}; known: {known}")
        values = tensors.examples(question, endpoint.takes)
        if len(values) > (most := max(1, self.limits.max_bytes // endpoint.bytes)):
            raise Refusal(413, f"{endpoint.takes.name}: expected at most {most} examples. Received: {len(values)}")
        rows = tensors.decoded(values, endpoint.takes)
        rows = tensors.array(values, endpoint.takes) if rows is None else rows
        return question.signature, question.columnar, rows

    async def pictures(self, files: list[bytes], served: ServedExport) -> np.ndarray:
        """Read image files as the run has read its own, one after the other; raises Refusal (400)."""
        loop = asyncio.get_running_loop()
        return np.stack([await loop.run_in_executor(self.readers, picture, file, served.intake) for file in files])

    async def compute(self, served: ServedExport, signature: str, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Compute rows in a batch with those of other requests."""
        key = served.name, served.version, signature
        return await self.batcher.compute(key, served.endpoints[signature].compute, rows)

    async def aside(self, size: int, function: Callable, *args):
        """Call a function, in a thread where it has more to do than other requests should wait for."""
        if size <= INLINE:
            return function(*args)
        return await asyncio.get_running_loop().run_in_executor(self.readers, function, *args)


def picture(file: bytes, intake) -> np.ndarray:
    """Read an image file [H, W, C]; raises Refusal (400) with the reason."""
    try:
        return intake.encoded(file, "the image")
    except BrokenImage as error:
        raise Refusal(400, f"image: it cannot be read ({error})") from None
    except InputError as error:
        raise Refusal(400, str(error)) from None


@asynccontextmanager
async def within(seconds: float, refusal: Refusal):
    """Raise a refusal if the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise refusal from None


def available(served: ServedExport) -> dict:
    """Describe a version as TensorFlow Serving's GetModelStatusResponse does."""
    status = {"error_code": "OK", "error_message": ""}
    return {"version": str(served.version), "state": "AVAILABLE", "status": status}


def metadata(served: ServedExport) -> dict:
    """Describe the signatures as TensorFlow Serving's GetModelMetadataResponse does."""
    spec = {"name": served.name, "signature_name": "", "version": str(served.version)}
    return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": served.signature_def}}}


# ---- errors


async def refused(request, refusal: Refusal) -> Response:
    """Answer a refusal."""
    return JSONResponse({"error": str(refusal)}, refusal.status, refusal.headers)


async def unrouted(request, error: HTTPException) -> Response:
    """Answer a path or a method that no route has."""
    line = {404: "path: expected /v1/models/NAME, /healthz, /readyz or /metrics", 405: "method: expected GET"}
    return JSONResponse({"error": line.get(error.status_code, error.detail)}, error.status_code, error.headers)


async def broken(request, error: Exception) -> Response:
    """Answer where the server itself has failed; the reason goes to its log, not to the client."""
    return JSONResponse({"error": "the server could not compute an answer; its log says why"}, 500)
