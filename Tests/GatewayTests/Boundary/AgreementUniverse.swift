import IPsec
import Packets
import Policy
import TestSupport

/// A packet as it lies in a frame, and what it shows.
struct AgreementPacket: CustomStringConvertible {
    var source, destination: IPAddress
    var number: UInt8
    /// Ports, or ICMP's type and code in the first.
    var words: (UInt16, UInt16)
    /// A piece that begins behind ports.
    var isLaterFragment = false
    /// As in the frame, from the IP header on.
    var bytes: [UInt8]

    var family: AddressFamily { source.family }
    var isICMP: Bool { number == IPProtocol.icmp || number == IPProtocol.icmpv6 }
    /// Whether it is an ICMP error, which quotes a packet.
    var isError: Bool {
        let type = words.0 >> 8
        switch number {
        case IPProtocol.icmp: return !isLaterFragment && ([3, 4, 5, 11, 12] as [UInt16]).contains(type)
        case IPProtocol.icmpv6: return !isLaterFragment && type < 128
        default: return false
        }
    }
    /// Protocol and ports are to be read.
    var isKnown: Bool { !isLaterFragment }

    var description: String {
        "\(source) -> \(destination) protocol \(number) \(words)\(isLaterFragment ? " later fragment" : "")"
    }
}

/// Policies and packets among few networks, protocols and ports, so that they meet.
struct AgreementUniverse {
    private let family: AddressFamily
    private var random: Xorshift

    init(_ family: AddressFamily, seed: UInt64) {
        self.family = family
        random = Xorshift(seed: 0x9e37_79b9_7f4a_7c15 &* (seed + 1))
    }

    private var icmp: UInt8 { family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6 }

    private mutating func any<Value>(_ values: [Value]) -> Value {
        values[Int.random(in: values.indices, using: &random)]
    }

    private mutating func range(_ side: Int) -> AddressRange {
        let texts =
            family == .ipv4
            ? ["10.\(side).0.0/16", "10.\(side).1.0/24", "10.\(side).1.7/32", "0.0.0.0/0", "10.\(side).1.4/31"]
            : [
                "2001:db8:\(side)::/48", "2001:db8:\(side):1::/64", "2001:db8:\(side):1::7/128", "::/0",
                "2001:db8:\(side):1::4/126",
            ]
        return IPPrefix(any(texts)).map { AddressRange($0) } ?? .any(family)
    }

    private mutating func address(_ side: Int) -> IPAddress {
        let texts =
            family == .ipv4
            ? ["10.\(side).1.7", "10.\(side).1.5", "10.\(side).1.9", "10.\(side).2.2", "172.16.\(side).1"]
            : [
                "2001:db8:\(side):1::7", "2001:db8:\(side):1::5", "2001:db8:\(side):1::9", "2001:db8:\(side):2::2",
                "2001:db8:ff:\(side)::1",
            ]
        return IPAddress(any(texts)) ?? .unspecified(family)
    }

    private mutating func selector() -> TrafficSelector {
        let (source, destination) = (range(1), range(2))
        let ports: [ClosedRange<UInt16>] = [0...65535, 80...80, 22...22, 0...1023, 0...65535, 1024...65535]
        switch any([0, 1, 1, 2, 3, 4]) {
        case 0: return TrafficSelector(source: source, destination: destination)
        case 1:
            return TrafficSelector(
                source: source, destination: destination, protocol: IPProtocol.tcp, sourcePorts: any(ports),
                destinationPorts: any(ports))
        case 2:
            return TrafficSelector(
                source: source, destination: destination, protocol: IPProtocol.udp, destinationPorts: any(ports))
        case 3:
            let types: [ClosedRange<UInt16>] = [0...65535, 0x0800...0x08ff, 0x0301...0x0301, 0x8000...0x80ff]
            return TrafficSelector(
                source: source, destination: destination, protocol: icmp, sourcePorts: any(types))
        default: return TrafficSelector(source: source, destination: destination, protocol: 47)
        }
    }

    /// Each with a priority of its own, as the order of equals is not told exactly.
    mutating func policies() -> [SecurityPolicy] {
        let count = Int.random(in: 1...9, using: &random)
        let priorities = (0..<UInt32(count)).shuffled(using: &random)
        return priorities.map { priority in
            SecurityPolicy(
                selector: selector(), direction: .out,
                action: any([.protect(.init(requestID: 1)), .protect(.init(requestID: 1)), .bypass, .discard]),
                priority: priority)
        }
    }

    mutating func packet() -> AgreementPacket {
        let isAnswer = any([false, false, true])
        let (source, destination) = isAnswer ? (address(2), address(1)) : (address(1), address(2))
        let number = any([6, 6, 6, 17, icmp, icmp, 47])
        var words = (any([80, 22, 5000, 1023, 1024]) as UInt16, any([80, 22, 5000, 443]) as UInt16)
        if number == icmp { words = (any([0x0800, 0x8000, 0x0301, 0x0103, 0x0000]), 0) }
        let isLater = any([false, false, false, true])
        let isFirst = any([false, false, true])
        let payload = Frames.big(words.0) + Frames.big(words.1) + [UInt8](repeating: 0, count: 20)
        let bytes: [UInt8]
        switch family {
        case .ipv4:
            bytes = Frames.withChecksum(
                Frames.ipv4(
                    to: "\(destination)", from: "\(source)", protocol: number,
                    fragment: isLater ? 0x0010 : isFirst ? 0x2000 : 0, payload))
        case .ipv6:
            let fragment: (number: UInt8, bytes: [UInt8]) = (44, [0, 0, isLater ? 1 : 0, 0, 0, 0, 0, 9])
            let options: (number: UInt8, bytes: [UInt8]) = (60, Frames.options)
            let extensions = isLater ? [fragment] : isFirst ? any([[options], [options, fragment]]) : []
            bytes = Frames.ipv6(
                to: "\(destination)", from: "\(source)", protocol: number, extensions: extensions, payload)
        }
        if number == 47 { words = (0, 0) }
        return AgreementPacket(
            source: source, destination: destination, number: number, words: words, isLaterFragment: isLater,
            bytes: bytes)
    }
}
