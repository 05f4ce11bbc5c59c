#!/bin/sh
# Gives the namespace what the product relies on; repeating it changes nothing.
# Reads TEMPORAL_NAMESPACE; the `temporal` program itself reads TEMPORAL_ADDRESS and the TLS variables.
set -eu
RETENTION=90d # reviews are written from histories: what is gone cannot be reviewed

temporal operator cluster health
# Not every one of these commands takes the namespace from the environment.
if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION" >/dev/null
else
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION" >/dev/null
fi

# One at a time: of several names in one call the program adds the first only, and says nothing.
for name in Service Environment Procedure Severity State Outcome; do
    attempt=0
    # A new namespace is known to the server's caches only after a while.
    until temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --type Keyword \
        --name "Runbook$name" >/dev/null; do
        attempt=$((attempt + 1))
        [ "$attempt" -lt 15 ] || exit 1
        sleep 2
    done
done
echo "namespace $TEMPORAL_NAMESPACE: retention $RETENTION, search attributes in place"
