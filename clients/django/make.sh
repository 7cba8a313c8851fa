#!/usr/bin/env bash
# The Django package: `make.sh wheel` builds it, `make.sh test` tests it on each version of Django and installs the wheel.
# Each set of requirements has an environment of its own, made when it is not there or the requirements changed.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=clients/django
target=${CARGO_TARGET_DIR:-$PWD/target}

say() { echo "$here/make.sh: $*" >&2; }

# The first of these versions of Python that there is. pyenv puts names on the PATH that lead nowhere.
python_of() {
    local version python
    for version in "$@"; do
        for python in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
            "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 && echo "$python" && return
        done
    done
    return 1
}

# environment FOLDER REQUIREMENTS: 2 if no Python here will do.
environment() {
    local folder=$1 requirements=$2 versions python
    cmp -s "$requirements" "$folder/requirements.txt" && return
    versions=$(sed -n 's/^# python: //p' "$requirements")
    # The versions are words.
    # shellcheck disable=SC2086
    python=$(python_of $versions) || return 2
    say "making $folder"
    rm -rf "$folder"
    "$python" -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$requirements"
    cp "$requirements" "$folder/requirements.txt"
}

wheel() {
    environment .venv-wheel "$here/requirements-wheel.txt"
    rm -rf "$target/wheels"
    (cd "$here" && ../../.venv-wheel/bin/maturin build --quiet --release --locked --out "$target/wheels")
}

lint() {
    local bin="$PWD/$1/bin"
    (cd "$here" && "$bin/ruff" check --quiet . && "$bin/ruff" format --quiet --check . &&
        MYPYPATH=tests/site:. "$bin/mypy" --no-error-summary --cache-dir "$bin/../mypy-cache")
}

tests() {
    local requirements version folder python tested=0
    # The one in the wheel.
    export WS4REDIS_BINARY=${WS4REDIS_BINARY:-$target/release/ws4redis}
    for requirements in "$here"/tests/requirements-django*.txt; do
        version=${requirements#*-django}
        version=${version%.txt}
        folder=.venv-django-$version
        if ! environment "$folder" "$requirements"; then
            say "Django $version is not tested: it wants Python $(sed -n 's/^# python: //p' "$requirements")"
            continue
        fi
        python=$PWD/$folder/bin/python
        echo "Django $version, $("$python" --version)"
        # One of them is enough to install the wheel and to check the code.
        if [ -x "$folder/bin/mypy" ]; then
            lint "$folder"
            export WS4REDIS_WHEEL
            WS4REDIS_WHEEL=$(ls "$target"/wheels/*.whl)
        fi
        (cd "$here" && PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest)
        tested=$((tested + 1))
    done
    [ "$tested" -gt 0 ]
}

case "${1:-}" in
wheel) wheel ;;
test) tests ;;
*) say "wheel or test?" && exit 2 ;;
esac
