"""`kerasae serve`: TensorFlow Serving's contract over a socket, hostile requests, and the end of the server."""

import base64
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.json_format import ParseDict
from PIL import Image
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from kerasae import export, models, networks, serving
from kerasae.errors import InputError

ROOT = Path(__file__).parents[1]
SHAPE, CODES, WIDTH = (5, 4, 3), 2, 6
IMAGES = np.random.default_rng(0).integers(0, 256, (7, *SHAPE), "uint8")
MOST = 20_000
"""Bytes of a body that the server takes."""


def save(folder):
    """Write a classifier `pets`, in two versions, and an autoencoder `vectors`, which takes floats."""
    keras.utils.set_random_seed(4)
    card = {"labels": {"kind": "class", "names": ["cat", "dog", "owl"]}}
    for version in (1, 2):
        model = models.Classifier(networks.conv(SHAPE, 3, (4,))[0], 3, pixel_max=255.0)
        export.save(model, folder / "pets" / str(version), card=card)
    pair = networks.dense((WIDTH,), CODES, (5,))
    export.save(models.Autoencoder(*pair, "bernoulli", pixel_max=1.0), folder / "vectors", dtype="float32")


class Server:
    """A server in a process of its own: its address, and what it printed."""

    def __init__(self, *tokens):
        command = [sys.executable, "-m", "pipelines.command_line.main", "serve", *map(str, tokens)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        environment |= {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
        self.process = subprocess.Popen(command, **options)
        self.line = self.process.stdout.readline()
        assert "http://" in self.line, self.process.stderr.read()
        self.url = re.search(r"http://[^;]+", self.line)[0]


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    save(folder)
    return folder


@pytest.fixture(scope="module")
def server(exports):
    limits = ["--max-bytes", MOST, "--max-wait-ms", 20, "--timeout", 60, "--port", 0]
    found = Server(exports / "pets", exports / "vectors", *limits)
    yield found
    found.process.kill()
    found.process.communicate()


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=f"{server.url}/v1/models", timeout=20) as found:
        yield found


@pytest.fixture(scope="module")
def pets(exports):
    """The newer version of the classifier, run directly."""
    return tf.saved_model.load(str(exports / "pets" / "2"))


@pytest.fixture(scope="module")
def vectors(exports):
    return tf.saved_model.load(str(exports / "vectors"))


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def in_base64(file):
    return {"b64": base64.b64encode(file).decode()}


def asked(client, path, **body):
    """The answer to a question that is understood."""
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---- the contract


def test_rows_of_several_outputs_are_objects(client, pets):
    found = asked(client, "/pets:predict", instances=IMAGES.tolist())
    expected = pets.signatures["classify"](tf.constant(IMAGES))
    assert found.keys() == {"predictions"} and {*found["predictions"][0]} == {*expected}
    for name, values in expected.items():
        np.testing.assert_allclose([row[name] for row in found["predictions"]], values, rtol=1e-5, atol=1e-6)


def test_rows_of_one_output_have_no_name(client, pets):
    for instances in (IMAGES.tolist(), [{"images": image} for image in IMAGES.tolist()]):
        found = asked(client, "/pets:predict", signature_name="encode", instances=instances)
        expected = pets.signatures["encode"](tf.constant(IMAGES))["codes"]
        np.testing.assert_allclose(found["predictions"], expected, rtol=1e-5, atol=1e-6)


def test_columns_give_columns(client, pets, vectors):
    codes = np.float32([[0.1, -2], [1e-3, 7]])
    for inputs in (codes.tolist(), {"codes": codes.tolist()}):
        found = asked(client, "/vectors:predict", signature_name="decode", inputs=inputs)
        expected = vectors.signatures["decode"](codes=tf.constant(codes))["decoded"]
        np.testing.assert_allclose(found["outputs"], expected, rtol=1e-5)
    found = asked(client, "/pets:predict", inputs={"images": IMAGES.tolist()})["outputs"]
    expected = pets.signatures["classify"](tf.constant(IMAGES))
    assert found.keys() == expected.keys()
    np.testing.assert_array_equal(found["labels"], expected["labels"])


def test_a_number_comes_back_as_the_float32_that_it_was(client, vectors):
    code = [[0.3, 0.7]]
    (found,) = asked(client, "/vectors:predict", signature_name="decode", instances=code)["predictions"]
    expected = vectors.signatures["decode"](codes=tf.constant(code))["decoded"].numpy()[0]
    np.testing.assert_allclose(found, expected, rtol=3e-7)  # a batch of another size may round otherwise
    assert found == [float(str(np.float32(value))) for value in found]
    assert max(len(repr(value)) for value in found) <= 13


def test_a_version_is_the_one_of_the_path_or_the_latest(client, exports):
    one = [IMAGES[0].tolist()]
    for path, version in (("/pets/versions/1", 1), ("/pets/versions/2", 2), ("/pets", 2)):
        served = tf.saved_model.load(str(exports / "pets" / str(version)))
        expected = served.signatures["encode"](tf.constant(IMAGES[:1]))["codes"]
        found = asked(client, f"{path}:predict", signature_name="encode", instances=one)["predictions"]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_status_is_that_of_tensorflow_serving(client):
    versions = client.get("/pets").json()["model_version_status"]
    ready = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert versions == [{"version": "2", **ready}, {"version": "1", **ready}]
    assert client.get("/pets/versions/1").json()["model_version_status"] == [{"version": "1", **ready}]


def test_the_metadata_are_the_signatures_in_the_json_of_their_protocol_buffers(client, pets):
    found = client.get("/pets/versions/2/metadata").json()
    assert found["model_spec"] == {"name": "pets", "signature_name": "", "version": "2"}
    described = found["metadata"]["signature_def"]["signature_def"]
    for name, signature in pets.signatures.items():
        parsed = ParseDict(described[name], SignatureDef())
        assert parsed.method_name == "tensorflow/serving/predict"
        for known, tensors in (
            (signature.structured_input_signature[1], parsed.inputs),
            (signature.structured_outputs, parsed.outputs),
        ):
            assert known.keys() == tensors.keys()
            for key, spec in known.items():
                assert tensors[key].dtype == spec.dtype.as_datatype_enum
                assert tf.TensorShape(tensors[key].tensor_shape).as_list() == spec.shape.as_list()


# ---- images


def test_an_image_file_is_answered_with_its_class(client, pets):
    answer = client.post("/pets:predict", content=png(IMAGES[3]), headers={"Content-Type": "image/png"})
    (found,) = answer.json()["predictions"]
    expected = pets.signatures["classify"](tf.constant(IMAGES[3:4]))["probabilities"].numpy()[0]
    np.testing.assert_allclose(list(found["probabilities"].values()), expected, rtol=1e-5)
    assert list(found["probabilities"]) == ["cat", "dog", "owl"]
    assert found["class"] == ["cat", "dog", "owl"][expected.argmax()]
    assert found["probability"] == max(found["probabilities"].values())


def test_image_files_in_base64_are_read_as_the_run_has_read_its_own(client, pets):
    grey = IMAGES[0, :, :, 0]
    files = [in_base64(png(IMAGES[1])), in_base64(png(grey))]
    found = asked(client, "/pets:predict", signature_name="encode", instances=files)["predictions"]
    x = np.stack([IMAGES[1], np.repeat(grey[..., None], 3, axis=-1)])
    np.testing.assert_allclose(found, pets.signatures["encode"](tf.constant(x))["codes"], rtol=1e-5, atol=1e-6)


# ---- what is refused


def image(change=None):
    """The values of an image, or of one with another first pixel."""
    values = IMAGES[0].tolist()
    if change is not None:
        values[0][0] = change
    return values


def deep(depth):
    return "[" * depth + "]" * depth


PETS, VECTORS = "/pets:predict", "/vectors:predict"
HOSTILE = {
    "no JSON": (PETS, "{", 400, "expected JSON"),
    "nothing": (PETS, "", 400, "expected JSON"),
    "no text": (PETS, b"\xff\xfe\x00", 400, "expected JSON"),
    "a list": (PETS, "[]", 400, "expected an object"),
    "no tensors": (PETS, "{}", 400, 'one of "instances" and "inputs"'),
    "both": (PETS, {"instances": [1], "inputs": [1]}, 400, "instances and inputs"),
    "no examples": (PETS, {"instances": []}, 400, "one or more examples"),
    "instances no list": (PETS, {"instances": 3}, 400, "Received: a number"),
    "a number of a signature": (PETS, {"signature_name": 7, "instances": [1]}, 400, "expected a string"),
    "an unknown signature": (PETS, {"signature_name": "x\ud800", "instances": [1]}, 400, "known: classify, encode"),
    "another rank": (PETS, {"instances": [1, 2]}, 400, "[N, 5, 4, 3]"),
    "an axis too many": (PETS, {"instances": [[image()]]}, 400, "Found a list of 1"),
    "another size": (PETS, {"instances": [image()[:4]]}, 400, "Found a list of 4"),
    "ragged": (PETS, {"instances": [image(), [[[1, 2, 3]]]]}, 400, "Found a list of 1"),
    "a scalar among lists": (PETS, {"instances": [image(), 0]}, 400, "Found a number"),
    "empty lists": (PETS, {"instances": [[]]}, 400, "Found a list of 0"),
    "nested at the last level": (PETS, {"instances": [image([[1], 2, 3])]}, 400, "Found a list"),
    "deep": (PETS, '{"instances": ' + deep(900) + "}", 400, "[N, 5, 4, 3]"),
    "deeper": (PETS, '{"instances": ' + deep(9000) + "}", 400, "nested too deep"),
    "a fraction": (PETS, {"instances": [image([1, 2.5, 3])]}, 400, "Found a fraction"),
    "text": (PETS, {"instances": [image(["1", 2, 3])]}, 400, "Found a string"),
    "true": (PETS, {"instances": [image([True, 2, 3])]}, 400, "Found a boolean"),
    "null": (PETS, {"instances": [image([None, 2, 3])]}, 400, "Found null"),
    "256 in a byte": (PETS, {"instances": [image([256, 2, 3])]}, 400, "0 to 255. Found"),
    "less than nothing": (PETS, {"instances": [image([-1, 2, 3])]}, 400, "Found -1"),
    "NaN": (VECTORS, '{"instances": [[NaN, 0, 0, 0, 0, 0]]}', 400, "finite"),
    "infinity": (VECTORS, '{"instances": [[0, 0, 0, 0, 0, -Infinity]]}', 400, "finite"),
    "beyond float32": (VECTORS, '{"instances": [[0, 0, 0, 0, 0, 1e39]]}', 400, "finite"),
    "beyond float64": (VECTORS, '{"instances": [[0, 0, 0, 0, 0, 1' + "0" * 400 + "]]}", 400, "float64"),
    "5000 digits": (VECTORS, '{"instances": [[1' + "0" * 5000 + "]]}", 400, "expected JSON"),
    "out of range": (VECTORS, {"instances": [[0, 0, 0, 0, 0, 1.5]]}, 400, "from 0 to 1"),
    "an unknown input": (PETS, {"inputs": {"pictures": [image()]}}, 400, "'images' alone. Received: 'pictures'"),
    "another input besides": (PETS, {"instances": [{"images": image(), "x": 1}]}, 400, "'images' alone"),
    "objects and lists": (PETS, {"instances": [{"images": image()}, image()]}, 400, "instances[1]"),
    "no base64": (PETS, {"instances": [{"b64": "?"}]}, 400, "no base64"),
    "base64 of no image": (PETS, {"instances": [in_base64(b"hello")]}, 400, "image: it cannot be read"),
    "base64 and numbers": (PETS, {"instances": [in_base64(b"x"), image()]}, 400, "Received both"),
    "base64 for codes": (VECTORS, {"signature_name": "decode", "instances": [in_base64(b"x")]}, 400, "no image files"),
    "more than the body may have": (PETS, b" " * (MOST + 1), 413, f"at most {MOST} bytes"),
    "more answers than that": (VECTORS, {"signature_name": "decode", "inputs": [[0, 0]] * 900}, 413, "at most 833"),
    "an unknown model": ("/cats:predict", "{}", 404, "there is no 'cats'; known: pets, vectors"),
    "an unknown version": ("/pets/versions/3:predict", "{}", 404, "known: 1, 2"),
    "a version of 19 digits": (f"/pets/versions/{'9' * 19}:predict", "{}", 404, "expected /v1/models/NAME"),
    "another verb": ("/pets:regress", "{}", 404, "use :predict"),
    "a path out of the folder": ("/..%2f..%2fetc%2fpasswd:predict", "{}", 404, "expected /v1/models/NAME"),
    "a post to the status": ("/pets", "{}", 405, "expected GET"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_wrong_request_is_answered_with_one_clear_line(name, client):
    path, body, status, words = HOSTILE[name]
    content = json.dumps(body) if isinstance(body, dict) else body
    answer = client.post(path, content=content)
    assert answer.status_code == status, answer.text
    (line,) = answer.json().values()
    assert words in line and "\n" not in line and len(line) < 400, line
    assert asked(client, "/vectors:predict", signature_name="decode", instances=[[0, 0]])


IMAGE_FILES = {
    "no image": (b"x", "cannot be read"),
    "cut short": (png(IMAGES[0])[:60], "cannot be read"),
    "another size": (png(IMAGES[0][:3]), "is 3 x 4, but the model takes 5 x 4"),
    "16 bits": (png(np.zeros((5, 4), "uint16")), "has 16 bits"),
}


@pytest.mark.parametrize("name", IMAGE_FILES)
def test_an_image_that_is_none_or_another_is_refused(name, client):
    content, words = IMAGE_FILES[name]
    answer = client.post("/pets:predict", content=content, headers={"Content-Type": "image/png"})
    assert answer.status_code == 400 and words in answer.json()["error"], answer.text


def test_a_vector_is_no_image(client):
    answer = client.post("/vectors:predict", content=png(IMAGES[0]), headers={"Content-Type": "image/png"})
    assert answer.status_code == 400 and "the model takes examples [6]" in answer.json()["error"]


def test_a_body_without_a_length_is_cut_off_at_the_limit(client):
    answer = client.post("/pets:predict", content=(b" " * 1000 for _ in range(MOST // 1000 + 1)))
    assert answer.status_code == 413, answer.text


def test_methods_and_encodings_that_are_not_served(client, server):
    assert client.put("/pets:predict").status_code == 405
    assert client.get("/pets:predict").headers["allow"] == "POST"
    assert client.post("/pets:predict", headers={"Content-Encoding": "gzip"}).status_code == 415
    assert client.get(f"{server.url}/etc/passwd").json()["error"].startswith("path: expected")
    assert client.request("TRACE", f"{server.url}/healthz").status_code == 405


POST = b"POST /v1/models/pets:predict HTTP/1.1\r\nHost: x\r\n"
GARBAGE = {
    "another protocol": b"\x16\x03\x01 hello\r\n\r\n",
    "a length of 5000 digits": POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a length below zero": POST + b"Content-Length: -5\r\n\r\n",
    "a piece without a size": POST + b"Transfer-Encoding: chunked\r\n\r\nz\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_bytes_that_are_no_http_get_400(name, server):
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(GARBAGE[name])
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    with socket.create_connection((host, int(port)), timeout=10) as connection:  # who leaves in the middle of a request
        connection.sendall(POST + b"Content-Length: 9\r\n\r\n{")
    assert httpx.get(f"{server.url}/healthz").status_code == 200


# ---- many clients


def test_answers_of_many_clients_are_computed_in_shared_batches(client, server, pets):
    def counted(name):
        text = httpx.get(f"{server.url}/metrics").text
        return float(re.search(rf"^kerasae_{name} (\S+)$", text, re.M)[1])

    before = counted("batches_total"), counted("examples_total")
    expected = pets.signatures["encode"](tf.constant(IMAGES))["codes"]

    def ask(i):
        return asked(client, "/pets:predict", signature_name="encode", instances=[IMAGES[i % 7].tolist()])

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(64)))
    for i, found in enumerate(answers):
        np.testing.assert_allclose(found["predictions"][0], expected[i % 7], rtol=1e-5, atol=1e-6)
    batches, examples = counted("batches_total") - before[0], counted("examples_total") - before[1]
    assert examples == 64 and batches <= 32, batches


def test_health_readiness_and_counts(server):
    assert httpx.get(f"{server.url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{server.url}/readyz").json() == {"status": "ready", "models": ["pets", "vectors"]}
    httpx.get(f"{server.url}/v1/models/nobody")
    text = httpx.get(f"{server.url}/metrics").text
    counts = {key: float(value) for key, value in re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.M)}
    assert counts['kerasae_requests_total{model="",status="404"}'] >= 1 and counts["kerasae_requests_inside"] == 0
    total = sum(count for key, count in counts.items() if key.startswith("kerasae_requests_total"))
    bounds = [count for key, count in counts.items() if "_bucket" in key]
    assert bounds == sorted(bounds) and bounds[-1] == counts["kerasae_request_seconds_count"] == total


# ---- the command


def test_the_command_that_is_printed_works(server):
    (command,) = re.findall(r"try: (curl .*)$", server.line.strip())
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert {"labels", "logits", "probabilities"} == {*json.loads(done.stdout)["predictions"][0]}, done.stderr


def test_folders_that_cannot_be_served_are_a_line(exports, tmp_path, mistake):
    assert "is no export" in mistake("serve", tmp_path)
    pet = exports / "pets" / "1"
    assert "both version 1 of pets" in mistake("serve", pet, exports / "pets")
    assert "no address" in mistake("serve", pet, "--host", "no address").replace("'", "")
    assert "max_batch: expected" in mistake("serve", pet, "--max-batch", "0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "give another --port" in mistake("serve", pet, "--port", taken.getsockname()[1])


def test_an_odd_name_is_no_address():
    with pytest.raises(InputError, match="rename"):
        serving.served_export.name_and_version("a:b")
    assert serving.served_export.name_and_version("x/mnist/07") == ("mnist", 7)


def test_what_is_in_flight_is_answered_before_the_server_ends(server):
    """The last test of this module: half of a request is sent, then the signal, then the other half."""
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"signature_name": "encode", "instances": [IMAGES[0].tolist()]}).encode()
    head = f"POST /v1/models/pets:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with (
        socket.create_connection((host, int(port)), timeout=60) as idle,
        socket.create_connection((host, int(port)), timeout=60) as halfway,
    ):
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        halfway.sendall(head + body[:100])
        while "inside 1" not in httpx.get(f"{server.url}/metrics").text:
            pass
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(0.5)
        halfway.sendall(body[100:])
        answer = b"".join(iter(lambda: halfway.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK") and b'{"predictions": [[' in answer
    _, errors = server.process.communicate(timeout=60)
    assert (server.process.returncode, errors) == (0, "")
