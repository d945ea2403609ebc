# syntax=docker/dockerfile:1
# Two stages: the first resolves nothing and compiles nothing it keeps; the second has no pip, no compiler, no root.
ARG PYTHON=3.13-slim

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv --without-pip /opt/venv
COPY requirements/run.txt /tmp/run.txt
# Every package is pinned with its hashes, and only wheels are taken: nothing of a package runs while it is installed.
RUN pip --python /opt/venv/bin/python install --require-hashes --no-deps --only-binary :all: -r /tmp/run.txt
WORKDIR /app
COPY manage.py ./
COPY audit audit
COPY entitlements entitlements
COPY governance governance
COPY templates templates
COPY static static
# collectstatic reads the settings, which want values; these serve nobody and are not in the final image.
RUN SECRET_KEY=$(head -c 48 /dev/urandom | base64 -w 0) KEY_ENCRYPTION_KEY=$(printf 'A%.0s' $(seq 43)) \
    DATABASE_URL=postgresql://none:none@localhost/none REDIS_URL=redis://localhost/0 \
    /opt/venv/bin/python manage.py collectstatic --no-input --verbosity 0 \
 && /opt/venv/bin/python -m compileall -q -j 0 /opt/venv/lib /app

FROM python:${PYTHON} AS run
RUN pip uninstall --yes --quiet pip --root-user-action=ignore \
 && groupadd --gid 10001 mandate && useradd --uid 10001 --gid mandate --no-create-home --shell /usr/sbin/nologin mandate \
 && install -d -o mandate -g mandate /var/lib/mandate /var/lib/mandate/seal /var/lib/mandate/anchor
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DJANGO_SETTINGS_MODULE=governance.settings
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
# The program's files belong to root and are read only; what is written is /var/lib/mandate (sealer) and /tmp.
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["granian", "--interface", "asgi", "--no-ws", "--http", "1", "--http1-header-read-timeout", "10000", "--backlog", "4096", "--host", "0.0.0.0", "--port", "8000", "governance.web:application"]
