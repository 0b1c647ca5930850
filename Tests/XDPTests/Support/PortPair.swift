import CLibBPF
import Foundation
import Packets
import TestSupport
import XDP

struct TestFailure: Error, CustomStringConvertible {
    let description: String
}

/// A veth pair in a namespace of its own: the port under test, "port", and the far end of its cable, "far".
final class PortPair: Sendable {
    let namespace: NetworkNamespace
    let port = "port"
    let far = "far"

    init(queues: Int = 1, mtu: Int = 1500) throws {
        namespace = try NetworkNamespace("port")
        // No IPv6 addresses: the kernel then sends nothing of its own accord.
        try namespace.sysctl("net.ipv6.conf.default.disable_ipv6=1")
        try namespace.connect(port, to: namespace, far, queues: queues, mtu: mtu)
        // What the frames of the tests are addressed to.
        try namespace.ip("link set \(port) address 02:00:00:00:00:01")
    }

    deinit { namespace.remove() }

    /// Tables in which 203.0.113.1 is the gateway's own address.
    static func tables() throws -> SteeringTables {
        let tables = try SteeringTables()
        try tables.setLocalAddresses(Set(["203.0.113.1"].compactMap { IPAddress($0) }))
        try tables.open()
        return tables
    }

    /// Opens the port in the namespace.
    func open(
        roles: PortRoles = .wan, umem: UMEM, tables: SteeringTables? = nil, options: PortOptions = PortOptions()
    ) throws -> XDPPort {
        let tables = try tables ?? Self.tables()
        return try namespace.perform {
            try XDPPort(interface: port, roles: roles, umem: umem, tables: tables, options: options)
        }
    }

    /// The rings of a queue of a port that is open.
    static func rings(_ port: XDPPort, queue: Int = 0) throws -> SocketRings {
        guard let rings = port.makeRings(queue: queue) else { throw TestFailure(description: "the port is closed") }
        return rings
    }

    /// The ids of the XDP programs on the port.
    func programs() throws -> [UInt32] {
        try namespace.perform {
            var ids = [UInt32](repeating: 0, count: 3)
            let result = sluice_bpf_query(Int32(if_nametoindex(port)), &ids)
            guard result == 0 else { throw TestFailure(description: "query: errno \(-result)") }
            return ids.filter { $0 != 0 }
        }
    }

    /// The steering program on the port, as a command sees it.
    func steering() throws -> UInt32? { try namespace.perform { try SteeringProgram.attached(to: port) } }

    /// Sends one UDP datagram from the far end for each of so many flows, through the host's network stack.
    func sendDatagrams(flows: Int, to destination: String, port number: UInt16, _ payload: [UInt8]) throws {
        try namespace.ip(
            "addr add 198.51.100.1/24 dev \(far)", "route add \(destination) dev \(far)",
            "neigh add \(destination) lladdr 02:00:00:00:00:01 dev \(far)")
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = number.bigEndian
        inet_pton(AF_INET, destination, &address.sin_addr)
        for _ in 0..<flows {
            let sender = try namespace.perform { socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0) }
            defer { close(sender) }
            let sent = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(sender, payload, payload.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard sent == payload.count else { throw TestFailure(description: "sendto: errno \(errno)") }
        }
    }

    /// A socket at the far end of the cable.
    func farEnd() throws -> PacketSocket { try PacketSocket(far, in: namespace, ignoreOutgoing: true) }
}

extension PortOptions {
    init(_ mode: XDPMode, ringSize: Int) {
        self.init()
        xdpMode = mode
        self.ringSize = ringSize
    }
}
