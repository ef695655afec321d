# syntax=docker/dockerfile:1
# The image of hcp-identity: one binary on distroless, without a shell, as a user without rights.

# The toolchain of rust-toolchain.toml, on the Debian whose glibc the second stage has.
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The image has no clippy and rustfmt, and needs none.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --package hcp-identity --bin hcp-identity \
    && cp target/release/hcp-identity /hcp-identity

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.source=https://github.com/hcp-identity/hcp-identity \
    org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /hcp-identity /usr/bin/hcp-identity
# By number: kubelet cannot tell from a name that it is not root.
USER 65532:65532
ENTRYPOINT ["/usr/bin/hcp-identity"]
