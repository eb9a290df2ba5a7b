#!/usr/bin/env bash
# Declares a registry over the Prisma Cloud Compute API, scans it, waits, and prints each image with its vulnerabilities.
# Works the same against any server that speaks that API. The registries that are declared already stay as they are: they are
# read first and sent again with the new one, as the vendor's documentation recommends.
#
#   TIDEWAITER_URL=http://127.0.0.1:8080 TIDEWAITER_USER=admin TIDEWAITER_PASSWORD=… \
#   REGISTRY_URL=https://registry.example.com REGISTRY_USER=reader REGISTRY_PASSWORD=… examples/prisma/scan-registry.sh
set -euo pipefail
: "${TIDEWAITER_URL:?}" "${TIDEWAITER_USER:?}" "${TIDEWAITER_PASSWORD:?}" "${REGISTRY_URL:?}"
command -v jq >/dev/null || { echo "jq is missing" >&2; exit 1; }
api=$TIDEWAITER_URL/api/v32.07

token=$(jq -n --arg u "$TIDEWAITER_USER" --arg p "$TIDEWAITER_PASSWORD" '{username: $u, password: $p}' |
  curl -sS --fail-with-body -X POST --data @- "$api/authenticate" | jq -r .token)
call() { # method path [body]
  curl -sS --fail-with-body -X "$1" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' ${3:+-d "$3"} "$api$2"
}

credential=
if [ -n "${REGISTRY_USER:-}" ]; then
  credential=example-reader
  call POST /credentials "$(jq -n --arg id "$credential" --arg user "$REGISTRY_USER" --arg password "${REGISTRY_PASSWORD:-}" \
    '{_id: $id, type: "basic", accountID: $user, secret: {plain: $password}}')"
  echo "credential: $credential"
fi

specification=$(jq -n --arg registry "$REGISTRY_URL" --arg credential "$credential" \
  '{version: "2", registry: $registry, repository: "", tag: "", os: "linux", cap: 5, credentialID: $credential, scanners: 2, collections: ["All"]}')
settings=$(call GET /settings/registry | jq --argjson new "$specification" '{specifications:
  ([.specifications[]? | select(.registry != $new.registry)] + [$new])}')
call PUT /settings/registry "$settings"
echo "declared:   $(call GET /settings/registry | jq -r '.specifications | length') registries"

for _ in $(seq 1 120); do
  [ "$(call GET /statuses/registry | jq -r .completed)" = true ] && break
  call GET /registry/progress | jq -r '.[]? | .imageScan.title'
  sleep 1
done
call GET /settings/registry | jq -r --arg registry "$REGISTRY_URL" '.specifications[] | select(.registry == $registry) |
  "finished:   \(.lastScanStatus), \(.scannedImagesSuccessTotal) images\(if .scanError == "" then "" else ", " + .scanError end)"'

# Results come in pages of at most 250; limit=0 asks for their number alone.
total=$(curl -sS --fail-with-body -o /dev/null -D - -H "Authorization: Bearer $token" "$api/registry?limit=0" |
  tr -d '\r' | awk 'tolower($1) == "total-count:" {print $2}')
for ((offset = 0; offset < total; offset += 250)); do
  call GET "/registry?compact=true&limit=250&offset=$offset&sort=vulnerabilityRiskScore&reverse=true" | jq -r '.[]? | "\(._id)\t" +
    (.vulnerabilityDistribution | "critical \(.critical)\t high \(.high)\t medium \(.medium)\t low \(.low)")'
done

worst=$(call GET "/stats/vulnerabilities?limit=1" | jq -r '.[0].registryImages.vulnerabilities[0].cve // empty')
if [ -n "$worst" ]; then
  echo "images with $worst:"
  call GET "/stats/vulnerabilities/impacted-resources?cve=$worst" | jq -r '.registryImages[] | "  \(.resourceID)\t\([.packages[].package] | unique | join(", "))"'
fi
