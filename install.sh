#!/bin/sh
# Puts Capsule in place and removes it again: both programs, the service, completions and man pages.
#
# What it puts is written to PREFIX/share/capsule/manifest before it is put, so that `--uninstall` removes
# exactly that, after an interrupted run too. It opens no network connection; cargo may, for a build.
set -eu

root=$(cd "$(dirname "$0")" && pwd)
programs='capsuled capsulectl'

usage() {
    cat <<'END'
Usage: ./install.sh [OPTION]...
       ./install.sh --uninstall [--purge] [OPTION]...

Builds capsuled and capsulectl with cargo and installs them with their service, completions (bash, zsh, fish)
and man pages. Running it again upgrades.

Where
  --system              for the whole host: a system service; the default for root. Run it as yourself:
                        it builds as you and calls sudo for the rest
  --user                for you alone: a service of your own systemd; the default otherwise
  --prefix DIR          below DIR; default /usr/local, with --user ~/.local
  --destdir DIR         into a copy of the file system below DIR; starts nothing

Which programs
  --static              build them without shared libraries
  --binaries-from DIR   take them from DIR and build nothing
  --from-cargo-bin      take those that `cargo install` made (`cargo install --path capsuled` and
                        `--path capsulectl`); with --user they stay where cargo put them

Afterwards
  --no-start            put everything in place and start nothing
  --uninstall           stop the service and remove what was installed; what the daemon stored stays
  --purge               with --uninstall: remove what the daemon stored as well
  -h, --help            print this
END
}

say() { printf '%s\n' "$*"; }

# die MESSAGE [HINT]
die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

wrong_usage() {
    printf 'error: %s\n' "$1" >&2
    printf 'hint: ./install.sh --help\n' >&2
    exit 2
}

has() { command -v "$1" >/dev/null 2>&1; }

# A path that ends up in units and manifests, where spaces, quotes and % have meanings of their own.
check_path() {
    case $2 in
        /*) ;;
        *) wrong_usage "$1 needs an absolute path, not \`$2\`" ;;
    esac
    case $2 in
        *[!A-Za-z0-9/._+@-]* | */../* | */..)
            wrong_usage "$1 takes letters, digits and / . _ + @ -, not \`$2\`" ;;
    esac
}

read_arguments() {
    scope='' prefix='' destdir='' source=build source_dir='' start=yes action=install purge=no
    while [ $# -gt 0 ]; do
        case $1 in
            --prefix | --destdir | --binaries-from)
                [ $# -ge 2 ] || wrong_usage "$1 needs a directory"
                case $1 in
                    --prefix) check_path "$1" "$2"; prefix=${2%/} ;;
                    --destdir) check_path "$1" "$2"; destdir=${2%/} ;;
                    --binaries-from) choose_source directory; source_dir=$2 ;;
                esac
                shift ;;
            --from-cargo-bin) choose_source cargo-bin; source_dir=$(cargo_bin) ;;
            --static) choose_source static ;;
            --user) choose_scope user ;;
            --system) choose_scope system ;;
            --no-start) start=no ;;
            --uninstall) action=uninstall ;;
            --purge) purge=yes ;;
            -h | --help) usage; exit 0 ;;
            *) wrong_usage "unknown option \`$1\`" ;;
        esac
        shift
    done
    [ "$purge" = no ] || [ "$action" = uninstall ] || wrong_usage '--purge goes with --uninstall'
}

choose_source() {
    [ "$source" = build ] || wrong_usage '--static, --binaries-from and --from-cargo-bin exclude each other'
    source=$1
}

choose_scope() {
    [ -z "$scope" ] || [ "$scope" = "$1" ] || wrong_usage '--user and --system exclude each other'
    scope=$1
}

cargo_bin() {
    printf '%s/bin' "${CARGO_INSTALL_ROOT:-${CARGO_HOME:-${HOME:-}/.cargo}}"
}

# Every path below is without the destdir; `put` and `drop` add it.
choose_paths() {
    platform=$(uname -s)
    case $platform in
        Linux | Darwin) ;;
        *) die "there is no service for $platform here" 'cargo install --path capsulectl installs the client' ;;
    esac
    if [ -z "$scope" ]; then
        if [ "$(id -u)" -eq 0 ]; then scope=system; else scope=user; fi
    fi
    if [ "$scope" = user ]; then
        [ -n "${HOME:-}" ] || die 'HOME is not set' 'set it, or use --system'
        check_path HOME "$HOME"
        prefix=${prefix:-$HOME/.local}
    else
        prefix=${prefix:-/usr/local}
    fi
    bindir=$prefix/bin
    manifest=$prefix/share/capsule/manifest
    case $scope in
        system)
            state=/var/lib/capsule
            if [ "$platform" = Darwin ]; then state=/usr/local/var/lib/capsule; fi
            # systemd looks into these two prefixes by itself.
            case $prefix in
                /usr | /usr/local) unitdir=$prefix/lib/systemd/system sysusersdir=$prefix/lib/sysusers.d ;;
                *) unitdir=/etc/systemd/system sysusersdir=/etc/sysusers.d ;;
            esac ;;
        user)
            state=${XDG_STATE_HOME:-$HOME/.local/state}/capsule
            unitdir=${XDG_DATA_HOME:-$HOME/.local/share}/systemd/user
            check_path XDG_STATE_HOME "$state"
            check_path XDG_DATA_HOME "$unitdir" ;;
    esac
}

# --- programs ---

need_cargo() {
    has cargo && return
    if [ -n "${SUDO_USER:-}" ]; then
        die 'root has no cargo' "run it without sudo: ./install.sh --system builds as $SUDO_USER and calls sudo itself"
    fi
    die 'cargo is not installed' 'https://rustup.rs, or --binaries-from DIR with programs built elsewhere'
}

# Sets `built`, the directory with both programs.
find_programs() {
    case $source in
        build)
            need_cargo
            target=${CARGO_TARGET_DIR:-$root/target}
            say 'building capsuled and capsulectl; the first time takes minutes'
            build --target-dir "$target"
            built=$target/release ;;
        static) need_cargo; build_static ;;
        directory | cargo-bin) built=$source_dir ;;
    esac
    for program in $programs; do
        [ -x "$built/$program" ] && continue
        case $source in
            cargo-bin) die "$built has no $program" "cargo install --locked --path $root/$program" ;;
            *) die "$built has no $program" ;;
        esac
    done
    # `cargo install` owns its programs and `cargo uninstall` removes them, so a user's own service runs them in
    # place. A system service must not run what a user can replace: there they are copied.
    if [ "$source" = cargo-bin ] && [ "$scope" = user ]; then bindir=$source_dir; fi
}

# One run each: in a common one cargo gives the client every feature the daemon asks of a crate they share,
# and so a TLS stack for its Unix socket.
build() {
    for program in $programs; do
        (cd "$root" && cargo build --release --locked -p "$program" "$@") || die "$program could not be built"
    done
}

# musl gives programs that run on every Linux of this architecture. Where its standard library cannot be had,
# say so and link the GNU C library statically, which has a limit of its own.
build_static() {
    [ "$(uname -s)" = Linux ] || die 'static programs exist on Linux only'
    arch=$(uname -m)
    musl=$arch-unknown-linux-musl
    target=${CARGO_TARGET_DIR:-$root/target}
    missing=''
    has musl-gcc || missing='musl-gcc is not installed (Debian: musl-tools)'
    if [ -z "$missing" ] && ! has_target "$musl"; then
        { has rustup && rustup target add "$musl"; } || missing="the Rust target $musl cannot be installed"
    fi
    if [ -z "$missing" ]; then
        say "building static programs for $musl"
        build --target "$musl" --target-dir "$target"
        built=$target/$musl/release
    else
        say "note: $missing; linking the GNU C library statically instead"
        say '      such programs look up users and host names with the C library of the host they run on, so copy'
        say '      them only to hosts with the same glibc version'
        gnu=$arch-unknown-linux-gnu
        # A directory of its own: RUSTFLAGS changes every crate, and would throw away the ordinary build.
        RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
        export RUSTFLAGS
        build --target "$gnu" --target-dir "$target/static-gnu"
        built=$target/static-gnu/$gnu/release
    fi
    for program in $programs; do
        if ldd "$built/$program" 2>/dev/null | grep -q '=>'; then
            die "$built/$program still needs shared libraries"
        fi
    done
}

has_target() {
    libdir=$(rustc --print target-libdir --target "$1" 2>/dev/null) && [ -d "$libdir" ]
}

# --- files ---

# Missing parents are noted too, outermost first, so that removal leaves no empty directory behind.
make_dir() {
    [ -d "$destdir$1" ] && return
    parent=${1%/*}
    [ -z "$parent" ] || make_dir "$parent"
    mkdir "$destdir$1" || die "could not create $destdir$1"
    printf 'd %s\n' "$1" >>"$scratch/dirs"
}

# put MODE FILE TARGET: noted first, then written beside the target and renamed over it, so that a
# running program is replaced and not overwritten.
put() {
    make_dir "${3%/*}"
    printf 'f %s\n' "$3" >>"$scratch/files"
    note_progress
    cp "$2" "$destdir$3.new" || die "could not write $destdir$3"
    chmod "$1" "$destdir$3.new"
    mv -f "$destdir$3.new" "$destdir$3"
}

# Rewrites the manifest: what was there before this run and what this run has put so far.
note_progress() {
    sort -u "$scratch/before" "$scratch/dirs" "$scratch/files" >"$destdir$manifest"
}

# The same units serve every prefix: the repository's say /usr/local/bin.
put_with_bindir() {
    sed "s|/usr/local/bin/|$bindir/|g; s|@home@|${HOME:-/}|g" "$1" >"$scratch/unit"
    put 644 "$scratch/unit" "$2"
}

drop() {
    while read -r kind path; do
        case $path in /*) ;; *) continue ;; esac
        case $kind in
            f) rm -f "$destdir$path" ;;
            d) rmdir "$destdir$path" 2>/dev/null || true ;;
        esac
    done
}

open_manifest() {
    mkdir -p "$destdir" || die "could not create $destdir"
    : >"$scratch/dirs"
    : >"$scratch/files"
    : >"$scratch/before"
    [ ! -f "$destdir$manifest" ] || cp "$destdir$manifest" "$scratch/before"
    make_dir "${manifest%/*}"
    [ -w "$destdir${manifest%/*}" ] || die "$destdir${manifest%/*} is not writable"
    printf 'f %s\n' "$manifest" >>"$scratch/files"
    note_progress
}

# What an earlier version installed and this one does not goes away; the directories stay noted.
close_manifest() {
    sort -u "$scratch/files" >"$scratch/now"
    grep '^f ' "$scratch/before" | sort -u | comm -23 - "$scratch/now" >"$scratch/stale" || true
    drop <"$scratch/stale"
    { cat "$scratch/files" "$scratch/dirs"; grep '^d ' "$scratch/before" || true; } | sort -u >"$scratch/all"
    cp "$scratch/all" "$destdir$manifest"
}

put_programs() {
    [ "$bindir" != "$built" ] || return 0
    for program in $programs; do put 755 "$built/$program" "$bindir/$program"; done
}

put_completions() {
    share=$prefix/share
    for program in $programs; do
        for shell in bash zsh fish; do
            case $shell in
                bash) file=$share/bash-completion/completions/$program ;;
                zsh) file=$share/zsh/site-functions/_$program ;;
                fish) file=$share/fish/vendor_completions.d/$program.fish ;;
            esac
            "$built/$program" completions "$shell" >"$scratch/completion" || die "$program gave no completions for $shell"
            put 644 "$scratch/completion" "$file"
        done
    done
}

put_man_pages() {
    mkdir "$scratch/man"
    for program in $programs; do
        "$built/$program" man "$scratch/man" >/dev/null || die "$program gave no man pages"
    done
    for page in "$scratch"/man/*.[1-8]; do
        [ -f "$page" ] || die 'the programs gave no man pages'
        put 644 "$page" "$prefix/share/man/man${page##*.}/${page##*/}"
    done
}

put_service() {
    case $platform-$scope in
        Linux-system)
            put_with_bindir "$root/systemd/capsuled.service" "$unitdir/capsuled.service"
            put_with_bindir "$root/systemd/capsuled.socket" "$unitdir/capsuled.socket"
            put 644 "$root/systemd/sysusers.d/capsule.conf" "$sysusersdir/capsule.conf"
            for file in "$root"/systemd/examples/*.conf; do
                put 644 "$file" "$prefix/share/capsule/examples/${file##*/}"
            done ;;
        Linux-user)
            put_with_bindir "$root/systemd/user/capsuled.service" "$unitdir/capsuled.service"
            put 644 "$root/systemd/examples/ping-group-range.conf" \
                "$prefix/share/capsule/examples/ping-group-range.conf" ;;
        Darwin-system)
            put_with_bindir "$root/launchd/dev.capsule.capsuled.plist" \
                /Library/LaunchDaemons/dev.capsule.capsuled.plist ;;
        Darwin-user)
            put_with_bindir "$root/launchd/dev.capsule.capsuled.agent.plist" \
                "$HOME/Library/LaunchAgents/dev.capsule.capsuled.plist" ;;
    esac
    for licence in LICENSE-APACHE LICENSE-MIT; do
        put 644 "$root/$licence" "$prefix/share/doc/capsule/$licence"
    done
}

# --- service ---

# Whether a service manager is there to talk to: none is in a container, a chroot, a staged copy.
has_manager() {
    [ -z "$destdir" ] || return 1
    case $platform-$scope in
        Linux-system) [ -d /run/systemd/system ] && has systemctl ;;
        Linux-user) has systemctl && systemctl --user show-environment >/dev/null 2>&1 ;;
        Darwin-*) has launchctl ;;
    esac
}

manager() {
    if [ "$scope" = user ]; then systemctl --user "$@"; else systemctl "$@"; fi
}

launchd_domain() {
    if [ "$scope" = user ]; then printf 'gui/%s' "$(id -u)"; else printf 'system'; fi
}

make_accounts() {
    [ "$scope" = system ] && [ -z "$destdir" ] || return 0
    if [ "$platform" = Darwin ]; then
        make_mac_directories
    elif has systemd-sysusers; then
        systemd-sysusers "$sysusersdir/capsule.conf" || die 'systemd-sysusers could not create the accounts'
    else
        say 'note: systemd-sysusers is not installed; create the accounts listed in'
        say "      $sysusersdir/capsule.conf before you start capsuled"
    fi
}

# launchd has no StateDirectory=.
make_mac_directories() {
    id _capsuled >/dev/null 2>&1 || die 'the account _capsuled, which the daemon runs under, does not exist' \
        "create it with: sudo sysadminctl -addUser _capsuled -roleAccount -UID 450; or use --user"
    for dir in /usr/local/var/lib/capsule /usr/local/var/run/capsule; do
        mkdir -p "$dir"
        chown _capsuled "$dir"
    done
    chmod 700 /usr/local/var/lib/capsule
}

start_service() {
    if [ "$platform" = Darwin ]; then
        plist=$(grep 'dev.capsule.capsuled.plist$' "$scratch/files" | cut -c 3-)
        launchctl bootout "$(launchd_domain)/dev.capsule.capsuled" 2>/dev/null || true
        launchctl bootstrap "$(launchd_domain)" "$plist" || die 'launchd did not start capsuled'
        return
    fi
    manager daemon-reload
    if [ "$scope" = system ]; then manager enable --now capsuled.socket; fi
    # `enable` leaves a running daemon alone; an upgrade wants the new program.
    manager enable capsuled.service
    manager restart capsuled.service || die 'capsuled did not start' "$(journal_hint)"
}

journal_hint() {
    if [ "$scope" = user ]; then say 'journalctl --user -u capsuled -e'; else say 'journalctl -u capsuled -e'; fi
}

stop_service() {
    has_manager || return 0
    if [ "$platform" = Darwin ]; then
        launchctl bootout "$(launchd_domain)/dev.capsule.capsuled" 2>/dev/null || true
    elif [ "$scope" = system ]; then
        manager disable --now capsuled.service capsuled.socket 2>/dev/null || true
    else
        manager disable --now capsuled.service 2>/dev/null || true
    fi
}

# --- what to do next ---

next_steps() {
    say ''
    say "installed: $destdir$bindir/capsuled, $destdir$bindir/capsulectl, service, completions, man pages"
    case :$PATH: in
        *:"$bindir":*) ;;
        *) say "note: $bindir is not in your PATH" ;;
    esac
    say ''
    say 'next:'
    case $platform-$scope in
        Linux-system) say '  sudo usermod -aG capsule,capsule-admin YOU   let yourself in; log in again afterwards' ;;
        Linux-user) say '  loginctl enable-linger                       keep the daemon running after logout'
            if has zsh; then
                say "  zsh: fpath=($prefix/share/zsh/site-functions \$fpath)   before compinit in ~/.zshrc"
            fi ;;
    esac
    if [ "$started" = no ]; then
        case $platform-$scope in
            Linux-system) say '  sudo systemctl enable --now capsuled.socket capsuled.service' ;;
            Linux-user) say '  systemctl --user enable --now capsuled.service' ;;
            Darwin-*) say "  launchctl bootstrap $(launchd_domain) PLIST" ;;
        esac
    fi
    say '  capsulectl                                   what the daemon sees: this host first'
    say '  capsulectl inventory add --help              the next server'
    say "  ./install.sh --uninstall --$scope            remove all of it"
}

# --- the two actions ---

install_all() {
    find_programs
    if needs_root; then
        # With the programs built, root has nothing to compile.
        set -- --system --prefix "$prefix" --binaries-from "$built"
        [ "$start" = yes ] || set -- "$@" --no-start
        become_root "$@"
    fi
    open_manifest
    put_programs
    put_completions
    put_man_pages
    put_service
    close_manifest
    make_accounts
    started=no
    if [ "$start" = yes ] && has_manager; then
        start_service
        started=yes
    elif [ "$start" = yes ] && [ -z "$destdir" ]; then
        say 'note: no service manager answers here, so nothing was started'
    fi
    next_steps
}

uninstall_all() {
    if needs_root; then
        set -- --system --uninstall --prefix "$prefix"
        [ "$purge" = no ] || set -- "$@" --purge
        become_root "$@"
    fi
    if [ -f "$destdir$manifest" ]; then
        stop_service
        # Files before directories, inner directories before outer ones.
        sort -r "$destdir$manifest" >"$scratch/all"
        grep '^f ' "$scratch/all" | drop
        grep '^d ' "$scratch/all" | drop
        if [ "$platform" = Linux ] && has_manager; then manager daemon-reload; fi
        say "removed Capsule from $destdir$prefix"
    elif [ "$purge" = no ]; then
        die "nothing is installed under $destdir$prefix" 'name the --prefix it was installed with, --user or --system'
    fi
    if [ -x "$(cargo_bin)/capsuled" ]; then
        say "note: $(cargo_bin) has programs of its own; remove them with: cargo uninstall capsuled capsulectl"
    fi
    if [ "$purge" = yes ]; then
        rm -rf "$destdir$state" || die "could not remove $destdir$state"
        say "removed $destdir$state"
    elif [ -d "$destdir$state" ]; then
        say "kept $destdir$state; --uninstall --purge removes it"
    fi
}

needs_root() {
    [ "$scope" = system ] && [ -z "$destdir" ] && [ "$(id -u)" -ne 0 ]
}

become_root() {
    has sudo || die 'installing for the whole host needs root' "as root: $0 $*"
    say "calling sudo to work on $prefix"
    rm -rf "$scratch"
    exec sudo sh "$root/install.sh" "$@"
}

read_arguments "$@"
choose_paths
umask 022
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
case $action in
    install) install_all ;;
    uninstall) uninstall_all ;;
esac
