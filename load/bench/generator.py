"""A raw load client: ``python -m load.bench.generator JOB.json`` posts prepared bodies and prints what came of it.

Keep-alive connections on one epoll loop, bodies that are made before the clock runs, answers of which only the status
and the length are read: it costs a tenth of what a real client costs, so that on a small machine the server is what
is measured. Without a rate every connection posts again as soon as it is answered; with one, requests leave when they
are due and their latency counts from then, whether or not a connection was free.
"""

import contextlib
import gc
import select
import socket
import sys
import time
from collections import Counter, deque
from pathlib import Path

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

STAMP = b"@when-it-was-sent"
"""Where it stands in a body, the generator writes the Unix time at which the request leaves, in as many bytes."""

NUMBER = b"#########"
"""Where it stands, the generator writes the number of the request, in as many bytes."""

LOOK_SECONDS = 0.02
"""Between two looks at how many messages wait."""

ANSWER_SECONDS = 60.0
"""A server that answers nobody for so long is given up."""


class Body(msgspec.Struct):
    """One request's body, how many events it holds, and how many of them a rule forwards."""

    text: str
    events: int
    forwardable: int = 0


class Waiting(msgspec.Struct):
    """Posting pauses while these lists hold more than ``most`` messages together."""

    port: int
    password: str
    lists: list[str]
    most: int


class Job(msgspec.Struct):
    """What to post, where to, how long, and how fast (requests a second; 0: as fast as answers come)."""

    port: int
    path: str
    bodies: list[Body]
    seconds: float
    connections: int
    headers: dict[str, str] = {}
    rate: float = 0.0
    waiting: Waiting | None = None


class Outcome(msgspec.Struct):
    """What came of it. Latencies are in milliseconds, of requests that were answered 2xx."""

    requests: int
    events: int
    forwardable: int
    seconds: float
    statuses: dict[str, int]
    p50: float
    p95: float
    p99: float
    longest: float
    cpu_seconds: float

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def failures(self) -> int:
        return sum(number for status, number in self.statuses.items() if not status.startswith("2"))


class Prepared:
    """A request as it goes over the wire, and what it stands for."""

    __slots__ = ("body", "numbered", "stamped", "wire")

    def __init__(self, body: Body, job: Job) -> None:
        content = body.text.encode()
        headers = {"Host": f"127.0.0.1:{job.port}", "Content-Type": "application/json", **job.headers}
        headers["Content-Length"] = str(len(content))
        head = f"POST {job.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.body = body
        self.wire = head.encode() + b"\r\n" + content
        self.stamped, self.numbered = STAMP in content, NUMBER in content


class Connection:
    """One keep-alive connection with at most one request under way."""

    __slots__ = ("_port", "answer", "counted_from", "ends", "request", "sock")

    def __init__(self, port: int) -> None:
        self._port = port
        self.request: Prepared | None = None
        self.counted_from = 0.0
        self.answer = b""
        self.connect()

    def connect(self) -> None:
        self.ends = False
        """Whether the server has said that it closes the connection after this answer."""
        self.sock = socket.create_connection(("127.0.0.1", self._port), timeout=ANSWER_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def post(self, request: Prepared, number: int, due: float) -> None:
        wire = request.wire
        if request.stamped:
            wire = wire.replace(STAMP, b"%017.6f" % time.time())
        if request.numbered:
            wire = wire.replace(NUMBER, b"%09d" % number)
        self.request, self.counted_from, self.answer = request, due, b""
        self.sock.sendall(wire)

    def read(self) -> str:
        """The status of the answer, "" while it is not complete, "lost" when the connection ended before it was."""
        try:
            received = self.sock.recv(65536)
        except OSError:
            received = b""
        if not received:
            return "lost"
        self.answer = received if not self.answer else self.answer + received
        end = self.answer.find(b"\r\n\r\n")
        if end < 0 or len(self.answer) < end + 4 + _content_length(self.answer[:end]):
            return ""
        self.ends = b"\r\nconnection: close" in self.answer[: end + 4].lower()
        return self.answer[9:12].decode()


def _content_length(head: bytes) -> int:
    at = head.find(b"ontent-")
    while at >= 0 and head[at + 7 : at + 13].lower() != b"length":
        at = head.find(b"ontent-", at + 7)
    return int(head[at + 14 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


class Throttle:
    """Whether the queues behind the server have room."""

    def __init__(self, waiting: Waiting | None) -> None:
        self._waiting = waiting
        self._next_look, self._open = 0.0, True
        if waiting:
            self._client = redis.Redis(port=waiting.port, password=waiting.password, retry=Retry(NoBackoff(), 0))

    def is_open(self, now: float) -> bool:
        if self._waiting and now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            with self._client.pipeline(transaction=False) as pipe:
                for name in self._waiting.lists:
                    pipe.llen(name)
                self._open = sum(pipe.execute()) <= self._waiting.most
        return self._open


class Generator:
    """Runs one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._prepared = [Prepared(body, job) for body in job.bodies]
        self._idle = deque(Connection(job.port) for _ in range(job.connections))
        self._busy: dict[int, Connection] = {}
        self._poll = select.epoll()
        for each in self._idle:
            self._poll.register(each.sock.fileno(), select.EPOLLIN)
        self._connections = {each.sock.fileno(): each for each in self._idle}
        self._throttle = Throttle(job.waiting)
        self._posted = self._events = self._forwardable = 0
        self._statuses: Counter[str] = Counter()
        self._latencies: list[float] = []

    def run(self) -> Outcome:
        began = time.perf_counter()
        until = began + self._job.seconds
        cpu = time.process_time()
        while (now := time.perf_counter()) < until:
            self._post_what_is_due(began, now)
            self._read_answers(0.001 if self._job.rate or not self._busy else LOOK_SECONDS)
        self._read_the_last(time.perf_counter() + ANSWER_SECONDS)
        return self._outcome(time.perf_counter() - began, time.process_time() - cpu)

    def _post_what_is_due(self, began: float, now: float) -> None:
        if not self._throttle.is_open(now):
            return
        rate = self._job.rate
        while self._idle:
            due = began + self._posted / rate if rate else time.perf_counter()
            if due > now and rate:
                return
            connection = self._idle.popleft()
            self._busy[connection.sock.fileno()] = connection
            self._posted += 1
            try:
                connection.post(self._prepared[self._posted % len(self._prepared)], self._posted, due)
            except OSError:
                self._lost(connection)

    def _read_answers(self, wait_seconds: float) -> None:
        for number, _ in self._poll.poll(wait_seconds):
            connection = self._connections[number]
            status = connection.read()
            if status == "lost":
                self._lost(connection)
            elif status:
                self._answered(connection, status)

    def _answered(self, connection: Connection, status: str) -> None:
        self._statuses[status] += 1
        if status[0] == "2" and connection.request:
            self._latencies.append(time.perf_counter() - connection.counted_from)
            self._events += connection.request.body.events
            self._forwardable += connection.request.body.forwardable
        del self._busy[connection.sock.fileno()]
        if connection.ends:
            self._renew(connection)
        connection.request = None
        self._idle.append(connection)

    def _lost(self, connection: Connection) -> None:
        """A new connection instead; an idle one may be closed by the server at any time."""
        if self._busy.pop(connection.sock.fileno(), None):
            self._statuses["lost"] += 1
            self._idle.append(connection)
        connection.request = None
        self._renew(connection)

    def _renew(self, connection: Connection) -> None:
        number = connection.sock.fileno()
        with contextlib.suppress(OSError):
            self._poll.unregister(number)
        del self._connections[number]
        connection.sock.close()
        connection.connect()
        self._poll.register(connection.sock.fileno(), select.EPOLLIN)
        self._connections[connection.sock.fileno()] = connection

    def _read_the_last(self, deadline: float) -> None:
        while self._busy and time.perf_counter() < deadline:
            self._read_answers(0.1)
        self._statuses["unanswered"] += len(self._busy)

    def _outcome(self, seconds: float, cpu_seconds: float) -> Outcome:
        ordered = sorted(self._latencies) or [float("nan")]

        def percentile(share: float) -> float:
            return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

        statuses = {status: number for status, number in self._statuses.items() if number}
        return Outcome(
            len(self._latencies), self._events, self._forwardable, seconds, statuses, percentile(0.5),
            percentile(0.95), percentile(0.99), 1000 * ordered[-1], cpu_seconds,
        )  # fmt: skip


def main() -> None:
    job = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Job)
    generator = Generator(job)
    gc.collect()
    gc.disable()  # A collection would be a pause in what is measured.
    sys.stdout.write(msgspec.json.encode(generator.run()).decode() + "\n")


if __name__ == "__main__":
    main()
