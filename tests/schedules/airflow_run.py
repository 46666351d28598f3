"""Airflow's own parser and runner over the DAG: `airflow_run.py FILE`, with AIRFLOW_HOME and the program's variables set. Checks are lines that begin with `=`."""
import json
import os
import sys
from datetime import datetime, timezone

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException


def say(name, good, found=""):
    print("=" + json.dumps({"name": name, "good": bool(good), "found": str(found)[:300]}), flush=True)


def main(path):
    bag = DagBag(path)
    dag = bag.dags.get("tuwen_shop")
    say("the DAG parses", dag is not None and not bag.import_errors, bag.import_errors)
    order = dag.topological_sort()
    say("its tasks", {task.task_id for task in order} == {"make-shop", "make-tuned", "list", "portions", "shards", "publish"}, [t.task_id for t in order])
    say("its schedule", dag.max_active_runs == 1 and not dag.catchup and dag.timetable.expression == "15 2 * * *", dag.timetable)
    outcomes = {}
    task = type(dag.get_task("publish"))
    module = sys.modules[task.__module__]
    module.PROGRAM = "bash"
    for code, kind in ((0, None), (99, AirflowSkipException), (65, AirflowFailException), (75, AirflowException)):
        operator = task(task_id=f"try-{code}", arguments=["-c", f"echo '{{\"a\": 1}}'; exit {code}"])
        try:
            outcomes[code] = operator.execute({}) == {"a": 1}
        except AirflowException as error:
            outcomes[code] = type(error) is kind
    module.PROGRAM = os.environ["TUWEN_PROGRAM"]
    say("exit codes 0, 99, 65 and 75: result, skipped, failed for good, tried again", all(outcomes.values()), outcomes)
    run = dag.test(logical_date=datetime(2026, 2, 3, tzinfo=timezone.utc))
    states = sorted({str(instance.state) for instance in run.get_task_instances()})
    say("a run of the DAG ends well", str(run.state).endswith("success") and states == ["success"], f"{run.state} {states}")
    made = [instance.xcom_pull(task_ids="shards", map_indexes=instance.map_index) for instance in run.get_task_instances() if instance.task_id == "shards"]
    say("its workers made every shard once", sum(result["made"] for result in made) == 4 and len(made) == 4, [result["made"] for result in made])


main(sys.argv[1])
