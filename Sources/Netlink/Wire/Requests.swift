import CLinux
import Packets
import Platform

/// The messages that Sluice sends. Pure; the session gives sequence numbers and reads the answers.
enum Request {
    /// The tables that can be dumped.
    enum Dump: CaseIterable {
        case links, ipv4Addresses, ipv6Addresses, ipv4Neighbours, ipv6Neighbours, ipv4Routes, ipv6Routes

        /// The routes of both families.
        static let routes: [Dump] = [.ipv4Routes, .ipv6Routes]
    }

    private static let request = UInt16(NLM_F_REQUEST)
    private static let acknowledged = UInt16(NLM_F_REQUEST | NLM_F_ACK)

    /// Asks for a whole table. With strict checking the kernel refuses any field that it would not honour.
    static func dump(_ table: Dump, sequence: UInt32) -> MessageWriter {
        func header(_ type: Int) -> MessageWriter.Header {
            .init(type: UInt16(type), flags: request | UInt16(NLM_F_ROOT | NLM_F_MATCH), sequence: sequence)
        }
        switch table {
        case .links:
            var writer = MessageWriter(header(Int(RTM_GETLINK)), fixedPart: ifinfomsg())
            writer.attribute(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
            return writer
        case .ipv4Addresses, .ipv6Addresses:
            var fixed = ifaddrmsg()
            fixed.ifa_family = (table == .ipv4Addresses ? AddressFamily.ipv4 : .ipv6).kernel
            return MessageWriter(header(Int(RTM_GETADDR)), fixedPart: fixed)
        case .ipv4Neighbours, .ipv6Neighbours:
            var fixed = ndmsg()
            fixed.ndm_family = (table == .ipv4Neighbours ? AddressFamily.ipv4 : .ipv6).kernel
            return MessageWriter(header(Int(RTM_GETNEIGH)), fixedPart: fixed)
        case .ipv4Routes, .ipv6Routes:
            var fixed = rtmsg()
            fixed.rtm_family = (table == .ipv4Routes ? AddressFamily.ipv4 : .ipv6).kernel
            return MessageWriter(header(Int(RTM_GETROUTE)), fixedPart: fixed)
        }
    }

    /// Asks the kernel to find, or to verify, a neighbour's link-layer address, as if it had a packet for it.
    ///
    /// `NTF_USE` starts resolution of an unknown or failed entry, and moves a stale one to "delay": the kernel then verifies
    /// it on its own (RFC 4861 section 7.3.3). State and address of an existing entry stay as they are.
    static func probe(_ neighbour: Neighbour.Key, sequence: UInt32) -> MessageWriter {
        var fixed = ndmsg()
        fixed.ndm_family = neighbour.address.family.kernel
        fixed.ndm_ifindex = Int32(bitPattern: neighbour.interfaceIndex)
        fixed.ndm_state = Neighbour.State.none.rawValue
        fixed.ndm_flags = UInt8(NTF_USE)
        let header = MessageWriter.Header(
            type: UInt16(RTM_NEWNEIGH), flags: acknowledged | UInt16(NLM_F_CREATE), sequence: sequence)
        var writer = MessageWriter(header, fixedPart: fixed)
        writer.attribute(Int(NDA_DST), neighbour.address)
        return writer
    }

    /// Adds a route, in place of one with the same destination, table and metric if there is one.
    static func replace(_ route: Route, sequence: UInt32) -> MessageWriter {
        route.message(
            .init(
                type: UInt16(RTM_NEWROUTE), flags: acknowledged | UInt16(NLM_F_CREATE | NLM_F_REPLACE),
                sequence: sequence))
    }

    static func remove(_ route: Route, sequence: UInt32) -> MessageWriter {
        route.message(.init(type: UInt16(RTM_DELROUTE), flags: acknowledged, sequence: sequence), isRemoval: true)
    }

    /// Adds an address of ours to an interface, or deletes it.
    static func change(_ address: InterfaceAddress, isRemoval: Bool, sequence: UInt32) -> MessageWriter {
        var fixed = ifaddrmsg()
        fixed.ifa_family = address.address.family.kernel
        fixed.ifa_prefixlen = address.prefixLength
        fixed.ifa_scope = address.scope.rawValue
        fixed.ifa_index = address.interfaceIndex
        let flags = isRemoval ? acknowledged : acknowledged | UInt16(NLM_F_CREATE | NLM_F_REPLACE)
        let type = isRemoval ? RTM_DELADDR : RTM_NEWADDR
        var writer = MessageWriter(
            .init(type: UInt16(type), flags: flags, sequence: sequence), fixedPart: fixed)
        writer.attribute(Int(IFA_LOCAL), address.address)
        writer.attribute(Int(IFA_ADDRESS), address.address)
        return writer
    }

    /// Sets an interface up or down, and optionally its MTU; leaves everything else.
    ///
    /// - Parameter withoutLinkLocal: IPv6 gets no link-local address of its own making (so no router solicitations either).
    static func configure(
        interface index: UInt32, isUp: Bool, mtu: UInt32?, withoutLinkLocal: Bool, sequence: UInt32
    ) -> MessageWriter {
        var fixed = ifinfomsg()
        fixed.ifi_index = Int32(bitPattern: index)
        fixed.ifi_flags = isUp ? InterfaceFlags.up : 0
        fixed.ifi_change = InterfaceFlags.up
        var writer = MessageWriter(
            .init(type: UInt16(RTM_NEWLINK), flags: acknowledged, sequence: sequence), fixedPart: fixed)
        if let mtu { writer.attribute(Int(IFLA_MTU), mtu) }
        if withoutLinkLocal {
            writer.attribute(Int(IFLA_AF_SPEC)) { families in
                families.attribute(Int(AddressFamily.ipv6.domain)) { settings in
                    settings.attribute(Int(IFLA_INET6_ADDR_GEN_MODE), UInt8(IN6_ADDR_GEN_MODE_NONE.rawValue))
                }
            }
        }
        return writer
    }
}
