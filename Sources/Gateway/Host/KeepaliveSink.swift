import Glibc
import Packets

/// Holds UDP port 4500 where no IKE does, so that NAT keepalives of peers with ESP in UDP are not answered with ICMP errors
/// (RFC 3948 section 2.3: they are ignored). What comes is thrown away by the kernel.
final class KeepaliveSink: Sendable {
    private let descriptors: [Int32]

    /// Opens the sockets; where somebody else has the port, that one gets the keepalives.
    init() {
        descriptors = [AddressFamily.ipv4, .ipv6].compactMap(Self.open)
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    private static func open(_ family: AddressFamily) -> Int32? {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family == .ipv4 ? AF_INET : AF_INET6, type, Int32(IPPROTO_UDP))
        guard descriptor >= 0 else { return nil }
        guard SocketFilter.nothing.attach(to: descriptor), bind(descriptor, family) else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    private static func bind(_ descriptor: Int32, _ family: AddressFamily) -> Bool {
        let port = UInt16(4500).bigEndian
        switch family {
        case .ipv4:
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port
            return withUnsafeBytes(of: &address) { bind(descriptor, $0) }
        case .ipv6:
            var only: Int32 = 1
            let length = socklen_t(MemoryLayout<Int32>.size)
            guard setsockopt(descriptor, Int32(IPPROTO_IPV6), Int32(IPV6_V6ONLY), &only, length) == 0 else {
                return false
            }
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port
            return withUnsafeBytes(of: &address) { bind(descriptor, $0) }
        }
    }

    private static func bind(_ descriptor: Int32, _ address: UnsafeRawBufferPointer) -> Bool {
        guard let base = address.baseAddress else { return false }
        return Glibc.bind(descriptor, base.assumingMemoryBound(to: sockaddr.self), socklen_t(address.count)) == 0
    }
}
