# Sourced by the other scripts: makes .venv in the project's root once, with a Python of at least 3.10, and installs rpusim
# there, editable: what is changed in Python counts at once, and the compiled core is built again only where its sources changed.
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
}

# How the core is compiled.
flags() {
    echo "${RPUSIM_DEBUG:-0} ${CC:-cc} ${CFLAGS:-} $(.venv/bin/python --version)"
}

# What is installed, as a few words: sources, settings, flags, and the extra.
build_key() {
    {
        find rpusim \( -name '*.pyx' -o -name '*.pxd' -o -path '*/kernels/*.[ch]' \) | LC_ALL=C sort | xargs cksum
        cksum setup.py pyproject.toml
        flags
    } | cksum
}

# install [EXTRA]: rpusim with what it needs, and the packages of an extra; nothing where all of that is there already.
install() {
    key=$(build_key)
    there=$(cat .venv/rpusim-built 2>/dev/null || true)
    case $there in
        "$key ${1:-}" | "$key test")
            if .venv/bin/python -c "import rpusim._core.array" 2>/dev/null; then
                return
            fi
            ;;
    esac
    if ! command -v "${CC:-cc}" >/dev/null 2>&1; then
        echo "rpusim needs a C compiler; found no ${CC:-cc}. Set CC to one." >&2
        exit 1
    fi
    begin=$(date +%s)
    echo "installing rpusim into .venv: packages, then 24 files to compile, a minute or so on two processors"
    if [ "$(cat .venv/rpusim-flags 2>/dev/null)" != "$(flags)" ]; then    # nothing that is compiled otherwise is kept
        find rpusim \( -name '*.so' -o -name '*.pyd' \) -exec rm -f {} +
        find rpusim -name '*.pyx' | sed 's/pyx$/c/' | xargs rm -f
    fi
    pip=".venv/bin/python -m pip install --quiet --disable-pip-version-check"
    $pip "setuptools>=77" "cython>=3.2" "numpy>=2.0"    # what builds it stands beside it, so that NumPy is fetched once
    $pip --no-build-isolation --editable ".${1:+[$1]}"
    flags >.venv/rpusim-flags
    echo "$key ${1:-}" >.venv/rpusim-built
    echo "installed in $(($(date +%s) - begin)) s"
}

# wheel: a wheel of this version for this Python in dist/ or wheelhouse/, or nothing.
wheel() {
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
    tag=$(.venv/bin/python -c "import sys; print('cp%d%d' % sys.version_info[:2])")
    machine=$(uname -m)
    for found in dist/rpusim-"$version"-"$tag"-"$tag"-*"$machine".whl wheelhouse/rpusim-"$version"-"$tag"-"$tag"-*"$machine".whl; do
        if [ -f "$found" ]; then
            echo "$found"
            return
        fi
    done
}
