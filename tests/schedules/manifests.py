"""Manifests against Kubernetes' own schemas and the rules that schemas cannot say: `manifests.py MANIFEST… CODES`. A line of JSON per check."""
import copy
import json
import sys

import kubernetes_validate
import yaml

VERSION = "1.37"


def say(name, good, found=""):
    print(json.dumps({"name": name, "good": bool(good), "found": str(found)[:200]}))


def problem(manifest):
    try:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return error.message or "?"
    return None


def job(manifest):
    return manifest["spec"]["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else manifest["spec"]


def main(paths, final):
    for path in paths:
        manifest = yaml.safe_load(open(path))
        name, spec = path.rsplit("/", 1)[1], job(manifest)
        found = problem(manifest)
        say(f"{name} is valid, strictly, under {VERSION}", found is None, found or "")
        # The check has to be able to fail.
        for where, change in (("an unknown field", lambda job: job.update(backoffLimits=4)), ("a wrong type", lambda job: job["template"]["spec"].update(restartPolicy=3))):
            wrong = copy.deepcopy(manifest)
            change(job(wrong))
            say(f"{name}: {where} is found", problem(wrong) is not None, problem(wrong))
        rule = next(rule for rule in spec["podFailurePolicy"]["rules"] if rule["action"] == "FailJob")["onExitCodes"]
        say(f"{name} gives up on the codes of docs/operations.md", rule["values"] == final and rule["operator"] == "In", rule["values"])
        pod = spec["template"]["spec"]
        # Of the API server: a policy wants pods that are not restarted, and a container of that name.
        say(f"{name}: the policy fits its pods", pod["restartPolicy"] == "Never" and rule["containerName"] in [c["name"] for c in pod["containers"]])
        if "backoffLimitPerIndex" in spec:
            environment = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
            fits = spec["completionMode"] == "Indexed" and environment["TUWEN_SHARD_OF"] == str(spec["completions"])
            say(f"{name}: as many workers as completions, by index", fits, environment["TUWEN_SHARD_OF"])


main(sys.argv[1:-1], json.loads(sys.argv[-1]))
