# An image of the commands, for sweeps on Kubernetes (docs/sweeps.md):
#
#   docker build -t flawforge .
#   docker run --rm -v "$PWD/out:/sweeps" flawforge sweep status --out /sweeps/demo
#
# It computes on the processor. For GPUs the features `cuda` and a base image with the CUDA runtime are needed (docs/cuda.md).
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --package xtask --package flawforge

FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/target/release/xtask /build/target/release/flawforge /usr/local/bin/
# Whoever runs it needs no rights but those to the mounted folder.
USER 1000:1000
WORKDIR /sweeps
ENTRYPOINT ["xtask"]
