# Both programs, alone in an image: no shell, no packages, nobody's rights.
FROM golang:1.26.8 AS build
WORKDIR /src
# The modules first: they change more rarely than the code, and are then not fetched again.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ENV CGO_ENABLED=0
RUN mkdir -p /image/etc/ssl/certs /image/tmp \
    && chmod 1777 /image/tmp \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && go build -trimpath -ldflags="-s -w" -o /image/consumer ./cmd/consumer \
    && go build -trimpath -ldflags="-s -w" -o /image/producer ./cmd/producer

FROM scratch
COPY --from=build /image/ /
# 65534 is nobody; a number, because there is no passwd file to look a name up in.
USER 65534:65534
EXPOSE 8080
ENTRYPOINT ["/consumer"]
CMD ["run"]
