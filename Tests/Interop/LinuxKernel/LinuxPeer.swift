import TestSupport
import Testing

/// Linux with its own ESP as one end of the tunnel: User Mode Linux between `uwan` and `ulan` of a topology.
struct LinuxPeer: Sendable {
    let machine: UserModeLinux
    let side: Side

    /// Boots the machine on two interfaces of `namespace` and makes it a router between them.
    init(_ side: Side, in namespace: NetworkNamespace, wan: String, lan: String) throws {
        self.side = side
        machine = try UserModeLinux(
            in: namespace, cards: [(wan, side.wanHardwareAddress), (lan, side.lanHardwareAddress)])
        let routes = IPVersion.allCases.map {
            "route add \(side.other.prefix($0)) via \(side.other.outer($0)) dev vec0"
        }
        try machine.shell(
            """
            set -e
            sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 \
                net.ipv6.conf.vec0.accept_dad=0 net.ipv6.conf.vec1.accept_dad=0
            ip -batch - <<'END'
            link set vec0 up
            link set vec1 up
            addr add \(side.outer(.ipv4))/24 dev vec0
            addr add \(side.outer(.ipv6))/64 dev vec0 nodad
            addr add \(side.router(.ipv4))/24 dev vec1
            addr add \(side.router(.ipv6))/64 dev vec1 nodad
            \(routes.joined(separator: "\n"))
            END
            # The driver joins IPv4 segments on receipt and corrupts them when it sends them on, and it sets these
            # features anew whenever an interface goes up.
            ethtool -K vec0 gro off gso off tso off
            ethtool -K vec1 gro off gso off tso off
            """)
    }

    /// Replaces whatever the kernel was told before by one tunnel.
    func configure(_ tunnel: ManualTunnel) throws {
        try machine.shell(
            """
            set -e
            ip xfrm state flush
            ip xfrm policy flush
            if [ -e /run/encapsulation.pid ]; then kill "$(cat /run/encapsulation.pid)" || true; fi
            rm -f /run/encapsulation.pid
            ip -batch - <<'END'
            \(tunnel.batch(side))
            END
            \(tunnel.udpEncapsulation ? Self.encapsulationSocket : "")
            """)
    }

    /// The kernel takes UDP-encapsulated ESP only from a socket that somebody has opened and marked:
    /// setsockopt(IPPROTO_UDP, UDP_ENCAP = 100, UDP_ENCAP_ESPINUDP = 2), udp(7).
    private static let encapsulationSocket = """
        perl -e 'use Socket; socket(S, PF_INET, SOCK_DGRAM, 17) or die $!;
            setsockopt(S, 17, 100, pack("i", 2)) or die $!;
            bind(S, sockaddr_in(4500, INADDR_ANY)) or die $!;
            open(F, ">", "/run/encapsulation.new") or die $!; print F $$; close F;
            rename("/run/encapsulation.new", "/run/encapsulation.pid"); sleep 100000' &
        until [ -e /run/encapsulation.pid ]; do busybox usleep 10000; done
        """

    /// The kernel's error counters of IPsec that are not zero, e.g. `XfrmInStateProtoError 3`.
    func errorCounters() throws -> String {
        try machine.shell("awk '$2 != 0' /proc/net/xfrm_stat; ip -s xfrm state | grep -A3 stats: || true")
    }
}

/// Boots one Linux machine for a whole suite; its tests configure it anew, each for itself.
struct BootedLinux: SuiteTrait, TestScoping {
    /// The topology and the machine of the suite that runs.
    struct Laboratory: Sendable {
        let network: GatewayAndPeer
        let linux: LinuxPeer
    }

    @TaskLocal static var current: Laboratory?

    var isRecursive: Bool { false }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let network = try GatewayAndPeer(.virtualMachine)
        defer { network.remove() }
        let linux = try LinuxPeer(.b, in: network.peer, wan: "uwan", lan: "ulan")
        defer { linux.machine.stop() }
        try await Self.$current.withValue(Laboratory(network: network, linux: linux)) { try await function() }
    }
}
