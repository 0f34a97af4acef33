# One image for the three services and the command; the compose file says which one runs.
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/tranche \
 && /opt/tranche/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock
COPY shared shared
COPY services services
COPY cli cli
COPY fleet fleet
RUN /opt/tranche/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
COPY --from=build /opt/tranche /opt/tranche
ENV PATH=/opt/tranche/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
CMD ["tranche", "--help"]
