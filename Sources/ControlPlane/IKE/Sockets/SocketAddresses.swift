import IKEv2
import NIOCore
import Packets
import Platform

/// Addresses between the kernel's, NIO's and ours. An IPv6 scope is kept aside: `IPAddress` has none.
extension Endpoint {
    /// The endpoint of a socket address; nil: neither IPv4 nor IPv6.
    init?(_ address: SocketAddress) {
        switch address {
        case .v4(let inner):
            var bits = inner.address.sin_addr
            let host = withUnsafeBytes(of: &bits) { $0.baseAddress.map { IPAddress(loading: $0, family: .ipv4) } }
            guard let host else { return nil }
            self.init(host, port: UInt16(bigEndian: inner.address.sin_port))
        case .v6(let inner):
            var bits = inner.address.sin6_addr
            let host = withUnsafeBytes(of: &bits) { $0.baseAddress.map { IPAddress(loading: $0, family: .ipv6) } }
            guard let host else { return nil }
            self.init(host, port: UInt16(bigEndian: inner.address.sin6_port))
        case .unixDomainSocket:
            return nil
        }
    }

    /// The endpoint of a socket's address; nil: neither IPv4 nor IPv6.
    init?(_ address: KernelAddress) {
        guard let (address, port) = address.internet else { return nil }
        self.init(address, port: port)
    }

    /// The address as system calls take it. `scope`: the interface of a link-local IPv6 address.
    func kernelAddress(scope: UInt32 = 0) -> KernelAddress { KernelAddress(address, port: port, scope: scope) }
}

extension AddressFamily {
    var name: String { self == .ipv4 ? "IPv4" : "IPv6" }
}

/// The address of this host that packets to a peer come from, as the kernel's routes and rules say.
enum SourceAddress {
    /// Connects a UDP socket, which sends nothing, and asks for its own end; nil when there is no route.
    ///
    /// - Parameter interface: the way out; 0: as the kernel's routes say.
    static func towards(_ remote: IPAddress, interface: UInt32 = 0) -> IPAddress? {
        guard let socket = try? Socket(.udp(remote.family)) else { return nil }
        if interface != 0 { try? socket.set(.interface, to: interface) }
        guard (try? socket.connect(to: Endpoint(remote, port: IPsecPort.keyExchange).kernelAddress())) != nil,
            let local = try? socket.localAddress().internet, !local.address.isUnspecified
        else { return nil }
        return local.address
    }
}
