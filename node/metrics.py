"""What a validator tells Prometheus. docs/operations.md lists every name.

One rule: a metric is read from the part that owns the number, when it is asked for; only durations are collected as
they happen.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

Sample = tuple[str, str, str, float]  # kind ("gauge" or "counter"), name, help, value
Labelled = tuple[str, str, str, str, dict[str, float]]  # kind, name, help, label, value by label


class Metrics:
    """The registry of one node."""

    def __init__(self, labels: dict[str, str]) -> None:
        """``labels`` describe the build and the node: they become som_build_info."""
        self._registry = CollectorRegistry()
        self._sources: list[Callable[[], Iterable[Sample]]] = []
        self._labelled: list[Callable[[], Iterable[Labelled]]] = []
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

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, registry=self._registry, buckets=SECONDS)


class _Sources(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.collect()
