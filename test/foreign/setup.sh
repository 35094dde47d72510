#!/usr/bin/env bash
# Installs the real servers and clients that the foreign tests and the mail bench start themselves.
# Debian or Ubuntu, as root. Running it again is quick: only what is missing is installed. No system service is started.
set -euo pipefail

packages=(dovecot-imapd dovecot-auth-lua postfix swaks libnet-ssleay-perl fetchmail getmail6 haproxy openssl curl
  apache2-bin libapache2-mod-auth-openidc libapache2-mod-oauth2 python3-authlib python3-requests xmlsec1
  openssh-server openssh-client stunnel4 tinyproxy-bin python3-zeep libxml2-utils python3-exchangelib davmail-server
  chromium postgresql systemd prometheus)

version_of() { dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p'; }

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup:foreign needs Debian or Ubuntu (apt-get was not found). Elsewhere the foreign tests are skipped by name." >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  [ -n "$(version_of "$package")" ] || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "setup:foreign must run as root to install: ${missing[*]}" >&2
    exit 1
  fi
  # invoke-rc.d asks this script whether a service may start; 101 means no. One that was there before is left alone.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
fi

for package in "${packages[@]}"; do
  found=$(version_of "$package")
  if [ -z "$found" ]; then
    echo "$package is still missing after the installation." >&2
    exit 1
  fi
  printf '%-18s %s\n' "$package" "$found"
done
