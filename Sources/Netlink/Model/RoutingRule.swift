import CLinux
import Packets

/// A rule of policy routing (`RTM_NEWRULE`) for packets of this host itself, which the kernel takes for packets that came by the
/// loopback interface.
package struct RoutingRule: Hashable, Sendable {
    package var family: AddressFamily
    /// Lower goes first; the main table's own rule has 32766.
    package var priority: UInt32
    /// The table in which the route is looked up.
    package var table: Route.Table
    /// Routes of this length and shorter do not count; nil: all do.
    package var ignoredLength: UInt32?
    /// The source address that packets must have.
    package var source: IPAddress?
    package var `protocol`: UInt8?
    /// The ports; nil: any. Never 0 or 65535, for which the kernel has no rules.
    package var sourcePorts, destinationPorts: ClosedRange<UInt16>?

    package init(
        family: AddressFamily, priority: UInt32, table: Route.Table, ignoredLength: UInt32? = nil,
        source: IPAddress? = nil, protocol number: UInt8? = nil, sourcePorts: ClosedRange<UInt16>? = nil,
        destinationPorts: ClosedRange<UInt16>? = nil
    ) {
        self.family = family
        self.priority = priority
        self.table = table
        self.ignoredLength = ignoredLength
        self.source = source
        self.protocol = number
        self.sourcePorts = sourcePorts
        self.destinationPorts = destinationPorts
    }
}

extension Request {
    static func add(_ rule: RoutingRule, sequence: UInt32) -> MessageWriter {
        rule.message(
            .init(
                type: UInt16(RTM_NEWRULE), flags: UInt16(NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL),
                sequence: sequence))
    }

    static func remove(_ rule: RoutingRule, sequence: UInt32) -> MessageWriter {
        rule.message(
            .init(type: UInt16(RTM_DELRULE), flags: UInt16(NLM_F_REQUEST | NLM_F_ACK), sequence: sequence))
    }

    /// Removes one rule of a priority, whatever else it says.
    static func removeRule(_ family: AddressFamily, priority: UInt32, sequence: UInt32) -> MessageWriter {
        var fixed = fib_rule_hdr()
        fixed.family = family.kernel
        var writer = MessageWriter(
            .init(type: UInt16(RTM_DELRULE), flags: UInt16(NLM_F_REQUEST | NLM_F_ACK), sequence: sequence),
            fixedPart: fixed)
        writer.attribute(Int(FRA_PRIORITY), priority)
        return writer
    }
}

extension RoutingRule {
    fileprivate func message(_ header: MessageWriter.Header) -> MessageWriter {
        var fixed = fib_rule_hdr()
        fixed.family = family.kernel
        fixed.src_len = UInt8(truncatingIfNeeded: source?.bitWidth ?? 0)
        // Tables over 255 are in FRA_TABLE alone.
        fixed.table = UInt8(exactly: table.rawValue) ?? 0
        fixed.action = UInt8(FR_ACT_TO_TBL)
        var writer = MessageWriter(header, fixedPart: fixed)
        writer.attribute(Int(FRA_PRIORITY), priority)
        writer.attribute(Int(FRA_TABLE), table.rawValue)
        writer.attribute(Int(FRA_IIFNAME), "lo")
        writer.attribute(Int(FRA_PROTOCOL), Route.Origin.sluice.rawValue)
        if let source { writer.attribute(Int(FRA_SRC), source) }
        if let ignoredLength { writer.attribute(Int(FRA_SUPPRESS_PREFIXLEN), ignoredLength) }
        if let number = self.protocol { writer.attribute(Int(FRA_IP_PROTO), number) }
        for (type, ports) in [(FRA_SPORT_RANGE, sourcePorts), (FRA_DPORT_RANGE, destinationPorts)] {
            guard let ports else { continue }
            writer.attribute(Int(type)) {
                $0.append(fib_rule_port_range(start: ports.lowerBound, end: ports.upperBound))
            }
        }
        return writer
    }
}
