# The GPU worker, from the repository root:
#   docker build --file docker/gpu.Dockerfile .
# CUDA's libraries come as wheels with torch and vLLM (CUDA 13.0); the base brings what the NVIDIA container toolkit
# asks for. Python is the one of the other images, because the pinned set was made with it.
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm@sha256:b18992999dbe963a45a8a4da40ac2b1975be1a776d939d098c647482bcad5cba
ARG CUDA_IMAGE=nvidia/cuda:13.0.3-base-ubuntu24.04@sha256:7c7413a56200486f71f181cad9310f6fd31b6bb21816ade15fc9c1e1e927a5c1

FROM ${PYTHON_IMAGE} AS build
WORKDIR /opt/midtrain
COPY constraints.txt ./
COPY docker/install.sh docker/constraints-gpu.txt docker/
RUN docker/install.sh environment
# hadolint ignore=DL3059
RUN docker/install.sh torch-cuda
COPY pyproject.toml README.md ./
RUN docker/install.sh project ".[gpu]"

FROM ${PYTHON_IMAGE} AS python

FROM ${CUDA_IMAGE} AS gpu
ENV PATH=/opt/venv/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GIT_PYTHON_REFRESH=quiet \
    MIDTRAIN_HOME=/var/lib/midtrain \
    MIDTRAIN_PROJECT=/opt/midtrain \
    HF_HOME=/var/lib/midtrain/huggingface \
    XDG_CACHE_HOME=/var/lib/midtrain/cache-of-tools \
    TRITON_CACHE_DIR=/var/lib/midtrain/cache-of-tools/triton \
    TORCHINDUCTOR_CACHE_DIR=/var/lib/midtrain/cache-of-tools/inductor \
    PREFECT_HOME=/var/lib/midtrain/prefect \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    PREFECT_LOGGING_EXTRA_LOGGERS=flows,tasks \
    MLFLOW_DISABLE_TELEMETRY=true
# The libraries that Python's modules link to, and compilers: Triton compiles a launcher in C for each kernel on the
# machine that runs it, torch.compile and vLLM need Triton, and torch.compile writes C++ for what stays on the CPU. Both
# keep what they compiled in the volume. Versions are those of the pinned release of Ubuntu.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates g++ gcc libc6-dev \
        libbz2-1.0 libexpat1 libffi8 liblzma5 libncursesw6 libreadline8t64 libsqlite3-0 libssl3t64 libuuid1 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 midtrain \
    && useradd --uid 10001 --gid midtrain --create-home midtrain \
    && install --directory --owner midtrain --group midtrain /var/lib/midtrain
COPY --from=python /usr/local /usr/local
RUN ldconfig
COPY --from=build /opt/venv /opt/venv
COPY docker/healthy.py /opt/docker/
WORKDIR /opt/midtrain
COPY pyproject.toml README.md ./
COPY deployments deployments
COPY tasks tasks
COPY flows flows
ARG MIDTRAIN_COMMIT=
ENV MIDTRAIN_COMMIT=${MIDTRAIN_COMMIT}
USER 10001:10001
CMD ["prefect", "worker", "start", "--pool", "gpu", "--limit", "1", "--install-policy", "never", "--with-healthcheck"]
