# Two stages: the first resolves nothing and compiles nothing it keeps; the second has no pip, no compiler, no root.
# Behind a company's proxy or mirror: PYTHON_IMAGE names another registry, PIP_INDEX_URL another index, and certificates in
# deploy/ca/*.crt are trusted while the image is built and when it runs (docs/operate/install.md).
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ARG PIP_INDEX_URL
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
COPY deploy/ca /usr/local/share/ca-certificates/company
RUN update-ca-certificates
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
 && /opt/venv/bin/python -m compileall -q -j 0 /opt/venv/lib /app \
 && chmod -R a+rX,go-w /app /opt/venv

FROM ${PYTHON_IMAGE} AS run
ARG VERSION=local
LABEL org.opencontainers.image.title="Mandate" \
      org.opencontainers.image.description="A control plane that governs what AI agents may do" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /usr/local/share/ca-certificates/company /usr/local/share/ca-certificates/company
RUN update-ca-certificates \
 && pip uninstall --yes --quiet pip --root-user-action=ignore \
 && groupadd --gid 10001 mandate && useradd --uid 10001 --gid mandate --no-create-home --shell /usr/sbin/nologin mandate \
 && install -d -o mandate -g mandate /var/lib/mandate /var/lib/mandate/seal /var/lib/mandate/anchor
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DJANGO_SETTINGS_MODULE=governance.settings
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
# The program's files belong to root and are read only; what is written is /var/lib/mandate (sealer) and /tmp.
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["granian", "--interface", "asgi", "--no-ws", "--http", "1", "--http1-header-read-timeout", "10000", "--backlog", "4096", "--host", "0.0.0.0", "--port", "8000", "governance.web:application"]
