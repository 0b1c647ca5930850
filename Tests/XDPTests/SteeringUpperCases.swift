import TestSupport
import XDP

/// Policies by protocol and ports, of which `SteeringFixture` has four: TCP to 22 passes, TCP to 80 and UDP from 5000 to 5010 are
/// protected, echo requests discarded, and nothing is about the rest.
extension SteeringCase {
    static let upper: [SteeringCase] = upper(isIPv4: true) + upper(isIPv4: false)

    private static func upper(isIPv4: Bool) -> [SteeringCase] {
        let family = isIPv4 ? "IPv4" : "IPv6"
        func frame(_ number: UInt8, _ bytes: [UInt8], isAnswer: Bool = false) -> [UInt8] {
            let (near, far) =
                isIPv4 ? ("192.168.30.9", "172.30.1.1") : ("2001:db8:30::9", "2001:db8:31::1")
            let (from, to) = isAnswer ? (far, near) : (near, far)
            let icmp: UInt8 = isIPv4 ? 1 : 58
            return Frames.ethernet(
                isIPv4
                    ? Frames.ipv4(to: to, from: from, protocol: number == 0 ? icmp : number, bytes)
                    : Frames.ipv6(to: to, from: from, protocol: number == 0 ? icmp : number, bytes))
        }
        func ports(_ source: UInt16, _ destination: UInt16) -> [UInt8] {
            Frames.big(source) + Frames.big(destination) + [UInt8](repeating: 0, count: 16)
        }
        let echo: [UInt8] = [isIPv4 ? 8 : 128, 0, 0, 0, 0, 0, 0, 0]
        let answer: [UInt8] = [isIPv4 ? 0 : 129, 0, 0, 0, 0, 0, 0, 0]
        let error: [UInt8] = [isIPv4 ? 3 : 1, 4] + [UInt8](repeating: 0, count: 40)
        return [
            .init("\(family), a port that passes", .lan, frame(6, ports(9, 22)), .passBypass),
            .init("\(family), a protected port", .lan, frame(6, ports(9, 80)), .socketProtected),
            .init("\(family), another port", .lan, frame(6, ports(9, 81)), .passUnprotected),
            .init("\(family), the port of another protocol", .lan, frame(17, ports(9, 80)), .passUnprotected),
            .init("\(family), the port as source", .lan, frame(6, ports(80, 9)), .passUnprotected),
            .init("\(family), first of a range", .lan, frame(17, ports(5000, 9)), .socketProtected),
            .init("\(family), last of a range", .lan, frame(17, ports(5010, 9)), .socketProtected),
            .init("\(family), behind a range", .lan, frame(17, ports(5011, 9)), .passUnprotected),
            .init("\(family), before a range", .lan, frame(17, ports(4999, 9)), .passUnprotected),
            .init("\(family), a type that is discarded", .lan, frame(0, echo), .socketProtected),
            .init("\(family), another type", .lan, frame(0, answer), .passUnprotected),
            .init("\(family), an error, which quotes", .lan, frame(0, error), .socketProtected),
            .init("\(family), a protocol without ports", .lan, frame(47, [0, 0, 8, 0]), .passUnprotected),
            .init("\(family), ports cut short", .lan, frame(6, [0, 9, 0]), .socketProtected),
            .init(
                "\(family), the answer of what passes", .wan, frame(6, ports(22, 9), isAnswer: true), .passNotLocal),
            .init(
                "\(family), the answer of a protected port", .wan, frame(6, ports(80, 9), isAnswer: true),
                .dropClearInbound),
            .init(
                "\(family), a request to that port of ours", .wan, frame(6, ports(9, 80), isAnswer: true), .passNotLocal
            ),
            .init("\(family), another port's answer", .wan, frame(6, ports(81, 9), isAnswer: true), .passNotLocal),
            .init(
                "\(family), the answer to a range", .wan, frame(17, ports(9, 5003), isAnswer: true), .dropClearInbound),
            .init("\(family), an error from the WAN", .wan, frame(0, error, isAnswer: true), .passNotLocal),
            .init("\(family), a stranger's protected port", .wan, frame(6, ports(9, 80)), .dropStranger),
            .init("\(family), a stranger's other port", .wan, frame(6, ports(9, 81)), .passNotLocal),
        ]
    }

    /// Without ports, or even without a protocol, a packet passes only if it would whatever it is.
    static var upperFragments: [SteeringCase] {
        func ipv4(_ number: UInt8, fragment: UInt16, options: [UInt8] = [], _ bytes: [UInt8]) -> [UInt8] {
            Frames.ethernet(
                Frames.ipv4(
                    to: "172.30.1.1", from: "192.168.30.9", protocol: number, fragment: fragment, options: options,
                    bytes))
        }
        func ipv6(_ extensions: [(number: UInt8, bytes: [UInt8])], protocol number: UInt8 = 6, to port: UInt16)
            -> [UInt8]
        {
            Frames.ethernet(
                Frames.ipv6(
                    to: "2001:db8:31::1", from: "2001:db8:30::9", protocol: number, extensions: extensions,
                    Frames.big(9) + Frames.big(port) + [UInt8](repeating: 0, count: 16)))
        }
        let other = Frames.big(9) + Frames.big(81) + [UInt8](repeating: 0, count: 16)
        return [
            .init("first fragment of another port", .lan, ipv4(6, fragment: 0x2000, other), .passUnprotected),
            .init("later fragment of TCP", .lan, ipv4(6, fragment: 0x0010, other), .socketProtected),
            .init("later fragment of GRE", .lan, ipv4(47, fragment: 0x0010, other), .passUnprotected),
            .init(
                "another port behind options", .lan, ipv4(6, fragment: 0, options: [1, 1, 1, 1], other),
                .passUnprotected),
            .init(
                "a protected port behind options", .lan,
                ipv4(
                    6, fragment: 0, options: [UInt8](repeating: 1, count: 40),
                    Frames.big(9) + Frames.big(80) + [UInt8](repeating: 0, count: 16)), .socketProtected),
            // The last four bytes are the frame's padding and none of the packet.
            .init(
                "ports in the padding", .lan,
                ipv4(6, fragment: 0, []) + other, .socketProtected),
            .init("IPv6, another port's first fragment", .lan, ipv6([fragment(0x0001)], to: 81), .passUnprotected),
            .init("IPv6, later fragment", .lan, ipv6([fragment(0x0100)], to: 81), .socketProtected),
            .init("IPv6, two fragment headers", .lan, ipv6([fragment(0), fragment(0)], to: 81), .socketProtected),
            .init("IPv6, another port behind options", .lan, ipv6([(60, Frames.options)], to: 81), .passUnprotected),
            .init("IPv6, a protected port there", .lan, ipv6([(60, Frames.longOptions)], to: 80), .socketProtected),
            .init(
                "IPv6, a port that passes behind a routing header", .lan, ipv6([routing(left: 1)], to: 22), .passBypass),
            .init(
                "IPv6, eight headers", .lan, ipv6(.init(repeating: (60, Frames.options), count: 8), to: 81),
                .passUnprotected),
            .init(
                "IPv6, nine headers", .lan, ipv6(.init(repeating: (60, Frames.options), count: 9), to: 81),
                .socketProtected),
            .init(
                "IPv6, a hop-by-hop header that comes late", .lan,
                ipv6([(60, Frames.options), (0, Frames.options)], to: 81), .socketProtected),
            .init(
                "IPv6, headers beyond the packet", .lan, ipv6([(60, [0, 200] + Frames.options.dropFirst(2))], to: 81),
                .socketProtected),
        ]
    }
}
