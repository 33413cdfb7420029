# Two images: `light` submits, reports, and serves the pages; `worker` holds models as well.
#   docker build --target light .      docker build --target worker .
# The Python of the pins in constraints.txt. PIP_EXTRA_INDEX_URL may name an index with other builds of torch.
FROM python:3.11.14-slim-bookworm AS light

ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 \
    PROCTOR_HOME=/var/lib/proctor PROCTOR_CACHE=/var/cache/proctor HF_HOME=/var/cache/proctor/hub
RUN useradd --system --uid 10001 --create-home proctor \
    && install --directory --owner=proctor --group=proctor /var/lib/proctor /var/cache/proctor
WORKDIR /opt/proctor
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY proctor proctor
COPY scheduler scheduler
COPY workers workers
COPY analysis analysis
COPY chat chat
RUN python -m pip install --constraint constraints.txt .
WORKDIR /var/lib/proctor
USER proctor
VOLUME ["/var/lib/proctor", "/var/cache/proctor"]
ENTRYPOINT ["proctor"]
CMD ["--help"]

FROM light AS worker

ARG PIP_EXTRA_INDEX_URL=""
USER root
WORKDIR /opt/proctor
# The compiler is for decode steps of replies in bfloat16 on a CPU (docs/decisions/0042); without it all works, slower.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m pip install --constraint constraints.txt ".[worker,judging]"
WORKDIR /var/lib/proctor
USER proctor
# SIGTERM: the pack at hand is finished and kept, the Run goes back. Give it longer than the 10 s of `docker stop`.
STOPSIGNAL SIGTERM
CMD ["worker"]
