import CLinux
import Glibc
import Packets

/// A socket of any family, closed when it is released.
public struct Socket: ~Copyable, Sendable {
    public let descriptor: Descriptor

    /// The descriptor's number, to sleep on and to lend.
    public var number: Int32 { descriptor.number }

    /// Opens a socket of a kind.
    public init(_ kind: Kind, isNonBlocking: Bool = false) throws(Errno) {
        let type = kind.type | Int32(SOCK_CLOEXEC.rawValue) | (isNonBlocking ? Int32(SOCK_NONBLOCK.rawValue) : 0)
        descriptor = Descriptor(owning: try attempt { socket(kind.domain, type, kind.number) })
    }

    /// Hands the socket to another owner.
    public consuming func release() -> Int32 { descriptor.release() }

    // MARK: Kinds and options

    /// The kinds of sockets: family, type and protocol.
    public struct Kind: Sendable {
        let domain, type, number: Int32

        public static func udp(_ family: AddressFamily) -> Kind {
            Kind(domain: family.domain, type: Int32(SOCK_DGRAM.rawValue), number: Int32(IPPROTO_UDP))
        }
        /// All packets of an IP protocol, those of IPv4 with their header.
        public static func raw(_ family: AddressFamily, protocolNumber: UInt8) -> Kind {
            raw(domain: family.domain, Int32(protocolNumber))
        }
        public static func netlink(_ family: Int32) -> Kind { raw(domain: AF_NETLINK, family) }
        public static let localStream = Kind(domain: AF_UNIX, type: Int32(SOCK_STREAM.rawValue), number: 0)
        public static let localDatagrams = Kind(domain: AF_UNIX, type: Int32(SOCK_DGRAM.rawValue), number: 0)
        /// A raw socket of a family that this module does not know.
        public static func raw(domain: Int32, _ number: Int32 = 0) -> Kind {
            Kind(domain: domain, type: Int32(SOCK_RAW.rawValue), number: number)
        }
    }

    /// The options of sockets: level and name.
    public struct Option: Sendable {
        public let level, name: Int32

        public init(level: some BinaryInteger, name: some BinaryInteger) {
            self.level = Int32(level)
            self.name = Int32(name)
        }

        public static func socket(_ name: some BinaryInteger) -> Option { Option(level: SOL_SOCKET, name: name) }
        public static let sharesPort = socket(SO_REUSEPORT)
        /// `SO_BINDTOIFINDEX` (Linux 5.0), which Glibc's module does not have.
        public static let interface = socket(62)
        /// `SO_ATTACH_REUSEPORT_EBPF` (Linux 4.5), which Glibc's module does not have.
        public static let portProgram = socket(52)
        public static let ipv6Only = Option(level: IPPROTO_IPV6, name: IPV6_V6ONLY)
        public static let receivesTrafficClass = Option(level: IPPROTO_IPV6, name: IPV6_RECVTCLASS)
        /// Datagrams come with the local address that they were sent to.
        public static func receivesPacketInformation(_ family: AddressFamily) -> Option {
            family == .ipv4
                ? Option(level: IPPROTO_IP, name: IP_PKTINFO) : Option(level: IPPROTO_IPV6, name: IPV6_RECVPKTINFO)
        }
    }

    /// Sets an option.
    public func set<Value: BitwiseCopyable>(_ option: Option, to value: Value) throws(Errno) {
        let length = socklen_t(MemoryLayout<Value>.size)
        let result = withUnsafePointer(to: value) { setsockopt(number, option.level, option.name, $0, length) }
        if result != 0 { throw .last }
    }

    /// Sets an option to 1.
    public func turnOn(_ option: Option) throws(Errno) { try set(option, to: Int32(1)) }

    /// The value of an option, written over `empty`.
    public func get<Value: BitwiseCopyable>(_ option: Option, _ empty: Value) throws(Errno) -> Value {
        var value = empty
        var length = socklen_t(MemoryLayout<Value>.size)
        guard getsockopt(number, option.level, option.name, &value, &length) == 0 else { throw .last }
        return value
    }

    /// Asks for room for what comes: beyond the system's limit where the process may do that, else as far as it goes.
    public func setReceiveBuffer(bytes: Int32) {
        do throws(Errno) { try set(.socket(SO_RCVBUFFORCE), to: bytes) } catch {
            try? set(.socket(SO_RCVBUF), to: bytes)
        }
    }

    /// Asks for room for what goes out, beyond the system's limit, where the process may do that.
    public func setSendBuffer(bytes: Int32) { try? set(.socket(SO_SNDBUFFORCE), to: bytes) }

    /// Bounds every later wait for something to come; a call that has waited so long fails as one of a non-blocking
    /// socket does.
    public func setReceiveTimeout(seconds: Int) throws(Errno) {
        try set(.socket(SO_RCVTIMEO), to: timeval(tv_sec: seconds, tv_usec: 0))
    }

    /// The same for every later wait until bytes are taken.
    public func setSendTimeout(seconds: Int) throws(Errno) {
        try set(.socket(SO_SNDTIMEO), to: timeval(tv_sec: seconds, tv_usec: 0))
    }

    /// Lets datagrams that are larger than the path takes be fragmented instead of refused.
    public func allowFragments(_ family: AddressFamily) {
        switch family {
        case .ipv4: try? set(Option(level: IPPROTO_IP, name: IP_MTU_DISCOVER), to: Int32(IP_PMTUDISC_DONT))
        case .ipv6: try? set(Option(level: IPPROTO_IPV6, name: IPV6_MTU_DISCOVER), to: Int32(IPV6_PMTUDISC_DONT))
        }
    }

    /// Lets a program of the classic packet filter decide which packets reach the socket at all.
    public func setFilter(_ instructions: [sock_filter]) throws(Errno) {
        var program = instructions
        let result = program.withUnsafeMutableBufferPointer { buffer in
            var whole = sock_fprog(len: UInt16(buffer.count), filter: buffer.baseAddress)
            return setsockopt(
                number, SOL_SOCKET, SO_ATTACH_FILTER, &whole, socklen_t(MemoryLayout<sock_fprog>.size))
        }
        if result != 0 { throw .last }
    }

    // MARK: Addresses

    public func bind(to address: KernelAddress) throws(Errno) {
        if address.read({ Glibc.bind(number, $0, $1) }) != 0 { throw .last }
    }

    public func connect(to address: KernelAddress) throws(Errno) {
        if address.read({ Glibc.connect(number, $0, $1) }) != 0 { throw .last }
    }

    /// The address of this end.
    public func localAddress() throws(Errno) -> KernelAddress {
        var address = KernelAddress.empty
        if address.write({ getsockname(number, $0, $1) }) != 0 { throw .last }
        return address
    }

    // MARK: Data

    /// Sends once, to an address or to the one that it is connected to; returns how many bytes were taken.
    @discardableResult
    public func send(_ bytes: UnsafeRawBufferPointer, to address: KernelAddress? = nil) throws(Errno) -> Int {
        let flags = Int32(MSG_NOSIGNAL)
        guard let address else {
            return try attempt { Glibc.send(number, bytes.baseAddress, bytes.count, flags) }
        }
        return try attempt {
            address.read { sendto(number, bytes.baseAddress, bytes.count, flags, $0, $1) }
        }
    }

    /// Sends bytes of an array.
    @discardableResult
    public func send(_ bytes: [UInt8], to address: KernelAddress? = nil) throws(Errno) -> Int {
        try bytes.withUnsafeBufferPointer { (bytes) throws(Errno) in
            try send(UnsafeRawBufferPointer(bytes), to: address)
        }
    }

    /// Receives from the stream that it is connected to; 0: the other end has closed it.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try attempt { recv(number, buffer.baseAddress, buffer.count, 0) }
    }

    /// Receives from the stream into the rest of an array, from an index on.
    public func receive(into bytes: inout [UInt8], from start: Int) throws(Errno) -> Int {
        try bytes.withUnsafeMutableBufferPointer { (all) throws(Errno) in
            try receive(into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(all)[start...]))
        }
    }

    /// Receives one datagram; its length is more than the buffer's when it did not fit.
    public func receiveDatagram(
        into buffer: UnsafeMutableRawBufferPointer, waits: Bool
    ) throws(Errno) -> (count: Int, sender: KernelAddress) {
        let flags = Int32(MSG_TRUNC) | (waits ? 0 : Int32(MSG_DONTWAIT))
        var sender = KernelAddress.empty
        let count = try attempt {
            sender.write { recvfrom(number, buffer.baseAddress, buffer.count, flags, $0, $1) }
        }
        return (count, sender)
    }
}
