import CLinux
import Packets

extension Route {
    /// Reads the payload of `RTM_NEWROUTE` or `RTM_DELROUTE`.
    ///
    /// nil when malformed, of another family or kind, limited to some sources (IPv6 subtrees), or a cached exception
    /// (`RTM_F_CLONED`) rather than a route.
    init?(payload: UnsafeRawBufferPointer) {
        guard let fixed = payload.load(rtmsg.self), let family = AddressFamily(kernel: fixed.rtm_family),
            let kind = Kind(rawValue: fixed.rtm_type), Int(fixed.rtm_dst_len) <= family.bitWidth,
            fixed.rtm_src_len == 0, fixed.rtm_flags & UInt32(RTM_F_CLONED) == 0
        else { return nil }
        let any = family == .ipv4 ? IPAddress(ipv4: 0) : IPAddress(ipv6High: 0, low: 0)
        var destination = any
        var single = Hop(interfaceIndex: 0, isDown: Self.isDown(fixed.rtm_flags))
        var multiple: [Hop]?
        self.init(
            destination: IPPrefix(address: any, length: 0), kind: kind,
            table: Table(rawValue: UInt32(fixed.rtm_table)), typeOfService: fixed.rtm_tos,
            origin: Origin(rawValue: fixed.rtm_protocol), scope: .init(rawValue: fixed.rtm_scope))
        for (type, value) in AttributeSequence(payload, behind: rtmsg.self) {
            switch type {
            case Int(RTA_DST.rawValue):
                guard let address = value.address(family) else { return nil }
                destination = address
            case Int(RTA_OIF.rawValue): single.interfaceIndex = value.load(UInt32.self) ?? 0
            case Int(RTA_GATEWAY.rawValue): single.gateway = value.address(family)
            case Int(RTA_VIA.rawValue): single.gateway = Self.via(value)
            case Int(RTA_MULTIPATH.rawValue): multiple = Self.hops(value, family: family)
            case Int(RTA_TABLE.rawValue): table.rawValue = value.load(UInt32.self) ?? table.rawValue
            case Int(RTA_PRIORITY.rawValue): metric = value.load(UInt32.self) ?? 0
            case Int(RTA_PREFSRC.rawValue): preferredSource = value.address(family)
            case Int(RTA_METRICS.rawValue): mtu = Self.mtu(value)
            case Int(RTA_NH_ID.rawValue): nextHopID = value.load(UInt32.self)
            default: break
            }
        }
        self.destination = IPPrefix(address: destination, length: Int(fixed.rtm_dst_len))
        hops = multiple ?? (single.interfaceIndex == 0 && single.gateway == nil ? [] : [single])
    }

    private static func isDown(_ flags: UInt32) -> Bool {
        flags & UInt32(RTNH_F_DEAD | RTNH_F_LINKDOWN) != 0
    }

    /// `RTA_VIA`: a gateway of the other family, with its family in front.
    private static func via(_ value: UnsafeRawBufferPointer) -> IPAddress? {
        guard let raw = value.load(UInt16.self), let kernel = UInt8(exactly: raw),
            let family = AddressFamily(kernel: kernel)
        else { return nil }
        return value.dropping(MemoryLayout<UInt16>.size).address(family)
    }

    private static func mtu(_ nested: UnsafeRawBufferPointer) -> UInt32? {
        for (type, value) in AttributeSequence(nested) where type == Int(RTAX_MTU) { return value.load(UInt32.self) }
        return nil
    }

    private static func hops(_ value: UnsafeRawBufferPointer, family: AddressFamily) -> [Hop] {
        var hops: [Hop] = []
        var rest = value
        let headerLength = MemoryLayout<rtnexthop>.size
        while let raw = rest.load(rtnexthop.self), Int(raw.rtnh_len) >= headerLength, Int(raw.rtnh_len) <= rest.count {
            let attributes = UnsafeRawBufferPointer(rebasing: rest[headerLength..<Int(raw.rtnh_len)])
            var hop = Hop(
                interfaceIndex: UInt32(bitPattern: raw.rtnh_ifindex), weight: UInt16(raw.rtnh_hops) + 1,
                isDown: isDown(UInt32(raw.rtnh_flags)))
            for (type, value) in AttributeSequence(attributes) {
                switch type {
                case Int(RTA_GATEWAY.rawValue): hop.gateway = value.address(family)
                case Int(RTA_VIA.rawValue): hop.gateway = via(value)
                default: break
                }
            }
            hops.append(hop)
            rest = rest.dropping(aligned(Int(raw.rtnh_len)))
        }
        return hops
    }

    /// The message that adds or deletes this route.
    ///
    /// - Parameter isRemoval: fields that the kernel compares on deletion are written, hops are not.
    func message(_ header: MessageWriter.Header, isRemoval: Bool = false) -> MessageWriter {
        var fixed = rtmsg()
        fixed.rtm_family = destination.address.family.kernel
        fixed.rtm_dst_len = UInt8(truncatingIfNeeded: destination.length)
        fixed.rtm_tos = typeOfService
        fixed.rtm_protocol = origin.rawValue
        fixed.rtm_type = kind.rawValue
        fixed.rtm_scope = isRemoval ? InterfaceAddress.Scope.nowhere.rawValue : effectiveScope.rawValue
        // Tables over 255 are in RTA_TABLE alone; the field then says "compat" (252).
        fixed.rtm_table = UInt8(exactly: table.rawValue) ?? 252
        var writer = MessageWriter(header, fixedPart: fixed)
        writer.attribute(Int(RTA_DST.rawValue), destination.address)
        writer.attribute(Int(RTA_TABLE.rawValue), table.rawValue)
        if metric != 0 { writer.attribute(Int(RTA_PRIORITY.rawValue), metric) }
        if let preferredSource { writer.attribute(Int(RTA_PREFSRC.rawValue), preferredSource) }
        if let mtu {
            writer.attribute(Int(RTA_METRICS.rawValue)) { $0.attribute(Int(RTAX_MTU), mtu) }
        }
        writeHops(to: &writer)
        return writer
    }

    /// The kernel refuses a gateway in a "link" route and wants "link" where there is none.
    private var effectiveScope: InterfaceAddress.Scope {
        guard destination.address.family == .ipv4, kind == .unicast, scope == .universe else { return scope }
        return hops.contains { $0.gateway != nil } ? .universe : .link
    }

    private func writeHops(to writer: inout MessageWriter) {
        if let nextHopID {
            writer.attribute(Int(RTA_NH_ID.rawValue), nextHopID)
        } else if let hop = hops.first, hops.count == 1 {
            if hop.interfaceIndex != 0 { writer.attribute(Int(RTA_OIF.rawValue), hop.interfaceIndex) }
            write(gateway: hop.gateway, to: &writer)
        } else if !hops.isEmpty {
            writer.attribute(Int(RTA_MULTIPATH.rawValue)) { nested in
                for hop in hops {
                    var raw = rtnexthop()
                    raw.rtnh_ifindex = Int32(bitPattern: hop.interfaceIndex)
                    raw.rtnh_hops = UInt8(truncatingIfNeeded: max(hop.weight, 1) &- 1)
                    nested.multipathHop(raw) { write(gateway: hop.gateway, to: &$0) }
                }
            }
        }
    }

    private func write(gateway: IPAddress?, to writer: inout MessageWriter) {
        guard let gateway else { return }
        if gateway.family == destination.address.family {
            writer.attribute(Int(RTA_GATEWAY.rawValue), gateway)
        } else {
            writer.attribute(Int(RTA_VIA.rawValue)) { nested in
                nested.append(UInt16(gateway.family.kernel))
                nested.append(gateway)
            }
        }
    }
}
