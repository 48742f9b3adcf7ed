FROM node:20-slim AS manifests
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY migrations-registry/package.json migrations-registry/
COPY sdk/package.json sdk/
COPY server/package.json server/
COPY console/package.json console/
COPY test/package.json test/
COPY bench/package.json bench/

# The sources come after the dependencies, so that a change of code does not install again.
FROM manifests AS build
RUN npm ci --ignore-scripts
COPY tsconfig.base.json ./
COPY migrations-registry migrations-registry
COPY server server
COPY console console
COPY docs/openapi.json docs/
RUN npx tsc -b server && npm run --silent types -w console && npm run --silent build -w console

FROM manifests AS dependencies
RUN npm ci --ignore-scripts --omit=dev --workspace @switchback/server --workspace @switchback/migrations-registry --workspace @switchback/console

FROM node:20-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/migrations-registry migrations-registry
COPY --from=build /app/server server
COPY --from=build /app/console/dist console/dist
COPY --from=build /app/console/package.json console/package.json
RUN mkdir -p .switchback && chown node:node .switchback \
  && ln -s /app/server/bin/switchback.js /usr/local/bin/switchback
USER node
# Used only without DATABASE_URL: the bundled PostgreSQL keeps its data here.
VOLUME /app/.switchback
EXPOSE 7410
CMD ["switchback", "serve"]
