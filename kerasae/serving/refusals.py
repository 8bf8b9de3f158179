"""The exception that means: this request gets another answer than 200."""


class Refusal(Exception):
    """Refuse a request with an HTTP status and one line, which becomes `{"error": …}`.

    Attributes:
        status: HTTP status, 400 to 599.
        headers: further headers of the answer, such as Retry-After.
    """

    def __init__(self, status: int, line: str, **headers: str):
        super().__init__(" ".join(line.split()))
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
