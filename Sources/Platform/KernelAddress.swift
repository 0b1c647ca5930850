import CLinux
import Glibc
import Packets

/// The address of a socket, as system calls take and give it.
///
/// An IPv6 scope goes in and is not read back: `IPAddress` has none.
public struct KernelAddress: Sendable {
    private var storage = sockaddr_storage()
    private var length: socklen_t

    /// An address of IPv4 or IPv6 with a port.
    /// - `scope`: the interface of a link-local IPv6 address.
    public init(_ address: IPAddress, port: UInt16, scope: UInt32 = 0) {
        switch address.family {
        case .ipv4:
            var raw = sockaddr_in()
            raw.sin_family = sa_family_t(AF_INET)
            raw.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &raw.sin_addr) { if let base = $0.baseAddress { address.store(to: base) } }
            self.init(raw)
        case .ipv6:
            var raw = sockaddr_in6()
            raw.sin6_family = sa_family_t(AF_INET6)
            raw.sin6_port = port.bigEndian
            raw.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &raw.sin6_addr) { if let base = $0.baseAddress { address.store(to: base) } }
            self.init(raw)
        }
    }

    /// The longest path that a socket can have, in bytes.
    public static let longestPath = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    /// A socket in the file system; nil when the path is empty or too long.
    public init?(path: String) {
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count <= Self.longestPath else { return nil }
        var raw = sockaddr_un()
        raw.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &raw.sun_path) { $0.copyBytes(from: bytes) }
        self.init(raw)
    }

    /// A name of the network namespace that is no file (unix(7)); at most `longestPath` bytes of it count.
    public init(abstract name: String) {
        let name = name.utf8.prefix(Self.longestPath)
        var raw = sockaddr_un()
        raw.sun_family = sa_family_t(AF_UNIX)
        // Such a name begins with a zero byte and ends where the address does.
        withUnsafeMutableBytes(of: &raw.sun_path) { $0[1...].copyBytes(from: name) }
        self.init(raw)
        length = socklen_t(MemoryLayout<sa_family_t>.size + 1 + name.count)
    }

    /// The kernel as a partner of netlink sockets.
    public static let netlink: KernelAddress = {
        var raw = sockaddr_nl()
        raw.nl_family = sa_family_t(AF_NETLINK)
        return KernelAddress(raw)
    }()

    /// Any structure of the kernel's that begins with a family, of 128 bytes at most.
    public init<Raw>(_ raw: Raw) {
        precondition(MemoryLayout<Raw>.size <= MemoryLayout<sockaddr_storage>.size, "a socket address")
        length = socklen_t(MemoryLayout<Raw>.size)
        withUnsafeMutableBytes(of: &storage) { storage in
            withUnsafeBytes(of: raw) { storage.copyMemory(from: $0) }
        }
    }

    /// The address at `start`, a `sockaddr_in` or a `sockaddr_in6`; nil: neither of them.
    public static func internet(at start: UnsafeRawPointer) -> (address: IPAddress, port: UInt16)? {
        let port = UInt16(bigEndian: start.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        switch Int32(start.loadUnaligned(as: sa_family_t.self)) {
        case AF_INET: return (IPAddress(loading: start + 4, family: .ipv4), port)
        case AF_INET6: return (IPAddress(loading: start + 8, family: .ipv6), port)
        default: return nil
        }
    }

    /// Address and port, when it is one of IPv4 or IPv6.
    public var internet: (address: IPAddress, port: UInt16)? {
        withUnsafeBytes(of: storage) { raw in raw.baseAddress.flatMap { Self.internet(at: $0) } }
    }

    /// The number of the netlink socket; 0 is the kernel.
    public var netlinkPort: UInt32 { withUnsafeBytes(of: storage) { $0.load(as: sockaddr_nl.self).nl_pid } }

    /// An empty one for a call that writes an address.
    static var empty: KernelAddress { KernelAddress(sockaddr_storage()) }

    func read<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    mutating func write<Result>(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Result
    ) -> Result {
        withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) }
        }
    }
}

extension AddressFamily {
    /// The family that `AF_INET` or `AF_INET6` stands for; nil for all others.
    public init?(domain: Int32) {
        switch domain {
        case AF_INET: self = .ipv4
        case AF_INET6: self = .ipv6
        default: return nil
        }
    }

    /// `AF_INET` or `AF_INET6`.
    public var domain: Int32 { self == .ipv4 ? AF_INET : AF_INET6 }

    /// `AF_UNSPEC`: no family.
    public static var noDomain: Int32 { AF_UNSPEC }
}

/// The numbers of interfaces that `net/if.h` has, which Swift cannot import beside the kernel's own headers.
public enum InterfaceFlags {
    /// `IFF_UP`: somebody wants the interface to be up.
    public static let up = UInt32(IFF_UP)
    public static let loopback = UInt32(IFF_LOOPBACK)
    /// Bytes of a name with the zero behind it.
    public static let nameLength = Int(IFNAMSIZ)
}

/// Host names and interfaces by name, as the system knows them.
public enum SystemNames {
    /// The addresses of a host, at most so many, in the resolver's order; none when there is no such name or nobody answered.
    /// Blocks for as long as the resolver takes.
    public static func addresses(of host: String, atMost most: Int) -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &first) == 0 else { return [] }
        defer { freeaddrinfo(first) }
        var found: [IPAddress] = []
        var next = first
        while let entry = next?.pointee, found.count < most {
            if let raw = entry.ai_addr, let address = KernelAddress.internet(at: UnsafeRawPointer(raw))?.address,
                !found.contains(address)
            {
                found.append(address)
            }
            next = entry.ai_next
        }
        return found
    }

    /// The index of an interface of the calling thread's network namespace; nil: there is none of this name.
    public static func interfaceIndex(_ name: String) -> UInt32? {
        let index = if_nametoindex(name)
        return index == 0 ? nil : index
    }

    /// The names of all interfaces of the calling thread's network namespace.
    public static func interfaces() throws(Errno) -> [String] {
        guard let list = if_nameindex() else { throw .last }
        defer { if_freenameindex(list) }
        var names: [String] = []
        var entry = list
        while entry.pointee.if_index != 0, let name = entry.pointee.if_name {
            names.append(String(cString: name))
            entry += 1
        }
        return names
    }
}
