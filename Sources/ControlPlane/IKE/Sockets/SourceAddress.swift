import Glibc
import IKEv2
import Packets

/// The address of this host that packets to a peer come from, as the kernel's routes and rules say.
enum SourceAddress {
    /// Connects a UDP socket, which sends nothing, and asks for its own end; nil when there is no route.
    ///
    /// - Parameter interface: the way out; 0: as the kernel's routes say.
    static func towards(_ remote: IPAddress, interface: UInt32 = 0) -> IPAddress? {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(remote.family.socketDomain, type, Int32(IPPROTO_UDP))
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        if interface != 0 {
            var interface = interface
            setsockopt(descriptor, SOL_SOCKET, bindToInterfaceIndex, &interface, socklen_t(MemoryLayout<UInt32>.size))
        }
        guard Endpoint(remote, port: 500).withSocketAddress({ connect(descriptor, $0, $1) }) == 0,
            let local = endpoint({ getsockname(descriptor, $0, $1) }), !local.address.isUnspecified
        else { return nil }
        return local.address
    }

    /// `SO_BINDTOIFINDEX` (Linux 5.0), which Glibc's module does not have.
    private static let bindToInterfaceIndex: Int32 = 62

    /// The address that a call like getsockname(2) writes.
    static func endpoint(_ call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32)
        -> Endpoint?
    {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let failed = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call($0, &length) } != 0
        }
        guard !failed else { return nil }
        return withUnsafeBytes(of: &storage) { raw in raw.baseAddress.flatMap { Endpoint(kernel: $0) } }
    }
}
