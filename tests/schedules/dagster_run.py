"""Dagster loads the job and runs it in this process: `dagster_run.py FILE`, with the program's variables set. Checks are lines that begin with `=`."""
import importlib.util
import json
import sys
from datetime import datetime, timezone

from dagster import DagsterInstance, Failure, RetryRequested, build_op_context, build_schedule_context


def say(name, good, found=""):
    print("=" + json.dumps({"name": name, "good": bool(good), "found": str(found)[:300]}), flush=True)


def main(path):
    spec = importlib.util.spec_from_file_location("dagster_job", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    job = module.defs.resolve_job_def("tuwen_shop")
    schedule = module.defs.resolve_schedule_def("tuwen_shop_schedule")
    say("the schedule", schedule.cron_schedule == "15 2 * * *", schedule.cron_schedule)
    context = build_schedule_context(scheduled_execution_time=datetime(2026, 2, 4, 2, 15, tzinfo=timezone.utc))
    requests = schedule.evaluate_tick(context).run_requests
    say("a tick asks for the day before", [request.partition_key for request in requests] == ["2026-02-03"], requests)
    result = job.execute_in_process(partition_key="2026-02-03", instance=DagsterInstance.get())
    output = result.output_for_node("run_pipeline")
    say("a run in process publishes", result.success and output["release"] == 1 and output["published"], output)
    program, outcomes = module.PROGRAM, {}
    for code in (65, 75):
        # A program that prints an error and ends with the code.
        module.subprocess.Popen, popen = (lambda command, **rest: popen(["sh", "-c", f"echo '{{\"error\": \"x\"}}'; exit {code}"], **rest)), module.subprocess.Popen
        try:
            module.run_pipeline(build_op_context(partition_key="2026-02-03"))
        except Failure as error:
            outcomes[code] = "failed for good" if error.allow_retries is False else "failed"
        except RetryRequested:
            outcomes[code] = "tried again"
        finally:
            module.subprocess.Popen = popen
    say("exit codes 65 and 75", outcomes == {65: "failed for good", 75: "tried again"}, outcomes)


main(sys.argv[1])
