FROM node:20-slim AS manifests
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY migrations-registry/package.json migrations-registry/
COPY sdk/package.json sdk/
COPY server/package.json server/
COPY test/package.json test/
COPY bench/package.json bench/

# The sources come after the dependencies, so that a change of code does not install again.
FROM manifests AS build
RUN npm ci --ignore-scripts
COPY tsconfig.base.json ./
COPY migrations-registry migrations-registry
COPY server server
RUN npx tsc -b server

FROM manifests AS dependencies
RUN npm ci --ignore-scripts --omit=dev --workspace @switchback/server --workspace @switchback/migrations-registry

FROM node:20-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/migrations-registry migrations-registry
COPY --from=build /app/server server
RUN mkdir -p .switchback && chown node:node .switchback \
  && ln -s /app/server/bin/switchback.js /usr/local/bin/switchback
USER node
# Used only without DATABASE_URL: the bundled PostgreSQL keeps its data here.
VOLUME /app/.switchback
EXPOSE 7410
CMD ["switchback", "serve"]
