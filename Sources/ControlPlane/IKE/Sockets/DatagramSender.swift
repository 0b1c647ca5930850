import Glibc
import IKEv2
import Packets

/// sendmsg(2) with a source address of the sender's choice, as ip(7) (`IP_PKTINFO`) and RFC 3542 section 6.2 have it.
struct DatagramSender {
    let descriptor: Int32

    /// Control data: a `cmsghdr`, which is 16 bytes, and `in6_pktinfo`, 20, the larger one; aligned to words.
    private static let controlHeaderLength = MemoryLayout<Int>.size + 2 * MemoryLayout<Int32>.size
    private static let roomForControl = 48

    /// Sends `prefix` zero bytes, up to eight, and then `bytes`. Returns 0 or the errno.
    ///
    /// - Parameters:
    ///   - source: of the family of `remote`.
    ///   - interface: the way out, and the scope of a link-local address; 0: as the kernel's routes say.
    func send(_ bytes: [UInt8], prefix: Int, from source: IPAddress, to remote: Endpoint, interface: UInt32) -> Int32 {
        withUnsafeTemporaryAllocation(byteCount: Self.roomForControl, alignment: 16) { control -> Int32 in
            control.initializeMemory(as: UInt8.self, repeating: 0)
            let length = Self.write(source, interface: interface, to: control)
            var zeros: UInt64 = 0
            return withUnsafeMutableBytes(of: &zeros) { zeros in
                remote.withSocketAddress(scope: interface) { address, addressLength in
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
                            return sendmsg(descriptor, &message, flags) < 0 ? errno : 0
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
        let data = start + controlHeaderLength
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
        start.storeBytes(of: controlHeaderLength + dataLength, as: Int.self)
        start.storeBytes(of: level, toByteOffset: 8, as: Int32.self)
        start.storeBytes(of: type, toByteOffset: 12, as: Int32.self)
        return controlHeaderLength + (dataLength + 7) & ~7
    }
}
