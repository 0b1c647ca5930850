import CLinux
import Platform

/// One decoded message from the kernel.
package enum NetlinkMessage: Hashable, Sendable {
    case link(Link)
    case linkRemoved(Link)
    case address(InterfaceAddress)
    case addressRemoved(InterfaceAddress)
    /// `replaces`: takes the place of a route with the same destination, table, TOS and metric.
    case route(Route, replaces: Bool)
    case routeRemoved(Route)
    case neighbour(Neighbour)
    case neighbourRemoved(Neighbour)
    /// The answer to a request: success, or why not, in the kernel's own words when it gives any.
    case acknowledged
    case refused(code: Int32, reason: String?)
    /// The end of a dump. `code` is 0 or an errno value.
    case dumpEnd(code: Int32)
    /// The kernel's queue overflowed: messages are missing.
    case overrun
    /// Well-formed, but nothing that matters here.
    case ignored(type: UInt16)
    /// A length or a field makes no sense; the rest of the datagram is not read.
    case malformed
}

/// A message with the parts of its header that matter.
package struct NetlinkReply: Hashable, Sendable {
    package let message: NetlinkMessage
    package let sequence: UInt32
    /// `NLM_F_DUMP_INTR`: the tables changed under the dump, so that it may be inconsistent.
    package let isInterrupted: Bool
}

/// Decodes datagrams from the kernel. Pure; nothing in a datagram can make it trap.
package enum NetlinkDecoder {
    /// All messages of one datagram.
    package static func decode(_ datagram: UnsafeRawBufferPointer) -> [NetlinkReply] {
        var messages: [NetlinkReply] = []
        var envelopes = EnvelopeSequence(datagram)
        while let envelope = envelopes.next() {
            messages.append(
                NetlinkReply(
                    message: decode(envelope), sequence: envelope.header.nlmsg_seq,
                    isInterrupted: Int32(envelope.header.nlmsg_flags) & NLM_F_DUMP_INTR != 0))
        }
        if envelopes.isMalformed {
            messages.append(NetlinkReply(message: .malformed, sequence: 0, isInterrupted: false))
        }
        return messages
    }

    private static func decode(_ envelope: Envelope) -> NetlinkMessage {
        let type = envelope.header.nlmsg_type
        let payload = envelope.payload
        let found: NetlinkMessage? =
            switch Int(type) {
            case Int(NLMSG_ERROR): answer(envelope)
            case Int(NLMSG_DONE): .dumpEnd(code: 0 &- (payload.load(Int32.self) ?? 0))
            case Int(NLMSG_OVERRUN): .overrun
            case Int(RTM_NEWLINK): Link(payload: payload).map { .link($0) }
            case Int(RTM_DELLINK): Link(payload: payload).map { .linkRemoved($0) }
            case Int(RTM_NEWADDR): InterfaceAddress(payload: payload).map { .address($0) }
            case Int(RTM_DELADDR): InterfaceAddress(payload: payload).map { .addressRemoved($0) }
            case Int(RTM_NEWROUTE): Route(payload: payload).map { .route($0, replaces: replaces(envelope)) }
            case Int(RTM_DELROUTE): Route(payload: payload).map { .routeRemoved($0) }
            case Int(RTM_NEWNEIGH): Neighbour(payload: payload).map { .neighbour($0) }
            case Int(RTM_DELNEIGH): Neighbour(payload: payload).map { .neighbourRemoved($0) }
            default: nil
            }
        return found ?? .ignored(type: type)
    }

    private static func replaces(_ envelope: Envelope) -> Bool {
        Int32(envelope.header.nlmsg_flags) & NLM_F_REPLACE != 0
    }

    /// `NLMSG_ERROR`: a negative errno value, the request's header, its payload unless capped, then attributes.
    private static func answer(_ envelope: Envelope) -> NetlinkMessage {
        guard let fixed = envelope.payload.load(nlmsgerr.self) else { return .malformed }
        guard fixed.error != 0 else { return .acknowledged }
        var reason: String?
        let flags = Int32(envelope.header.nlmsg_flags)
        if flags & NLM_F_ACK_TLVS != 0 {
            let request =
                flags & NLM_F_CAPPED != 0
                ? MemoryLayout<nlmsghdr>.size : Int(fixed.msg.nlmsg_len)
            let attributes = envelope.payload.dropping(MemoryLayout<Int32>.size + aligned(request))
            for (type, value) in AttributeSequence(attributes) where type == Int(NLMSGERR_ATTR_MSG.rawValue) {
                reason = value.text
            }
        }
        return .refused(code: 0 &- fixed.error, reason: reason)
    }
}
