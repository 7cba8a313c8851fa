#!/usr/bin/env bash
# Gets what the tests need beyond Rust: redis-server, nginx, openssl, valgrind, Chromium and the small runtimes of the
# quickstarts through apt, Python packages into .venv through pip, Node's into tests/node through npm.
# Quiet and quick when all is there. Where it may not install, it says what is missing, and fails.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=tests/python/requirements.txt
# A copy of the requirements that the environment was made from: as long as they are the same, there is nothing to do.
stamp=.venv/requirements.txt
lock=tests/node/package-lock.json
lock_stamp=tests/node/node_modules/package-lock.json

say() { echo "tests/setup.sh: $*" >&2; }

has_any() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    return 1
}

# Debian keeps it in /usr/sbin, which is not on everybody's PATH.
has_nginx() { has_any nginx || [ -x /usr/sbin/nginx ]; }

has_venv_module() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

has_environment() { [ -x .venv/bin/python ] && cmp -s "$requirements" "$stamp"; }

has_node_packages() { cmp -s "$lock" "$lock_stamp"; }

# What a quickstart is written for; a test without it says aloud that it was left out.
missing_runtimes() {
    has_any php && php -m | grep -q '^redis$' || echo php-cli php-redis
    has_any ruby && ruby -r redis -e '' 2>/dev/null || echo ruby ruby-redis
}

missing_packages() {
    has_any redis-server || echo redis-server
    has_any redis-cli || echo redis-tools
    has_nginx || echo nginx-light
    has_any openssl || echo openssl
    has_any valgrind || echo valgrind
    # The same names, in the same order, as tests/support/browser.rs.
    has_any chromium chromium-browser google-chrome || echo chromium
    has_any node || echo nodejs
    has_any npm || echo npm
    # pip is part of what the environment is made with, so an environment that stands needs neither.
    has_environment || has_venv_module || echo python3-venv
}

install_packages() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        has_any sudo && sudo --non-interactive true 2>/dev/null || return 1
        as_root=(sudo --non-interactive)
    fi
    has_any apt-get || return 1
    say "installing through apt: $*"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2 &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install --yes --no-install-recommends "$@" </dev/null >&2
}

make_environment() {
    say "making .venv from $requirements"
    rm -rf .venv
    python3 -m venv .venv >&2 &&
        .venv/bin/pip install --quiet --disable-pip-version-check --no-input --no-deps -r "$requirements" >&2 &&
        cp "$requirements" "$stamp"
}

install_node_packages() {
    say "installing the Node packages of $lock"
    (cd tests/node && npm ci --silent --no-audit --no-fund >&2) && cp "$lock" "$lock_stamp"
}

# No package of a distribution has a space in its name, so words are enough.
# shellcheck disable=SC2046
if [ -n "$(missing_packages)$(missing_runtimes)" ]; then
    install_packages $(missing_packages) $(missing_runtimes) || true
fi
if [ -n "$(missing_packages)" ]; then
    say "missing, and not installable from here:" $(missing_packages)
    say "as root: apt-get install" $(missing_packages)
    exit 1
fi
if ! has_environment && ! make_environment; then
    say "missing: the Python packages of $requirements (pip's reason stands above)"
    say "by hand: python3 -m venv .venv && .venv/bin/pip install --no-deps -r $requirements && cp $requirements $stamp"
    exit 1
fi
if ! has_node_packages && ! install_node_packages; then
    say "missing: the Node packages of $lock (npm's reason stands above)"
    exit 1
fi
