#!/bin/bash
# demo.sh: a tunnel between two sites, on this machine alone.
#
# Builds Sluice, makes two gateways and two LANs out of network namespaces, runs pings, a TCP stream and a paced packet
# load through the tunnel, and prints what came of it. Needs root, and a Swift toolchain. Everything it made is gone
# afterwards, also after Ctrl-C.
#
#   DEMO_SECONDS   length of each load in seconds (default 10)
#   DEMO_RATE      packets per second of the paced load (default 20000)
#   DEMO_SIZE      UDP payload of the paced load in bytes (default 512)
#   SLUICE_BINARY  a binary to use instead of building one
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${DEMO_SECONDS:-10}
rate=${DEMO_RATE:-20000}
size=${DEMO_SIZE:-512}

id="sl$$"
lan_a=$id-lan-a gateway_a=$id-gw-a wire=$id-wire gateway_b=$id-gw-b lan_b=$id-lan-b
namespaces=("$lan_a" "$gateway_a" "$wire" "$gateway_b" "$lan_b")
pids=()
dir=

# ---------------------------------------------------------------------------------------------------- leaving nothing

cleanup() {
    local status=$? pid
    trap - EXIT
    trap '' INT TERM
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    for namespace in "${namespaces[@]}"; do ip netns del "$namespace" 2>/dev/null || true; done
    if [ -n "$dir" ]; then rm -rf "$dir"; fi
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '%s\n' "$*"; }
step() { printf '\n[%d/6] %s\n' "$1" "$2"; }
fail() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

# Starts a command in the background; it ends with the demo.
start() {
    "$@" &
    pids+=($!)
}

# Runs a command so that Ctrl-C is heard while it works, and says how far a load of some seconds has come.
watch() {
    local what=$1 length=$2 pid begun=$SECONDS
    shift 2
    "$@" &
    pid=$!
    pids+=("$pid")
    while kill -0 "$pid" 2>/dev/null; do
        if [ -t 1 ]; then printf '\r  %s: %2d of %d s ' "$what" $((SECONDS - begun)) "$length"; fi
        sleep 0.25 &
        wait $! || true
    done
    if [ -t 1 ]; then printf '\r\033[K'; fi
    wait "$pid" || fail "$what failed: $(tail -c 400 "$dir/load.json" 2>/dev/null)"
    say "  $what: done"
}

# ------------------------------------------------------------------------------------------------- what has to be there

install_packages() {
    local missing=() package
    for package in iproute2 iputils-ping iperf3 ethtool tcpdump jq pkg-config libbpf-dev libelf-dev \
        libssl-dev linux-libc-dev; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        say "  every package is there"
        return
    fi
    say "  apt-get install ${missing[*]}"
    apt-get -qq update
    # iperf3 would otherwise ask whether to run as a daemon.
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "${missing[@]}" >/dev/null
}

build() {
    if [ -n "${SLUICE_BINARY:-}" ]; then
        sluice=$(realpath "$SLUICE_BINARY")
        say "  using $sluice"
        return
    fi
    command -v swift >/dev/null || fail "no swift in PATH: install a Swift 6.3 toolchain, see https://swift.org/install"
    swift build -c release --product sluice 2>&1 | tail -n 3 | sed 's/^/  /'
    sluice=$(swift build -c release --product sluice --show-bin-path)/sluice
}

# --------------------------------------------------------------------------------------------------------- the network

#   lan-a 192.168.1.2 ── 192.168.1.1 gw-a 10.99.0.1 ── wire ── 10.99.0.2 gw-b 192.168.2.1 ── 192.168.2.2 lan-b
#
# The wire is a namespace with a bridge: what crosses it is seen there by tcpdump, as by a stranger on the Internet.
make_network() {
    local namespace
    for namespace in "${namespaces[@]}"; do
        ip netns add "$namespace"
        # IPv4 alone, so that every frame on the wire is accounted for.
        ip netns exec "$namespace" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
        ip -n "$namespace" link set lo up
    done
    ip -n "$wire" link add bridge type bridge mcast_snooping 0
    ip -n "$wire" link set bridge up
    join "$gateway_a" wan0 "$wire" port-a
    join "$gateway_b" wan0 "$wire" port-b
    join "$gateway_a" lan0 "$lan_a" eth0
    join "$gateway_b" lan0 "$lan_b" eth0
    ip -n "$wire" link set port-a master bridge
    ip -n "$wire" link set port-b master bridge
    ip -n "$gateway_a" address add 10.99.0.1/24 dev wan0
    ip -n "$gateway_b" address add 10.99.0.2/24 dev wan0
    site "$gateway_a" "$lan_a" 192.168.1
    site "$gateway_b" "$lan_b" 192.168.2
}

# One cable. veth computes no checksums when it thinks that hardware will, so that is turned off.
join() {
    ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
    for end in "$1 $2" "$3 $4"; do
        set -- $end
        ip netns exec "$1" ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null
        ip -n "$1" link set dev "$2" up
    done
}

site() {
    ip -n "$1" address add "$3.1/24" dev lan0
    ip -n "$2" address add "$3.2/24" dev eth0
    ip -n "$2" route add default via "$3.1"
}

# ----------------------------------------------------------------------------------------------------------- the tunnel

key() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# The two SAs are the same lines for both ends; the policies are each end's own.
write_configuration() {
    local state='proto esp mode tunnel reqid 1 replay-window 1024 flag esn'
    cat >"$dir/states" <<LINES
xfrm state add src 10.99.0.1 dst 10.99.0.2 spi 0x1001 $state aead rfc4106(gcm(aes)) 0x$(key 20) 128
xfrm state add src 10.99.0.2 dst 10.99.0.1 spi 0x1002 $state aead rfc4106(gcm(aes)) 0x$(key 20) 128
LINES
    policies 192.168.1.0/24 192.168.2.0/24 10.99.0.1 10.99.0.2 | cat "$dir/states" - >"$dir/a.xfrm"
    policies 192.168.2.0/24 192.168.1.0/24 10.99.0.2 10.99.0.1 | cat "$dir/states" - >"$dir/b.xfrm"
}

policies() {
    cat <<LINES
xfrm policy add src $1 dst $2 dir out tmpl src $3 dst $4 proto esp reqid 1 mode tunnel
xfrm policy add src $2 dst $1 dir in tmpl src $4 dst $3 proto esp reqid 1 mode tunnel
xfrm policy add src $2 dst $1 dir fwd tmpl src $4 dst $3 proto esp reqid 1 mode tunnel
LINES
}

# Two gateways on one machine should not share a core if there are two.
core_of() {
    local cores
    cores=$(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' | while IFS=- read -r first last; do seq "$first" "${last:-$first}"; done)
    if [ "$1" = a ]; then head -n 1 <<<"$cores"; else tail -n 1 <<<"$cores"; fi
}

start_gateways() {
    local end namespace
    for end in a b; do
        namespace=$id-gw-$end
        ip netns exec "$namespace" "$sluice" run --xfrm-batch "$dir/$end.xfrm" --lan lan0 --wan wan0 \
            --workers 1 --cores "$(core_of "$end")" --control "$dir/$end.vici" >"$dir/$end.out" 2>"$dir/$end.log" &
        pids+=($!)
    done
    for end in a b; do
        for _ in $(seq 100); do
            if grep -qs "^ready" "$dir/$end.out"; then break; fi
            sleep 0.1
        done
        grep -q '^ready' "$dir/$end.out" || fail "gateway $end did not get ready: $(tail -n 5 "$dir/$end.log")"
        say "  gateway $end: $(sed 's/, control socket.*//' "$dir/$end.out")"
    done
}

# Before the gateways start, so that not a frame is missed.
start_witness() {
    # One count of frames that no tunnel needs, and one of the address resolution that it does.
    start ip netns exec "$wire" tcpdump -nn -p -Z root -i port-a -w "$dir/plain.pcap" -U 'not esp and not arp' 2>"$dir/plain.log"
    start ip netns exec "$wire" tcpdump -nn -p -Z root -i port-a -w "$dir/arp.pcap" -U 'arp' 2>"$dir/arp.log"
    for log in plain arp; do
        for _ in $(seq 50); do
            if grep -q 'listening on' "$dir/$log.log"; then break; fi
            sleep 0.1
        done
    done
    frames_before=$(wire_frames)
}

wire_frames() {
    ip -n "$wire" -s -j link show dev port-a | jq '.[0].stats64 | .rx.packets + .tx.packets'
}

# ----------------------------------------------------------------------------------------------------------- the loads

load() { ip netns exec "$lan_a" iperf3 --client 192.168.2.2 --json --time "$seconds" "$@" >"$dir/load.json"; }

pings() { ip netns exec "$lan_a" ping -q -c 200 -i 0.01 -W 1 192.168.2.2 >"$dir/ping.txt"; }

run_loads() {
    start ip netns exec "$lan_b" iperf3 --server --one-off --json --logfile "$dir/server-tcp.json"
    watch "ping, 200 in a row" 2 pings
    watch "TCP stream" "$seconds" load
    cp "$dir/load.json" "$dir/tcp.json"

    start ip netns exec "$lan_b" iperf3 --server --one-off --json --logfile "$dir/server-udp.json"
    sleep 0.5
    watch "paced load, $rate packets/s of $size bytes" "$seconds" \
        load --udp --bitrate "$((rate * size * 8))" --length "$size" --window 2M
    cp "$dir/load.json" "$dir/udp.json"
}

# ----------------------------------------------------------------------------------------------------------- the report

row() { printf '  %-34s %s\n' "$1" "$2"; }

report() {
    local end plain arp frames esp sent
    for end in a b; do "$sluice" status --json --control "$dir/$end.vici" >"$dir/$end.json"; done
    sleep 0.5
    plain=$(tcpdump -nn -r "$dir/plain.pcap" 2>/dev/null | wc -l)
    arp=$(tcpdump -nn -r "$dir/arp.pcap" 2>/dev/null | wc -l)
    frames=$(($(wire_frames) - frames_before))
    esp=$((frames - plain - arp))

    say ""
    say "Through the tunnel, from lan-a to lan-b"
    row "latency, round trip" "$(sed -n 's|^rtt min/avg/max/mdev = \([^/]*\)/\([^/]*\)/\([^/]*\)/.*|min \1, mean \2, max \3 ms|p' "$dir/ping.txt")"
    row "pings lost" "$(sed -n 's|.*, \([0-9.]*%\) packet loss.*|\1|p' "$dir/ping.txt")"
    row "TCP stream" "$(jq -r '.end | "\(.sum_received.bits_per_second / 1e7 | round / 100) Gbit/s, \(.sum_sent.retransmits) retransmits"' "$dir/tcp.json")"
    row "paced load" "$(jq -r '.end.sum | "\(.packets / .seconds | round) packets/s sent, \(.packets) in all"' "$dir/udp.json")"
    row "paced load, packets lost" "$(jq -r '.end.sum | "\(.lost_packets) (\(.lost_percent * 1000 | round / 1000) %)"' "$dir/udp.json")"

    say ""
    say "Security associations"
    printf '  %-8s %-4s %-12s %14s %16s %14s %8s\n' gateway dir spi packets bytes sequence dropped
    for end in a b; do
        jq -r --arg gateway "$end" '.security_associations[] | [$gateway, .direction, .spi, .packets, .bytes, .sequence,
            ([.drops[].packets] | add // 0)] | @tsv' "$dir/$end.json" |
            while IFS=$'\t' read -r gateway direction spi packets bytes sequence dropped; do
                printf '  %-8s %-4s %-12s %14s %16s %14s %8s\n' \
                    "$gateway" "$direction" "$spi" "$packets" "$bytes" "$sequence" "$dropped"
            done
    done

    say ""
    say "Gateways"
    for end in a b; do
        row "gateway $end" "$(jq -r '"\(.gateway.resident_bytes / 1048576 * 10 | round / 10) MiB resident, \([.ports[] | "\(.name) \(.xdp_mode) \(.copy_mode)"] | join(", ")), dropped: \([.drops[] | "\(.packets) \(.reason)"] | if length == 0 then "nothing" else join(", ") end)"' "$dir/$end.json")"
    done

    sent=$(jq -s '[.[].security_associations[] | select(.direction == "out") | .packets] | add' "$dir/a.json" "$dir/b.json")
    say ""
    say "What a stranger on the wire between the gateways saw"
    row "frames" "$frames"
    row "ESP" "$esp (the gateways sealed $sent)"
    row "ARP" "$arp"
    row "anything else" "$plain"
    if [ "$plain" -ne 0 ]; then
        tcpdump -nn -c 5 -r "$dir/plain.pcap" 2>/dev/null | sed 's/^/    /'
        fail "packets crossed the wire unprotected"
    fi
    say ""
    say "Only ESP crossed the wire."
}

# ------------------------------------------------------------------------------------------------------------------ main

[ "$(id -u)" -eq 0 ] || fail "network namespaces and AF_XDP need root: run it with sudo"
step 1 "Packages"
install_packages
step 2 "Build"
build
dir=$(mktemp -d "${TMPDIR:-/tmp}/sluice-demo.XXXXXX")
step 3 "Network: two sites, two gateways, one wire"
make_network
say "  lan-a 192.168.1.0/24 ── gw-a 10.99.0.1 ══ wire ══ 10.99.0.2 gw-b ── 192.168.2.0/24 lan-b"
step 4 "Gateways"
write_configuration
start_witness
start_gateways
step 5 "Load"
run_loads
step 6 "Result"
report
