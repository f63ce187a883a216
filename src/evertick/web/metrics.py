"""What `/metrics` tells Prometheus.

The counts are plain numbers here; prometheus-client turns them into its format and is imported by the first scrape.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from evertick.model import Snapshot, SourceStatus
from evertick.web.minutes import route_of

if TYPE_CHECKING:
    from prometheus_client.core import CollectorRegistry, Metric

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds to the first byte of the answer."""


class Traffic:
    """Requests by (method, route, status), and the time to the first byte by route.

    Bounded: routes are the templates that the app has (``/reports/{id}``), whatever paths are asked for.
    """

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], int] = {}
        self.buckets: dict[str, list[int]] = {}
        self.seconds: dict[str, float] = {}

    def seen(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "OTHER"
        key = (method, route, status)
        self.requests[key] = self.requests.get(key, 0) + 1
        counts = self.buckets.get(route)
        if counts is None:
            counts = self.buckets[route] = [0] * (len(BUCKETS) + 1)
        counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds[route] = self.seconds.get(route, 0.0) + seconds


class Metrics:
    """Renders everything at the moment of a scrape; nothing is kept between two."""

    def __init__(
        self,
        traffic: Traffic,
        *,
        version: str,
        memory: Callable[[], Mapping[str, Any]],
        snapshot: Callable[[], Snapshot | None],
        streams: Callable[[], int],
        kept: Callable[[], int],
        now: Callable[[], float],
        budget: Callable[[], Any],
    ) -> None:
        self.traffic, self.version, self.memory, self.snapshot = traffic, version, memory, snapshot
        self.streams, self.kept, self.now, self.budget = streams, kept, now, budget
        self._registry: CollectorRegistry | None = None

    def render(self) -> tuple[bytes, str]:
        """``(body, content type)``"""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

        if self._registry is None:
            self._registry = CollectorRegistry(auto_describe=False)
            self._registry.register(self)
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        yield InfoMetricFamily("evertick", "What runs here.", value={"version": self.version})
        yield from self._traffic()
        yield GaugeMetricFamily("evertick_stream_clients", "Clients of the event streams.", value=self.streams())
        yield GaugeMetricFamily("evertick_kept_pages_bytes", "Stored pages that are kept in memory.", value=self.kept())
        now = self.memory()
        for key, help in _MEMORY.items():
            value = now.get(key)
            if isinstance(value, datetime):
                value = value.timestamp()
            if isinstance(value, int | float):
                yield GaugeMetricFamily(f"evertick_{_NAMES.get(key, key)}", help, value=value)
        yield from self._budget()
        yield from self._runs(now.get("runs", ()))
        yield from self._jobs(now.get("jobs", ()))
        yield from self._quotes(self.snapshot())

    def _runs(self, runs: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        counted = CounterMetricFamily(
            "evertick_job_runs", "Runs of jobs in this process since its start.", labels=("job", "outcome")
        )
        for run in runs:
            counted.add_metric((run["job"], run["outcome"]), run["runs"])
        yield counted

    def _jobs(self, jobs: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        label = ("job",)
        seconds = CounterMetricFamily("evertick_job_seconds", "Seconds that runs of the job took.", labels=label)
        kept = GaugeMetricFamily(
            "evertick_job_retained_bytes", "Heap kept by the job's runs since the start, overlapped ones left out.", labels=label
        )  # fmt: skip
        peak = GaugeMetricFamily("evertick_job_peak_rss_bytes", "Peak RSS of the job's newest run.", labels=label)
        ended = GaugeMetricFamily(
            "evertick_job_last_end_timestamp_seconds", "When the job's newest run ended.", labels=label
        )
        for job in jobs:
            name = (job["job"],)
            seconds.add_metric(name, job["seconds"])
            kept.add_metric(name, job["retained"])
            ended.add_metric(name, job["ended"])
            if job["peak_rss"] is not None:
                peak.add_metric(name, job["peak_rss"])
        yield from (seconds, kept, peak, ended)

    def _budget(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        budget = self.budget()
        state = GaugeMetricFamily("evertick_memory_state", "1 for the state of the memory budget.", labels=("state",))
        for name in type(budget.state):
            state.add_metric((str(name),), float(name is budget.state))
        yield state
        yield GaugeMetricFamily(
            "evertick_memory_restarts", "Restarts in place within the last hour.", value=len(budget.restarts)
        )

    def _traffic(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        requests = CounterMetricFamily(
            "evertick_http_requests", "Requests answered.", labels=("method", "route", "status")
        )
        for (method, route, status), count in self.traffic.requests.items():
            requests.add_metric((method, route, str(status)), count)
        yield requests
        latency = HistogramMetricFamily(
            "evertick_http_first_byte_seconds", "Seconds to the first byte of an answer.", labels=("route",)
        )
        for route, counts in self.traffic.buckets.items():
            total, rows = 0, []
            for edge, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
                total += count
                rows.append((edge, total))
            latency.add_metric((route,), rows, self.traffic.seconds[route])
        yield latency

    def _quotes(self, snapshot: Snapshot | None) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        if snapshot is None:
            return
        yield GaugeMetricFamily("evertick_quotes", "Quotes on the board.", value=len(snapshot.quotes))
        age = max(0.0, self.now() - snapshot.as_of.timestamp())
        yield GaugeMetricFamily("evertick_snapshot_age_seconds", "Age of the board's snapshot.", value=age)
        yield from self._sources(snapshot.sources)

    def _sources(self, sources: Iterable[SourceStatus]) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        def family(name: str, help: str, *labels: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"evertick_source_{name}", help, labels=("source", *labels))

        up = family(
            "up", "1 where the source answers or is not needed now, 0 where it fails or rests; none of one that is off."
        )
        state = family("state", "1 for the state that the source is in.", "state")
        quotes = family("quotes", "Quotes of the source's last run.")
        success = family("last_success_timestamp_seconds", "When the source last brought a quote.")
        retry = family("retry_timestamp_seconds", "When a source that rests is asked again.")
        quota = family("quota_requests", "Requests a day, where there is a daily limit.")
        left = family("quota_left_requests", "Requests left of the day.")
        for source in sources:
            name = (source.name,)
            state.add_metric((source.name, source.state), 1)
            if source.state == "off":
                continue
            up.add_metric(name, float(source.state not in ("failing", "resting")))
            quotes.add_metric(name, source.quotes)
            if source.last_success is not None:
                success.add_metric(name, source.last_success.timestamp())
            if source.retry_at is not None:
                retry.add_metric(name, source.retry_at.timestamp())
            if source.quota is not None:
                quota.add_metric(name, source.quota)
                left.add_metric(name, source.quota_left or 0)
        yield from (up, state, quotes, success, retry, quota, left)


_MEMORY = {
    "rss": "Resident bytes of this process.",
    "heap": "Bytes in use in the C heap.",
    "heap_idle": "Bytes that malloc keeps for reuse.",
    "pss": "Proportional bytes of this process.",
    "uss": "Private bytes of this process.",
    "started": "When this process started.",
    "blocks": "Live blocks of Python's own allocator.",
    "fds": "Open descriptors.",
    "sockets": "Open sockets.",
    "threads": "Threads.",
    "tasks": "Tasks of the event loop.",
    "connections": "Connections of the pools.",
    "limit": "The memory budget in bytes.",
}
_NAMES = {
    "rss": "rss_bytes",
    "heap": "heap_bytes",
    "heap_idle": "heap_idle_bytes",
    "pss": "pss_bytes",
    "uss": "uss_bytes",
    "limit": "memory_limit_bytes",
    "started": "start_time_seconds",
}
