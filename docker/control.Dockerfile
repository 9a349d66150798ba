# Images without a GPU, from the repository root:
#   docker build --file docker/control.Dockerfile --target servers .     Prefect server, MLflow server, bucket creation
#   docker build --file docker/control.Dockerfile --target control .     the project: deploy, cpu worker
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm@sha256:b18992999dbe963a45a8a4da40ac2b1975be1a776d939d098c647482bcad5cba

FROM ${PYTHON_IMAGE} AS build
# Versions come from constraints.txt, which a linter does not see. Wheels only: no compiler is ever needed.
ENV PIP_CONSTRAINT=/opt/midtrain/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ONLY_BINARY=:all: \
    PIP_PYTHON=/opt/venv/bin/python
WORKDIR /opt/midtrain
COPY constraints.txt ./
# The environment gets no pip of its own, so none is copied into the images.
RUN python -m venv --without-pip /opt/venv

FROM build AS build-servers
# hadolint ignore=DL3013
RUN pip install prefect mlflow boto3 psycopg2-binary

FROM build AS build-control
# PyTorch's index has a build without CUDA, a tenth of the size of the default one.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# hadolint ignore=DL3013
RUN pip install --no-deps --index-url "${TORCH_INDEX}" torch
COPY pyproject.toml README.md ./
# Editable: the installed command looks in /opt/midtrain, where the last stage puts the sources. They change more often
# than what they need, which stays in a layer of its own. For a folder without a module no path would be written.
RUN mkdir -p flows tasks deployments/recipes deployments/pools \
    && touch flows/__init__.py tasks/__init__.py \
    && pip install --editable .

FROM ${PYTHON_IMAGE} AS runtime
ENV PATH=/opt/venv/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GIT_PYTHON_REFRESH=quiet \
    MIDTRAIN_HOME=/var/lib/midtrain \
    PREFECT_HOME=/var/lib/midtrain/prefect \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true
# A volume mounted here for the first time takes over this folder's owner.
RUN groupadd --gid 10001 midtrain \
    && useradd --uid 10001 --gid midtrain --create-home midtrain \
    && install --directory --owner midtrain --group midtrain /var/lib/midtrain

FROM runtime AS servers
COPY --from=build-servers /opt/venv /opt/venv
COPY docker/healthy.py docker/buckets.py /opt/docker/
WORKDIR /var/lib/midtrain
USER 10001:10001
CMD ["prefect", "server", "start", "--host", "0.0.0.0"]

FROM runtime AS control
ENV HF_HOME=/var/lib/midtrain/huggingface \
    MIDTRAIN_PROJECT=/opt/midtrain \
    PREFECT_LOGGING_EXTRA_LOGGERS=flows,tasks
COPY --from=build-control /opt/venv /opt/venv
COPY docker/healthy.py /opt/docker/
WORKDIR /opt/midtrain
COPY pyproject.toml README.md ./
COPY deployments deployments
COPY tasks tasks
COPY flows flows
# Written into every artifact's manifest; the image holds no .git to ask.
ARG MIDTRAIN_COMMIT=
ENV MIDTRAIN_COMMIT=${MIDTRAIN_COMMIT}
USER 10001:10001
CMD ["prefect", "worker", "start", "--pool", "cpu", "--install-policy", "never", "--with-healthcheck"]
