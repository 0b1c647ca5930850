#!/bin/bash
# Installs what the tests need, builds, and runs every test: format, unit tests, fuzzers, gateways in memory, gateways in
# network namespaces against each other and against foreign peers, by manual keys and by IKEv2, and what runs in memory once
# more under AddressSanitizer and ThreadSanitizer. For Debian 12 with a Swift 6.3 toolchain, as root.
#
#   ./deploy/test.sh              everything; the last line is "N passed, N failed", exit status 0 when none failed
#   ./deploy/test.sh interop      one part: format, unit, fuzz, scenarios, interop, ike or sanitizers (what it needs is built first)
#
# Logs are in .build/test-logs, of the programs that tests start in .build/test-logs/programs.
set -uo pipefail
set -m # every step gets a process group of its own, so that an interruption ends all of it and nothing else
cd "$(dirname "$0")/.."
only=${1:-all}
fuzz_seconds=${SLUICE_FUZZ_SECONDS:-5}
logs=$PWD/.build/test-logs
programs=$logs/programs
passed=0 failed=0 child= builder=
export NO_COLOR=1 LC_ALL=C.UTF-8 SLUICE_TEST_LOGS=$programs SWIFT_BACKTRACE=enable=yes,color=no

case $only in
all | format | unit | fuzz | scenarios | interop | ike | sanitizers) ;;
*) echo "unknown part '$only': use format, unit, fuzz, scenarios, interop, ike or sanitizers" >&2; exit 64 ;;
esac
[ "$EUID" = 0 ] || { echo "the tests make network namespaces and load XDP programs: run this as root" >&2; exit 1; }
command -v swift >/dev/null || { echo "no swift in PATH: install a Swift 6.3 toolchain (swift.org/install)" >&2; exit 1; }

# The one last line, whatever happened before.
finish() {
    local status=$?
    trap - EXIT INT TERM HUP
    if [ -n "$builder" ]; then kill -KILL -- "-$builder" 2>/dev/null; fi
    if [ -n "$child" ]; then kill -TERM -- "-$child" 2>/dev/null; sleep 1; kill -KILL -- "-$child" 2>/dev/null; fi
    bash Tests/sweep.sh
    [ "$status" -ge 128 ] && { echo "interrupted"; failed=$((failed + 1)); }
    [ "$failed" = 0 ] && [ "$passed" = 0 ] && failed=1
    echo "$passed passed, $failed failed"
    exit $((failed > 0))
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

wanted() { [ "$only" = all ] || [ "$only" = "$1" ]; }

# step NAME SECONDS FILTER COMMAND...: runs a command with its output in a log, shows the lines that FILTER selects.
step() {
    local name=$1 limit=$2 filter=$3 log=$logs/$1.log start=$SECONDS status
    shift 3
    printf '== %s: %.160s\n' "$name" "$*"
    (timeout --foreground --kill-after=30 "$limit" "$@" 2>&1 </dev/null | tee "$log" | grep --line-buffered -aE "$filter"
        exit "${PIPESTATUS[0]}") &
    child=$!
    wait "$child"
    status=$?
    kill -KILL -- "-$child" 2>/dev/null # whatever the step left behind
    child=
    [ "$status" = 124 ] && echo "   $name did not end within $limit s"
    echo "   $name: exit status $status after $((SECONDS - start)) s (log: .build/test-logs/$name.log)"
    return "$status"
}

# check NAME SECONDS FILTER COMMAND...: a step that counts as one test.
check() {
    if step "$@"; then passed=$((passed + 1)); return 0; fi
    failed=$((failed + 1))
    tail -n 60 "$logs/$1.log"
    return 1
}

# suite NAME SECONDS MINIMUM ARGUMENT...: runs the test bundle with these arguments and counts its cases.
suite() {
    local name=$1 limit=$2 minimum=$3 status=0 counts
    shift 3
    rm -f "$logs/$name.events"
    step "$name" "$limit" '^✘|^✔ (Suite|Test run)' "$bundle" --testing-library swift-testing \
        --event-stream-output-path "$logs/$name.events" --event-stream-version 0 \
        --experimental-maximum-parallelization-width 2 "$@" || status=$?
    python3 deploy/tally.py "$logs/$name.events" "$minimum" >"$logs/$name.tally"
    counts=$(tail -n 1 "$logs/$name.tally")
    sed '$d' "$logs/$name.tally"
    # A bundle that fails without a failed test, by a crash at its end for instance, has failed all the same.
    [ "$status" != 0 ] && [ "${counts#* }" = 0 ] && counts="${counts% *} 1"
    passed=$((passed + ${counts% *}))
    failed=$((failed + ${counts#* }))
    [ "${counts#* }" = 0 ] || failure_logs "$name"
    echo "   $name: ${counts% *} passed, ${counts#* } failed"
}

# The ends of what a failed suite and its programs printed.
failure_logs() {
    grep -aE -A 40 'recorded an issue|Fatal error|Crash|(ERROR|WARNING): (Address|Thread)Sanitizer' "$logs/$1.log" | tail -n 200
    bash Tests/sweep.sh
}

# What a build needs, and what only the tests need: peers and tools (binutils: objdump). The latter comes while we build.
build_packages='libbpf-dev libxdp-dev libssl-dev pkg-config git'
test_packages='binutils iproute2 ethtool iputils-ping iperf3 procps kmod tshark nftables openssl user-mode-linux
    busybox-static perl-base charon-systemd strongswan-swanctl strongswan-pki libcharon-extra-plugins
    libstrongswan-standard-plugins libstrongswan-extra-plugins python3 python3-venv'

# install_packages PACKAGE...: those of them that are missing.
install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# scapy and the cryptography package are independent judges of our packets.
install_python() {
    "$SLUICE_PYTHON" -c 'import scapy, cryptography' 2>/dev/null && return
    rm -rf .build/venv
    python3 -m venv .build/venv && "$SLUICE_PYTHON" -m pip install -q 'scapy==2.6.1' 'cryptography==44.0.0'
}

# install_peers LOG: in the background; LOG.status gets its exit status. When we are interrupted it goes on to its end: a
# package manager that is stopped half-way leaves the machine half-way.
install_peers() {
    # shellcheck disable=SC2086 # a list of words
    { install_packages $test_packages && install_python; } >"$1" 2>&1 </dev/null
    echo $? >"$1.status"
}

# await_log LOG: shows what was installed or built meanwhile, and whether it could be.
await_log() {
    while [ ! -s "$1.status" ]; do sleep 0.2; done
    cat "$1"
    return "$(cat "$1.status")"
}

# The bundles of `sanitized`, in the background and at the lowest priority: they take no time from tests that mostly wait.
build_sanitized() {
    local name
    for name in address thread; do
        chrt --idle 0 swift build --build-tests --sanitize="$name" --scratch-path ".build-$name" \
            >"$logs/sanitized-$name" 2>&1 </dev/null
        echo $? >"$logs/sanitized-$name.status"
    done
}

# sanitized NAME MINIMUM ARGUMENT...: what runs in memory, scenarios with several workers too, under a sanitizer. Its first
# finding ends AddressSanitizer's run; ThreadSanitizer goes on, and fails at the end.
sanitized() {
    local name=$1 minimum=$2
    shift 2
    check "build-$name" 2400 'error:|Build complete' bash -c "await_log '$logs/sanitized-$name'" || return
    bundle=$(swift build --sanitize="$name" --scratch-path ".build-$name" --show-bin-path)/sluicePackageTests.xctest
    # Gateways that tests start are sanitized as well. No look for leaks: Swift's runtime keeps what it has made for types.
    SLUICE_BINARY=$(dirname "$bundle")/sluice
    # No backtraces: of a sanitized process that is meant to trap the backtracer waits for ever, and its test with it.
    export SWIFT_BACKTRACE=enable=no
    export SLUICE_BINARY ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS="suppressions=$PWD/deploy/thread-sanitizer.txt history_size=4"
    suite "sanitized-$name" 1500 "$minimum" --skip '^Interop\.' "$@"
}

mkdir -p "$logs"
rm -rf "${logs:?}"/*
mkdir -p "$programs"
bash Tests/sweep.sh
export SLUICE_PYTHON=$PWD/.build/venv/bin/python
export -f install_packages await_log

check install 900 'installing|error|E:' bash -c "install_packages $build_packages" || exit 1
install_peers "$logs/peers" &
if wanted format; then
    mapfile -t sources < <(git ls-files '*.swift')
    check papers 60 . python3 Tests/Papers/check.py
    check format 300 . swift format lint --strict --configuration .swift-format "${sources[@]}"
fi
if wanted unit || wanted scenarios || wanted interop || wanted ike; then
    check build-debug 1800 '^\[[0-9]*[05]0/|error|Compiling|Build complete' \
        swift build --build-tests --explicit-target-dependency-import-check error || exit 1
    bundle=$(swift build --show-bin-path)/sluicePackageTests.xctest
fi
check install-test-packages 900 'installing|error|E:' bash -c "await_log '$logs/peers'" || exit 1
if wanted unit; then check documentation 600 'warning|error' bash Tests/Papers/documentation.sh; fi
if wanted unit; then suite unit 900 100 --skip '^Interop\.' --skip '^Scenarios\.'; fi
if wanted fuzz; then
    step fuzz 900 '^fuzz|error|passed|failed|crash' Tests/Fuzz/run.sh "$fuzz_seconds"
    status=$?
    counts=$(sed -nE 's/^fuzz: ([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$logs/fuzz.log" | tail -n 1)
    counts=${counts:-0 1}
    [ "$status" != 0 ] && [ "${counts#* }" = 0 ] && counts="${counts% *} 1"
    passed=$((passed + ${counts% *}))
    failed=$((failed + ${counts#* }))
    [ "${counts#* }" = 0 ] || tail -n 60 "$logs/fuzz.log"
fi
if wanted scenarios; then suite scenarios 900 20 --filter '^Scenarios\.'; fi
if [ "$only" = sanitizers ]; then build_sanitized & builder=$!; fi
if wanted interop || wanted ike; then
    check build-release 1800 'error|Build complete' swift build -c release --product sluice || exit 1
    SLUICE_BINARY=$(swift build -c release --show-bin-path)/sluice
    export SLUICE_BINARY
    if [ "$only" = all ]; then build_sanitized & builder=$!; fi
fi
if wanted interop; then
    check hot-path 120 . python3 Tests/HotPath/check.py "$SLUICE_BINARY"
    suite interop 1500 20 --filter '^Interop\.' --skip '^Interop\.LiveIKE'
fi
# Two halves side by side: peers in namespaces, and a peer in User Mode Linux.
if wanted ike; then suite ike 1800 30 --filter '^Interop\.LiveIKE'; fi
# Left out: what asks for locked pages, since sanitizers make mlock do nothing. What counts allocations looks for itself.
if wanted sanitizers; then
    unlocked=(--skip memoryIsLockedAndLeftOutOfDumps --skip everythingOfARunningGatewayIsLocked)
    sanitized address 1000 "${unlocked[@]}"
    # What several threads share in the dataplane: SAs, snapshots, rings, workers.
    sanitized thread 100 --filter '^IPsecTests\.' --filter '^DataplaneTests\.' --filter '^PolicyTests\.PublicationTests' \
        --filter '^Scenarios\.(MoveTests|HandoverTests)'
fi
exit 0
