import Packets
import TestSupport
import XDP

/// Steering tables with known contents and a real AF_XDP socket, so that the program can redirect to it.
///
/// Own addresses: 203.0.113.1, 10.1.0.1, 192.168.20.1, 2001:db8::1, 2001:db8:10::ffff, fe80::1. From everywhere, protected:
/// 10.0.0.0/8 but for 10.99.0.0/16, 192.168.7.0/24, 2001:db8:2::/48 but for 2001:db8:2:99::/64. From 192.168.20.0/24 and
/// 2001:db8:10::/48: 172.20.0.0/16 (but for a bypass), 172.21.0.0/16 discarded, 2001:db8:20::/48. From 192.168.30.0/24 to
/// 172.30.0.0/16 and 2001:db8:30::/48 to 2001:db8:31::/48: see `upperRules`.
final class SteeringFixture: Sendable {
    let tables: SteeringTables
    let port: XDPPort
    let descriptor: Int32
    private let pair: PortPair

    private static let rules: [(String, String, SteeringRule.Action, UInt64)] = [
        ("0.0.0.0/0", "10.0.0.0/8", .protect, 20), ("0.0.0.0/0", "10.99.0.0/16", .pass, 10),
        ("0.0.0.0/0", "192.168.7.0/24", .protect, 20), ("::/0", "2001:db8:2::/48", .protect, 20),
        ("::/0", "2001:db8:2:99::/64", .pass, 10), ("192.168.20.0/24", "172.20.0.0/16", .protect, 20),
        ("192.168.20.0/24", "172.21.0.0/16", .discard, 20), ("192.168.20.128/25", "172.20.7.0/24", .pass, 10),
        ("192.168.20.0/25", "172.20.8.0/24", .pass, 30), ("2001:db8:10::/48", "2001:db8:20::/48", .protect, 20),
    ]

    /// What protocol and ports decide, for both families: TCP to port 22 passes, TCP to port 80 and UDP from the ports 5000 to 5010
    /// are protected, and echo requests discarded.
    private static func upperRules() throws -> [SteeringRule] {
        try [("192.168.30.0/24", "172.30.0.0/16", 1), ("2001:db8:30::/48", "2001:db8:31::/48", 58)].flatMap {
            (from, to, icmp: UInt8) in
            let echo = UpperSelector(protocol: icmp, sourcePorts: icmp == 1 ? 0x0800...0x08ff : 0x8000...0x80ff)
            return try [
                SteeringRule(
                    from: from, to: to, upper: .init(protocol: 6, destinationPorts: 22...22), .pass, precedence: 5),
                SteeringRule(
                    from: from, to: to, upper: .init(protocol: 6, destinationPorts: 80...80), .protect, precedence: 6),
                SteeringRule(
                    from: from, to: to, upper: .init(protocol: 17, sourcePorts: 5000...5010), .protect, precedence: 7),
                SteeringRule(from: from, to: to, upper: echo, .discard, precedence: 8),
            ]
        }
    }

    init() throws {
        pair = try PortPair()
        tables = try SteeringTables()
        let own = ["203.0.113.1", "10.1.0.1", "192.168.20.1", "2001:db8::1", "2001:db8:10::ffff", "fe80::1"]
        try tables.setLocalAddresses(Set(own.compactMap { IPAddress($0) }))
        let inside = ["10.50.0.0/16", "192.168.7.0/24", "192.168.40.0/24", "2001:db8:2:50::/64"]
        try tables.setInsideNetworks(Set(inside.compactMap { IPPrefix($0) }))
        try tables.change(adding: Self.rules.map { try .init(from: $0, to: $1, $2, precedence: $3) })
        try tables.change(adding: Self.upperRules())
        try tables.open()
        let umem = try UMEM(frames: 64, hugePages: .never)
        port = try pair.open(roles: [.lan, .wan], umem: umem, tables: tables)
        descriptor = try PortPair.rings(port).fileDescriptor
    }

    /// A program for a port with these roles, with or without a socket. It has the VLANs 5 and 6.
    func program(
        _ roles: PortRoles, socket: Bool = true, port: UInt16 = 4500, tables other: SteeringTables? = nil
    ) throws -> SteeringProgram {
        let links: Set = [
            PortLink(.init(0x0200_0000_0001), roles: roles), PortLink(.init(0x0200_0000_0001), vlan: 5, roles: roles),
            PortLink(.init(0x0200_0000_0006), vlan: 6, roles: roles),
        ]
        let program = try SteeringProgram(tables: other ?? tables, links: links, encapsulationPort: port)
        if socket { try program.setSocket(queue: 0, fileDescriptor: descriptor) }
        return program
    }
}

extension SteeringRule {
    init(
        from source: String, to destination: String, upper: UpperSelector = .any, _ action: Action = .protect,
        precedence: UInt64 = 20, narrowness: Int? = nil
    ) throws {
        guard let source = IPPrefix(source), let destination = IPPrefix(destination) else {
            throw TestFailure(description: "\(source) -> \(destination)")
        }
        self.init(from: source, to: destination, upper: upper, action, precedence: precedence, narrowness: narrowness)
    }
}
