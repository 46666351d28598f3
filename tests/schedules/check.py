"""The files of docs/schedules/ under the schedulers themselves: `check.py TUWEN ENVIRONMENTS`, where `install.sh ENVIRONMENTS` ran before.

systemd reads the units, a real cron runs the line, Kubernetes' schemas (strict) hold the manifests, Airflow parses its DAG and runs it to a release
with shards side by side, Dagster loads its job and runs it, and `backfill.sh` makes three days of a small pipeline. All of them must name the exit codes that
docs/operations.md says no second try helps with. Prints a table and fails if a line of it is not as it should be. Installs cron with apt-get if
there is none. Standard library only; what needs a scheduler runs in its environment.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEDULES = REPOSITORY / "docs/schedules"
HERE = Path(__file__).resolve().parent
ROWS = []
PIPELINE = """kind: Pipeline
version: 1
name: shop
seed: 7
stages:
  - { id: shop, kind: ingest, source: { format: chinese-clip, root: data, splits: [train, valid] } }
  - { id: tuned, kind: model, preset: ViT-tiny-16 }
  - { id: vectors, kind: embed, needs: { models: [tuned], data: [shop] } }
  - { id: index, kind: index, needs: { embeddings: vectors, model: tuned } }
"""


def check(name, good, found=""):
    ROWS.append((name, good))
    print(f"{'ok ' if good else 'BAD'} {name}  {found}", flush=True)


def run(command, **options):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


def write_data(folder, images):
    """The first rows of the sample: images for training, four for validation."""
    source = REPOSITORY / "sample_data/flickr30k-cn"
    folder.mkdir(parents=True)
    for split, count in (("train", images), ("valid", 4)):
        rows = (source / f"{split}_imgs.tsv").read_text().splitlines()[:count]
        ids = {int(row.split("\t")[0]) for row in rows}
        texts = [line for line in (source / f"{split}_texts.jsonl").read_text().splitlines() if json.loads(line)["image_ids"][0] in ids]
        (folder / f"{split}_imgs.tsv").write_text("\n".join(rows) + "\n")
        (folder / f"{split}_texts.jsonl").write_text("\n".join(texts) + "\n")


class Place:
    """A folder with a small pipeline, and an environment in which the schedulers find it."""

    def __init__(self, tuwen, folder):
        self.tuwen, self.folder = tuwen, folder
        folder.mkdir()
        write_data(folder / "data", 6)
        (folder / "shop.yaml").write_text(PIPELINE)
        self.environment = dict(os.environ, TUWEN_PROGRAM=tuwen, TUWEN_PIPELINE=str(folder / "shop.yaml"), TUWEN_STORE=str(folder / "store"),
                                TUWEN_CACHE=str(folder / "cache"))

    def records(self):
        return [json.loads(path.read_text()) for path in sorted((self.folder / "store/runs").glob("*.json"))]

    def releases(self):
        return sorted((self.folder / "store/releases/shop").glob("*.json"))


def codes():
    """The codes of docs/operations.md that are not tried again, and those that are."""
    rows = re.findall(r"^\| ([\d, ]+) \|.*\| (no|yes|later) \|$", (REPOSITORY / "docs/operations.md").read_text(), re.MULTILINE)
    final = {int(code) for numbers, again in rows if again == "no" for code in numbers.split(",")}
    again = {int(code) for numbers, again in rows if again != "no" for code in numbers.split(",")}
    return final, again


def exit_codes():
    final, again = codes()
    check("docs/operations.md has codes of both kinds", len(final) >= 7 and len(again) >= 5, f"{sorted(final)} {sorted(again)}")
    named = {
        "systemd": re.search(r"RestartPreventExitStatus=(.*)", (SCHEDULES / "systemd/tuwen.service").read_text()),
        "airflow": re.search(r"NO_SECOND_TRY = \{(.*)\}", (SCHEDULES / "airflow_dag.py").read_text()),
        "dagster": re.search(r"NO_SECOND_TRY = \{(.*)\}", (SCHEDULES / "dagster_job.py").read_text()),
    }
    for where, found in named.items():
        numbers = {int(number) for number in re.findall(r"\d+", found.group(1))}
        check(f"{where} gives up on the same codes", numbers == final, str(sorted(numbers)))
    retried = {int(number) for number in re.search(r"^ +([\d |]+)\) \(\(", (SCHEDULES / "backfill.sh").read_text(), re.MULTILINE).group(1).split("|")}
    # A signal ends a backfill: whoever sent it wants no second try.
    check("backfill.sh tries the others again", retried == again - {130, 143}, str(sorted(retried)))


def systemd(place):
    folder = place.folder / "units"
    folder.mkdir()
    service = (SCHEDULES / "systemd/tuwen.service").read_text()
    for old, new in (("/usr/local/bin/tuwen ", f"{place.tuwen} "), ("User=tuwen\n", "User=root\n")):
        assert old in service, old
        service = service.replace(old, new)
    (folder / "tuwen.service").write_text(service)
    shutil.copy(SCHEDULES / "systemd/tuwen.timer", folder)
    verified = run(["systemd-analyze", "verify", folder / "tuwen.service", folder / "tuwen.timer"])
    check("systemd-analyze verify: service and timer", verified.returncode == 0 and not verified.stderr.strip(), verified.stderr.strip()[:300])
    # It has to be able to fail.
    (folder / "tuwen.service").write_text(service.replace("RestartPreventExitStatus=2 ", "RestartPreventExitStatuses=2 "))
    wrong = run(["systemd-analyze", "verify", folder / "tuwen.service"])
    check("systemd-analyze verify: a wrong key is found", "RestartPreventExitStatuses" in wrong.stderr, wrong.stderr.strip()[:120])
    when = re.search(r"OnCalendar=(.*)", (folder / "tuwen.timer").read_text()).group(1)
    calendar = run(["systemd-analyze", "calendar", when])
    check("systemd-analyze calendar", calendar.returncode == 0 and "02:15:00" in calendar.stdout, calendar.stdout.split("Next elapse:")[-1].split("\n")[0].strip())


def cron(place):
    """Debian's cron runs the line itself, every minute instead of every night, with the paths of this place."""
    if not shutil.which("cron"):
        as_root = ["sudo"] if os.geteuid() else []
        run([*as_root, "apt-get", "update", "-qq"])
        run([*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "cron"])
    text = (SCHEDULES / "tuwen.cron").read_text()
    log = place.folder / "log"
    log.mkdir()
    for old, new in (("15 2 * * * tuwen tuwen ", f"* * * * * root {place.tuwen} "), ("/srv/tuwen", str(place.folder / "store")),
                     ("/var/cache/tuwen", str(place.folder / "cache")), ("/etc/tuwen/shop.yaml", str(place.folder / "shop.yaml")), ("/var/log/tuwen", str(log))):
        assert old in text, old
        text = text.replace(old, new)
    if not shutil.which("cron") or os.geteuid():
        return check("cron runs the line", False, "needs root and Debian's cron")
    table = Path("/etc/cron.d/tuwen-check")
    table.write_text(text)
    child = subprocess.Popen(["cron", "-f"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for _ in range(150):
            time.sleep(1)
            if place.releases() and (log / "shop.jsonl").read_text().strip():
                break
    finally:
        table.unlink()
        child.terminate()
        child.wait()
    out = (log / "shop.jsonl").read_text() if (log / "shop.jsonl").exists() else ""
    check("cron runs the line to a release", bool(out.strip()) and json.loads(out.splitlines()[0])["release"] == 1, out[:100])
    lines = (log / "shop.log").read_text().splitlines() if (log / "shop.log").exists() else []
    check("cron: every line of the log is JSON", bool(lines) and all(json.loads(line)["level"] for line in lines), f"{len(lines)} lines")


def kubernetes(python):
    checked = run([python, HERE / "manifests.py", *sorted((SCHEDULES / "kubernetes").glob("*.yaml")), json.dumps(sorted(codes()[0]))])
    for line in checked.stdout.splitlines():
        row = json.loads(line)
        check(f"kubernetes: {row['name']}", row["good"], row["found"])
    check("kubernetes: all was looked at", checked.returncode == 0, checked.stderr.strip()[-300:])


def airflow(python, place):
    home = place.folder / "airflow"
    home.mkdir()
    environment = dict(place.environment, AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="False", AIRFLOW__CORE__UNIT_TEST_MODE="False",
                       AIRFLOW__CORE__DAGS_FOLDER=str(home / "dags"), PATH=f"{python.parent}:{os.environ['PATH']}")
    (home / "dags").mkdir()
    shutil.copy(SCHEDULES / "airflow_dag.py", home / "dags")
    migrated = run([python.parent / "airflow", "db", "migrate"], env=environment)
    check("airflow: its database", migrated.returncode == 0, migrated.stderr.strip()[-200:] if migrated.returncode else "")
    checked = run([python, HERE / "airflow_run.py", home / "dags/airflow_dag.py"], env=environment)
    rows = [json.loads(line[1:]) for line in checked.stdout.splitlines() if line.startswith("=")]
    for row in rows:
        check(f"airflow: {row['name']}", row["good"], row["found"])
    check("airflow: all was looked at", checked.returncode == 0 and len(rows) >= 6, (checked.stdout + checked.stderr)[-1500:] if checked.returncode else "")
    records = place.records()
    published = [record for record in records if record["published"]]
    check("airflow: one release, with its logical date", len(published) == 1 and published[0]["logical_date"] == "2026-02-03", str([r["logical_date"] for r in published]))
    check("airflow: nothing is left of the shards", not any((place.folder / "store/work").rglob("*.json")))


def dagster(python, place):
    environment = dict(place.environment, DAGSTER_HOME=str(place.folder / "dagster"), DAGSTER_DISABLE_TELEMETRY="1")
    (place.folder / "dagster").mkdir()
    checked = run([python, HERE / "dagster_run.py", SCHEDULES / "dagster_job.py"], env=environment)
    rows = [json.loads(line[1:]) for line in checked.stdout.splitlines() if line.startswith("=")]
    for row in rows:
        check(f"dagster: {row['name']}", row["good"], row["found"])
    check("dagster: all was looked at", checked.returncode == 0 and len(rows) >= 4, checked.stderr[-1500:] if checked.returncode else "")
    dates = [record["logical_date"] for record in place.records() if record["published"]]
    check("dagster: the partition is the logical date", dates == ["2026-02-03"], str(dates))


def backfill(place):
    """Three days, each with a source of its own; the second call finds everything there."""
    (place.folder / "shop.yaml").write_text(PIPELINE.replace("root: data", "root: 'days/{date}'"))
    for at, day in enumerate(("2026-02-27", "2026-02-28", "2026-03-01")):
        write_data(place.folder / "days" / day, 6 + at)
    command = ["bash", SCHEDULES / "backfill.sh", place.folder / "shop.yaml", "2026-02-27", "2026-03-01", "--quiet"]
    environment = dict(place.environment, BACKFILL_WAIT="1", BACKFILL_TRIES="2")
    ended = run(command, env=environment)
    dates = [record["logical_date"] for record in place.records()]
    check("backfill.sh: a release for every day", ended.returncode == 0 and dates == ["2026-02-27", "2026-02-28", "2026-03-01"] and len(place.releases()) == 3, f"{dates} {ended.stderr[-200:]}")
    again = run([*command, "--until", "vectors", "--json"], env=environment)
    results = [json.loads(line) for line in again.stdout.splitlines() if line.startswith("{")]
    check("backfill.sh: a second call makes nothing", again.returncode == 0 and len(results) == 3 and all(step["reused"] for result in results for step in result["steps"]))
    shutil.rmtree(place.folder / "days/2026-02-28")
    missing = run(command, env=environment)
    check("backfill.sh: a code that no second try helps with ends it", missing.returncode == 66, f"exit {missing.returncode}")
    busy = run(command, env=dict(environment, TUWEN_REQUEST_BUDGET="1", TUWEN_STORE="s3://no-such-bucket/x", AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x"))
    check("backfill.sh: another is tried again, then given", busy.returncode == 75, f"exit {busy.returncode}")
    check("backfill.sh: nothing is left beside the file", not list(place.folder.glob(".backfill*")))


def main(tuwen, environments):
    folder = Path(tempfile.mkdtemp())
    tuwen, environments = str(Path(tuwen).resolve()), Path(environments).resolve()
    try:
        exit_codes()
        kubernetes(environments / "dagster/bin/python")
        systemd(Place(tuwen, folder / "systemd"))
        backfill(Place(tuwen, folder / "backfill"))
        cron(Place(tuwen, folder / "cron"))
        dagster(environments / "dagster/bin/python", Place(tuwen, folder / "dagster"))
        airflow(environments / "airflow/bin/python", Place(tuwen, folder / "airflow"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    bad = [name for name, good in ROWS if not good]
    print(f"\n{len(ROWS)} checks, {len(bad)} not as they should be")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
