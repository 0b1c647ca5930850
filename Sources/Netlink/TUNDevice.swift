import CLinux
import Glibc
import SystemPackage

/// A point-to-point interface whose other end is this process: the slow path to and from the kernel's IP stack.
///
/// Reads and writes whole IP packets, no header in front (`IFF_NO_PI`), and never waits. The interface goes away with the
/// last descriptor.
package struct TUNDevice: ~Copyable, Sendable {
    /// Non-blocking; readable when a packet from the kernel is there.
    package let fileDescriptor: Int32
    /// The name that the kernel chose.
    package let name: String
    package let interfaceIndex: UInt32

    /// Creates the interface and brings it up.
    ///
    /// - Parameters:
    ///   - wanted: the name, at most 15 bytes; a `%d` in it becomes the first free number.
    ///   - mtu: in bytes.
    ///   - session: a netlink session of the same network namespace.
    package init(
        name wanted: String, mtu: UInt32, session: borrowing NetlinkSession
    ) throws(NetlinkError) {
        let descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .system(Errno(rawValue: errno), operation: "open /dev/net/tun") }
        let name: String
        let interfaceIndex: UInt32
        do throws(NetlinkError) {
            name = try Self.attach(descriptor, name: wanted)
            interfaceIndex = if_nametoindex(name)
            try session.configure(interface: interfaceIndex, isUp: true, mtu: mtu, withoutLinkLocal: true)
        } catch {
            close(descriptor)
            throw error
        }
        fileDescriptor = descriptor
        self.name = name
        self.interfaceIndex = interfaceIndex
    }

    /// Makes the descriptor the other end of an interface; returns the interface's name.
    private static func attach(_ descriptor: Int32, name: String) throws(NetlinkError) -> String {
        var request = InterfaceRequest(name: name)
        request.flags = Int16(truncatingIfNeeded: IFF_TUN | IFF_NO_PI)
        guard ioctl(descriptor, UInt(sluice_tun_set_interface), &request) == 0 else {
            throw .refused(
                Errno(rawValue: errno), operation: "create the interface \(name)",
                reason: "another interface may have the name: ip link tells")
        }
        return request.name
    }

    deinit { close(fileDescriptor) }

    /// The next packet that the kernel sends into the interface; its length, or nil when there is none.
    ///
    /// A packet longer than the buffer is cut short; give at least the MTU.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(NetlinkError) -> Int? {
        try transfer("read a packet") { Glibc.read(fileDescriptor, buffer.baseAddress, buffer.count) }
    }

    /// Gives an IP packet to the kernel as received. False when the kernel does not take it now.
    package func write(_ packet: UnsafeRawBufferPointer) throws(NetlinkError) -> Bool {
        try transfer("write a packet") { Glibc.write(fileDescriptor, packet.baseAddress, packet.count) } != nil
    }

    private func transfer(_ operation: String, _ call: () -> Int) throws(NetlinkError) -> Int? {
        while true {
            let count = call()
            if count >= 0 { return count }
            switch Errno(rawValue: errno) {
            case .interrupted: continue
            case .wouldBlock: return nil
            case let error: throw .system(error, operation: operation)
            }
        }
    }
}

/// `struct ifreq` as `TUNSETIFF` reads and writes it: 16 bytes of name, flags, and room up to 40 bytes.
private struct InterfaceRequest: BitwiseCopyable {
    private var nameLow: UInt64 = 0
    private var nameHigh: UInt64 = 0
    var flags: Int16 = 0
    private var rest: (UInt16, UInt32, UInt64, UInt64) = (0, 0, 0, 0)

    /// Longest name without the terminating zero.
    private static let maximumNameLength = 15

    init(name: String) {
        withUnsafeMutableBytes(of: &self) { bytes in
            for (index, byte) in name.utf8.prefix(Self.maximumNameLength).enumerated() { bytes[index] = byte }
        }
    }

    var name: String {
        withUnsafeBytes(of: self) { String(decoding: $0.prefix(16).prefix { $0 != 0 }, as: UTF8.self) }
    }
}
