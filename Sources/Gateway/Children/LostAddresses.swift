import IPsec
import Packets

// Outbound SAs whose source is no address of this host any more. Workers do not get them: nothing leaves with an address
// that may be somebody else's by now, and what they would have carried is dropped.
extension GatewayDataplane {
    /// The host has these addresses now.
    func follow(ownAddresses addresses: Set<IPAddress>) {
        guard addresses != ownAddresses else { return }
        ownAddresses = addresses
        var isChanged = false
        for (spi, child) in children where child.outbound != nil {
            let next = suspendedAsNeeded(child)
            guard next.isSuspended != child.isSuspended else { continue }
            children[spi] = next
            isChanged = true
        }
        if isChanged { outboundChanged() }
    }

    /// Outbound SAs that workers do not have.
    var suspended: [OutboundSA] { children.values.filter(\.isSuspended).compactMap(\.outbound) }

    func isLost(_ source: IPAddress) -> Bool { ownAddresses.map { !$0.contains(source) } ?? false }

    /// The child with its outbound SA given to workers or taken from them, as the host's addresses are.
    func suspendedAsNeeded(_ child: DataplaneChild) -> DataplaneChild {
        guard let outbound = child.outbound else { return child }
        var child = child
        let isLost = isLost(outbound.parameters.source)
        if isLost, !child.isSuspended {
            builder.removeOutbound(outbound)
            child.isSuspended = true
        } else if !isLost, child.isSuspended, (try? builder.addOutbound(outbound)) != nil {
            child.isSuspended = false
        }
        return child
    }
}
