import Packets
import Platform

/// Holds UDP port 4500 where no IKE does, so that NAT keepalives of peers with ESP in UDP are not answered with ICMP errors
/// (RFC 3948 section 2.3: they are ignored). What comes is thrown away by the kernel.
final class KeepaliveSink: Sendable {
    private let ipv4, ipv6: Socket?

    /// Opens the sockets; where somebody else has the port, that one gets the keepalives.
    init() {
        ipv4 = Self.open(.ipv4)
        ipv6 = Self.open(.ipv6)
    }

    private static func open(_ family: AddressFamily) -> Socket? {
        guard let socket = try? Socket(.udp(family)), SocketFilter.nothing.attach(to: socket) else { return nil }
        do {
            if family == .ipv6 { try socket.turnOn(.ipv6Only) }
            try socket.bind(to: KernelAddress(.unspecified(family), port: IPsecPort.encapsulation))
            return socket
        } catch {
            return nil
        }
    }
}
