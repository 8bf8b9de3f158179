"""Serve exports over HTTP: the REST interface of TensorFlow Serving, and image files.

Requests of many clients are computed in shared batches. An export is a program: serve only those of people you trust.
SIGTERM and Ctrl-C answer what has been asked, then end.
"""

import math
import signal
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field

from kerasae.errors import InputError
from pipelines.command_line.ranges import check, within


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings: the exports, the address, and the limits."""

    exports: tuple[str, ...] = field(metadata={"positional": True})
    """Folders of exports. NAME is served as version 1, NAME/3 as version 3, and of NAME without an export in it every
    numbered folder."""
    host: str = "127.0.0.1"
    """Address to listen at. The default is this machine alone; 0.0.0.0 is all of its networks."""
    port: int = field(default=8501, metadata=within("port_or_any"))
    """Port to listen at; 0 for any that is free."""
    max_batch: int = field(default=64, metadata=within("count"))
    """Examples that are computed at once, also those of different requests."""
    max_wait_ms: float = field(default=5.0, metadata=within("amount"))
    """Milliseconds for which a batch that is not full waits for other requests."""
    max_bytes: int = field(default=2**23, metadata=within("count"))
    """Largest body of a request; a larger one gets 413, as do more examples than have so many bytes as tensors."""
    max_requests: int = field(default=128, metadata=within("count"))
    """Requests that are answered at a time; another one gets 503."""
    timeout: float = field(default=30.0, metadata=within("positive"))
    """Seconds for which a request may take to arrive (408), and to be answered (504)."""
    image_size: tuple[int, ...] | None = field(default=None, metadata=within("side"))
    """Resize images of other sizes to the model's: one number for a square, or height and width."""

    def __post_init__(self):
        check(self)


def run(recipe: Recipe) -> None:
    """Load the exports, print the address, and answer until SIGTERM or SIGINT."""
    uvicorn = need_uvicorn()
    from kerasae import serving

    found = serving.find_exports(recipe.exports)
    with bound(recipe.host, recipe.port) as listener:  # before the seconds that loading takes
        exports = [loaded(folder, recipe.image_size) for folder in found]
        app = serving.application(exports, limits(recipe))
        options = {"log_config": None, "log_level": "error", "access_log": False, "lifespan": "on", "ws": "none"}
        options["timeout_graceful_shutdown"] = math.ceil(2 * recipe.timeout) + 5  # for clients that do not read
        server = uvicorn.Server(uvicorn.Config(app, http="h11", loop="asyncio", **options))
        with ending_by_signals(server):
            listener.listen()  # who connects from here on waits for the server
            print(greeting(address(listener), exports[0]), flush=True)
            server.run(sockets=[listener])


def need_uvicorn():
    """Import uvicorn; raises InputError if it is not installed."""
    try:
        import uvicorn
    except ImportError:
        raise InputError('serve: uvicorn is not installed; pip install "kerasae[serve]"') from None
    return uvicorn


def loaded(folder: str, image_size: tuple[int, ...] | None):
    """Load an export, and have it resize images if asked to."""
    from kerasae import serving

    served = serving.ServedExport(folder)
    if image_size:
        served.intake = served.intake.resizing(image_size)
    return served


def limits(recipe: Recipe):
    """Collect what clients are allowed."""
    from kerasae import serving

    names = ("max_batch", "max_bytes", "max_requests", "timeout")
    return serving.Limits(**{name: getattr(recipe, name) for name in names}, max_wait=recipe.max_wait_ms / 1000)


# ---- the address


def bound(host: str, port: int) -> socket.socket:
    """Take a port; raises InputError where it is in use, or where this machine has no such address."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise InputError(f"host: expected an address of this machine. Received: {host!r} ({error})") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except OSError as error:
        listener.close()
        raise InputError(f"port: {host} port {port} cannot be used ({error.strerror}); give another --port") from None
    return listener


def address(listener: socket.socket) -> str:
    """Spell the address of a socket as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def ending_by_signals(server):
    """Have SIGTERM and SIGINT end a server of uvicorn, and then this command with exit status 0.

    While it runs, uvicorn's own handlers do that; afterwards it raises the signal again, for these here.
    """

    def end(*_):
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---- the line that is printed

SHORT = 64
"""Most numbers of an example that is written out."""


def greeting(url: str, served) -> str:
    """Say where the server answers, with a command that asks it something."""
    return f"kerasae serves {served.name} at {url}; try: {curl(f'{url}/v1/models/{served.name}', served)}"


def curl(url: str, served) -> str:
    """Write a command that has an example of zeros predicted, or shows the metadata where that would be too long."""
    import json
    import shlex

    takes = served.endpoints[served.predicts].takes
    if takes.pictures and takes.dtype == "uint8" and takes.shape[2] in (1, 3):
        example = {"b64": black(takes.shape)}
    elif math.prod(takes.shape) <= SHORT:
        example = zeros(takes.shape)
    else:
        return shlex.join(["curl", f"{url}/metadata"])
    question = {"signature_name": served.predicts, "instances": [example]}
    return shlex.join(["curl", "-d", json.dumps(question), f"{url}:predict"])


def black(shape: tuple[int, ...]) -> str:
    """Make a black PNG [H, W, C], in base64."""
    import base64
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("L" if shape[2] == 1 else "RGB", (shape[1], shape[0])).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def zeros(shape: tuple[int, ...]):
    """Nest zeros in lists of a shape."""
    return [zeros(shape[1:]) for _ in range(shape[0])] if shape else 0
