import CLinux
import Platform

/// A point-to-point interface whose other end is this process: the slow path to and from the kernel's IP stack.
///
/// Reads and writes whole IP packets, no header in front (`IFF_NO_PI`), and never waits. The interface goes away with the
/// last descriptor.
package struct TUNDevice: ~Copyable, Sendable {
    /// Non-blocking; readable when a packet from the kernel is there.
    package var fileDescriptor: Int32 { descriptor.number }
    private let descriptor: Descriptor
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
        let descriptor: Descriptor
        do { descriptor = try Files.openDevice("/dev/net/tun") } catch {
            throw .system(error, operation: "open /dev/net/tun")
        }
        let name = try Self.attach(descriptor, name: wanted)
        let interfaceIndex = SystemNames.interfaceIndex(name) ?? 0
        try session.configure(interface: interfaceIndex, isUp: true, mtu: mtu, withoutLinkLocal: true)
        self.descriptor = descriptor
        self.name = name
        self.interfaceIndex = interfaceIndex
    }

    /// Makes the descriptor the other end of an interface; returns the interface's name.
    private static func attach(_ descriptor: borrowing Descriptor, name: String) throws(NetlinkError) -> String {
        var request = InterfaceRequest(name: name)
        request.flags = Int16(truncatingIfNeeded: IFF_TUN | IFF_NO_PI)
        do { try descriptor.control(UInt(sluice_tun_set_interface), &request) } catch {
            throw .refused(
                error, operation: "create the interface \(name)",
                reason: "another interface may have the name: ip link tells")
        }
        return request.name
    }

    /// The next packet that the kernel sends into the interface; its length, or nil when there is none.
    ///
    /// A packet longer than the buffer is cut short; give at least the MTU.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(NetlinkError) -> Int? {
        try transfer("read a packet") { () throws(Errno) in try descriptor.read(into: buffer) }
    }

    /// Gives an IP packet to the kernel as received. False when the kernel does not take it now.
    package func write(_ packet: UnsafeRawBufferPointer) throws(NetlinkError) -> Bool {
        try transfer("write a packet") { () throws(Errno) in try descriptor.write(packet) } != nil
    }

    private func transfer(_ operation: String, _ call: () throws(Errno) -> Int) throws(NetlinkError) -> Int? {
        do throws(Errno) {
            return try call()
        } catch {
            if error == .wouldBlock { return nil }
            throw NetlinkError.system(error, operation: operation)
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
