import IPsec
import Packets
import Policy

/// Which destinations the steering program takes from LAN ports.
enum SteeredPrefixes {
    /// The destinations of outbound policies that protect or discard: both are for a worker to carry out. What only
    /// bypass policies name stays with the kernel.
    static func of(_ policies: [SecurityPolicy]) -> Set<IPPrefix> {
        var prefixes: Set<IPPrefix> = []
        for policy in policies where policy.direction == .out && policy.action != .bypass {
            prefixes.formUnion(cover(policy.selector.destination))
        }
        return prefixes
    }

    /// The fewest prefixes that together hold exactly the addresses of the range.
    static func cover(_ range: AddressRange) -> [IPPrefix] {
        if let whole = range.prefix { return [whole] }
        var prefixes: [IPPrefix] = []
        var next = range.first
        while next <= range.last {
            // The longest run that starts here, is aligned, and does not go beyond the end.
            var length = next.bitWidth
            while length > 0 {
                let wider = IPPrefix(address: next, length: length - 1)
                guard wider.first == next, wider.last <= range.last else { break }
                length -= 1
            }
            let prefix = IPPrefix(address: next, length: length)
            prefixes.append(prefix)
            guard prefix.last < range.last, let following = prefix.last.successor else { break }
            next = following
        }
        return prefixes
    }
}

extension IPAddress {
    /// The next address of the family; nil after the last one.
    var successor: IPAddress? {
        switch family {
        case .ipv4:
            return low == UInt64(UInt32.max) ? nil : IPAddress(ipv4: UInt32(truncatingIfNeeded: low &+ 1))
        case .ipv6:
            let (next, carry) = low.addingReportingOverflow(1)
            if carry && high == .max { return nil }
            return IPAddress(ipv6High: carry ? high &+ 1 : high, low: next)
        }
    }
}
