# syntax=docker/dockerfile:1

# The web console.
FROM node:22-bookworm-slim AS console
WORKDIR /src/console
COPY console/package.json console/package-lock.json console/.npmrc ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY console/ ./
RUN npm run build

# One static binary: API, worker, migrations and administration.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
COPY --from=console /src/console/dist ./console/dist
ARG VERSION=""
ARG TAGS=""
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -tags "${TAGS}" -ldflags "-s -w -X main.release=${VERSION}" -o /out/kaiwa ./cmd/kaiwa

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates tzdata \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/kaiwa --create-home kaiwa \
 && install -d -o kaiwa -g kaiwa -m 0750 /var/lib/kaiwa/blobs
COPY --from=build /out/kaiwa /usr/local/bin/kaiwa
COPY LICENSE /usr/share/doc/kaiwa/LICENSE
USER kaiwa
WORKDIR /var/lib/kaiwa
ENV KAIWA_HTTP_ADDR=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["kaiwa"]
CMD ["api"]
