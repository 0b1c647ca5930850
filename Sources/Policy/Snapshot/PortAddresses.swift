import Packets

extension HotArray where Element == IPAddress {
    /// Two addresses for each port up to the highest one: IPv4 and IPv6, unspecified when it has none.
    ///
    /// A global address goes before a link-local one, an untagged interface before a VLAN.
    static func portAddresses(_ interfaces: [PortInterface]) -> HotArray<IPAddress> {
        let ports = interfaces.map { Int($0.port) + 1 }.max() ?? 0
        var addresses = (0..<ports).flatMap { _ in [IPAddress.unspecified(.ipv4), IPAddress.unspecified(.ipv6)] }
        let untaggedFirst = interfaces.filter { $0.vlan == nil } + interfaces.filter { $0.vlan != nil }
        for wantsLinkLocal in [false, true] {
            for interface in untaggedFirst {
                for address in interface.addresses where address.isSingleHost && address.isLinkLocal == wantsLinkLocal {
                    let place = Int(interface.port) * 2 + (address.family == .ipv4 ? 0 : 1)
                    if addresses[place].isUnspecified { addresses[place] = address }
                }
            }
        }
        return HotArray(addresses)
    }
}
