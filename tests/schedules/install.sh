#!/bin/sh
# The schedulers that `check.py` runs, in two environments of their own: `install.sh FOLDER`. About 1 GB.
set -eu
folder="$1"
python="${PYTHON:-python3}"
for name in airflow dagster; do
    [ -x "$folder/$name/bin/python" ] || "$python" -m venv "$folder/$name"
    "$folder/$name/bin/pip" install --quiet uv==0.13.9
done
install() { VIRTUAL_ENV="$folder/$1" "$folder/$1/bin/uv" pip install --quiet "$2" "$3"; }
install airflow apache-airflow==3.3.2 apache-airflow-providers-standard==1.21.0
install dagster dagster==1.13.29 kubernetes-validate==1.37.0
