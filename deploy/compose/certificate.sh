#!/bin/sh
# Makes a certificate for localhost that signs itself, in deploy/compose/tls/, which git ignores. For trying it out.
set -eu
folder="$(dirname "$0")/tls"
mkdir -p "$folder"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=localhost" \
    -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -keyout "$folder/privkey.pem" -out "$folder/fullchain.pem"
