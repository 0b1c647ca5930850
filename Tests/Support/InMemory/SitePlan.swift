import Packets
import Policy

/// The addresses of a site in memory. Site 1 has 10.1.0.0/16 and 2001:db8:1::/48 behind it, site 2 those with a 2, and so on.
///
/// Site 2 has the outer addresses of the fuzz corpus (`Tests/Fuzz/README.md`), and site 1's network is the one that
/// the corpus takes for the protected one.
public struct SitePlan: Sendable, Hashable {
    public let number: UInt32

    public init(_ number: UInt32) { self.number = number }

    /// The network behind the gateway.
    public func network(_ family: AddressFamily) -> IPPrefix {
        switch family {
        case .ipv4: IPPrefix(address: IPAddress(ipv4: 0x0A00_0000 | number << 16), length: 16)
        case .ipv6:
            IPPrefix(address: IPAddress(ipv6High: 0x2001_0DB8_0000_0000 | UInt64(number) << 16, low: 0), length: 48)
        }
    }

    /// A host of the network. Those up to `neighbours` are known to the gateway.
    public func host(_ family: AddressFamily, _ last: UInt32 = 2) -> IPAddress {
        var address = network(family).address
        address.low |= UInt64(last)
        return address
    }

    public static let neighbours: UInt32 = 9

    /// The gateway's own address in the network.
    public func lanAddress(_ family: AddressFamily) -> IPAddress { host(family, 1) }

    /// The outer address: the tunnel's end.
    public func wanAddress(_ family: AddressFamily) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: number == 2 ? 0xC633_6401 : 0xCB00_7100 | number)
        case .ipv6:
            IPAddress(
                ipv6High: number == 2 ? 0x2001_0DB8_00FF_0000 : 0x2001_0DB8_00FE_0000,
                low: UInt64(number == 2 ? 1 : number))
        }
    }

    /// The router on the WAN.
    public func router(_ family: AddressFamily) -> IPAddress {
        family == .ipv4 ? IPAddress(ipv4: 0xC612_00FE) : IPAddress(ipv6High: 0xFE80_0000_0000_0000, low: 0xFE)
    }

    // Link-layer addresses: 02:00:00:00:<site>:<station>.
    public var lanPort: MACAddress { station(1) }
    public var wanPort: MACAddress { station(2) }
    public var routerStation: MACAddress { station(0x20) }
    public func hostStation(_ last: UInt32 = 2) -> MACAddress { station(0x100 + UInt64(last)) }

    private func station(_ last: UInt64) -> MACAddress { MACAddress(0x0200_0000_0000 | UInt64(number) << 16 | last) }

    public static let lanInterface: UInt32 = 1
    public static let wanInterface: UInt32 = 2
}
