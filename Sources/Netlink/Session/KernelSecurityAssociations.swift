import CLinux
import Platform

/// The IPsec SAs that the kernel has of its own, in the network namespace of the calling thread (linux/xfrm.h).
///
/// They get no packets from ports that Sluice serves: ESP and AH to an address of the host is taken there.
package enum KernelSecurityAssociations {
    private static let sequence: UInt32 = 1
    // `XFRM_MSG_GETSADINFO`, `XFRM_MSG_NEWSADINFO`, `XFRMA_SAD_CNT`: linux/xfrm.h and Glibc's headers both define sockets'
    // addresses, so Swift cannot import the one beside the other.
    private static let question: UInt16 = 0x23
    private static let answer: UInt16 = 0x22
    private static let countAttribute = 1

    /// The number of SAs; 0 as well where the kernel has no IPsec.
    package static func count() throws(NetlinkError) -> Int {
        let socket: NetlinkSocket
        do throws(NetlinkError) {
            socket = try NetlinkSocket(NETLINK_XFRM, receiveTimeoutSeconds: 1)
        } catch {
            if error.errno == .protocolNotSupported { return 0 }
            throw error
        }
        try socket.send(request)
        var found: Int?
        guard case .datagram = try socket.receiveDatagram(wait: true, { found = count(in: $0) }), let found else {
            throw .unexpectedAnswer(operation: "count IPsec SAs")
        }
        return found
    }

    /// A header and 32 bits of flags.
    static var request: MessageWriter {
        MessageWriter(
            .init(type: question, flags: UInt16(NLM_F_REQUEST), sequence: sequence),
            fixedPart: UInt32.max)
    }

    /// The number in the answer; nil: the datagram is something else, or has no number.
    static func count(in datagram: UnsafeRawBufferPointer) -> Int? {
        for message in EnvelopeSequence(datagram)
        where message.header.nlmsg_type == answer
            && message.header.nlmsg_seq == sequence
        {
            for attribute in AttributeSequence(message.payload, behind: UInt32.self)
            where attribute.type == countAttribute {
                return attribute.payload.load(UInt32.self).map(Int.init)
            }
        }
        return nil
    }
}
