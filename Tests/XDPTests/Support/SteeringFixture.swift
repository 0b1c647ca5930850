import CLibBPF
import Packets
import TestSupport
import XDP

/// Steering tables with known contents and a real AF_XDP socket, so that the program can redirect to it.
///
/// Own addresses: 203.0.113.1, 10.1.0.1, 192.168.20.1, 2001:db8::1, 2001:db8:10::ffff, fe80::1. From everywhere, protected:
/// 10.0.0.0/8 but for 10.99.0.0/16, 192.168.7.0/24, 2001:db8:2::/48 but for 2001:db8:2:99::/64. From 192.168.20.0/24 and
/// 2001:db8:10::/48: 172.20.0.0/16 (but for a bypass), 172.21.0.0/16 discarded, 2001:db8:20::/48.
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

    init() throws {
        pair = try PortPair()
        tables = try SteeringTables()
        let own = ["203.0.113.1", "10.1.0.1", "192.168.20.1", "2001:db8::1", "2001:db8:10::ffff", "fe80::1"]
        try tables.setLocalAddresses(Set(own.compactMap { IPAddress($0) }))
        let inside = ["10.50.0.0/16", "192.168.7.0/24", "192.168.40.0/24", "2001:db8:2:50::/64"]
        try tables.setInsideNetworks(Set(inside.compactMap { IPPrefix($0) }))
        try tables.change(adding: Self.rules.map { try .init(from: $0, to: $1, $2, precedence: $3) })
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
        from source: String, to destination: String, _ action: Action = .protect, precedence: UInt64 = 20,
        narrowness: Int? = nil
    ) throws {
        guard let source = IPPrefix(source), let destination = IPPrefix(destination) else {
            throw TestFailure(description: "\(source) -> \(destination)")
        }
        self.init(from: source, to: destination, action, precedence: precedence, narrowness: narrowness)
    }
}

extension SteeringProgram {
    /// Runs the program in the kernel on this frame (at least 14 bytes); returns what it returned: 1 is XDP_DROP,
    /// 2 XDP_PASS, 4 XDP_REDIRECT.
    func run(on frame: [UInt8]) throws -> UInt32 {
        var options = bpf_test_run_opts()
        options.sz = MemoryLayout<bpf_test_run_opts>.size
        options.repeat = 1
        return try frame.withUnsafeBytes { bytes in
            options.data_in = bytes.baseAddress
            options.data_size_in = UInt32(bytes.count)
            let result = bpf_prog_test_run_opts(fileDescriptor, &options)
            guard result == 0 else { throw TestFailure(description: "test run: errno \(-result)") }
            return options.retval
        }
    }
}
