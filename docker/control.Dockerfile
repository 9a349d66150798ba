# Images without a GPU, from the repository root:
#   docker build --file docker/control.Dockerfile --target servers .     Prefect server, MLflow server, bucket creation
#   docker build --file docker/control.Dockerfile --target control .     the project: deploy, cpu worker
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm@sha256:b18992999dbe963a45a8a4da40ac2b1975be1a776d939d098c647482bcad5cba

FROM ${PYTHON_IMAGE} AS build
WORKDIR /opt/midtrain
COPY constraints.txt ./
COPY docker/install.sh docker/
RUN docker/install.sh environment

FROM build AS build-servers
RUN docker/install.sh servers

FROM build AS build-control
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN docker/install.sh torch-cpu "${TORCH_INDEX}"
COPY pyproject.toml README.md ./
RUN docker/install.sh project .

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
