# syntax=docker/dockerfile:1
FROM golang:1.26 AS build
ENV GOEXPERIMENT=jsonv2 CGO_ENABLED=0 GOFLAGS=-buildvcs=false
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN go build -trimpath -ldflags "-s -w -X github.com/tidewaiter/tidewaiter/internal/cli.version=${VERSION}" -o /tidewaiter ./cmd/tidewaiter \
 && mkdir -m 0700 /data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /tidewaiter /usr/bin/tidewaiter
COPY --from=build --chown=65532:65532 /data /data
COPY LICENSE NOTICE /usr/share/doc/tidewaiter/
ENV TIDEWAITER_DATA=/data TIDEWAITER_LISTEN=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s CMD ["tidewaiter", "version"]
ENTRYPOINT ["/usr/bin/tidewaiter"]
CMD ["serve"]
