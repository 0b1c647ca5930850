#!/bin/bash
# demo.sh: a tunnel between two sites, on this machine alone.
#
# Builds Sluice, makes two gateways and two LANs out of network namespaces, lets the gateways negotiate by IKEv2, runs
# pings, a TCP stream and a paced packet load through the tunnel, rekeys under that load, kills a gateway and starts it
# again, and prints what came of it. Needs root, and a Swift toolchain. Everything it made is gone afterwards, also after
# Ctrl-C.
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
step() { printf '\n[%d/8] %s\n' "$1" "$2"; }
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
    await "$what" "$length" "$begun" "$pid"
}

await() {
    local what=$1 length=$2 begun=$3 pid=$4
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
    for package in iproute2 iputils-ping iperf3 ethtool tcpdump jq pkg-config libbpf-dev libxdp-dev libelf-dev \
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
    # Both are ordinary routers too, with a way to everywhere: what nobody stops leaves in clear.
    ip -n "$gateway_a" route add default via 10.99.0.2
    ip -n "$gateway_b" route add default via 10.99.0.1
    for namespace in "$gateway_a" "$gateway_b"; do
        ip netns exec "$namespace" sysctl -qw net.ipv4.ip_forward=1
    done
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

write_configuration() {
    local secret
    secret=0x$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
    configuration "$secret" 10.99.0.1 10.99.0.2 192.168.1.0/24 192.168.2.0/24 >"$dir/a.conf"
    configuration "$secret" 10.99.0.2 10.99.0.1 192.168.2.0/24 192.168.1.0/24 >"$dir/b.conf"
    chmod 600 "$dir"/?.conf
    sed "s|$secret|0x…|; s|^|    |" "$dir/a.conf"
}

# One end's swanctl.conf. The first packet for the other site sets the tunnel up (trap), also after a loss of the peer.
configuration() {
    cat <<LINES
connections { sites {
    local_addrs = $2
    remote_addrs = $3
    local { auth = psk }
    remote { auth = psk }
    children { net {
        local_ts = $4
        remote_ts = $5
        start_action = trap } } } }
secrets { ike { secret = $1 } }
LINES
}

# Two gateways on one machine should not share a core if there are two.
core_of() {
    local cores
    cores=$(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' | while IFS=- read -r first last; do seq "$first" "${last:-$first}"; done)
    if [ "$1" = a ]; then head -n 1 <<<"$cores"; else tail -n 1 <<<"$cores"; fi
}

start_gateways() {
    local end
    for end in a b; do launch "$end"; done
    for end in a b; do
        await_ready "$end"
        say "  gateway $end: $(sed 's/, control socket.*//' "$dir/$end.out")"
    done
}

# Starts a gateway; its process is $gateway_process_a or _b.
launch() {
    ip netns exec "$id-gw-$1" "$sluice" run --config "$dir/$1.conf" --lan lan0 --wan wan0 \
        --workers 1 --cores "$(core_of "$1")" --control "$dir/$1.vici" >"$dir/$1.out" 2>>"$dir/$1.log" &
    declare -g "gateway_process_$1=$!"
    pids+=($!)
}

await_ready() {
    for _ in $(seq 600); do
        if grep -qs "^ready" "$dir/$1.out"; then return; fi
        sleep 0.05
    done
    fail "gateway $1 did not get ready: $(tail -n 5 "$dir/$1.log")"
}

# One end asks the other for a tunnel and shows what is said.
negotiate() {
    "$sluice" initiate --child net --control "$dir/a.vici" >"$dir/negotiation.txt" 2>&1 ||
        fail "no tunnel: $(cat "$dir/negotiation.txt")"
    cut -c 1-150 "$dir/negotiation.txt" | sed 's/^/  /'
}

# The SPIs of a gateway's own inbound SAs that are in use.
inbound() {
    "$sluice" status --json --control "$dir/$1.vici" |
        jq -r '[.security_associations[] | select(.direction == "in") | .spi] | join(" ")'
}

# Before the gateways start, so that not a frame is missed.
start_witness() {
    # One count of frames that no tunnel needs, and one each of the negotiation and the address resolution that it does.
    witness plain 'not esp and not arp and not udp port 500 and not udp port 4500'
    witness ike 'udp port 500 or udp port 4500'
    witness arp arp
    for log in plain ike arp; do
        for _ in $(seq 50); do
            if grep -q 'listening on' "$dir/$log.log"; then break; fi
            sleep 0.1
        done
    done
    frames_before=$(wire_frames)
}

witness() {
    start ip netns exec "$wire" tcpdump -nn -p -Z root -i port-a -w "$dir/$1.pcap" -U "$2" 2>"$dir/$1.log"
}

frames_in() { tcpdump -nn -r "$dir/$1.pcap" 2>/dev/null | wc -l; }

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
}

# A steady, counted load, in the middle of which the gateways agree on new keys.
rekey_under_load() {
    local begun=$SECONDS pid
    start ip netns exec "$lan_b" iperf3 --server --one-off --json --logfile "$dir/server-udp.json"
    sleep 0.5
    load --udp --bitrate "$((rate * size * 8))" --length "$size" --window 2M &
    pid=$!
    pids+=("$pid")
    spi_before=$(inbound a)
    sleep "$((seconds / 2))"
    "$sluice" rekey --child net --control "$dir/a.vici" >"$dir/rekey.txt" 2>&1 || fail "no rekey: $(cat "$dir/rekey.txt")"
    await "paced load, $rate packets/s of $size bytes, one rekey in its middle" "$seconds" "$begun" "$pid"
    cp "$dir/load.json" "$dir/udp.json"
    # The old SA may still be there for a while, for packets that were under way.
    spi_after=$(inbound a | tr ' ' '\n' | grep -vx "$spi_before" | tail -n 1)
    [ -n "$spi_after" ] || fail "the rekey left the SPI as it was: $spi_before"
}

# Kills gateway b as a power failure would, and starts it again. Host b goes on sending.
kill_and_recover() {
    local pid before
    before=$(frames_in plain)
    ip netns exec "$lan_b" ping -q -c 1000 -i 0.02 -W 1 192.168.1.2 >"$dir/recovery.txt" 2>&1 &
    pid=$!
    pids+=("$pid")
    sleep 1
    kill -KILL "$gateway_process_b"
    wait "$gateway_process_b" 2>/dev/null || true
    say "  gateway b was killed"
    sleep 1
    leaked=$(($(frames_in plain) - before))
    launch b
    await_ready b
    say "  gateway b was started again: $(sed 's/, control socket.*//' "$dir/b.out")"
    for _ in $(seq 200); do
        if ip netns exec "$lan_b" ping -q -c 1 -W 1 192.168.1.2 >/dev/null; then break; fi
    done
    sleep 1
    kill -INT "$pid"
    wait "$pid" 2>/dev/null || true
    lost=$(sed -nE 's/^([0-9]+) packets transmitted, ([0-9]+) received.*/\1 \2/p' "$dir/recovery.txt")
    [ "${lost#* }" -gt 0 ] || fail "nothing came back: $(tail -n 5 "$dir/b.log")"
    outage=$(((${lost% *} - ${lost#* }) * 20))
    ip netns exec "$lan_a" ping -q -c 5 -i 0.01 -W 1 192.168.2.2 >/dev/null || fail "host a does not reach host b"
    say "  host b reaches host a again, and host a host b"
}

# ----------------------------------------------------------------------------------------------------------- the report

row() { printf '  %-34s %s\n' "$1" "$2"; }

report() {
    local end plain ike arp frames
    for end in a b; do "$sluice" status --json --control "$dir/$end.vici" >"$dir/$end.json"; done
    sleep 0.5
    plain=$(frames_in plain)
    ike=$(frames_in ike)
    arp=$(frames_in arp)
    frames=$(($(wire_frames) - frames_before))

    say ""
    say "Through the tunnel, from lan-a to lan-b"
    row "latency, round trip" "$(sed -n 's|^rtt min/avg/max/mdev = \([^/]*\)/\([^/]*\)/\([^/]*\)/.*|min \1, mean \2, max \3 ms|p' "$dir/ping.txt")"
    row "pings lost" "$(sed -n 's|.*, \([0-9.]*%\) packet loss.*|\1|p' "$dir/ping.txt")"
    row "TCP stream" "$(jq -r '.end | "\(.sum_received.bits_per_second / 1e7 | round / 100) Gbit/s, \(.sum_sent.retransmits) retransmits"' "$dir/tcp.json")"
    row "paced load" "$(jq -r '.end.sum | "\(.packets / .seconds | round) packets/s sent, \(.packets) in all"' "$dir/udp.json")"
    row "paced load, packets lost" "$(jq -r '.end.sum | "\(.lost_packets) (\(.lost_percent * 1000 | round / 1000) %)"' "$dir/udp.json")"

    row "rekey under the paced load" "inbound SPI of gateway a $spi_before, then $spi_after"
    row "gateway b killed" "the hosts were apart for about $outage ms, of which the gateway was dead for 1000"
    row "meanwhile in clear" "$leaked frames, though host b went on sending and gateway b's kernel forwards"

    say ""
    say "Security associations at the end"
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

    say ""
    say "What a stranger on the wire between the gateways saw"
    row "frames" "$frames"
    row "ESP" "$((frames - plain - ike - arp))"
    row "IKE" "$ike"
    row "ARP" "$arp"
    row "anything else" "$plain"
    if [ "$plain" -ne 0 ]; then
        tcpdump -nn -c 5 -r "$dir/plain.pcap" 2>/dev/null | sed 's/^/    /'
        fail "packets crossed the wire unprotected"
    fi
    say ""
    say "Only ESP and IKE crossed the wire."
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
step 4 "Gateways, each with ten lines of swanctl.conf; gateway a's"
write_configuration
start_witness
start_gateways
step 5 "Negotiation"
negotiate
step 6 "Load"
run_loads
rekey_under_load
step 7 "A gateway is killed"
kill_and_recover
step 8 "Result"
report
