import IPsec
import Packets

/// `SELECTOR` of `ip xfrm`: addresses, protocol, ports or ICMP type and code.
struct XfrmSelector {
    private var source: IPPrefix?
    private var destination: IPPrefix?
    private var number: UInt8 = 0
    private var sourcePort: (word: Word, value: UInt16)?
    private var destinationPort: (word: Word, value: UInt16)?
    private var type: (word: Word, value: UInt8)?
    private var code: (word: Word, value: UInt8)?

    /// Upper protocols by the names of /etc/protocols that a selector is likely to have.
    private static let protocols: [String: UInt8] = [
        "any": 0, "icmp": IPProtocol.icmp, "igmp": 2, "ipencap": IPProtocol.ipv4, "ipip": IPProtocol.ipv4,
        "tcp": IPProtocol.tcp, "udp": IPProtocol.udp, "dccp": IPProtocol.dccp, "ipv6": IPProtocol.ipv6,
        "gre": IPProtocol.gre, "esp": IPProtocol.esp, "ah": IPProtocol.ah, "ipv6-icmp": IPProtocol.icmpv6,
        "icmpv6": IPProtocol.icmpv6, "ospf": 89, "sctp": IPProtocol.sctp, "mobility-header": IPProtocol.mobility,
        "udplite": IPProtocol.udpLite,
    ]

    /// Neither side is limited.
    var isForAll: Bool { (source?.length ?? 0) == 0 && (destination?.length ?? 0) == 0 }

    /// Reads the next word and its value if it is part of a selector; false if not.
    mutating func read(_ cursor: inout WordCursor) throws(Problem) -> Bool {
        if let key = cursor.take("src") {
            source = try cursor.prefix(of: key)
        } else if let key = cursor.take("dst") {
            destination = try cursor.prefix(of: key)
        } else if let key = cursor.take("proto") {
            number = try Self.readProtocol(key, &cursor)
        } else if let key = cursor.take("sport") {
            sourcePort = (key, try cursor.number(of: key, "port"))
        } else if let key = cursor.take("dport") {
            destinationPort = (key, try cursor.number(of: key, "port"))
        } else if let key = cursor.take("type") {
            type = (key, try cursor.number(of: key, "ICMP type"))
        } else if let key = cursor.take("code") {
            code = (key, try cursor.number(of: key, "ICMP code"))
        } else if let key = cursor.take("dev") {
            let device = try cursor.value(of: key, "a device")
            if !(device == "none") {
                cursor.report(key, "selecting by device is not supported", "select by address and leave 'dev' out")
            }
        } else if let key = cursor.take("key") {
            _ = try cursor.value(of: key, "a GRE key")
            cursor.report(key, "selecting by GRE key is not supported", "select all of GRE with 'proto gre'")
        } else {
            return false
        }
        return true
    }

    private static func readProtocol(_ key: Word, _ cursor: inout WordCursor) throws(Problem) -> UInt8 {
        let word = try cursor.value(of: key, "a protocol")
        if let number = protocols[word.text] ?? WordCursor.number(word.text, as: UInt8.self) { return number }
        throw cursor.error(
            word, "not a known protocol", "use tcp, udp, sctp, icmp, ipv6-icmp, gre or a number from 0 to 255")
    }

    /// The selector, for all packets where nothing was said. nil when it makes no sense, which is then reported.
    ///
    /// - Parameters:
    ///   - word: the word that an error without a word of its own is shown at.
    ///   - family: the family if no address tells.
    func selector(_ word: Word, family: AddressFamily = .ipv4, _ cursor: inout WordCursor) -> TrafficSelector? {
        let family = (source ?? destination)?.family ?? family
        if let source, let destination, source.family != destination.family {
            cursor.report(
                word, "source \(source) and destination \(destination) are of different address families",
                "give two IPv4 or two IPv6 prefixes")
            return nil
        }
        guard let ports = ports(&cursor) else { return nil }
        return TrafficSelector(
            source: AddressRange(source ?? .all(family)), destination: AddressRange(destination ?? .all(family)),
            protocol: number == 0 ? nil : number, sourcePorts: ports.source, destinationPorts: ports.destination)
    }

    private typealias Ports = (source: ClosedRange<UInt16>, destination: ClosedRange<UInt16>)

    private func ports(_ cursor: inout WordCursor) -> Ports? {
        let hasPorts = [IPProtocol.tcp, IPProtocol.udp, IPProtocol.sctp, IPProtocol.dccp].contains(number)
        // Without a protocol it is any that has ports, as `ip` takes it.
        if let port = sourcePort ?? destinationPort, !hasPorts, number != 0 {
            cursor.report(port.word, "ports need a protocol that has them", "add 'proto tcp', udp, sctp or dccp")
            return nil
        }
        let isICMP = number == IPProtocol.icmp || number == IPProtocol.icmpv6
        if let word = type?.word ?? code?.word, !isICMP {
            cursor.report(word, "types and codes are supported for ICMP only", "add 'proto icmp' or 'proto ipv6-icmp'")
            return nil
        }
        if let code, type == nil {
            cursor.report(code.word, "a code without a type is not supported", "add 'type NUMBER'")
            return nil
        }
        if let type {
            // Type and code share a number, so that one range selects them (RFC 4301 section 4.4.1.1).
            let first = UInt16(type.value) << 8 | UInt16(code?.value ?? 0)
            let last = UInt16(type.value) << 8 | UInt16(code?.value ?? UInt8.max)
            return (first...last, TrafficSelector.anyPort)
        }
        return (Self.range(sourcePort?.value), Self.range(destinationPort?.value))
    }

    /// Port 0 means any, as in the kernel.
    private static func range(_ port: UInt16?) -> ClosedRange<UInt16> {
        guard let port, port != 0 else { return TrafficSelector.anyPort }
        return port...port
    }
}
