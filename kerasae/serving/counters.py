"""Counts of requests and batches, in the text format of Prometheus."""

from collections import Counter

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram of latencies."""


class Counters:
    """Count what a server does. Models that are not served are counted together, under the name ""."""

    def __init__(self):
        self.requests, self.times, self.seconds = Counter(), Counter(), 0.0
        self.batches, self.examples, self.inside = 0, 0, 0

    def batch(self, size: int) -> None:
        """Count a batch that was computed, of `size` examples."""
        self.batches += 1
        self.examples += size

    def answered(self, model: str, status: int, seconds: float) -> None:
        """Count an answer, with its HTTP status and the seconds since the request came."""
        self.requests[model, status] += 1
        self.times[next((bound for bound in SECONDS if seconds <= bound), None)] += 1
        self.seconds += seconds

    def text(self) -> str:
        """Write all counts, for Prometheus to read."""
        lines = ["# HELP kerasae_requests_total Requests that were answered.", "# TYPE kerasae_requests_total counter"]
        for (model, status), count in sorted(self.requests.items()):
            lines.append(f'kerasae_requests_total{{model="{escaped(model)}",status="{status}"}} {count}')
        lines += ["# HELP kerasae_request_seconds Time to the answer.", "# TYPE kerasae_request_seconds histogram"]
        lines += self._histogram()
        for name, kind, value, about in (
            ("batches_total", "counter", self.batches, "Batches that were computed."),
            ("examples_total", "counter", self.examples, "Examples in these batches."),
            ("requests_inside", "gauge", self.inside, "Requests that are being read, wait or are computed."),
        ):
            lines += [f"# HELP kerasae_{name} {about}", f"# TYPE kerasae_{name} {kind}", f"kerasae_{name} {value}"]
        return "\n".join(lines) + "\n"

    def _histogram(self):
        below = 0
        for bound in SECONDS:
            below += self.times[bound]
            yield f'kerasae_request_seconds_bucket{{le="{bound:g}"}} {below}'
        total = below + self.times[None]
        yield f'kerasae_request_seconds_bucket{{le="+Inf"}} {total}'
        yield f"kerasae_request_seconds_sum {self.seconds:.6f}"
        yield f"kerasae_request_seconds_count {total}"


def escaped(label: str) -> str:
    """Escape the value of a label."""
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
