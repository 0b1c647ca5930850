import Glibc
import Packets

/// Datagrams with more than their bytes: addresses of the sender's choice, and what the IP header said (ip(7) `IP_PKTINFO`,
/// RFC 3542 section 6).
public enum PacketInformation {
    /// A `cmsghdr`: length, level, type.
    private static let headerLength = MemoryLayout<Int>.size + 2 * MemoryLayout<Int32>.size
    /// Control data to send: the header and `in6_pktinfo`, 20 bytes, the larger one; aligned to words.
    private static let roomToSend = 48
    /// Control data of a received packet: its destination and its traffic class.
    private static let roomToReceive = 128

    // MARK: Sending

    /// Sends `prefix` zero bytes, up to eight, and then `bytes`, without waiting. Returns nil or the reason of a failure.
    ///
    /// - `socket`: of UDP and the family of both addresses.
    /// - `source`: the address of this host that the datagram is to come from.
    /// - `interface`: the way out; 0: as the kernel's routes say.
    public static func send(
        _ bytes: [UInt8], prefix: Int, from source: IPAddress, to remote: KernelAddress, interface: UInt32,
        by socket: borrowing Socket
    ) -> Errno? {
        let number = socket.number
        return withUnsafeTemporaryAllocation(byteCount: roomToSend, alignment: 16) { control -> Errno? in
            control.initializeMemory(as: UInt8.self, repeating: 0)
            let length = write(source, interface: interface, to: control)
            var zeros: UInt64 = 0
            return withUnsafeMutableBytes(of: &zeros) { zeros in
                remote.read { address, addressLength in
                    bytes.withUnsafeBytes { payload in
                        var parts = [
                            iovec(iov_base: zeros.baseAddress, iov_len: min(prefix, zeros.count)),
                            iovec(
                                iov_base: UnsafeMutableRawPointer(mutating: payload.baseAddress),
                                iov_len: payload.count),
                        ]
                        return parts.withUnsafeMutableBufferPointer { parts in
                            var message = msghdr()
                            message.msg_name = UnsafeMutableRawPointer(mutating: address)
                            message.msg_namelen = addressLength
                            message.msg_iov = parts.baseAddress
                            message.msg_iovlen = parts.count
                            message.msg_control = control.baseAddress
                            message.msg_controllen = length
                            let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
                            return sendmsg(number, &message, flags) < 0 ? .last : nil
                        }
                    }
                }
            }
        }
    }

    /// Writes the control message that names the source, and returns its length with padding.
    private static func write(
        _ source: IPAddress, interface: UInt32, to control: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard let start = control.baseAddress else { return 0 }
        let (level, type, dataLength): (Int32, Int32, Int)
        let data = start + headerLength
        switch source.family {
        case .ipv4:
            // in_pktinfo: interface index, source (`ipi_spec_dst`), destination.
            (level, type, dataLength) = (Int32(IPPROTO_IP), Int32(IP_PKTINFO), 12)
            data.storeBytes(of: interface, as: UInt32.self)
            source.store(to: data + 4)
        case .ipv6:
            // in6_pktinfo: source, interface index.
            (level, type, dataLength) = (Int32(IPPROTO_IPV6), Int32(IPV6_PKTINFO), 20)
            source.store(to: data)
            data.storeBytes(of: interface, toByteOffset: 16, as: UInt32.self)
        }
        start.storeBytes(of: headerLength + dataLength, as: Int.self)
        start.storeBytes(of: level, toByteOffset: 8, as: Int32.self)
        start.storeBytes(of: type, toByteOffset: 12, as: Int32.self)
        return headerLength + (dataLength + 7) & ~7
    }

    // MARK: Receiving

    /// A packet that a raw socket received.
    public struct Received: Sendable {
        /// The bytes in the buffer.
        public var count: Int
        /// Whether buffer or control data was too short.
        public var isCut: Bool
        public var source: IPAddress?
        /// IPv6 only, on a socket that was asked for it.
        public var destination: IPAddress?
        public var trafficClass: UInt8 = 0
    }

    /// Receives the next packet of a socket; nil: there is none.
    public static func receive(
        into buffer: UnsafeMutableRawBufferPointer, by socket: borrowing Socket
    ) -> Received? {
        let number = socket.number
        return withUnsafeTemporaryAllocation(byteCount: roomToReceive, alignment: 16) { control -> Received? in
            var part = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
            var source = KernelAddress.empty
            var message = msghdr()
            let count = withUnsafeMutablePointer(to: &part) { part in
                source.write { name, length in
                    message.msg_name = UnsafeMutableRawPointer(name)
                    message.msg_namelen = length.pointee
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    return recvmsg(number, &message, 0)
                }
            }
            if count < 0 { return nil }
            var received = Received(
                count: count, isCut: message.msg_flags & (Int32(MSG_TRUNC) | Int32(MSG_CTRUNC)) != 0,
                source: source.internet?.address)
            read(UnsafeRawBufferPointer(rebasing: control[..<Int(message.msg_controllen)]), into: &received)
            return received
        }
    }

    /// Reads the control messages of a received IPv6 packet (RFC 3542 sections 6.2 and 6.5).
    private static func read(_ control: UnsafeRawBufferPointer, into received: inout Received) {
        var offset = 0
        while offset + headerLength <= control.count {
            let length = control.loadUnaligned(fromByteOffset: offset, as: Int.self)
            let level = control.loadUnaligned(fromByteOffset: offset + 8, as: Int32.self)
            let type = control.loadUnaligned(fromByteOffset: offset + 12, as: Int32.self)
            guard length >= headerLength, length <= control.count - offset else { return }
            let data = UnsafeRawBufferPointer(rebasing: control[(offset + headerLength)..<(offset + length)])
            if level == Int32(IPPROTO_IPV6), type == Int32(IPV6_PKTINFO), data.count >= 16, let base = data.baseAddress
            {
                received.destination = IPAddress(loading: base, family: .ipv6)
            } else if level == Int32(IPPROTO_IPV6), type == Int32(IPV6_TCLASS), data.count >= 4 {
                received.trafficClass = UInt8(truncatingIfNeeded: data.loadUnaligned(as: Int32.self))
            }
            offset += (length + 7) & ~7
        }
    }
}
