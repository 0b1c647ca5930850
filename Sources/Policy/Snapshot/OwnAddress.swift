import Packets

/// An address of the gateway's own, and the interface of a port that has it: where ICMP errors may come from.
@frozen
public struct OwnAddress: BitwiseCopyable, Sendable {
    public let address: IPAddress
    public let port: UInt16
    /// 0: the port itself, else a VLAN on it.
    public let vlan: UInt16

    /// Whether routers pass on what comes from it.
    @inlinable
    public var isGlobal: Bool { !address.isLinkLocal }

    /// How well it suits as the source of an answer to a frame of this VLAN, the best being 0: first the interface that the
    /// frame came from, then the port itself, then any other VLAN of the port; a global address of any before link-local ones.
    @inlinable
    func rank(forVLAN wanted: UInt16) -> Int {
        (vlan == wanted ? 0 : vlan == 0 ? 1 : 2) &+ (isGlobal ? 0 : 3)
    }
}

extension HotArray where Element == OwnAddress {
    /// All addresses of all interfaces, the global ones first, else in the given order.
    static func ownAddresses(_ interfaces: [PortInterface]) -> HotArray<OwnAddress> {
        let all = interfaces.flatMap { interface in
            interface.addresses.filter(\.isSingleHost).map {
                OwnAddress(address: $0, port: interface.port, vlan: interface.vlan ?? 0)
            }
        }
        return HotArray(all.filter(\.isGlobal) + all.filter { !$0.isGlobal })
    }
}
