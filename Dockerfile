# One image for both: the proxy (the default command) and the stats service. See compose.yaml.
FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv .venv \
    && .venv/bin/python -m pip --disable-pip-version-check install --no-cache-dir --require-hashes -r requirements.lock

FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/app/.venv/bin:$PATH DATABASE_URL=sqlite:////data/usage.db
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY pyproject.toml README.md LICENSE pricing.yaml pricing.schema.json ./
COPY metering metering
COPY addons addons
COPY stats_service stats_service
COPY scripts scripts
# Compiled here, for -O as well: whoever runs it cannot write it down, and would compile everything at each start.
RUN python -m compileall -q -j 0 -o 0 -o 1 .venv/lib addons metering stats_service scripts
# scripts/bootstrap sees by this copy that nothing is missing.
COPY requirements.lock .venv/installed-requirements.lock
COPY requirements.lock ./
RUN useradd --system --uid 10001 --create-home --home-dir /home/limiter limiter \
    && install -d -o limiter -g limiter -m 0700 /data
USER limiter
VOLUME /data
EXPOSE 8000 3000
STOPSIGNAL SIGTERM
CMD ["python", "-O", "-m", "addons.serve", "--proxy-only"]
