"""What a run tells, read as its receivers read it: `check_telemetry.py TUWEN PIPELINE [SPEC]`.

Runs PIPELINE, which is the quickstart, up to its audit, twice, then once where it fails, with servers on loopback. OpenLineage events are
built again from the classes of its Python client, which refuse unknown fields; with SPEC, a folder that holds `OpenLineage.json` and `facets/` of
the specification, they are also held against the JSON Schemas. Spans are decoded with the published protobuf classes, the metrics file with
Prometheus' own parser. Prints a table and fails if a line of it is not as it should be.
"""
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from openlineage.client import event_v2, facet_v2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STAGES = ["muge", "flickr", "surfaces", "audit"]
ROWS = []


def check(name, good, found=""):
    ROWS.append(good)
    print(f"{'ok ' if good else 'BAD'} {name}  {found}", flush=True)


class Receiver:
    """Keeps what it is sent, by path."""

    def __init__(self):
        self.bodies = bodies = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                bodies.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path):
        taken = [body for where, body in self.bodies if where == path]
        self.bodies[:] = [entry for entry in self.bodies if entry[0] != path]
        return taken


def facet_classes():
    classes = {}
    for module in vars(facet_v2).values():
        if inspect.ismodule(module):
            classes.update({name: found for name, found in vars(module).items() if inspect.isclass(found)})
    return classes


CLASSES = facet_classes()


def build(schema_class, value):
    """An object of the client's class from JSON; a field that the class does not have is an error."""
    fields = {name: field for name, field in value.items() if not name.startswith("_")}
    return schema_class(**fields)


def build_facets(facets):
    for name, facet in facets.items():
        assert facet["_producer"].startswith("pkg:cargo/tuwen@"), facet
        schema = facet["_schemaURL"].rsplit("/", 1)[1]
        if name.startswith("tuwen_"):
            continue
        built = build(CLASSES[schema], facet)
        assert schema_version(built._get_schema()) >= schema_version(facet["_schemaURL"]), (schema, facet["_schemaURL"])


def schema_version(url):
    return [int(part) for part in re.search(r"/(\d+)-(\d+)-(\d+)/", url).groups()]


def build_event(event):
    """The event as an object of the client; its validators look at UUIDs and times."""
    for part in (event["run"], event["job"], *event["inputs"], *event["outputs"]):
        build_facets(part.get("facets", {}))
        build_facets(part.get("outputFacets", {}))
    built = event_v2.RunEvent(
        eventType=event_v2.RunState[event["eventType"]], eventTime=event["eventTime"], producer=event["producer"],
        run=event_v2.Run(**event["run"]), job=event_v2.Job(**event["job"]),
        inputs=[event_v2.InputDataset(**dataset) for dataset in event["inputs"]],
        outputs=[event_v2.OutputDataset(**dataset) for dataset in event["outputs"]])
    assert built.schemaURL == event["schemaURL"]


def check_lineage(name, bodies, spec, last):
    events = [json.loads(body) for body in bodies]
    for event in events:
        build_event(event)
    runs = {}
    for event in events:
        runs.setdefault(event["run"]["runId"], []).append(event["eventType"])
    good = all(kinds[0] == "START" and len(kinds) == 2 for kinds in runs.values()) and events[-1]["eventType"] == last
    check(f"{name}: {len(events)} events of lineage", good and len(events) > 1, f"of {len(runs)} runs, the last {last}")
    if spec:
        validate(name, events, spec)
    return events


def validate(name, events, spec):
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing import Registry, Resource

    def schema(url):
        found = re.match(r"https://openlineage.io/spec/(?:facets/)?(\d+-\d+-\d+)/(\w+).json$", url)
        path = spec / "OpenLineage.json" if found[2] == "OpenLineage" else spec / "facets" / f"{found[2]}.json"
        content = json.loads(path.read_text())
        assert content["$id"] == url, f"{path} is {content['$id']}, not {url}"
        return Resource.from_contents(content)

    registry, checked = Registry(retrieve=schema), 0

    def hold(url, value):
        nonlocal checked
        Draft202012Validator({"$ref": url}, registry=registry, format_checker=FormatChecker()).validate(value)
        checked += 1

    for event in events:
        hold(event["schemaURL"], event)
        for part in (event["run"], event["job"], *event["inputs"], *event["outputs"]):
            for facets in (part.get("facets", {}), part.get("outputFacets", {})):
                for key, facet in facets.items():
                    file, _, definition = facet["_schemaURL"].partition("#")
                    hold(facet["_schemaURL"], facet)
                    if "/facets/" in file:
                        hold(file, {key: facet})
    check(f"{name}: events and facets meet the JSON Schemas", checked > len(events), f"{checked} validations")


def check_spans(name, bodies, stages, failed):
    spans, services = [], set()
    for body in bodies:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            services.update(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            spans += [span for scope in resource.scope_spans for span in scope.spans]
    roots = [span for span in spans if span.parent_span_id.hex() == PARENT]
    children = [span for span in spans if roots and span.parent_span_id == roots[0].span_id]
    good = len(roots) == 1 and sorted(span.name for span in children) == sorted(stages) and len(spans) == 1 + len(stages)
    good = good and all(span.trace_id.hex() == TRACE for span in spans) and services == {"nightly"}
    inside = all(roots[0].start_time_unix_nano <= s.start_time_unix_nano <= s.end_time_unix_nano <= roots[0].end_time_unix_nano for s in children)
    check(f"{name}: {len(spans)} spans", good and inside, f"services {services}")
    check(f"{name}: status of the run's span", roots[0].status.code == (2 if failed else 1), roots[0].status.message[:60])
    for span in children:
        attributes = {a.key: a.value for a in span.attributes}
        known = {"tuwen.stage", "tuwen.kind", "tuwen.fingerprint"} <= set(attributes)
        rows = attributes["tuwen.reused"].bool_value or "tuwen.rows.out" in attributes
        check(f"{name}: span of {span.name}", known and rows, ", ".join(sorted(attributes)))


def check_metrics(name, path, success):
    families = list(text_string_to_metric_families(path.read_text()))
    values = {sample.name: sample.value for family in families for sample in family.samples}
    good = all(family.type == "gauge" and family.documentation for family in families)
    good = good and values["tuwen_run_success"] == success and values["tuwen_run_last_success_timestamp_seconds"] > 0
    check(f"{name}: metrics file", good, f"{len(families)} metrics")


def main(tuwen, pipeline, spec=None):
    folder, receiver, spec = Path(tempfile.mkdtemp()), Receiver(), spec and Path(spec)
    metrics = folder / "tuwen.prom"
    environment = dict(os.environ, TUWEN_STORE=str(folder / "store"), TUWEN_CACHE=str(folder / "cache"), TUWEN_METRICS_FILE=str(metrics),
                       OPENLINEAGE_URL=receiver.url, OPENLINEAGE_NAMESPACE="nightly", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
                       OTEL_SERVICE_NAME="nightly", TRACEPARENT=f"00-{TRACE}-{PARENT}-01")
    text = Path(pipeline).read_text().replace("../", f"{Path(pipeline).resolve().parent.parent}/")
    (folder / "good.yaml").write_text(text)
    (folder / "bad.yaml").write_text(text.replace("sample_data/", "no_data/"))
    for name, file, stages, code in [("first run", "good.yaml", STAGES, 0), ("second run", "good.yaml", STAGES, 0),
                                     ("failing run", "bad.yaml", [], 66)]:
        ran = subprocess.run([tuwen, "run", folder / file, "--until", "audit", "--logical-date", "2026-11-26", "--quiet"],
                             env=environment, capture_output=True, text=True)
        check(f"{name}: exit {code}, no warning", ran.returncode == code and "warning" not in ran.stderr, ran.stderr.strip()[:100])
        check_lineage(name, receiver.take("/api/v1/lineage"), spec, "FAIL" if code else "COMPLETE")
        check_spans(name, receiver.take("/v1/traces"), stages, code != 0)
        check_metrics(name, metrics, 0 if code else 1)
    print(f"{sum(ROWS)} passed, {len(ROWS) - sum(ROWS)} failed")
    sys.exit(0 if all(ROWS) else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
