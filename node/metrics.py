"""What a validator tells Prometheus. docs/operations.md lists every name.

One rule: a metric is read from the part that owns the number, when it is asked for; only durations are collected as
they happen.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from node.tempo import SECONDS, Durations

Sample = tuple[str, str, str, float]  # kind ("gauge" or "counter"), name, help, value
Labelled = tuple[str, str, str, str, dict[str, float]]  # kind, name, help, label, value by label
Timed = tuple[str, str, str, Mapping[str, Durations]]  # name, help, label or "", durations by label


class Metrics:
    """The registry of one node."""

    def __init__(self, labels: dict[str, str]) -> None:
        """``labels`` describe the build and the node: they become som_build_info."""
        self._registry = CollectorRegistry()
        self._sources: list[Callable[[], Iterable[Sample]]] = []
        self._labelled: list[Callable[[], Iterable[Labelled]]] = []
        self._timed: list[Callable[[], Iterable[Timed]]] = []
        self._labels = labels
        self._registry.register(_Sources(self))
        ProcessCollector(registry=self._registry)  # memory, CPU, open files
        self.block_finality = self._histogram(
            "som_block_finality_seconds", "From a block's time to its being stored here, by both clocks"
        )
        self.rpc = Histogram(
            "som_rpc_request_seconds",
            "Calls by method and outcome",
            ["method", "outcome"],
            registry=self._registry,
            buckets=SECONDS,
        )

    def observe_rpc(self, method: str, outcome: str, seconds: float) -> None:
        """Note one call."""
        self.rpc.labels(method, outcome).observe(seconds)

    def add(self, source: Callable[[], Iterable[Sample]]) -> None:
        """Register a part's numbers."""
        self._sources.append(source)

    def add_labelled(self, source: Callable[[], Iterable[Labelled]]) -> None:
        """Register a part's numbers that have one label."""
        self._labelled.append(source)

    def add_timed(self, source: Callable[[], Iterable[Timed]]) -> None:
        """Register a part's durations."""
        self._timed.append(source)

    def render(self) -> bytes:
        """Return the text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield what the sources say now."""
        yield InfoMetricFamily("som_build", "Build and node", value=self._labels)
        for source in self._sources:
            for kind, name, text, value in source():
                family = GaugeMetricFamily if kind == "gauge" else CounterMetricFamily
                yield family(name, text, value=value)
        for labelled in self._labelled:
            for kind, name, text, label, values in labelled():
                metric = (GaugeMetricFamily if kind == "gauge" else CounterMetricFamily)(name, text, labels=[label])
                for key, value in values.items():
                    metric.add_metric([key], value)
                yield metric
        for timed in self._timed:
            for name, text, label, durations in timed():
                histogram = HistogramMetricFamily(name, text, labels=[label] if label else [])
                for key, each in durations.items():
                    histogram.add_metric([key] if label else [], list(each.cumulative()), each.total)
                yield histogram

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, registry=self._registry, buckets=SECONDS)


class _Sources(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.collect()
