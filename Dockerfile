# A static binary on an empty image: no shell, no package manager, no root. It
# writes nothing, so it runs with a read-only root file system.
#
#   docker build -t consentstream .
#   docker run --read-only -v "$PWD:/etc/consentstream:ro" consentstream run -c /etc/consentstream/consentstream.yaml
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download && go mod verify
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/consentstream ./cmd/consentstream
# A new volume mounted there takes this owner, so that the user below can write
# a key file into it.
RUN mkdir -p /out/run

FROM scratch
# Roots for TLS to brokers, Redis and registry.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/consentstream /usr/local/bin/consentstream
COPY --from=build --chown=65532:65532 /out/run /run/consentstream
COPY LICENSE /usr/share/doc/consentstream/LICENSE
# By number: there is no passwd, and runAsNonRoot can be checked.
USER 65532:65532
# Health and metrics; a container listens on all its addresses (see health.listen).
EXPOSE 9464
ENTRYPOINT ["/usr/local/bin/consentstream"]
CMD ["--help"]
