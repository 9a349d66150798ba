#!/bin/sh
# What the images install: `install.sh STEP [ARGUMENT ...]`, in the folder that holds the constraints.
# Versions come from there. Wheels only: no compiler is ever needed.
set -eu
venv="${VENV:-/opt/venv}"
constraints="$PWD/constraints.txt"
if [ -f docker/constraints-gpu.txt ]; then constraints="$constraints $PWD/docker/constraints-gpu.txt"; fi
export PIP_CONSTRAINT="$constraints" PIP_ONLY_BINARY=:all: PIP_PYTHON="$venv/bin/python" \
    PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
step="$1"
shift

case "$step" in
    # The environment gets no pip of its own, so none is copied into the images.
    environment) python -m venv --without-pip "$venv" ;;
    servers) pip install prefect mlflow boto3 psycopg2-binary "$@" ;;
    # PyTorch's index has a build without CUDA, a tenth of the size of the default one.
    torch-cpu) pip install --no-deps --index-url "$1" torch ;;
    torch-cuda) pip install torch vllm ;;
    # Editable: the installed command looks in this folder, where the last stage puts the sources. They change more
    # often than what they need, which stays in a layer of its own. For a folder without a module no path would be
    # written.
    project)
        mkdir -p flows tasks deployments/recipes deployments/pools
        touch flows/__init__.py tasks/__init__.py
        pip install --editable "$@"
        ;;
    *)
        echo "install.sh has no step '$step'" >&2
        exit 2
        ;;
esac
