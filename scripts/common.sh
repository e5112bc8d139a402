# Sourced by the other scripts: makes .venv in the project's root once, with a Python of at least 3.10.
set -eu
cd "$(dirname "$0")/.."

make_venv() {
    if [ ! -x .venv/bin/python ]; then
        python=${PYTHON:-}
        if [ -z "$python" ]; then
            for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
                if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
                    python=$candidate
                    break
                fi
            done
        fi
        if [ -z "$python" ]; then
            echo "rpusim needs Python 3.10 or newer; found none. Set PYTHON to one." >&2
            exit 1
        fi
        rm -rf .venv
        if ! "$python" -m venv .venv; then
            echo "$python cannot make virtual environments (on Debian and Ubuntu: apt-get install python3-venv)." >&2
            rm -rf .venv
            exit 1
        fi
    fi
    if ! command -v "${CC:-cc}" >/dev/null 2>&1; then
        echo "rpusim needs a C compiler; found no ${CC:-cc}. Set CC to one." >&2
        exit 1
    fi
}
