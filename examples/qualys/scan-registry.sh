#!/usr/bin/env bash
# Creates a registry over the Qualys Container Security API, validates it first, scans it on demand, waits, and prints each
# image with its vulnerabilities. Works the same against any server that speaks that API.
#
#   TIDEWAITER_URL=http://127.0.0.1:8080 TIDEWAITER_USER=admin TIDEWAITER_PASSWORD=… \
#   REGISTRY_URL=https://registry.example.com REGISTRY_USER=reader REGISTRY_PASSWORD=… examples/qualys/scan-registry.sh
set -euo pipefail
: "${TIDEWAITER_URL:?}" "${TIDEWAITER_USER:?}" "${TIDEWAITER_PASSWORD:?}" "${REGISTRY_URL:?}"
command -v jq >/dev/null || { echo "jq is missing" >&2; exit 1; }
api=$TIDEWAITER_URL/csapi/v1.3

token=$(curl -sSf -X POST "$TIDEWAITER_URL/auth" --data-urlencode "username=$TIDEWAITER_USER" \
  --data-urlencode "password=$TIDEWAITER_PASSWORD" -d token=true)
call() { # method path [body]
  curl -sS --fail-with-body -X "$1" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' ${3:+-d "$3"} "$api$2"
}
base64_of() { printf %s "$1" | base64 | tr -d '\n'; }

registry=$(jq -n --arg uri "$REGISTRY_URL" --arg user "$(base64_of "${REGISTRY_USER:-}")" --arg password "$(base64_of "${REGISTRY_PASSWORD:-}")" '{
  registryName: "example-\(now | floor)", registryType: (if $user == "" then "V2" else "V2_PRIVATE" end), registryUri: $uri, registryUuid: null,
  credentialType: (if $user == "" then "None" else "BasicAuth" end),
  credential: (if $user == "" then null else {username: $user, password: $password} end)}')

echo "validate: $(call POST /registry/validate "$registry")"
uuid=$(call POST /registry "$registry" | jq -r .registryUuid)
echo "created:  $uuid"

schedule=$(call POST "/registry/$uuid/schedule" '{"name":"now","onDemand":true,"filters":[{"days":null,"repoTags":[]}]}' | jq -r .scheduleId)
echo "schedule: $schedule"
status=Created
for _ in $(seq 1 120); do
  status=$(call GET "/registry/$uuid/schedule" | jq -r --arg id "$schedule" '.data[] | select(.scheduleUuid == $id) | .status')
  case $status in Finished | Error | Failed | Canceled) break ;; esac
  sleep 1
done
echo "finished: $status"
[ "$status" = Finished ]

call GET "/images?filter=registryUuid%3A$uuid&pageSize=1000" | jq -r '.data[] | [.sha, (.repo[0] | "\(.repository):\(.tag)")] | @tsv' |
  while IFS=$'\t' read -r sha name; do
    call GET "/images/$sha/vuln/count" | jq -r --arg name "$name" \
      '"\($name)\t critical \(.severity5Count)\t high \(.severity4Count)\t medium \(.severity3Count)\t low \(.severity2Count)"'
  done
