# The service of exported models: no torch, no compiler, no shell script at start, not root.
#
#   docker build -f docker/serve.Dockerfile -t asr-dro-serve .
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/for_others:/models/model:ro" asr-dro-serve
#
# With the model baked in (MODEL is a folder below the context that .dockerignore lets through):
#   docker build -f docker/serve.Dockerfile -t my-asr --target baked --build-arg MODEL=for_others .
#
# BuildKit builds it (Docker 23 and later have it on). docker/compose.yaml runs it with a read-only root,
# without capabilities, with bounds.
# tests/setup/test_image.py lays the same files out with the commands below and weighs them.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# strip, as and ld, for slim.sh; they stay in this stage
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY setup.py pyproject.toml README.md LICENSE ./
COPY tools/constraints.txt tools/constraints.txt
COPY docker/slim.sh docker/slim.sh
COPY asr_dro_plugin asr_dro_plugin
# A tree of its own, so that pip and what it needs stay behind. Exact versions, wheels where there are any.
RUN pip install --no-cache-dir --no-compile --prefer-binary --root-user-action=ignore --prefix /install \
        -c tools/constraints.txt ".[serve,media,lm]" \
    && bash docker/slim.sh /install

FROM python:${PYTHON}-slim AS serve
LABEL org.opencontainers.image.title="asr-dro serve" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /install /usr/local
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 OMP_NUM_THREADS=1 HOME=/tmp ORT_DISABLE_TELEMETRY=1
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin asr && mkdir /models
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
# Neither curl nor wget is here. Not ready while models load and while it drains.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-I", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["asr-dro", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["/models/model"]

FROM serve AS baked
ARG MODEL
COPY --chown=0:0 --chmod=755 ${MODEL} /models/model

FROM serve
