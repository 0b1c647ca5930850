import Glibc
import IKEv2
import NIOCore
import Packets

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

    /// The endpoint in a `sockaddr_in` or `sockaddr_in6`; nil: neither of them.
    init?(kernel start: UnsafeRawPointer) {
        let port = UInt16(bigEndian: start.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        switch Int32(start.loadUnaligned(as: sa_family_t.self)) {
        case AF_INET: self.init(IPAddress(loading: start + 4, family: .ipv4), port: port)
        case AF_INET6: self.init(IPAddress(loading: start + 8, family: .ipv6), port: port)
        default: return nil
        }
    }

    /// The address as system calls take it. `scope`: the interface of a link-local IPv6 address.
    func withSocketAddress<Result>(
        scope: UInt32 = 0, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        switch address.family {
        case .ipv4:
            var socketAddress = sockaddr_in()
            socketAddress.sin_family = sa_family_t(AF_INET)
            socketAddress.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &socketAddress.sin_addr) { address.copy(to: $0) }
            return withSocketAddress(socketAddress, body)
        case .ipv6:
            var socketAddress = sockaddr_in6()
            socketAddress.sin6_family = sa_family_t(AF_INET6)
            socketAddress.sin6_port = port.bigEndian
            socketAddress.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &socketAddress.sin6_addr) { address.copy(to: $0) }
            return withSocketAddress(socketAddress, body)
        }
    }

    private func withSocketAddress<Address, Result>(
        _ socketAddress: Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafePointer(to: socketAddress) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }
}

extension IPAddress {
    /// `buffer` has room for an address of this family.
    fileprivate func copy(to buffer: UnsafeMutableRawBufferPointer) {
        guard let start = buffer.baseAddress, buffer.count >= family.byteCount else { return }
        store(to: start)
    }
}

extension AddressFamily {
    /// `AF_INET` or `AF_INET6`.
    var socketDomain: Int32 { self == .ipv4 ? AF_INET : AF_INET6 }

    var name: String { self == .ipv4 ? "IPv4" : "IPv6" }
}
