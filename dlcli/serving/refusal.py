"""The refusal of a request: a status code of HTTP and one sentence for the client."""


class Refused(Exception):
    """A request that is not answered; the message is sent to the client, so that it must not name a path.

    Attributes:
        status: of HTTP: 4xx for a mistake of the client, 503 for a server that is busy.
        retry_after: seconds after which the client may try again; None if that would not help.
        closes: whether the connection ends with the response, because the rest of the request was not read.
    """

    def __init__(self, status: int, message: str, *, retry_after: int | None = None, closes: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.closes = closes
