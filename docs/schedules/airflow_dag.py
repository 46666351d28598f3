"""Airflow 3: the inputs of one stage, its shards side by side, then the run that joins and publishes them.

Codes that no second try can help with fail a task without a retry; 99 (nothing to do) skips it; a task that is stopped passes SIGTERM on.
"""
import json
import os
from datetime import datetime, timedelta, timezone

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import DAG, BaseOperator, chain, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

PROGRAM = os.environ.get("TUWEN_PROGRAM", "tuwen")
FILE = os.environ.get("TUWEN_PIPELINE", "/etc/tuwen/shop.yaml")
STAGE = "vectors"
INPUTS = ["shop", "tuned"]
WORKERS = 8
NO_SECOND_TRY = {2, 3, 65, 66, 70, 77, 78}


class Tuwen(BaseOperator):
    """Runs the program with the worker's environment; its result is the JSON object on the last line of stdout."""

    template_fields = ("arguments",)

    def __init__(self, arguments, **keywords):
        super().__init__(**keywords)
        self.arguments = arguments
        self.hook = SubprocessHook()

    def execute(self, context):
        command = [PROGRAM, *self.arguments, "--json", "--log-format", "json"]
        ended = self.hook.run_command(command, env={**os.environ})
        if ended.exit_code == 99:
            raise AirflowSkipException("nothing to do")
        if ended.exit_code in NO_SECOND_TRY:
            raise AirflowFailException(f"exit {ended.exit_code}: {ended.output}")
        if ended.exit_code != 0:
            raise AirflowException(f"exit {ended.exit_code}: {ended.output}")
        return json.loads(ended.output)

    def on_kill(self):
        self.hook.send_sigterm()


with DAG(
    dag_id="tuwen_shop",
    schedule="15 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 4, "retry_delay": timedelta(minutes=10)},
) as dag:

    @task
    def portions(listed):
        """The arguments of every worker. No source is read again: the artifact says what is made."""
        workers = min(WORKERS, listed["count"])
        rest = ["--stage", STAGE, "--artifact", listed["artifact"], "--of", str(workers)]
        return [["shard", "run", FILE, *rest, "--index", str(index)] for index in range(workers)]

    inputs = [Tuwen(task_id=f"make-{stage}", arguments=["run", FILE, "--until", stage, "--lock", "wait"]) for stage in INPUTS]
    listed = Tuwen(task_id="list", arguments=["shard", "list", FILE, "--stage", STAGE])
    shards = Tuwen.partial(task_id="shards").expand(arguments=portions(listed.output))
    publish = Tuwen(
        task_id="publish",
        arguments=["run", FILE, "--logical-date", "{{ ds }}", "--run-id", "{{ run_id }}", "--skip-exit-code", "99"],
    )
    chain(*inputs, listed)
    shards >> publish
