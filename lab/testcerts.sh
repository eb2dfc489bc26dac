#!/usr/bin/env bash
# Certificates for hosts without an agent: HOST-DIR ADDRESS, under a CA beside the hosts' folders. A real host gets its
# own from the manager when it joins; the files have the same names.
set -euo pipefail
dir=$1 address=$2
pki=$dir/etc-chorok/pki
ca=$(dirname "$dir")/test-ca
umask 077
mkdir -p "$pki" "$ca"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1" 2>/dev/null; }
(
  flock 9
  [ -s "$ca/cert.pem" ] && exit 0
  key "$ca/key.pem"
  openssl req -x509 -new -key "$ca/key.pem" -subj "/CN=lab test CA" -days 2 -out "$ca/cert.pem" \
    -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign,cRLSign
) 9>"$ca/lock"
cp "$ca/cert.pem" "$pki/cacert.pem"
for role in server client; do
  key "$pki/${role}key.pem"
  openssl req -new -key "$pki/${role}key.pem" -subj "/CN=$address" |
    openssl x509 -req -CA "$ca/cert.pem" -CAkey "$ca/key.pem" -days 2 -out "$pki/${role}cert.pem" -extfile <(
      printf 'subjectAltName=IP:%s\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=%sAuth\n' "$address" "$role"
    ) 2>/dev/null
done
# QEMU's names for the same files.
ln -sf cacert.pem "$pki/ca-cert.pem"
for role in server client; do
  ln -sf ${role}cert.pem "$pki/$role-cert.pem"
  ln -sf ${role}key.pem "$pki/$role-key.pem"
done
