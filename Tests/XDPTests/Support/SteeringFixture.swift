import CLibBPF
import Packets
import TestSupport
import XDP

/// Steering tables with known contents and a real AF_XDP socket, so that the program can redirect to it.
///
/// Own addresses: 203.0.113.1, 10.1.0.1, 2001:db8::1, fe80::1. Protected: 10.0.0.0/8 but for 10.99.0.0/16, 192.168.7.0/24,
/// 2001:db8:2::/48 but for 2001:db8:2:99::/64.
final class SteeringFixture: Sendable {
    let tables: SteeringTables
    let port: XDPPort
    let descriptor: Int32
    private let pair: PortPair

    init() throws {
        pair = try PortPair()
        tables = try SteeringTables()
        let own = ["203.0.113.1", "10.1.0.1", "2001:db8::1", "fe80::1"]
        try tables.setLocalAddresses(Set(own.compactMap { IPAddress($0) }))
        let prefixes: [(String, SteeringTables.Action)] = [
            ("10.0.0.0/8", .protect), ("10.99.0.0/16", .pass), ("192.168.7.0/24", .protect),
            ("2001:db8:2::/48", .protect), ("2001:db8:2:99::/64", .pass),
        ]
        try tables.setPrefixes(
            Dictionary(
                uniqueKeysWithValues: prefixes.compactMap { text, action in IPPrefix(text).map { ($0, action) } }))
        let umem = try UMEM(frames: 64, hugePages: .never)
        port = try pair.open(roles: [.lan, .wan], umem: umem, tables: tables)
        descriptor = try PortPair.rings(port).fileDescriptor
    }

    /// A program for a port with these roles, with or without a socket.
    func program(_ roles: PortRoles, socket: Bool = true, port: UInt16 = 4500) throws -> SteeringProgram {
        let program = try SteeringProgram(tables: tables, roles: roles, encapsulationPort: port)
        if socket { try program.setSocket(queue: 0, fileDescriptor: descriptor) }
        return program
    }
}

extension SteeringProgram {
    /// Runs the program in the kernel on this frame (at least 14 bytes); returns what it returned: 2 is XDP_PASS,
    /// 4 XDP_REDIRECT.
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
