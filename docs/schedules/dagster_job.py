"""Dagster: one job, partitioned by day, with the schedule that starts it every night.

Codes that no second try can help with fail the op for good; the others are tried again.
"""
import json
import os
import subprocess

from dagster import DailyPartitionsDefinition, Definitions, Failure, RetryRequested, build_schedule_from_partitioned_job, job, op

PROGRAM = os.environ.get("TUWEN_PROGRAM", "tuwen")
FILE = os.environ.get("TUWEN_PIPELINE", "/etc/tuwen/shop.yaml")
NO_SECOND_TRY = {2, 3, 65, 66, 70, 77, 78}


@op
def run_pipeline(context):
    """Makes what is missing and publishes it; gives the program's own result."""
    command = [PROGRAM, "run", FILE, "--logical-date", context.partition_key, "--run-id", f"dagster-{context.run_id}", "--json", "--log-format", "json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        out, _ = child.communicate()
    except BaseException:
        # The run was stopped: the program ends in order and keeps what it has.
        child.terminate()
        child.wait()
        raise
    result = json.loads(out.splitlines()[-1]) if out.strip() else {}
    if child.returncode in NO_SECOND_TRY:
        raise Failure(f"exit {child.returncode}: {result.get('error')}", allow_retries=False)
    if child.returncode != 0:
        raise RetryRequested(max_retries=4, seconds_to_wait=600)
    context.add_output_metadata({"release": result["release"], "published": result["published"]})
    return result


@job(partitions_def=DailyPartitionsDefinition(start_date="2026-01-01"))
def tuwen_shop():
    run_pipeline()


every_night = build_schedule_from_partitioned_job(tuwen_shop, hour_of_day=2, minute_of_hour=15)
defs = Definitions(jobs=[tuwen_shop], schedules=[every_night])
