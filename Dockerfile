# One image for all three processes: hot-switch webhook | controller | agent.
# The build needs the network (base image, npm packages, Debian packages); the build context is what .dockerignore lets through.

FROM node:24-trixie-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# Without scripts: the dev dependency "node" would bring a Node that this image has already. Not npm ci: it refuses a lock file that
# leaves out packages of other platforms.
RUN npm install --no-save --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npx tsc -p tsconfig.build.json && rm -r dist/tools

FROM node:24-trixie-slim AS packages
WORKDIR /packages
COPY package.json package-lock.json .npmrc ./
# Half of it is declarations and source maps, which nothing reads at run time.
RUN npm install --no-save --omit=dev --ignore-scripts \
 && find node_modules -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \) -delete \
 && rm -r node_modules/@types

FROM node:24-trixie-slim
# What the agent runs inside the network namespaces of pods. Debian's iptables holds both backends, nft and legacy; it must not be
# older than the one that wrote the rules, or it refuses to show them. nsenter is part of util-linux.
RUN apt-get update \
 && apt-get install -y --no-install-recommends conntrack iproute2 iptables nftables util-linux \
 && rm -rf /var/lib/apt/lists/* /usr/local/lib/node_modules/npm /usr/local/bin/npm /usr/local/bin/npx /opt/yarn-* /usr/local/bin/yarn*
WORKDIR /app
COPY --from=packages /packages/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE ./

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="hot-switch" \
      org.opencontainers.image.description="Keeps a Kubernetes workload reachable when its Istio sidecar fails." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

ENV NODE_ENV=production
# webhook and controller need no more than this. The agent enters namespaces: its DaemonSet says runAsUser: 0 and lists its capabilities.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/node", "/app/dist/cmd/hot-switch.js"]
CMD ["--help"]
